"""One photo without a pipeline: the same clip as the pipeline's, step by step or at once."""

import io

import av
import numpy as np
import pytest
from PIL import Image
from skimage import data

from transforms.animate import Animator
from transforms.elements import Failed, Rejected
from transforms.settings import Settings

SMALL = Settings(width=128, seconds=0.2)


def file_of(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def animator():
    with Animator(SMALL) as animator:
        yield animator


def test_bytes_become_a_clip(animator):
    clip = animator.animate(file_of(data.astronaut()))
    with av.open(io.BytesIO(clip.video)) as container:
        assert container.streams.video[0].frames == clip.frames == 6
    assert 0 < clip.measures.relative_parallax < 0.1


def test_step_by_step_it_is_the_same_clip(animator):
    photo = animator.decode(file_of(data.astronaut()))
    assert photo.rgb.shape == (512, 512, 3)
    shot = animator.shoot(animator.build(photo))
    assert animator.render(shot).video == animator.animate(file_of(data.astronaut())).video


def test_maps_of_ones_own_take_the_place_of_networks(animator):
    height, width = 300, 451
    depth = np.tile(np.linspace(0, 1, height, dtype=np.float32)[:, None], (1, width))
    people = np.zeros((height, width, 3), np.float32)
    people[..., 0] = 1
    maps = {"depth": depth, "people": people, "saliency": np.ones((height, width), np.float32)}
    with Animator(SMALL) as alone:
        scene = alone.build(alone.decode(file_of(data.chelsea())), maps)
        assert not alone._networks
    rows = scene.layers[0].inverse_depth.mean(axis=1)
    assert np.all(np.diff(rows) > -1e-3)
    assert not scene.regions.any()


def test_what_deserves_no_clip_and_what_cannot_be_read_are_told_apart(animator):
    with pytest.raises(Rejected, match="below 240"):
        animator.animate(file_of(data.astronaut()[:100]))
    with pytest.raises(Failed, match="No photo format"):
        animator.animate(b"no photo")
