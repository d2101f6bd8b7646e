"""Marks to thresholds."""

import json

import numpy as np
import pytest

from beam_pipeline import calibrate
from beam_pipeline.review import COLUMNS, Library, ReviewError
from tests.beam_pipeline.test_review import clip, write_records

TODAY = {"settings": {"max_artifact_score": 1.2, "min_window": 0.55}}


def library(scores, kind="candidates", **changes):
    rows = [
        dict.fromkeys(COLUMNS) | {
            "photo_id": f"{n:04x}", "version": "9-1", "fingerprint": "f00", "kind": kind, "artifact_score": float(score),
            "window_share": 0.8, "relative_parallax": 0.04,
        } | changes
        for n, score in enumerate(scores)
    ]  # fmt: skip
    return Library(rows, len(rows), TODAY)


def marked(*words):
    return {f"{n:04x}": (word, "9-1/f00") for n, word in enumerate(words)}


def test_marks_that_part_cleanly_give_the_threshold_between_them():
    scores = np.linspace(0.05, 1.0, 20)
    told = calibrate.calibrate(library(scores), marked(*["keep"] * 12, *["drop"] * 8))
    best = told["thresholds"]["max_artifact_score"]["suggested"]
    assert scores[11] < best["threshold"] < scores[12]
    assert (best["precision"], best["recall"]) == (1, 1)
    assert best["keeps_of_all"] == [12, 20]
    assert best["range"][0] <= best["threshold"] <= best["range"][1]
    assert best["precision_interval"][0] < 0.8  # twelve marks are not many


def test_todays_threshold_stays_where_none_is_better():
    told = calibrate.calibrate(
        library([*np.linspace(0.1, 1.1, 15), *np.linspace(1.3, 2, 10)]), marked(*["keep"] * 15, *["drop"] * 10)
    )
    assert told["thresholds"]["max_artifact_score"]["suggested"]["threshold"] == 1.2


@pytest.mark.parametrize("marks", [["keep"] * 12 + ["drop"] * 4, ["keep"] * 30, []])
def test_too_few_marks_suggest_nothing_and_say_so(marks):
    told = calibrate.calibrate(library(np.linspace(0, 1, 30)), marked(*marks))
    found = told["thresholds"]["max_artifact_score"]
    assert found["suggested"] is None
    assert "Too few marks" in found["note"]
    assert "Too few marks" in calibrate.readable(told)


def test_equal_scores_stand_or_fall_together():
    values, wanted = np.array([0.1, 0.5, 0.5, 0.5]), np.array([True, True, False, False])
    assert 0.1 < calibrate.best_threshold(values, wanted, True) < 0.5


def test_where_less_is_worse_the_threshold_is_a_least():
    values, wanted = np.array([0.5, 0.6, 0.7, 0.8]), np.array([False, False, True, True])
    threshold = calibrate.best_threshold(values, wanted, False, today=0.55)
    assert 0.6 < threshold < 0.7
    assert calibrate.quality(values, wanted, threshold, False)["precision"] == 1


def test_marks_of_another_version_and_of_unknown_photos_are_left_out_and_counted():
    marks = {"0000": ("keep", "9-1/f00"), "0001": ("keep", "8-1/f00"), "ffff": ("drop", "9-1/f00")}
    told = calibrate.calibrate(library([0.1, 0.2]), marks)
    assert [told[name] for name in ("marks", "used", "outdated", "unknown")] == [3, 1, 1, 1]


def test_reasons_are_judged_apart():
    told = calibrate.calibrate(library([1.5] * 4, kind="rejected", reason="artifacts"), marked("drop", "drop", "keep", "wrong"))
    reason = told["reasons"]["artifacts"]
    assert (reason["marks"], reason["right"]) == (4, 0.5)
    assert told["thresholds"]["max_artifact_score"]["marks"] == 3  # for another reason: says nothing of the score


def test_an_interval_holds_the_share_and_shrinks_with_marks():
    for hits, of in ((0, 5), (5, 5), (3, 10), (300, 1000)):
        low, high = calibrate.interval(hits, of)
        assert 0 <= low <= hits / of <= high <= 1
    assert np.ptp(calibrate.interval(3, 10)) > np.ptp(calibrate.interval(300, 1000))
    assert calibrate.interval(0, 0) == (0, 1)


def test_the_command_prints_json_that_is_json(cli, tmp_path):
    write_records(tmp_path, *(clip(n, artifact_score=n / 20) for n in range(24)))
    marks = {f"{n:016x}": {"mark": "keep" if n < 14 else "drop", "of": "9-1.5/f00"} for n in range(24)}
    (tmp_path / "marks.json").write_text(json.dumps({"format": 1, "marks": marks}))
    done = cli("calibrate", tmp_path, tmp_path / "marks.json", "--json")
    assert done.returncode == 0, done.stderr
    assert 13 / 20 < json.loads(done.stdout)["thresholds"]["max_artifact_score"]["suggested"]["threshold"] < 14 / 20
    done = cli("calibrate", tmp_path, tmp_path / "marks.json")
    assert "suggested --max-artifact-score 0.675" in done.stdout


@pytest.mark.parametrize(
    "text", ["no marks", "[]", '{"format": 2, "marks": {}}', '{"format": 1, "marks": {"a": {"mark": "love"}}}']
)
def test_a_file_that_holds_no_marks_is_refused_in_one_sentence(tmp_path, text):
    (tmp_path / "marks.json").write_text(text)
    with pytest.raises(ReviewError, match="marks"):
        calibrate.read_marks(str(tmp_path / "marks.json"))
