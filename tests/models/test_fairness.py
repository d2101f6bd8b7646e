"""Groups are told from what can be seen, gaps between them with their uncertainty."""

import cv2
import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image
from skimage import data

from models import evaluate, fairness

FACE = np.s_[90:210, 175:270]  # of scikit-image's astronaut


def face_mask(photo):
    mask = np.zeros(photo.shape[:2], bool)
    mask[FACE] = True
    return mask


HEAD = np.s_[25:215, 150:285]  # with the hair


def darkened(photo, where, share):
    out = photo.copy()
    out[where] = (out[where] * share).astype(np.uint8)
    return out


def test_darker_skin_has_a_smaller_angle():
    photo = data.astronaut()
    angles = [fairness.typology_angle(darkened(photo, FACE, share), face_mask(photo)) for share in (1.0, 0.75, 0.5)]
    assert angles[0] > angles[1] > angles[2]


def test_a_darker_photo_is_no_darker_skin():
    photo = data.astronaut()
    angles = [fairness.typology_angle((photo * share).astype(np.uint8), face_mask(photo)) for share in (1.0, 0.6)]
    assert angles[1] == pytest.approx(angles[0], abs=3)


def test_hair_is_no_skin():
    photo = data.astronaut()
    head = np.zeros(photo.shape[:2], bool)
    head[HEAD] = True
    hair = np.s_[25:75, 150:285]
    told = [fairness.groups(darkened(photo, hair, share), head, head)["apparent skin tone"] for share in (1.0, 0.1)]
    assert told == ["light", "light"]


def test_the_back_of_a_head_has_no_tone():
    photo = data.astronaut()
    head = np.zeros(photo.shape[:2], bool)
    head[HEAD] = True
    assert fairness.groups(darkened(photo, HEAD, 0.1), head, head)["apparent skin tone"] == "unknown"


def test_where_there_is_no_skin_no_tone_is_told():
    photo = data.astronaut()
    assert np.isnan(fairness.typology_angle(photo, np.zeros(photo.shape[:2], bool)))
    blue = np.zeros_like(photo)
    blue[..., 2] = 200
    assert np.isnan(fairness.typology_angle(blue, face_mask(photo)))
    told = fairness.groups(blue, face_mask(photo), face_mask(photo))
    assert told["apparent skin tone"] == "unknown"


@pytest.mark.parametrize("count, word", [(1, "one"), (2, "two"), (3, "more")])
def test_people_are_counted_and_sized(count, word):
    person = np.zeros((200, 400), bool)
    for k in range(count):
        person[50:150, 20 + 100 * k : 60 + 100 * k] = True
    person[0, 0] = True  # a crumb
    told = fairness.groups(np.full((200, 400, 3), 128, np.uint8), person, person)
    assert told["people"] == word
    assert told["person size"] == "middling"
    assert told["scene brightness"] == "middling"


def rows(values, score="person IoU"):
    """One row a (group of size, value)."""
    return [{"person size": group, score: value} for group, value in values]


def test_a_gap_is_found_with_its_interval():
    rng = np.random.default_rng(0)
    values = [("large", 0.9 + 0.02 * x) for x in rng.normal(size=40)] + [("small", 0.6 + 0.02 * x) for x in rng.normal(size=40)]
    result = fairness.compare(rows(values), "person size", "person IoU")
    gap, low, high = result["gap"]
    assert low <= gap <= high
    assert gap == pytest.approx(0.3, abs=0.03)
    assert low > 0.25
    assert result["groups"]["small"][3] == 40


def test_groups_too_small_to_tell_are_left_out():
    values = [("large", 0.9)] * 10 + [("small", 0.1)] * (fairness.SMALLEST_GROUP - 1)
    assert fairness.compare(rows(values), "person size", "person IoU") is None


def test_the_card_holds_the_tables(tmp_path):
    (tmp_path / "report.md").write_text("# The networks, measured\n\n## Depth\n\n| a |\n\n## Pictures\n\n![x](x.jpg)\n")
    fairness.write_card(tmp_path / "card.md", "THE TABLES", tmp_path)
    text = (tmp_path / "card.md").read_text()
    assert "THE TABLES" in text and "### Depth" in text and "x.jpg" not in text
    assert "{{" not in text


def test_groups_do_not_depend_on_the_photos_size():
    photo = data.astronaut()
    mask = face_mask(photo)
    large = cv2.resize(photo, None, fx=3, fy=3)
    large_mask = cv2.resize(mask.astype(np.uint8), None, fx=3, fy=3, interpolation=cv2.INTER_NEAREST) > 0
    assert fairness.groups(photo, mask, mask) == fairness.groups(large, large_mask, large_mask)


def test_records_of_a_run_join_by_the_photos_path(tmp_path):
    """A candidate, a rejection, and a photo of the same name in another set."""
    for kind, rows in {
        "candidates": [{"path": "one/images/0001.jpg", "saliency_kept": 0.9, "artifact_score": 0.5}],
        "rejected": [{"path": "one/images/0002.jpg", "artifact_score": 7.0}],
    }.items():
        (tmp_path / kind).mkdir()
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / kind / "part-0.parquet")
    photo = Image.fromarray(data.astronaut())
    truths = []
    for folder, stem in (("one", "0001"), ("one", "0002"), ("two", "0001")):
        path = tmp_path / "data" / folder / "images" / f"{stem}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        photo.save(path)
        truths.append(evaluate.Truth(folder, stem, path, person=face_mask(data.astronaut())))
    predicted = {"regions": face_mask(data.astronaut()).astype(np.uint8)}
    rows = fairness.measure(truths, lambda *_: predicted, tmp_path / "data", fairness.read_records(tmp_path))
    assert [row["person IoU"] for row in rows] == [1, 1, 1]
    assert [row.get("artifact score") for row in rows] == [0.5, 7.0, None]
    assert [row.get("rejected") for row in rows] == [0, 1, None]
    assert "saliency kept" not in rows[1]
