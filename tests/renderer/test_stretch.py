"""What a moved camera tears: where the mesh is drawn out, how much, and what hides what."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from renderer.camera import Lens, Path, distance, looking_at
from renderer.mesh import grid_points
from renderer.stretch import ARTIFACT_STRETCH, step_gain, stretch_map

LENS = Lens.of_photo(4, 3)
CELLS = (48, 64)
PIXELS = (96, 1280)  # wide: 20 pixels a cell across, so that widths of bands can be counted
EDGE = 32  # the column of cells in which depth steps from NEAR_SIDE on the left to FAR_SIDE on the right
NEAR_SIDE, FAR_SIDE = 1.0, 0.0
PIXELS_PER_TANGENT = PIXELS[1] / (2 * LENS.half_width)
AT_REST = np.zeros(3), np.eye(3)


def step_scene():
    """Inverse depth (49, 65) of the step, and labels (48, 64): 1 near, 2 the step's cells, 0 far."""
    depth = np.full((CELLS[0] + 1, CELLS[1] + 1), FAR_SIDE)
    depth[:, : EDGE + 1] = NEAR_SIDE
    labels = np.zeros(CELLS, np.uint8)
    labels[:, :EDGE], labels[:, EDGE] = 1, 2
    return depth, labels


def seen_from(baseline, pivot=None):
    """Stretch and labels of the middle row of pixels, `baseline` to the right; turned to an inverse depth on the axis."""
    depth, labels = step_scene()
    position = np.array([baseline, 0.0, 0.0])
    if pivot is None:
        path = Path(position[None], np.eye(3)[None])
    else:
        path = looking_at(position[None], np.array([0, 0, -distance(pivot)]))
    points = grid_points(depth, LENS)
    stretch, label = stretch_map(points, labels, np.ones(CELLS), path.positions[0], path.rotations[0], LENS, PIXELS)
    return stretch[PIXELS[0] // 2], label[PIXELS[0] // 2]


@given(arrays(float, (9, 13), elements=st.floats(0, 1)))
@settings(deadline=None)
def test_at_rest_nothing_is_drawn_out_and_every_pixel_is_seen(depth):
    labels, gain = np.zeros((8, 12), np.uint8), np.ones((8, 12))
    stretch, label = stretch_map(grid_points(depth, LENS), labels, gain, *AT_REST, LENS, (50, 70))
    assert stretch == pytest.approx(1, abs=1e-4)
    assert (label == 0).all()


def test_labels_are_carried_to_the_pixels():
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    _, seen = stretch_map(grid_points(np.full((4, 5), 0.5), LENS), labels, np.ones((3, 4)), *AT_REST, LENS, (30, 40))
    assert (seen == labels.repeat(10, axis=0).repeat(10, axis=1)).all()


@pytest.mark.parametrize("baseline", [0.05, 0.1, 0.15])
@pytest.mark.parametrize("pivot", [None, 0.0, 0.5, 1.0])
def test_a_step_of_depth_exposes_a_band_that_no_pivot_changes(baseline, pivot):
    stretch, label = seen_from(baseline, pivot)
    band = baseline * (1 / distance(NEAR_SIDE) - 1 / distance(FAR_SIDE)) * PIXELS_PER_TANGENT
    cell = PIXELS[1] / CELLS[1]  # the stretched cell had a width of its own at rest
    assert np.count_nonzero(stretch >= ARTIFACT_STRETCH) == pytest.approx(band + cell, abs=2)
    assert (label[stretch >= ARTIFACT_STRETCH] == 2).all()


def test_stretch_says_how_many_times_a_cell_is_drawn_out():
    stretch, label = seen_from(0.1)
    drawn_out = np.count_nonzero(label == 2) / (PIXELS[1] / CELLS[1])
    assert stretch[label == 2] == pytest.approx(drawn_out, rel=0.05)


def test_the_nearer_surface_hides_the_farther():
    """Moved to the left, the near side slides right over the far one; the step's own cells are seen from behind: not at all."""
    _, label = seen_from(-0.1)
    shift = 0.1 / distance(NEAR_SIDE) * PIXELS_PER_TANGENT
    edge = EDGE * PIXELS[1] / CELLS[1] + shift
    assert np.flatnonzero(label == 1).max() == pytest.approx(edge, abs=1.5)
    assert not (label == 2).any()


def test_where_the_photo_ends_no_surface_is_seen():
    stretch, label = seen_from(-0.1)
    off = label == 255
    assert np.count_nonzero(off) == pytest.approx(0.1 / distance(NEAR_SIDE) * PIXELS_PER_TANGENT, abs=1.5)
    assert (stretch[off] == 0).all()
    assert (stretch[~off] > 0).all()


@pytest.mark.parametrize("step", [2, 4, 8])
def test_a_one_cell_step_gains_what_the_coarse_mesh_spreads_it_over(step):
    depth = np.zeros((step + 1, step + 1))
    depth[:, step // 2 + 1 :] = 0.7
    assert step_gain(depth, step) == pytest.approx(step)


@pytest.mark.parametrize("axis", [0, 1, (0, 1)])
def test_a_slope_gains_nothing(axis):
    depth = sum(np.indices((9, 9))[i] for i in np.atleast_1d(axis)) / 16
    assert step_gain(depth, 4) == pytest.approx(1)


def test_level_ground_gains_nothing():
    assert step_gain(np.full((9, 9), 0.3), 4) == pytest.approx(1)


def test_a_coarse_mesh_with_its_gain_tears_as_much_as_the_full_one():
    depth, _ = step_scene()
    worst = []
    for step in (1, 4):
        cells = tuple(s // step for s in CELLS)
        points = grid_points(depth[::step, ::step], LENS)
        position = np.array([0.1, 0.0, 0.0])
        gain = step_gain(depth, step)
        stretch, _ = stretch_map(points, np.zeros(cells, np.uint8), gain, position, np.eye(3), LENS, PIXELS)
        worst.append(stretch.max())
    assert worst[1] == pytest.approx(worst[0], rel=0.05)
