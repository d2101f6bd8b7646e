"""What a moved camera tears: where the mesh is drawn out, how much, and what hides what."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from renderer.camera import Lens, Path, distance, looking_at
from renderer.mesh import grid_points
from renderer.stretch import ARTIFACT_STRETCH, step_profile, stretch_map

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
    stretch, label, _ = stretch_map(points, labels, np.ones((*CELLS, 1)), path.positions[0], path.rotations[0], LENS, PIXELS)
    return stretch[PIXELS[0] // 2], label[PIXELS[0] // 2]


@given(arrays(float, (9, 13), elements=st.floats(0, 1)))
@settings(deadline=None)
def test_at_rest_nothing_is_drawn_out_and_every_pixel_is_seen(depth):
    labels, profile = np.zeros((8, 12), np.uint8), np.ones((8, 12, 1))
    stretch, label, torn = stretch_map(grid_points(depth, LENS), labels, profile, *AT_REST, LENS, (50, 70))
    assert stretch == pytest.approx(1, abs=1e-4)
    assert (label == 0).all()
    assert not torn.any()


def test_labels_are_carried_to_the_pixels():
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    _, seen, _ = stretch_map(grid_points(np.full((4, 5), 0.5), LENS), labels, np.ones((3, 4, 1)), *AT_REST, LENS, (30, 40))
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


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("step", [2, 4, 8])
def test_a_sharp_edge_lies_in_one_step_of_the_full_mesh(step, axis):
    depth = np.where(np.indices((step + 1, step + 1))[axis] > step // 2, 0.7, 0.0)
    assert step_profile(depth, step)[0, 0] == pytest.approx(np.eye(step)[0])


def test_a_slanted_edge_is_as_sharp_as_a_straight_one():
    rows, columns = np.indices((9, 9))
    assert step_profile(np.where(rows + columns > 8, 0.7, 0.0), 8)[0, 0] == pytest.approx(np.eye(8)[0])


@pytest.mark.parametrize("axis", [0, 1, (0, 1)])
def test_a_slope_is_shared_alike(axis):
    depth = sum(np.indices((9, 9))[i] for i in np.atleast_1d(axis)) / 16
    assert step_profile(depth, 4) == pytest.approx(1 / 4)


@given(arrays(float, (9, 13), elements=st.floats(0, 1)))
@settings(deadline=None)
def test_shares_of_a_step_add_up_and_the_largest_comes_first(depth):
    profile = step_profile(depth, 4)
    assert profile.shape == (2, 3, 4)
    assert profile.sum(-1) == pytest.approx(1)
    assert (np.diff(profile, axis=-1) <= 1e-12).all()


def torn_columns(depth, step, baseline):
    """Of the middle row of pixels: how many are torn, in whole pixels, on a copy at every `step`-th vertex; and the worst."""
    cells = tuple(s // step for s in CELLS)
    points, position = grid_points(depth[::step, ::step], LENS), np.array([baseline, 0.0, 0.0])
    profile = step_profile(depth, step)
    stretch, _, torn = stretch_map(points, np.zeros(cells, np.uint8), profile, position, np.eye(3), LENS, PIXELS)
    return torn[PIXELS[0] // 2].sum(), stretch.max()


@pytest.mark.parametrize("step", [2, 4, 8])
@pytest.mark.parametrize("width", [1, 2, 3])  # cells that the step of depth takes
@pytest.mark.parametrize("baseline", [0.05, 0.1, 0.2])
def test_a_coarse_mesh_tears_as_many_pixels_as_the_full_one(step, width, baseline):
    columns = np.interp(np.arange(CELLS[1] + 1), (EDGE, EDGE + width), (NEAR_SIDE, FAR_SIDE))
    depth = np.tile(columns, (CELLS[0] + 1, 1))
    (full, worst), (coarse, about) = torn_columns(depth, 1, baseline), torn_columns(depth, step, baseline)
    assert about == pytest.approx(worst, rel=0.05)
    assert coarse == pytest.approx(full, rel=0.1, abs=2)


def test_outside_the_crop_nothing_is_drawn():
    depth, labels = step_scene()
    crop, shape = (slice(10, 40), slice(20, 50)), (96, 128)
    arguments = grid_points(depth, LENS), labels, np.ones((*CELLS, 1)), np.array([0.1, 0.0, 0.0]), np.eye(3), LENS, shape
    for whole, cropped in zip(stretch_map(*arguments), stretch_map(*arguments, crop), strict=True):
        assert (whole[crop] == cropped[crop]).all()
        outside = np.ones(shape, bool)
        outside[crop] = False
        assert len(np.unique(cropped[outside])) == 1
