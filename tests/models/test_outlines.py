"""Depth drawn to a photo's outlines, people in front of what is behind them."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage import data

from models.outlines import OUTLINE_STEP, PERSON_SLACK, normalise, pull_person_forward, snap_edges, stand_forward
from tests.drawings import FAR, NEAR, disc, ramp, two_colours

SHAPE = (120, 160)  # of the maps that single steps are shown
LARGE = (300, 400)  # as many cells as a photo's grid has: for what has a size in cells
EDGE = 80  # the column where the photo's colour changes


def lab(rgb):
    return cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


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


@pytest.mark.parametrize("behind", [-0.02, 0.0, 0.04, 0.08])
def test_a_person_whose_outline_is_lost_stands_forward(behind):
    """`behind`: how far the network put them behind the wall."""
    person = disc(LARGE, 200, 150, 60)
    depth = np.where(person, np.float32(0.5 - behind), np.float32(0.5))
    mended = stand_forward(depth, person)
    rim = person & ~disc(LARGE, 200, 150, 54)
    assert (mended[rim] > 0.5 + 0.5 * OUTLINE_STEP).all()
    assert (mended[~person] == depth[~person]).all()


def test_a_table_before_a_person_stays_before_them():
    person = disc(LARGE, 200, 150, 60)
    person[150:] = False
    depth = np.where(person, np.float32(0.4), np.float32(0.2))
    depth[150:] = 0.8
    mended = stand_forward(depth, person)
    assert np.abs(mended - depth)[110:].max() < 0.01


def test_a_person_in_front_already_is_left_alone():
    person = disc(LARGE, 200, 150, 60)
    depth = np.where(person, NEAR, FAR)
    assert (stand_forward(depth, person) == depth).all()


def test_nobody_and_nothing_but_a_person_are_left_alone():
    depth = ramp(SHAPE, 80, 10)
    for person in (np.zeros(SHAPE, bool), np.ones(SHAPE, bool)):
        assert (stand_forward(depth, person) == depth).all()


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
