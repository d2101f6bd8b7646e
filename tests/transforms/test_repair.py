"""Depth mended for the mesh: outlines on the photo's outlines, people whole, all maps alike."""

import cv2
import numpy as np
import pytest
from skimage import data

from renderer.camera import DEFAULT_FOV
from renderer.mesh import grid_shape
from tests.drawings import FAR, NEAR, disc, ramp, two_colours
from transforms.elements import Perception, Photo
from transforms.repair import GRID, repair


def perception(rgb, depth, person=None, head=None, saliency=None):
    nobody = np.zeros((60, 80), np.float32)
    maps = (nobody if m is None else m for m in (person, head, saliency))
    return Perception(Photo(rgb, DEFAULT_FOV, None), depth, *maps)


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("size", [(300, 400), (533, 300), (90, 900)], ids=["landscape", "portrait", "panorama"])
def test_all_maps_come_out_on_the_meshs_grid_and_in_range(size, trusted):
    """Whatever the networks' sizes were, and whatever the range of the raw depth."""
    photo = cv2.resize(data.astronaut(), size[::-1])
    grey = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY).astype(np.float32)
    person = disc((128, 128), 56, 60, 40).astype(np.float32)
    head = disc((128, 128), 56, 26, 16).astype(np.float32)
    seen = perception(photo, 40 * cv2.resize(grey, (352, 256)) - 900, person, head, cv2.resize(grey, (64, 64)) / 200)
    mended = repair(seen, trusted_depth=trusted)
    cells = tuple(side - 1 for side in grid_shape(size[1], size[0], GRID))
    for values in (mended.inverse_depth, mended.person, mended.head, mended.saliency):
        assert (values.shape, values.dtype) == (cells, np.float32)
        assert 0 <= values.min() <= values.max() <= 1
    assert mended.photo is seen.photo


def test_a_head_is_part_of_a_person():
    person, head = disc((60, 80), 30, 40, 15), disc((60, 80), 50, 20, 15)
    mended = repair(perception(data.coffee(), ramp((60, 80), 40, 4), person.astype("f4"), head.astype("f4")))
    assert (mended.head <= mended.person).all()


def test_trusted_depth_keeps_its_outlines():
    """A measured edge beside the photo's stays where it was measured, and a thin pole stands."""
    rows, columns = (side - 1 for side in grid_shape(400, 300, GRID))
    depth = np.full((rows, columns), 0.0, np.float32)
    depth[:, 200:], depth[:, 100:102] = 1.0, 1.0
    photo = cv2.resize(two_colours((300, 400), 165), (400, 300))
    seen = perception(photo, depth)
    assert (repair(seen, trusted_depth=True).inverse_depth == depth).all()
    assert (repair(seen).inverse_depth != depth).any()


def test_people_are_mended_in_the_depth_of_a_photo():
    """The astronaut's eyes, predicted as far as the flag behind her."""
    person, head = disc((128, 128), 56, 75, 50) | disc((128, 128), 56, 28, 16), disc((128, 128), 56, 28, 16)
    eyes = disc((128, 128), 56, 26, 5)
    depth = np.where(person & ~eyes, NEAR, FAR)
    mended = repair(perception(data.astronaut(), depth, person.astype("f4"), head.astype("f4")))
    assert mended.inverse_depth[disc((512, 512), 4 * 56, 4 * 26, 4 * 5)].min() > 0.8
