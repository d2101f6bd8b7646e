"""What is drawn agrees with geometry, with photos of real cameras, and between the GPU's way and the CPU's."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from benchmarks import stereo
from renderer import camera, encode, raster
from renderer.camera import Lens, Path, Window, looking_at
from renderer.coverage import covered_window, outline_points
from renderer.mesh import Mesh, extrude, grid_points, grid_shape
from renderer.studio import Reel, Studio
from renderer.texture import resized, texture_size

PHOTO = np.ascontiguousarray(data.astronaut()[:, 64:448])  # (512, 384)
LENS = Lens.of_photo(384, 512)
ROWS, COLUMNS = grid_shape(384, 512, 256)
WIDTH, HEIGHT = 360, 480


def steps(softness=0.0):
    """Inverse depth at the vertices: a disc before a wall, the outline as soft as is said."""
    y, x = np.mgrid[0 : 1 : ROWS * 1j, 0 : 1 : COLUMNS * 1j]
    away = np.hypot((x - 0.45) * 0.75, y - 0.4) - 0.2
    return 0.2 + 0.7 / (1 + np.exp(np.clip(away / max(softness, 1e-3), -50, 50)))


def path_of(*positions):
    return looking_at(np.array(positions, float), np.array([0.0, 0.0, -2.0]))


def framed(depth, path):
    """The largest Window of the clip's aspect that the mesh covers on a path."""
    bounds = covered_window(outline_points(depth, LENS), path)
    width = min(bounds.width, bounds.height * WIDTH / HEIGHT)
    return Window(bounds.left, bounds.left + width, bounds.top - width * HEIGHT / WIDTH, bounds.top)


def psnr(a, b):
    return 10 * np.log10(255**2 / max(np.mean(np.square(np.asarray(a, float) - b)), 1e-9))


def drawn(kind, layers, window, path, width=WIDTH, height=HEIGHT):
    """(planes (frames, h * 3 / 2, w), pixels without surface of each) of YCbCr layers, in a process of its own."""
    studio = Studio(kind)
    try:
        return studio.ask(_draw, kind, layers, window, path, width, height)
    finally:
        studio.close()


def _draw(kind, layers, window, path, width, height):
    from renderer import canvas

    with canvas.open_canvas(kind, width, height) as opened:
        found = [(planes.copy(), left_open) for planes, left_open in opened.frames(layers, window, path)]
    planes, left_open = zip(*found, strict=True)
    return np.array(planes), list(left_open)


def luma(planes):
    return planes[..., : planes.shape[-2] * 2 // 3, :]


@pytest.fixture(scope="module", params=["cpu", "gl"])
def kind(request):
    return request.param


# Geometry


def waves(u, v):
    """A smooth picture of photo positions in [0, 1]: grey levels."""
    return 128 + 60 * np.sin(9 * math.pi * u + 1) * np.cos(7 * math.pi * v) + 40 * np.sin(4 * math.pi * (u + v))


def seen_on_plane(inverse_depth, window, position, rotation):
    """(h, w) grey levels of `waves` on a plane at an inverse depth, by casting a ray through every pixel."""
    x = window.left + (np.arange(WIDTH) + 0.5) / WIDTH * window.width
    y = window.top - (np.arange(HEIGHT) + 0.5) / HEIGHT * window.height
    rays = np.stack([*np.meshgrid(x, y), -np.ones((HEIGHT, WIDTH))], -1) @ rotation  # camera to world
    far = camera.distance(inverse_depth)
    points = position + rays * ((-far - position[2]) / rays[..., 2])[..., None]
    u, v = (points[..., 0] / far / LENS.half_width + 1) / 2, (1 - points[..., 1] / far / LENS.half_height) / 2
    return waves(u, v)


@pytest.mark.parametrize("position", [(0, 0, 0), (0.1, -0.05, 0), (0.05, 0.05, -0.3), (-0.1, 0, 0.2)], ids=str)
@pytest.mark.parametrize("inverse_depth", [0.1, 0.6])
def test_a_plane_is_seen_where_rays_meet_it(kind, inverse_depth, position):
    v, u = (np.mgrid[0:1024, 0:768] + 0.5) / np.array([1024, 768])[:, None, None]
    grey = np.round(waves(u, v)).astype(np.uint8)
    picture = np.stack([grey, np.full_like(grey, 128), np.full_like(grey, 128)], -1)
    path = path_of(position)
    window = Window(-0.2, 0.25, -0.25, 0.35)
    planes, left_open = drawn(kind, [(extrude(np.full((ROWS, COLUMNS), inverse_depth), LENS), picture)], window, path)
    assert left_open == [0]
    assert (planes[:, HEIGHT:] == 128).all()
    assert psnr(luma(planes)[0], seen_on_plane(inverse_depth, window, path.positions[0], path.rotations[0])) > 45


def test_the_nearer_of_two_layers_hides_the_other(kind):
    near = np.full((ROWS, COLUMNS), 0.8)
    whole, part = extrude(np.full((ROWS, COLUMNS), 0.1), LENS), extrude(near, LENS)
    left = (part.uv[part.triangles][..., 0] <= 0.5 + 1e-6).all(1)  # its left half alone
    part = Mesh(part.positions, part.uv, part.triangles[left])
    grey = {
        level: np.dstack([np.full((60, 44), level, np.uint8), *[np.full((60, 44), 128, np.uint8)] * 2]) for level in (80, 200)
    }
    for layers in ([(part, grey[80]), (whole, grey[200])], [(whole, grey[200]), (part, grey[80])]):
        planes, left_open = drawn(kind, layers, Window(-0.3, 0.3, -0.4, 0.4), path_of((0, 0, 0)))
        row = luma(planes)[0][HEIGHT // 2]
        assert left_open == [0]
        assert (row[: WIDTH // 2 - 1] == 80).all()
        assert (row[WIDTH // 2 + 1 :] == 200).all()


def test_what_is_beyond_the_mesh_is_counted(kind):
    window = Window(-2 * LENS.half_width, 2 * LENS.half_width, -LENS.half_height, LENS.half_height)
    _, left_open = drawn(kind, [(extrude(steps(), LENS), encode.to_ycbcr(PHOTO))], window, path_of((0, 0, 0)))
    assert left_open[0] == pytest.approx(WIDTH * HEIGHT / 2, rel=0.01)


def test_a_real_right_view_is_drawn_from_the_left_photo_and_its_disparity(kind):
    """scikit-image's motorcycle: 32.6 dB and 0.965 when this was written, over what both cameras see."""
    studio = Studio(kind)
    told, _ = stereo.score(stereo.motorcycle(), studio)
    studio.close()
    assert told["seen"] > 0.6
    assert told["psnr"] > 32
    assert told["ssim"] > 0.95
    assert told["unseen psnr"] < told["psnr"] - 10  # nobody knows what is there


# The picture


def test_at_rest_the_frame_is_as_sharp_as_the_photo_well_resized(kind):
    """The photo has three times the pixels; Lanczos is the good resizer."""
    photo = np.ascontiguousarray(cv2.resize(data.astronaut(), (1536, 2048), interpolation=cv2.INTER_CUBIC))
    from PIL import Image

    window = Window(-LENS.half_width, LENS.half_width, -LENS.half_height, LENS.half_height)
    picture = encode.to_ycbcr(resized(photo, texture_size(1536, 2048, 1.0, WIDTH)))
    planes, _ = drawn(kind, [(extrude(steps(0.05), LENS), picture)], window, path_of((0, 0, 0)))
    well = np.asarray(Image.fromarray(photo).resize((WIDTH, HEIGHT), Image.LANCZOS))
    assert psnr(luma(planes)[0], encode.to_ycbcr(well)[..., 0]) > 38


def test_both_ways_of_drawing_give_the_same_picture():
    path = path_of((0.08, 0.02, 0), (0, 0, 0), (-0.05, -0.06, -0.1))
    depth = steps()
    reel = [(extrude(depth, LENS), encode.to_ycbcr(PHOTO))], framed(depth, path), path
    one, other = (drawn(kind, *reel)[0] for kind in ("cpu", "gl"))
    for frame, same in zip(one, other, strict=True):
        assert psnr(luma(frame), luma(same)) > 45
        assert psnr(frame[HEIGHT:], same[HEIGHT:]) > 45


def test_both_ways_of_drawing_stretch_alike():
    path, depth = path_of((0.1, 0.02, 0)), steps()
    mesh, window = extrude(depth, LENS), framed(depth, path)
    labels = np.uint8(np.indices((300, 225)).sum(0) > 250)
    (one, seen), (other, also) = (
        _closing(Studio(kind), "stretches", [(mesh, labels)], window, path, LENS, WIDTH, HEIGHT)[0] for kind in ("cpu", "gl")
    )
    assert ((one >= 3) == (other >= 3)).mean() > 0.998
    assert (one >= 3).mean() > 0.01
    assert (seen == also).mean() > 0.998
    both = (one < 8) & (other < 8)
    assert np.median(np.abs(one - other)[both]) < 0.05


def _closing(studio, method, *arguments):
    try:
        return getattr(studio, method)(*arguments)
    finally:
        studio.close()


def test_silhouettes_have_no_stairs():
    """Where a white disc slides over a black wall, against the mean of sixteen samples a pixel."""
    path, depth = path_of((0.06, 0.0, 0)), steps()
    white = cv2.dilate(np.uint8(np.where(depth > 0.5, 235, 16)), np.ones((5, 5), np.uint8))  # the fold itself is white
    picture = cv2.resize(white, (3 * COLUMNS, 3 * ROWS), interpolation=cv2.INTER_NEAREST)
    picture = np.dstack([picture, *[np.full_like(picture, 128)] * 2])
    mesh, window = extrude(depth, LENS), framed(depth, path)
    fine = luma(drawn("cpu", [(mesh, picture)], window, path, 4 * WIDTH, 4 * HEIGHT)[0])[0].astype(np.float32)
    ideal = cv2.resize(fine, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    smooth, stairs = (luma(drawn(kind, [(mesh, picture)], window, path)[0])[0] for kind in ("cpu", "gl"))
    edges = (ideal > 26) & (ideal < 225)
    edges[:, WIDTH * 4 // 10 :] = False  # where it slides away, the mesh is stretched and has no silhouette
    error = [np.abs(frame.astype(float) - ideal)[edges].mean() for frame in (smooth, stairs)]
    assert error[0] < 0.6 * error[1]


@pytest.mark.parametrize("kind", ["cpu", "gl"])
def test_what_does_not_move_does_not_flicker(kind):
    """Between poses a fiftieth of a pixel apart."""
    path, depth = path_of(*[(1e-4 * i, 0, 0) for i in range(5)]), steps(0.02)
    window = framed(depth, path)
    planes, _ = drawn(kind, [(extrude(depth, LENS), encode.to_ycbcr(PHOTO))], window, path)
    assert np.abs(np.diff(luma(planes).astype(int), axis=0)).mean(axis=(1, 2)).max() <= 1


def test_fine_texture_does_not_shimmer(kind):
    """Stripes of two and a half pixels on a plane that slides by: no frame has much more or less of them than another."""
    columns = np.arange(1536)
    stripes = np.uint8(128 + 80 * np.sin(2 * math.pi * columns / (2.5 * 1536 / WIDTH)))[None].repeat(2048, 0)
    picture = encode.to_ycbcr(resized(np.dstack([stripes] * 3), texture_size(1536, 2048, 1.0, WIDTH)))
    fine = encode.to_ycbcr(np.dstack([stripes] * 3))
    path = Path(np.array([(0.0011 * i, 0, 0) for i in range(12)]), np.eye(3)[None].repeat(12, 0))
    mesh = extrude(np.full((ROWS, COLUMNS), 0.3), LENS)
    window = Window(-0.9 * LENS.half_width, 0.9 * LENS.half_width, -0.9 * LENS.half_height, 0.9 * LENS.half_height)
    shown = luma(drawn(kind, [(mesh, picture)], window, path)[0]).astype(np.float32)
    dense = luma(drawn("cpu", [(mesh, fine)], window, path, 4 * WIDTH, 4 * HEIGHT)[0]).astype(np.float32)
    contrast = [frame.std() for frame in shown]
    ideal = [cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).std() for frame in dense]
    assert np.ptp(contrast) < 0.15 * np.mean(contrast)
    assert np.mean(contrast) == pytest.approx(np.mean(ideal), rel=0.35)  # as sixteen samples a pixel have


# The CPU's rasteriser


@st.composite
def rough_depths(draw):
    seed = draw(st.integers(0, 2**32 - 1))
    small = np.random.default_rng(seed).random((draw(st.integers(2, 9)), draw(st.integers(2, 9))))
    return cv2.resize(small, (33, 41), interpolation=draw(st.sampled_from([cv2.INTER_NEAREST, cv2.INTER_LINEAR]))).astype(float)


@given(rough_depths(), st.floats(-0.25, 0.25), st.floats(-0.25, 0.25), st.floats(-0.3, 0.3))
@settings(deadline=None, max_examples=60)
def test_no_fold_and_no_seam_leaves_a_pixel_open(depth, x, y, z):
    path = path_of((x, y, z))
    window = covered_window(outline_points(depth, LENS), path)
    if window is None:
        return
    picture = np.zeros((8, 8, 3), np.uint8)
    for _, left_open in raster.Canvas(96, 128).frames([(extrude(depth, LENS), picture)], window, path):
        assert left_open == 0


def test_neighbours_share_the_side_that_they_are_told_for():
    triangles = extrude(steps(), LENS).triangles.astype(int)
    neighbours = raster.neighbours_of(triangles)
    for side in range(3):
        inner = neighbours[:, side] >= 0
        mine = triangles[inner][:, [side, (side + 1) % 3]]
        theirs = triangles[neighbours[inner, side]]
        assert (theirs[:, :, None] == mine[:, None]).any(1).all()
    border = 2 * (ROWS - 1 + COLUMNS - 1)
    assert 0 < (neighbours < 0).sum() <= border


def test_points_of_the_grid_lie_on_the_photos_border():
    assert np.abs(grid_points(steps(), LENS)[0, 0, 0]) == pytest.approx(LENS.half_width * camera.distance(steps()[0, 0]))


def test_a_reel_of_few_pixels_is_drawn(kind):
    reel = Reel(
        ((extrude(steps(), LENS), encode.to_ycbcr(PHOTO)),), Window(-0.1, 0.1, -0.1, 0.1), path_of((0, 0, 0)), 2, 4, 1, None
    )
    studio = Studio(kind)
    assert studio.film(reel).video
    studio.close()
