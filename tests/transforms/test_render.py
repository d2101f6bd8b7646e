"""A shot becomes a clip: pictures no larger than the clip shows them, and the studio's failures by their names."""

import dataclasses
import io
import os
import signal
from datetime import UTC, datetime

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from renderer import camera, encode, texture
from renderer.studio import Studio
from transforms.elements import Failed, FailReason, Perception, Photo
from transforms.mesh import build_scene
from transforms.render import reel_of, render
from transforms.settings import Settings
from transforms.trajectory import shoot

FPS = 10
TAKEN = datetime(2019, 6, 1, 10, 30, tzinfo=UTC)
TEXTURE_LIMIT = 16384  # pixels a side, in Mesa's llvmpipe and most GPUs' drivers


def shot_of(photo, width=128):
    """Shot of a photo whose middle bulges towards the camera."""
    rows, columns = np.mgrid[0:1:128j, 0:1:96j].astype(np.float32)
    bump = np.exp(-((columns - 0.5) ** 2 + (rows - 0.4) ** 2) / 0.05)
    nobody = np.zeros_like(bump)
    scene = build_scene(Perception(Photo(photo, camera.DEFAULT_FOV, TAKEN), 0.2 + 0.6 * bump, nobody, nobody, bump))
    return shoot(scene, Settings(width=width, seconds=0.9, fps=FPS))


@pytest.fixture(scope="module")
def studio():
    handle = Studio()
    yield handle
    handle.close()


@pytest.fixture(scope="module")
def shot():
    return shot_of(np.ascontiguousarray(data.astronaut()[:, 64:448]))


@pytest.fixture(scope="module")
def clip(studio, shot):
    return render(studio, shot, FPS)


@pytest.mark.parametrize("width", [128, 1080])
def test_pictures_have_the_clips_density(shot, width):
    """Whether the photo has more pixels than the clip or fewer."""
    ((_, picture),) = reel_of(dataclasses.replace(shot, width=width), FPS).layers
    share = shot.window.width / (2 * shot.scene.lens.half_width)
    assert picture.shape[1] * share == pytest.approx(texture.OVERSAMPLING * width, abs=1)
    assert picture.shape[0] / picture.shape[1] == pytest.approx(512 / 384, rel=0.01)


def test_pictures_are_the_photo_in_the_videos_colours(shot):
    ((_, picture),) = reel_of(shot, FPS).layers
    expected = cv2.resize(shot.scene.layers[0].rgb, picture.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(encode.to_rgb(picture).astype(int) - expected).max() <= 2


def test_a_long_panorama_fits_the_drivers_textures():
    """Ten to one: a portrait crop is a small share of its width."""
    shot = shot_of(cv2.resize(data.coffee(), (2400, 240)), width=1080)
    ((_, picture),) = reel_of(shot, FPS).layers
    assert max(picture.shape) <= TEXTURE_LIMIT


def test_the_reel_is_the_shot(shot):
    reel = reel_of(shot, FPS)
    assert (reel.window, reel.path, reel.width, reel.height) == (shot.window, shot.path, shot.width, shot.height)
    assert (reel.fps, reel.capture_time) == (FPS, TAKEN)


def test_the_clip_has_the_shots_size_and_frames(clip):
    assert (clip.width, clip.height, clip.frames) == (128, 172, 9)
    with av.open(io.BytesIO(clip.video)) as container:
        assert [(f.width, f.height) for f in container.decode(video=0)] == [(128, 172)] * 9
        assert container.streams.video[0].average_rate == FPS


def test_the_poster_is_a_jpeg_of_the_clips_size(clip):
    poster = Image.open(io.BytesIO(clip.poster))
    assert (poster.format, poster.size) == ("JPEG", (128, 172))


def test_the_clip_carries_the_shots_numbers_and_its_capture_time(clip, shot):
    assert clip.measures == shot.measures
    assert clip.capture_time == TAKEN


def test_the_same_shot_gives_the_same_clip(studio, shot, clip):
    again = render(studio, shot, FPS)
    assert (again.video, again.poster) == (clip.video, clip.poster)


def test_a_crash_of_the_driver_fails_the_photo_and_not_the_next(studio, shot, clip):
    studio.check()
    os.kill(studio.process.pid, signal.SIGKILL)
    with pytest.raises(Failed) as failed:
        render(studio, shot, FPS)
    assert failed.value.reason is FailReason.CRASHED
    assert render(studio, shot, FPS).video == clip.video


def test_a_clip_with_a_hole_fails_and_is_never_written(studio, shot):
    beyond = camera.Window(shot.window.left - 1, shot.window.right + 1, shot.window.bottom - 1, shot.window.top + 1)
    with pytest.raises(Failed, match="no surface") as failed:
        render(studio, dataclasses.replace(shot, window=beyond), FPS)
    assert failed.value.reason is FailReason.UNCOVERED
