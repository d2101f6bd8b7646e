"""Depth mended for the mesh: outlines on the photo's outlines, people whole, all maps alike."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage import data

from renderer.camera import DEFAULT_FOV
from renderer.mesh import grid_shape
from transforms.elements import Perception, Photo
from transforms.repair import GRID, PERSON_SLACK, normalise, pull_person_forward, repair, snap_edges

FAR, NEAR = np.float32(0.2), np.float32(0.8)
SHAPE = (120, 160)  # of the maps that single steps are shown
LARGE = (300, 400)  # as many cells as a photo's grid has: for what has a size in cells
EDGE = 80  # the column where the photo's colour changes
ORANGE, TEAL = (230, 140, 40), (20, 110, 120)


def disc(shape, x, y, radius):
    """Bool map: a disc; x, y and radius in cells."""
    rows, columns = np.indices(shape)
    return np.hypot(columns - x, rows - y) <= radius


def two_colours(shape, edge):
    """(h, w, 3) uint8: orange left of a column, teal from it on."""
    rgb = np.empty((*shape, 3), np.uint8)
    rgb[:, :edge], rgb[:, edge:] = ORANGE, TEAL
    return rgb


def ramp(shape, middle, width):
    """(h, w) float32 inverse depth that falls from near to far over `width` columns."""
    row = np.interp(np.arange(shape[1]), (middle - width / 2, middle + width / 2), (NEAR, FAR))
    return np.tile(row.astype(np.float32), (shape[0], 1))


def lab(rgb):
    return cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def perception(rgb, depth, person=None, head=None, saliency=None):
    nobody = np.zeros((60, 80), np.float32)
    maps = (nobody if m is None else m for m in (person, head, saliency))
    return Perception(Photo(rgb, DEFAULT_FOV, None), depth, *maps)


# People


@pytest.mark.parametrize("radius", [4, 20])
def test_a_hole_in_a_person_is_pulled_forward(radius):
    person, hole = disc(LARGE, 200, 150, 100), disc(LARGE, 210, 140, radius)
    depth = np.where(person & ~hole, NEAR, FAR)
    assert (pull_person_forward(depth, person)[hole] >= NEAR - 2 * PERSON_SLACK).all()


def test_an_arm_that_was_taken_for_background_is_pulled_forward():
    """As far as the body's own depth is carried; a longer one votes for its own."""
    length = 20
    body, arm = disc(LARGE, 150, 150, 60), np.zeros(LARGE, bool)
    arm[142:158, 205 : 210 + length] = True
    mended = pull_person_forward(np.where(body, NEAR, FAR), body | arm)
    assert (mended[arm] >= NEAR - 2 * PERSON_SLACK).all()


@given(st.integers(0, 2**32 - 1))
def test_nothing_is_pushed_back_and_only_people_move(seed):
    noise = cv2.GaussianBlur(np.random.default_rng(seed).random(SHAPE).astype(np.float32), (0, 0), 4)
    depth, person = normalise(noise), disc(SHAPE, 80, 60, 30)
    mended = pull_person_forward(depth, person)
    assert (mended >= depth).all()
    assert (mended[~person] == depth[~person]).all()
    assert mended.max() <= 1


def test_two_people_keep_their_own_depths():
    front, back = disc(SHAPE, 30, 60, 25), disc(SHAPE, 130, 60, 25)
    depth = np.where(front, NEAR, np.where(back, np.float32(0.5), FAR))
    mended = pull_person_forward(depth, front | back)
    assert mended[front].mean() == pytest.approx(NEAR, abs=PERSON_SLACK)
    assert mended[back].mean() == pytest.approx(0.5, abs=PERSON_SLACK)


def test_a_photo_without_people_is_left_alone():
    depth = ramp(SHAPE, 80, 10)
    assert (pull_person_forward(depth, np.zeros(SHAPE, bool)) == depth).all()


# Edges


@pytest.mark.parametrize("off, width", [(-3, 8), (0, 12), (3, 8)])
def test_a_blurred_edge_of_depth_becomes_a_step_on_the_photos_edge(off, width):
    """`off` columns beside it and `width` columns soft, as a network leaves it."""
    snapped = snap_edges(ramp(SHAPE, EDGE - 0.5 + off, width), lab(two_colours(SHAPE, EDGE)))
    left_over = float(0.2 * (NEAR - FAR))
    assert snapped[:, : EDGE - 1] == pytest.approx(NEAR, abs=left_over)
    assert snapped[:, EDGE + 1 :] == pytest.approx(FAR, abs=left_over)


@pytest.mark.parametrize("width", [4, 8, 12])
@pytest.mark.parametrize("off", [-3, 0, 3])
def test_snapping_leaves_no_ripples(off, width):
    """What falls from left to right falls still: ripples would tear like edges."""
    snapped = snap_edges(ramp(SHAPE, EDGE - 0.5 + off, width), lab(two_colours(SHAPE, EDGE)))
    assert np.diff(snapped, axis=1).max() < 0.05


@pytest.mark.parametrize("depth", [0.0, 0.4, 1.0])
def test_flat_depth_is_left_alone_whatever_the_photo_shows(depth):
    flat = np.full(SHAPE, depth, np.float32)
    photo = cv2.resize(data.astronaut(), SHAPE[::-1])
    assert (snap_edges(flat, lab(photo)) == flat).all()


def test_a_gentle_slope_is_left_alone():
    slope = np.tile(np.linspace(0.4, 0.6, SHAPE[1], dtype=np.float32), (SHAPE[0], 1))
    assert (snap_edges(slope, lab(two_colours(SHAPE, EDGE))) == slope).all()


# Range


@pytest.mark.parametrize("value", [-3.0, 0.0, 1e-9, 7e6])
def test_a_constant_map_becomes_zero(value):
    assert (normalise(np.full((4, 5), value, np.float32)) == 0).all()


@given(arrays(np.float32, (12, 16), elements=st.floats(-1e4, 1e4, width=32), unique=True))
def test_any_other_map_is_spread_over_0_to_1_in_its_order(raw):
    depth = normalise(raw)
    assert (depth.min(), depth.max()) == (0, 1)
    assert (np.diff(depth.ravel()[np.argsort(raw, axis=None)]) >= 0).all()


# All of it


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
