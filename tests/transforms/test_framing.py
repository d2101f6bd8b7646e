"""The frame: inside what is covered, as large as its aspect allows, and where the photo's interest lies."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from renderer.camera import AT_REST, Lens, Window, looking_at
from renderer.mesh import grid_uv
from transforms.framing import Heads, choose_window, largest, photo_window, saliency_kept

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


def kept(window, saliency):
    """Share of saliency (30, 40) that a window shows at rest."""
    xy = grid_uv(31, 41)[:-1, :-1] + 0.5 / np.array([40, 30])
    points = np.dstack([(2 * xy[..., 0] - 1) * LENS.half_width, (1 - 2 * xy[..., 1]) * LENS.half_height, -np.ones(SHAPE)])
    return saliency_kept(points, saliency, window, AT_REST)


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
    assert kept(window, saliency) > 0.9


@pytest.mark.parametrize("side", [0.12, 0.88])
def test_a_head_beats_equal_saliency_elsewhere(side):
    saliency = (spot(0.12, 0.4) | spot(0.88, 0.4)).astype(float)
    assert shows(choose_window(WHOLE, LENS, PORTRAIT, saliency, spot(side, 0.4)), side, 0.4)


def test_a_head_without_saliency_draws_nothing():
    """Who is out of focus, far behind the subject, is no reason to leave the subject."""
    assert shows(choose_window(WHOLE, LENS, PORTRAIT, spot(0.12, 0.4).astype(float), spot(0.88, 0.4)), 0.12, 0.4)


@given(bounds(), ratios, saliencies)
def test_the_share_of_saliency_kept_is_a_share(bounds, ratio, saliency):
    assert 0 <= kept(choose_window(bounds, LENS, ratio, saliency, NO_HEAD), saliency) <= 1


@given(saliencies)
def test_the_whole_photo_keeps_all_saliency(saliency):
    assert kept(WHOLE, saliency) == pytest.approx(1)


@given(ratios, saliencies)
def test_the_choice_keeps_no_less_than_the_middle(ratio, saliency):
    width, height = largest(WHOLE, ratio)
    middle = Window(-width / 2, width / 2, -height / 2, height / 2)
    chosen = choose_window(WHOLE, LENS, ratio, saliency, NO_HEAD)
    one_line = 1 / min(SHAPE)  # what is kept is counted in whole lines of cells
    assert kept(chosen, saliency) >= kept(middle, saliency) - 2 * one_line


# Heads

FLAT = np.full((31, 41), 0.5)


def heads_of(mask):
    return Heads.of(FLAT, np.where(mask, 2, 0).astype(np.uint8), LENS)


def test_a_head_that_must_stay_whole_beats_any_saliency():
    head, elsewhere = spot(0.15, 0.4), spot(0.85, 0.4)
    keep = heads_of(head).within(WHOLE, LENS, AT_REST)
    window = choose_window(WHOLE, LENS, PORTRAIT, elsewhere.astype(float), NO_HEAD, keep)
    assert all(shows(window, x, 0.4) for x in (0.11, 0.19))


def test_two_heads_that_do_not_fit_have_no_window():
    keep = heads_of(spot(0.1, 0.4) | spot(0.9, 0.4)).within(WHOLE, LENS, AT_REST)
    assert choose_window(WHOLE, LENS, PORTRAIT, np.ones(SHAPE), NO_HEAD, keep) is None
    assert choose_window(WHOLE, LENS, 4 / 3, np.ones(SHAPE), NO_HEAD, keep) is not None


def test_a_passer_by_may_be_left_out():
    keep = heads_of(spot(0.15, 0.4, 0.1) | spot(0.9, 0.4, 0.03)).within(WHOLE, LENS, AT_REST)
    assert keep.right < 0


def test_what_the_photo_cuts_asks_for_the_photos_border_and_no_more():
    keep = heads_of(spot(0.02, 0.4)).within(WHOLE, LENS, AT_REST)
    assert keep.left == WHOLE.left
    smaller = Window(0.9 * WHOLE.left, WHOLE.right, WHOLE.bottom, WHOLE.top)
    assert heads_of(spot(0.02, 0.4)).within(smaller, LENS, AT_REST).left == smaller.left


def test_a_head_outside_of_what_is_covered_does_not_fit():
    smaller = Window(0.5 * WHOLE.left, WHOLE.right, WHOLE.bottom, WHOLE.top)
    keep = heads_of(spot(0.15, 0.4)).within(smaller, LENS, AT_REST)
    assert choose_window(smaller, LENS, PORTRAIT, np.ones(SHAPE), NO_HEAD, keep) is None


def test_a_head_is_kept_where_it_goes_in_every_frame():
    """The camera pushes in on the middle: a head beside it moves outward."""
    path = looking_at(np.outer([0.0, 1.0], [0, 0, -0.3]), np.array([0.0, 0.0, -2.0]))
    at_rest, moved = (heads_of(spot(0.25, 0.4)).within(WHOLE, LENS, way) for way in (AT_REST, path))
    assert moved.left < at_rest.left
    assert moved.right == pytest.approx(at_rest.right)


def test_without_heads_nothing_must_be_kept():
    assert heads_of(NO_HEAD).within(WHOLE, LENS, AT_REST) is None
