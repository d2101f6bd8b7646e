"""Networks beside each other on held-out photos: what is scored, and what is said where nothing can be."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from models import corpus, evaluate

HELD_OUT = [f"photo{k}" for k in range(200) if corpus.is_held_out("human_seg_290", f"photo{k}")]
TRAINED_ON = next(f"photo{k}" for k in range(200) if not corpus.is_held_out("human_seg_290", f"photo{k}"))


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Development sets of scikit-image's photos, with truth made up: an astronaut in front, and where eyes rest."""
    root = tmp_path_factory.mktemp("data")
    rows, columns = np.indices((240, 240))
    person = (np.hypot(columns - 105, rows - 60) < 45) | ((rows > 100) & (np.abs(columns - 110) < 90))
    photo = cv2.resize(data.astronaut(), (240, 240))
    mask = np.where(person, 255, 0).astype(np.uint8)
    metres = np.where(person, 1000, 3000).astype(np.uint16)
    for stem in (HELD_OUT[0], TRAINED_ON):
        save(root / f"human_seg_290/images/{stem}.jpg", photo)
        save(root / f"human_seg_290/masks/{stem}.png", mask)
    save(root / "person_rgbd_uva/rgb/one.jpg", photo)
    save(root / "person_rgbd_uva/depth/one.png", metres)
    save(root / "person_rgbd_uva/mask/one.png", mask)
    save(root / f"osie_saliency/images/{HELD_OUT[1]}.jpg", photo)
    save(root / f"osie_saliency/masks/{HELD_OUT[1]}.png", mask)
    save(root / f"ecssd_saliency/images/{HELD_OUT[2]}.jpg", photo)
    save(root / f"ecssd_saliency/masks/{HELD_OUT[2]}.png", mask)
    heads = np.where(person & (rows < 105), 2, 0).astype(np.uint8)
    save(root / f"heads/human_seg_290/{HELD_OUT[0]}.png", heads)
    oracle = root / "oracle"
    for folder, stem in (("human_seg_290", HELD_OUT[0]), ("person_rgbd_uva", "one")):
        save(oracle / f"{folder}/{stem}.regions.png", np.where(heads == 2, 2, person).astype(np.uint8))
    save(oracle / "person_rgbd_uva/one.depth.png", np.where(person, 40000, 10000).astype(np.uint16))
    save(oracle / f"osie_saliency/{HELD_OUT[1]}.saliency.png", mask)
    save(oracle / f"ecssd_saliency/{HELD_OUT[2]}.object.png", mask)
    return root


def oracle(root):
    return evaluate.FolderPredictor(root / "oracle", root)


def test_photos_that_were_trained_on_are_left_out(sets):
    truths, absent = evaluate.read_truths(sets)
    assert [t.stem for t in truths if t.folder == "human_seg_290"] == [HELD_OUT[0]]
    assert "nyu_v2_labeled" in absent and "osie_saliency" not in absent


def test_whole_ranges_of_rooms_are_held_out():
    numbers = [k for k in range(1449) if corpus.is_held_out("nyu_v2_labeled/rgb", f"{k:04}")]
    assert numbers == [*range(200, 250), *range(500, 550)]


def test_the_truth_itself_scores_full_marks(sets):
    truths, _ = evaluate.read_truths(sets, sets / "heads")
    means, _ = evaluate.evaluate(truths, {"oracle": oracle(sets)})
    mean = means["oracle"]["mean"]
    best = {name: 1.0 for name in ("d<1.25", "person IoU", "boundary F1", "head IoU", "CC", "SIM", "object F")}
    assert {name: mean[name] for name in best} == pytest.approx(best, abs=1e-3)
    assert [mean[name] for name in ("rmse/std", "ordinal error", "misordering")] == pytest.approx([0, 0, 0], abs=1e-6)
    assert mean["misordering, repaired"] < 0.02


def test_what_a_folder_does_not_hold_has_no_score(sets):
    truths, _ = evaluate.read_truths(sets)
    means, _ = evaluate.evaluate(truths, {"oracle": oracle(sets)})
    assert "F" not in means["oracle"]["mean"] and "head IoU" not in means["oracle"]["mean"]


def test_bystanders_without_a_mask_cost_nothing():
    person = np.zeros((60, 90), bool)
    person[10:50, 10:30] = True
    regions = person.astype(np.uint8)
    regions[10:50, 60:80] = 1
    truth = evaluate.Truth("ccp_people", "x", None, person=person, one_labelled=True)
    scores, _ = evaluate.score(truth, {"regions": regions}, None)
    assert scores["person IoU"] == 1


def test_an_empty_room_has_no_overlap_but_may_have_a_false_alarm():
    truth = evaluate.Truth("coco256", "x", None, person=np.zeros((60, 90), bool))
    assert evaluate.score(truth, {"regions": np.ones((60, 90), np.uint8)}, None)[0] == {"false alarm": 1.0}
    assert evaluate.score(truth, {"regions": np.zeros((60, 90), np.uint8)}, None)[0] == {"false alarm": 0.0}


def test_sets_count_alike_however_many_photos_they_have():
    rows = [("coco256", {"person IoU": 0.0})] * 9 + [("human_seg_290", {"person IoU": 1.0})]
    assert evaluate.averaged(rows)["mean"]["person IoU"] == 0.5


def test_the_report_compares_and_shows(sets, tmp_path, capsys):
    arguments = ["--data", str(sets), "--output", str(tmp_path), "--predictions", f"oracle={sets / 'oracle'}"]
    assert evaluate.main(arguments) == 0
    report = (tmp_path / "report.md").read_text()
    assert report == capsys.readouterr().out.rstrip("\n") + "\n"
    for text in ("| built-in |", "| oracle |", "ms a photo", "Not there, hence not measured: nyu_v2_labeled"):
        assert text in report
    assert (tmp_path / "worst_person_IoU.jpg").stat().st_size > 1000
    photos = json.loads((tmp_path / "scores.json").read_text())["photos"]
    assert {row["network"] for row in photos} == {"built-in", "oracle"}


@pytest.mark.parametrize("entry", ["oracle", "oracle=/nowhere"])
def test_a_prediction_folder_that_is_not_there_is_named(sets, tmp_path, entry, capsys):
    with pytest.raises(SystemExit):
        evaluate.main(["--data", str(sets), "--output", str(tmp_path), "--predictions", entry])
    assert "NAME=FOLDER" in capsys.readouterr().err
