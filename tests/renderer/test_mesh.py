"""A photo's depth as a mesh: without a crack, without waste, and true to the depth."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from renderer.camera import Lens, project
from renderer.mesh import BLOCK, FLAT_TOLERANCE, extrude, grid_shape

LENS = Lens.of_photo(4, 3)


@st.composite
def depth_maps(draw):
    """Smooth waves with a straight step across them, as photos have."""
    rows, columns = (BLOCK * draw(st.integers(2, 8)) + 1 for _ in range(2))
    y, x = np.mgrid[-0.5 : 0.5 : rows * 1j, -0.5 : 0.5 : columns * 1j]
    wave = 0.2 * np.sin(draw(st.floats(-9, 9)) * x + draw(st.floats(-9, 9)) * y + draw(st.floats(0, 6)))
    angle, offset, height = draw(st.floats(0, 6)), draw(st.floats(-0.5, 0.5)), draw(st.floats(-0.5, 0.5))
    step = height * (np.cos(angle) * x + np.sin(angle) * y > offset)
    return np.clip(0.5 + wave + step, 0, 1)


def motorcycle():
    """A measured inverse depth map (Middlebury's stereo disparities of a garage), as soft as a network's would be."""
    disparity = np.nan_to_num(data.stereo_motorcycle()[2], posinf=0)
    soft = cv2.GaussianBlur(disparity / disparity.max(), (0, 0), 8)  # pixels of 741
    return cv2.resize(soft, (BLOCK * 96 + 1, BLOCK * 64 + 1))


def saddle():
    y, x = np.mgrid[0 : 1 : (4 * BLOCK + 1) * 1j, 0 : 1 : (4 * BLOCK + 1) * 1j]
    return x * y


def cross(a, b):
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def areas(corners):
    """Signed areas of triangles (..., 3, 2), positive where counter-clockwise with y up."""
    return cross(corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :]) / 2


def deviation(depth):
    """Largest difference between the mesh's depth and the full grid's, at the grid's vertices.

    Inverse depth is linear in the photo's position across a triangle; a triangle lies within one block.
    """
    mesh = extrude(depth, LENS)
    size = np.array(depth.shape)[::-1] - 1
    corners = np.rint(mesh.uv * size)[mesh.triangles]  # (t, 3, 2) column and row
    inside_block = np.stack(np.meshgrid(np.arange(BLOCK + 1), np.arange(BLOCK + 1)), -1).reshape(-1, 2)
    at = np.minimum(corners.min(1)[:, None] + inside_block, size)  # (t, m, 2)
    a, b, c = (corners[:, None, i] for i in range(3))
    weights = np.stack([cross(b - at, c - at), cross(c - at, a - at), cross(a - at, b - at)], -1)
    weights /= weights.sum(-1, keepdims=True)
    column, row = corners.astype(int).transpose(2, 0, 1)
    drawn = (weights * depth[row, column][:, None]).sum(-1)
    column, row = at.astype(int).transpose(2, 0, 1)
    return np.where((weights > -1e-9).all(-1), np.abs(drawn - depth[row, column]), 0).max()


@given(depth_maps())
@settings(deadline=None)
def test_the_mesh_is_watertight(depth):
    mesh = extrude(depth, LENS)
    edges = np.sort(mesh.triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    edges, uses = np.unique(edges, axis=0, return_counts=True)
    ends = mesh.uv[edges]
    on_border = ((ends == 0).all(1) | (ends == 1).all(1)).any(-1)
    assert (uses == np.where(on_border, 1, 2)).all()


@given(depth_maps())
@settings(deadline=None)
def test_the_mesh_covers_the_photo_once(depth):
    mesh = extrude(depth, LENS)
    assert np.abs(areas(mesh.uv[mesh.triangles].astype(float))).sum() == pytest.approx(1)


@given(depth_maps())
@settings(deadline=None)
def test_every_triangle_faces_the_photos_camera(depth):
    mesh = extrude(depth, LENS)
    seen, away = project(mesh.positions.astype(float), np.zeros(3), np.eye(3))
    assert (away > 0).all()
    assert (areas(seen[mesh.triangles]) > 0).all()


@given(depth_maps())
@settings(deadline=None)
def test_vertices_carry_the_place_where_the_photo_shows_them(depth):
    mesh = extrude(depth, LENS)
    seen, _ = project(mesh.positions.astype(float), np.zeros(3), np.eye(3))
    assert seen == pytest.approx((mesh.uv * 2 - 1) * [LENS.half_width, -LENS.half_height], abs=1e-6)


@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_a_plane_takes_two_triangles_a_block(slope):
    rows, columns = 3, 5
    depth = np.tile(0.5 + slope * np.linspace(0, 1, columns * BLOCK + 1), (rows * BLOCK + 1, 1))
    assert len(extrude(depth, LENS).triangles) == 2 * rows * columns


@pytest.mark.parametrize("depth", [motorcycle(), saddle()], ids=["measured", "twisted"])
def test_the_mesh_keeps_the_depth_within_the_tolerance(depth):
    assert deviation(depth) <= FLAT_TOLERANCE + 1e-6


@pytest.mark.parametrize("shape", [(BLOCK, BLOCK + 1), (BLOCK + 1, BLOCK + 2)])
def test_a_grid_of_broken_blocks_is_refused(shape):
    with pytest.raises(ValueError, match="inverse_depth"):
        extrude(np.zeros(shape), LENS)


@given(st.integers(1, 9000), st.integers(1, 9000), st.integers(16, 1024))
def test_a_grid_is_whole_blocks_along_both_sides(width, height, long_side):
    rows, columns = grid_shape(width, height, long_side)
    assert (rows - 1) % BLOCK == (columns - 1) % BLOCK == 0
    assert rows - 1 >= 2 * BLOCK
    assert columns - 1 >= 2 * BLOCK


@pytest.mark.parametrize(("width", "height", "expected"), [(4000, 3000, (385, 513)), (3000, 4000, (513, 385))])
def test_a_grid_has_the_photos_aspect(width, height, expected):
    assert grid_shape(width, height, 512) == expected
