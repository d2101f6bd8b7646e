"""Pictures that tell why a shot looks as it does."""

import dataclasses

import cv2
import numpy as np
import pytest

from renderer.camera import Path
from renderer.studio import Studio
from tests.transforms.scenes import box, standing_out
from transforms import explain
from transforms.framing import cells_of
from transforms.settings import Settings
from transforms.trajectory import shoot

PERSON = box(150, 512, 120, 260)
HEAD = box(150, 230, 150, 230)


@pytest.fixture(scope="module")
def shot():
    scene = standing_out(PERSON, person=PERSON, head=HEAD, saliency=HEAD)
    return shoot(scene, Settings(seconds=0.2, width=720, motion="arc", parallax=0.02, min_parallax=0.02))


@pytest.fixture(scope="module")
def pictures(shot):
    studio = Studio()
    yield explain.pictures(shot, studio)
    studio.close()


def near(picture, colour, tolerance=70):
    """Bool map: where a picture is about of a colour."""
    return np.abs(picture.astype(int) - colour).max(-1) <= tolerance


def test_every_picture_is_one_of_srgb(pictures):
    assert set(pictures) == {"artifacts-first", "artifacts-last", "saliency", "path"}
    for picture in pictures.values():
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
        assert picture.std() > 5


def test_what_is_torn_is_red_at_the_ends_of_the_path(shot, pictures):
    """As much of it as the search measured, about, over what the photo itself has of red."""
    at_rest = Path(np.zeros_like(shot.path.positions), np.broadcast_to(np.eye(3), shot.path.rotations.shape))
    studio = Studio()
    untorn = explain.pictures(dataclasses.replace(shot, path=at_rest), studio)["artifacts-first"]
    studio.close()
    reds = [near(p, explain.TORN).mean() for p in (untorn, pictures["artifacts-first"], pictures["artifacts-last"])]
    assert max(reds) - reds[0] == pytest.approx(shot.measures.stretched_share_max, rel=0.5)


def test_heads_are_greener_and_bodies_bluer_than_the_photo(shot, pictures):
    bare = dataclasses.replace(shot, scene=dataclasses.replace(shot.scene, regions=np.zeros_like(shot.scene.regions)))
    studio = Studio()
    plain = explain.pictures(bare, studio)["artifacts-first"].astype(int)
    studio.close()
    change = pictures["artifacts-first"] - plain
    h, w = change.shape[:2]
    head, body = change[int(0.37 * h), int(0.5 * w)], change[int(0.8 * h), int(0.5 * w)]
    assert head.argmax() == 1
    assert body.argmax() == 2
    assert np.abs(change[: h // 6, : w // 6]).max() == 0  # background


def test_the_saliency_picture_is_darker_outside_the_frame(shot):
    lens = shot.scene.lens
    narrow = dataclasses.replace(shot.window, left=-0.3 * lens.half_width, right=0.3 * lens.half_width)
    picture = explain._saliency(dataclasses.replace(shot, window=narrow))
    whole = explain._saliency(dataclasses.replace(shot, window=dataclasses.replace(narrow, left=-1, right=1)))
    rows, columns = cells_of(narrow, lens, picture.shape[:2])
    outside = picture[:, : columns.start - 3], whole[:, : columns.start - 3]
    assert outside[0].mean() == pytest.approx(outside[1].mean() / 2, rel=0.1)


def test_the_path_picture_shows_the_way_as_long_as_it_is(shot):
    """A way of twice the height is drawn in a panel of twice the scale, hence alike; its start and viewpoint are marked."""
    picture = explain._path(shot)
    assert near(picture, explain.PIVOT, 10).any()
    assert near(picture, explain.PATH, 10).any()
    doubled = dataclasses.replace(shot.path, positions=2 * shot.path.positions)
    half = picture.shape[1] * 2 // 3
    again = explain._path(dataclasses.replace(shot, path=doubled))
    marks = [cv2.countNonZero(near(p[40:, half:], explain.PATH, 10).astype(np.uint8)) for p in (picture, again)]
    assert marks[0] == pytest.approx(marks[1], rel=0.1)
