"""The frame: inside what is covered, as large as its aspect allows, and where the photo's interest lies."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from renderer.camera import Lens, Window
from transforms.framing import choose_window, largest, photo_window, saliency_kept

LENS = Lens.of_photo(4, 3)
SHAPE = (30, 40)  # of the maps: square cells
WHOLE = photo_window(LENS)
NO_HEAD = np.zeros(SHAPE, bool)
PORTRAIT, LANDSCAPE = 9 / 16, 4.0  # narrower and wider than the photo: free to slide across, or up and down

ratios = st.floats(0.2, 5)
saliencies = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).random(SHAPE) ** 4)


@st.composite
def bounds(draw):
    """Any part of the photo that is not a sliver."""
    left, right = sorted(draw(st.tuples(st.floats(-1, 1), st.floats(-1, 1))))
    bottom, top = sorted(draw(st.tuples(st.floats(-1, 1), st.floats(-1, 1))))
    assume(right - left > 0.05 and top - bottom > 0.05)
    return Window(left * LENS.half_width, right * LENS.half_width, bottom * LENS.half_height, top * LENS.half_height)


def spot(x, y, radius=0.06):
    """(30, 40) bool: a disc at a place of the photo, x right and y down in [0, 1]; radius as share of the width."""
    rows, columns = np.indices(SHAPE) + 0.5
    return np.hypot(columns - x * SHAPE[1], rows - y * SHAPE[0]) <= radius * SHAPE[1]


def shows(window, x, y):
    """Does the window show a place of the photo?"""
    across, up = (2 * x - 1) * LENS.half_width, (1 - 2 * y) * LENS.half_height
    return window.left <= across <= window.right and window.bottom <= up <= window.top


@given(bounds(), ratios, saliencies, saliencies)
def test_the_window_lies_inside_its_bounds(bounds, ratio, saliency, head):
    window = choose_window(bounds, LENS, ratio, saliency, head > 0.5)
    assert window.left >= bounds.left - 1e-12
    assert window.right <= bounds.right + 1e-12
    assert window.bottom >= bounds.bottom - 1e-12
    assert window.top <= bounds.top + 1e-12


@given(bounds(), ratios, saliencies)
def test_the_window_has_the_asked_aspect(bounds, ratio, saliency):
    window = choose_window(bounds, LENS, ratio, saliency, NO_HEAD)
    assert window.width / window.height == pytest.approx(ratio)


@given(bounds(), ratios, saliencies)
def test_the_window_is_as_large_as_fits(bounds, ratio, saliency):
    window = choose_window(bounds, LENS, ratio, saliency, NO_HEAD)
    assert (window.width, window.height) == pytest.approx(largest(bounds, ratio))
    assert window.width == pytest.approx(bounds.width) or window.height == pytest.approx(bounds.height)


@pytest.mark.parametrize("ratio", [PORTRAIT, 4 / 3, LANDSCAPE])
def test_without_interest_the_window_stays_in_the_middle(ratio):
    window = choose_window(WHOLE, LENS, ratio, np.ones(SHAPE), NO_HEAD)
    assert window.left == pytest.approx(-window.right, abs=1e-9)
    assert window.bottom == pytest.approx(-window.top, abs=1e-9)


@pytest.mark.parametrize("place", [0.1, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("ratio", [PORTRAIT, LANDSCAPE])
def test_the_window_slides_to_where_the_interest_lies(ratio, place):
    x, y = (place, 0.5) if ratio == PORTRAIT else (0.5, place)
    saliency = spot(x, y).astype(float)
    window = choose_window(WHOLE, LENS, ratio, saliency, NO_HEAD)
    assert shows(window, x, y)
    assert saliency_kept(window, LENS, saliency) > 0.9


@pytest.mark.parametrize("side", [0.12, 0.88])
def test_a_head_beats_equal_saliency_elsewhere(side):
    saliency = (spot(0.12, 0.4) | spot(0.88, 0.4)).astype(float)
    assert shows(choose_window(WHOLE, LENS, PORTRAIT, saliency, spot(side, 0.4)), side, 0.4)


def test_a_head_without_saliency_draws_nothing():
    """Who is out of focus, far behind the subject, is no reason to leave the subject."""
    assert shows(choose_window(WHOLE, LENS, PORTRAIT, spot(0.12, 0.4).astype(float), spot(0.88, 0.4)), 0.12, 0.4)


@given(bounds(), ratios, saliencies)
def test_the_share_of_saliency_kept_is_a_share(bounds, ratio, saliency):
    assert 0 <= saliency_kept(choose_window(bounds, LENS, ratio, saliency, NO_HEAD), LENS, saliency) <= 1


@given(saliencies)
def test_the_whole_photo_keeps_all_saliency(saliency):
    assert saliency_kept(WHOLE, LENS, saliency) == pytest.approx(1)


@given(ratios, saliencies)
def test_the_choice_keeps_no_less_than_the_middle(ratio, saliency):
    width, height = largest(WHOLE, ratio)
    middle = Window(-width / 2, width / 2, -height / 2, height / 2)
    chosen = choose_window(WHOLE, LENS, ratio, saliency, NO_HEAD)
    one_line = 1 / min(SHAPE)  # what is kept is counted in whole lines of cells
    assert saliency_kept(chosen, LENS, saliency) >= saliency_kept(middle, LENS, saliency) - 2 * one_line
