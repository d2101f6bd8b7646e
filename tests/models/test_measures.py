"""The measures say 0 or 1 where a prediction is right, and say so whatever scale and shift it comes in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import measures

SHAPE = (96, 128)
ROWS, COLUMNS = np.indices(SHAPE)
PERSON = (np.abs(COLUMNS - 64) < 20) & (ROWS > 15)
EVERYWHERE = np.ones(SHAPE, bool)
SCENE = np.where(PERSON, 0.8, 0.1 + 0.3 * ROWS / SHAPE[0])  # disparity of a person on a floor


@given(st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_scale_and_shift_do_not_count(scale, shift):
    predicted = scale * SCENE + shift
    assert measures.relative_error(predicted, SCENE, EVERYWHERE) == pytest.approx(0, abs=1e-6)
    assert measures.within_quarter(predicted, SCENE, EVERYWHERE) == 1
    assert measures.ordinal_error(predicted, SCENE, EVERYWHERE, metric=True) == 0


@pytest.mark.parametrize("predicted", [np.ones(SHAPE), -SCENE], ids=["constant", "upside down"])
def test_what_knows_nothing_scores_like_a_constant(predicted):
    assert measures.relative_error(predicted, SCENE, EVERYWHERE) == pytest.approx(1)
    assert measures.ordinal_error(predicted, SCENE, EVERYWHERE, metric=False) == 1
    assert measures.edge_f1(predicted, SCENE, EVERYWHERE) == 0
    assert measures.outline_misordering(predicted, SCENE, EVERYWHERE, PERSON, metric=False) == 1


def test_noise_gets_half_of_the_pairs_wrong():
    noise = np.random.default_rng(0).normal(size=SHAPE)
    assert measures.ordinal_error(noise, SCENE, EVERYWHERE, metric=False) == pytest.approx(0.5, abs=0.03)


def test_pixels_without_truth_do_not_count():
    valid = COLUMNS < 100
    predicted = np.where(valid, SCENE, 1e6)
    assert measures.relative_error(predicted, SCENE, valid) == pytest.approx(0, abs=1e-9)
    assert measures.ordinal_error(predicted, SCENE, valid, metric=True) == 0


@pytest.mark.parametrize("shift, found", [(0, 1.0), (2, 1.0), (6, 0.0)])
def test_a_depth_edge_is_found_within_two_pixels(shift, found):
    step = np.where(COLUMNS < 64, 0.2, 0.8)
    moved = np.where(COLUMNS < 64 + shift, 0.2, 0.8)
    assert measures.edge_f1(moved, step, EVERYWHERE) == pytest.approx(found)


def test_a_soft_edge_in_the_right_place_counts():
    step = np.where(COLUMNS < 64, 0.2, 0.8)
    soft = np.interp(COLUMNS, (60, 68), (0.2, 0.8))
    assert measures.edge_f1(soft, step, EVERYWHERE) == pytest.approx(1)


def test_a_scene_without_edges_says_nothing():
    assert np.isnan(measures.edge_f1(SCENE, 0.1 + 0.3 * ROWS / SHAPE[0], EVERYWHERE))


def test_half_an_outline_that_is_sunk_into_the_wall_is_half_wrong():
    predicted = np.where(PERSON & (ROWS < 55), 0.0, SCENE)
    assert measures.outline_misordering(SCENE, SCENE, EVERYWHERE, PERSON, metric=True) == 0
    assert 0.35 < measures.outline_misordering(predicted, SCENE, EVERYWHERE, PERSON, metric=True) < 0.65


def test_pairs_across_an_outline_are_on_both_sides_of_it():
    inside, outside = measures.outline_pairs(PERSON)
    assert PERSON.flat[inside].all() and not PERSON.flat[outside].any()
    apart = np.hypot(*np.subtract(np.unravel_index(inside, SHAPE), np.unravel_index(outside, SHAPE)))
    assert np.abs(apart - 2 * measures.OUTLINE_DISTANCE).max() < 2.5


def test_overlap_of_masks():
    assert measures.intersection_over_union(PERSON, PERSON) == 1
    assert measures.intersection_over_union(PERSON, ~PERSON) == 0
    assert measures.intersection_over_union(COLUMNS < 64, COLUMNS < 32) == 0.5
    assert measures.intersection_over_union(~EVERYWHERE, ~EVERYWHERE) == 1


@pytest.mark.parametrize("shift, low, high", [(0, 1, 1), (8, 0.0, 0.6)])
def test_the_boundary_is_where_the_mask_ends(shift, low, high):
    assert low <= measures.boundary_f1(np.roll(PERSON, shift, 1), PERSON) <= high


def test_a_map_is_like_itself_and_unlike_its_negative():
    density = np.exp(-((ROWS - 40) ** 2 + (COLUMNS - 50) ** 2) / 300)
    assert measures.correlation(density, density) == pytest.approx(1)
    assert measures.correlation(1 - density, density) == pytest.approx(-1)
    assert measures.correlation(np.ones(SHAPE), density) == 0
    assert measures.similarity(density, 3 * density) == pytest.approx(1)
    assert measures.similarity(np.zeros(SHAPE), density) < 0.6


def test_the_f_measure_is_of_the_best_threshold():
    assert measures.best_f(*measures.precision_recall(PERSON * 200.0, PERSON)) == pytest.approx(1, abs=1e-6)
    share = PERSON.mean()
    everything = measures.best_f(*measures.precision_recall(np.full(SHAPE, 255.0), PERSON))
    assert everything == pytest.approx(1.3 * share / (0.3 * share + 1), abs=1e-6)
