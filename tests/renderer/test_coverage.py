"""The window that the mesh fills: proven from its outline, checked here pixel by pixel."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from renderer.camera import Lens, Path, looking_at, unproject
from renderer.coverage import covered_window, outline_points
from renderer.mesh import grid_points
from renderer.stretch import stretch_map

LENS = Lens.of_photo(4, 3)
ROWS, COLUMNS = 25, 33  # of vertices
PIXELS = (90, 120)  # of the picture that is checked


@st.composite
def depth_maps(draw):
    """A tilted plane with a box in front of it or sunk into it, which may touch the border."""
    y, x = np.mgrid[0 : 1 : ROWS * 1j, 0 : 1 : COLUMNS * 1j]
    depth = draw(st.floats(0, 1)) + draw(st.floats(-0.5, 0.5)) * (x - 0.5) + draw(st.floats(-0.5, 0.5)) * (y - 0.5)
    left, top, side = draw(st.floats(-0.3, 0.9)), draw(st.floats(-0.3, 0.9)), draw(st.floats(0.1, 0.6))
    box = (x >= left) & (x <= left + side) & (y >= top) & (y <= top + side)
    return np.clip(depth + draw(st.floats(-1, 1)) * box, 0, 1)


shares = st.floats(0, 1)
pivots = st.builds(lambda x, y, d: unproject(np.array([x, y]), d, LENS), shares, shares, shares)
travels = st.builds(lambda x, y: np.array([x, y]), st.floats(-0.2, 0.2), st.floats(-0.2, 0.2))
phases = st.lists(st.floats(-1, 1), min_size=1, max_size=4)


def holes(depth, path, window):
    """How many pixels inside the window show no surface, over all frames."""
    points, cells = grid_points(depth, LENS), (ROWS - 1, COLUMNS - 1)
    x = (2 * (np.arange(PIXELS[1]) + 0.5) / PIXELS[1] - 1) * LENS.half_width
    y = (1 - 2 * (np.arange(PIXELS[0]) + 0.5) / PIXELS[0]) * LENS.half_height
    inside = ((y >= window.bottom) & (y <= window.top))[:, None] & ((x >= window.left) & (x <= window.right))
    count = 0
    for position, rotation in zip(path.positions, path.rotations, strict=True):
        stretch, label, _ = stretch_map(points, np.zeros(cells, np.uint8), np.ones((*cells, 1)), position, rotation, LENS, PIXELS)
        count += np.count_nonzero(inside & ((stretch == 0) | (label == 255)))
    return count


@given(depth_maps(), phases, travels, st.floats(-0.3, 0.3), pivots)
@settings(deadline=None, max_examples=60)
def test_every_pixel_of_the_window_is_covered_in_every_frame(depth, phases, travel, dolly, pivot):
    path = looking_at(np.outer(phases, [*travel, -dolly]), pivot)
    window = covered_window(outline_points(depth, LENS), path)
    assume(window is not None)
    assert holes(depth, path, window) == 0


@given(depth_maps(), travels, pivots)
@settings(deadline=None)
def test_more_frames_never_leave_more_window(depth, travel, pivot):
    sides = outline_points(depth, LENS)
    one, two = (covered_window(sides, looking_at(np.outer(phases, [*travel, 0.0]), pivot)) for phases in ([-1], [-1, 1]))
    assume(two is not None)
    assert one.left <= two.left < two.right <= one.right
    assert one.bottom <= two.bottom < two.top <= one.top


@given(depth_maps())
@settings(deadline=None)
def test_a_camera_at_rest_shows_the_whole_photo(depth):
    window = covered_window(outline_points(depth, LENS), Path(np.zeros((1, 3)), np.eye(3)[None]))
    expected = (-LENS.half_width, LENS.half_width, -LENS.half_height, LENS.half_height)
    assert (window.left, window.right, window.bottom, window.top) == pytest.approx(expected)


@pytest.mark.parametrize(("travel", "dolly"), [((9, 0), 0), ((0, 9), 0), ((0, 0), 7)], ids=["aside", "above", "through"])
def test_a_camera_that_leaves_the_photo_has_no_window(travel, dolly):
    straight_on = np.eye(3)[None].repeat(2, axis=0)
    path = Path(np.array([[0.0, 0, 0], [*travel, -dolly]]), straight_on)
    assert covered_window(outline_points(np.full((ROWS, COLUMNS), 0.5), LENS), path) is None


def test_a_camera_that_passes_a_near_surface_is_not_promised_a_window():
    """Its border is still in front, but the sheet is torn open where the near surface is now behind the camera."""
    depth = np.zeros((ROWS, COLUMNS))
    depth[8:17, 12:21] = 1.0
    path = Path(np.array([[0.0, 0.0, -1.5]]), np.eye(3)[None])
    window = covered_window(outline_points(depth, LENS), path)
    assert window is None or holes(depth, path, window) == 0
