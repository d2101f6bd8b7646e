"""The drawing process: what it films, how it fails, and how it ends."""

import dataclasses
import io
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

import renderer
from renderer import encode, gl, texture
from renderer.camera import Lens, Window, looking_at, unproject
from renderer.child import ChildCrashed, ChildTimeout
from renderer.coverage import covered_window, outline_points
from renderer.mesh import extrude, grid_shape
from renderer.studio import Reel, Studio

ASTRONAUT = np.ascontiguousarray(data.astronaut()[:300, 90:330])  # head and shoulders
LENS = Lens.of_photo(240, 300)
WIDTH, HEIGHT, FRAMES = 128, 160, 9
HEAD = np.s_[35:75, 45:80]  # of a frame: well inside the blob
CORNERS = np.s_[5:40, 105:125], np.s_[100:130, 5:20]  # well outside
GONE_WITHIN = 5.0  # seconds, for a process to end

PARENT = """
import time
from renderer.studio import Studio
studio = Studio()
studio.check()
print(studio.process.pid, flush=True)
time.sleep(60)
"""


def filmed(travel=(0.08, 0.0)):
    """Reel of the astronaut as a blob in front of a plane; in the middle frame the camera is at rest."""
    rows, columns = grid_shape(240, 300, 64)
    y, x = np.mgrid[0 : 1 : rows * 1j, 0 : 1 : columns * 1j]
    depth = 0.2 + 0.6 * np.exp(-((x - 0.48) ** 2 + (y - 0.35) ** 2) / 0.06)
    pivot = unproject(np.array([0.5, 0.5]), 0.5, LENS)
    path = looking_at(np.outer(np.linspace(-1, 1, FRAMES), [*travel, 0.0]), pivot)
    bounds = covered_window(outline_points(depth, LENS), path)
    width = min(bounds.width, bounds.height * WIDTH / HEIGHT)
    window = Window(bounds.left, bounds.left + width, bounds.bottom, bounds.bottom + width * HEIGHT / WIDTH)
    picture = texture.resized(ASTRONAUT, texture.texture_size(240, 300, width / (2 * LENS.half_width), WIDTH))
    return Reel(((extrude(depth, LENS), encode.to_ycbcr(picture)),), window, path, WIDTH, HEIGHT, 30, None)


def crop(window):
    """What the photo itself shows in a window, (HEIGHT, WIDTH, 3), resampled by OpenCV."""
    scale = 240 * window.width / (2 * LENS.half_width) / WIDTH
    left, top = (window.left / LENS.half_width + 1) * 120, (1 - window.top / LENS.half_height) * 150
    x, y = np.meshgrid(left + (np.arange(WIDTH) + 0.5) * scale - 0.5, top + (np.arange(HEIGHT) + 0.5) * scale - 0.5)
    smooth = cv2.GaussianBlur(ASTRONAUT, (0, 0), 0.4 * scale)  # against aliasing
    return cv2.remap(smooth, x.astype(np.float32), y.astype(np.float32), cv2.INTER_CUBIC)


def decoded(film):
    with av.open(io.BytesIO(film.video)) as container:
        frames = container.decode(video=0)
        return [f.reformat(format="rgb24", src_colorspace="ITU709", dst_colorspace="ITU709").to_ndarray() for f in frames]


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean(np.square(a.astype(float) - b)))


def runs(pid):
    """Is the process there, and more than a zombie that nobody has reaped?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def ends(pid):
    deadline = time.monotonic() + GONE_WITHIN
    while runs(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not runs(pid)


@pytest.fixture(scope="module", params=["cpu", "gl"])
def studio(request):
    handle = Studio(request.param)
    yield handle
    handle.close()


@pytest.fixture(scope="module")
def reel():
    return filmed()


@pytest.fixture(scope="module")
def film(studio, reel):
    return studio.film(reel)


def test_what_draws_has_a_name(studio):
    assert studio.kind == studio.renderer
    assert studio.check()


def test_a_film_has_the_reels_size_and_frames(film):
    assert [frame.shape for frame in decoded(film)] == [(HEIGHT, WIDTH, 3)] * FRAMES


def test_every_pixel_shows_a_surface(film):
    assert film.uncovered == 0


def test_pixels_without_surface_are_counted(studio, reel):
    twice = Window(-2 * LENS.half_width, 2 * LENS.half_width, -2 * LENS.half_height, 2 * LENS.half_height)
    uncovered = studio.film(dataclasses.replace(reel, window=twice)).uncovered
    assert uncovered == pytest.approx(0.75 * WIDTH * HEIGHT * FRAMES, rel=0.01)


def test_at_rest_the_film_shows_the_photo(film, reel):
    assert psnr(decoded(film)[FRAMES // 2], crop(reel.window)) > 30


def test_the_poster_is_the_frame_at_rest(film, reel):
    poster = np.asarray(Image.open(io.BytesIO(film.poster)))
    assert psnr(poster, crop(reel.window)) > 30


@pytest.mark.parametrize("travel", [(0.08, 0.0), (-0.08, 0.0), (0.0, 0.08), (0.06, 0.06)], ids=str)
def test_near_things_move_against_the_camera_and_far_things_with_it(studio, travel):
    first, *_, last = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in decoded(studio.film(filmed(travel))))
    flow = cv2.calcOpticalFlowFarneback(first, last, None, 0.5, 4, 15, 5, 7, 1.5, 0)
    camera = np.array([travel[0], -travel[1]]) / np.linalg.norm(travel)  # pixels run down
    assert np.median(flow[HEAD] @ camera) < -1
    for corner in CORNERS:
        assert np.median(flow[corner] @ camera) > 1


def test_the_same_reel_gives_the_same_film(studio, reel, film):
    again = studio.film(reel)
    assert (again.video, again.poster) == (film.video, film.poster)


def test_the_capture_time_reaches_the_clip(studio, reel):
    taken = datetime(2019, 6, 1, 10, 30, tzinfo=UTC)
    with av.open(io.BytesIO(studio.film(dataclasses.replace(reel, capture_time=taken)).video)) as container:
        assert datetime.fromisoformat(container.metadata["creation_time"]) == taken


def test_threads_that_share_a_studio_get_their_own_films(studio, film):
    reels, films = [filmed((0.0, 0.02 * i)) for i in range(4)], [None] * 4

    def work(index):
        films[index] = studio.film(reels[index]).video

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert films == [studio.film(reel).video for reel in reels]


def test_an_error_inside_comes_back_as_itself(studio, reel, film):
    with pytest.raises(ValueError, match="width"):
        studio.film(dataclasses.replace(reel, width=127))
    assert studio.film(reel).video == film.video


def test_without_a_gpu_the_cpu_draws():
    studio = Studio()
    assert studio.kind == ("gl" if studio.ask(gl.has_gpu) else "cpu")
    studio.close()


def test_an_error_of_the_driver_is_told_and_does_not_end_the_studio(reel):
    studio = Studio("gl")
    film = studio.film(reel)
    panorama = np.zeros((2, 70000, 3), np.uint8)  # drivers take sides of 16384, some of 32768
    with pytest.raises(RuntimeError, match="GLError"):
        studio.film(dataclasses.replace(reel, layers=((reel.layers[0][0], panorama),)))
    assert studio.film(reel).video == film.video
    with pytest.raises(gl.GLUnavailable, match="smaller"):  # frames that are too large
        studio.film(dataclasses.replace(reel, height=40000))
    studio.close()


def test_a_crash_costs_one_film(studio, reel, film):
    studio.check()
    os.kill(studio.process.pid, signal.SIGKILL)
    with pytest.raises(ChildCrashed):
        studio.film(reel)
    assert studio.film(reel).video == film.video


def test_what_takes_too_long_is_ended_and_costs_one_film(reel, film):
    studio = Studio("cpu", seconds=30)
    whole = studio.film(reel)  # compiles what must be
    studio.seconds = 0.5
    started = time.monotonic()
    with pytest.raises(ChildTimeout, match="longer than 0.5 seconds"):
        studio.ask(time.sleep, 60)
    assert time.monotonic() - started < GONE_WITHIN
    studio.seconds = 30
    assert studio.film(reel).video == whole.video
    studio.close()


def test_closing_ends_the_child():
    studio = Studio()
    studio.check()
    pid = studio.process.pid
    studio.close()
    assert not runs(pid)


def test_closing_an_unused_studio_does_nothing():
    Studio().close()


def test_the_child_ends_with_its_parent_however_that_ends():
    root = Path(renderer.__file__).parents[1]
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, cwd=root)
    child = int(parent.stdout.readline())
    assert runs(child)
    parent.kill()
    parent.communicate()
    assert ends(child)
