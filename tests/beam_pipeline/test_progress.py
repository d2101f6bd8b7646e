"""The progress line counts what the workers note, and leaves nothing behind."""

import io
import json
import logging
import os

import pytest

from beam_pipeline import progress
from tests.beam_pipeline.test_sinks import CANDIDATE, FAILURE, REJECTION


def test_the_line_counts_clips_rejections_and_failures():
    with progress.Display(True, io.StringIO()) as display:
        for kind in ("Candidate", "Candidate", "Rejection", "Failure"):
            progress.note(display.journal, kind)
        assert display.line().startswith("4 photos: 2 clips, 1 rejected, 1 failed; ")
        assert display.line().endswith("photos a minute")


def test_before_the_first_photo_it_says_what_is_going_on():
    with progress.Display(True, io.StringIO()) as display:
        assert "starting" in display.line()


def test_the_last_count_is_shown_and_the_journal_removed():
    stream = io.StringIO()
    with progress.Display(True, stream) as display:
        progress.note(display.journal, "Candidate")
    assert "1 photos: 1 clips" in stream.getvalue()
    assert not os.path.exists(display.journal)


def test_nothing_is_shown_where_it_is_not_wanted():
    stream = io.StringIO()
    with progress.Display(False, stream) as display:
        assert display.journal is None
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("outcome", "level", "told"),
    [
        (CANDIDATE, logging.INFO, {"result": "candidate", "cpu_seconds": 4.75}),
        (REJECTION, logging.INFO, {"result": "rejection", "stage": "score", "reason": "artifacts", "cpu_seconds": 0.5}),
        (FAILURE, logging.WARNING, {"result": "failure", "stage": "decode", "reason": "unreadable", "cpu_seconds": 0.125}),
    ],
    ids=["candidate", "rejection", "failure"],
)
def test_the_log_has_a_line_of_json_for_each_photo_without_its_name(caplog, outcome, level, told):
    with caplog.at_level(logging.INFO, "cinematic_photos"):
        assert progress.tell(outcome) is outcome
    (record,) = caplog.records
    assert record.levelno == level
    line = json.loads(record.message)
    assert line | told | {"photo_id": outcome.photo_id} == line
    assert outcome.path not in record.message


def test_a_local_run_that_is_asked_to_tells_each_photo_on_the_standard_error(capfd):
    progress.tell(FAILURE, on_stderr=True)
    assert json.loads(capfd.readouterr().err)["photo_id"] == FAILURE.photo_id
