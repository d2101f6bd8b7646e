"""Settings refuse what makes no clip, size the clip, and are told apart by their fingerprint."""

import dataclasses
import os
import subprocess
import sys
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.settings import ASPECTS, Settings

# Each field with a value that is allowed and not its default.
OTHERS = {
    "aspect": "9:16",
    "width": 720,
    "seconds": 2.5,
    "fps": 24,
    "motion": "push",
    "loop": True,
    "parallax": 0.05,
    "min_parallax": 0.02,
    "artifact_budget": 0.5,
    "max_artifact_score": 1.0,
    "format": "webm",
    "renderer": "cpu",
    "max_elongation": 3.0,
    "min_highlight": 20.0,
    "max_shadow": 210.0,
    "max_paper": 0.5,
    "max_flat": 0.5,
    "max_blur": 0.8,
    "min_window": 0.6,
    "min_side": 320,
    "max_megapixels": 50.0,
    "depth_model": "/models/depth.tflite",
    "people_model": "/models/people.tflite",
    "saliency_model": "/models/saliency.tflite",
    "mirror_average": True,
}


@pytest.mark.parametrize(
    "name, value",
    [
        *(("aspect", value) for value in ("", "3", "3:", ":4", "0:4", "3:0", "-3:4", "3:4:5", "3.5:2", "3x4", "portrait")),
        ("aspect", "1:9999"),  # 1080 pixels wide, eleven million high
        ("aspect", "9999:1"),
        *(("motion", value) for value in ("", "zoom", "Arc")),
        *(("format", value) for value in ("", "mov", "MP4")),
        *(("renderer", value) for value in ("", "gpu")),
        *(("width", value) for value in (0, -2, 62, 1081, 4322)),
        *(("seconds", value) for value in (0, -1, 0.01, 3600, nan, inf)),
        *(("fps", value) for value in (0, -30, 100_000)),
        *(("parallax", value) for value in (0, -0.1, 0.21, nan, inf)),
        *(("min_parallax", value) for value in (-0.01, nan)),
        *(("artifact_budget", value) for value in (-1, nan)),
        *(("max_artifact_score", value) for value in (-0.1, nan)),
        *(("min_window", value) for value in (-0.1, 1.1, nan)),
        *(("min_side", value) for value in (0, -1)),
        *(("max_megapixels", value) for value in (0, -1, nan)),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_option(name, value):
    with pytest.raises(ValueError, match=f"--{name.replace('_', '-')}\\b"):
        Settings(**{name: value})


@pytest.mark.parametrize("aspect", ["2:3", "21:9", "1080:1350"])
def test_any_aspect_of_two_numbers_will_do(aspect):
    assert Settings(aspect=aspect).aspect == aspect


@pytest.mark.parametrize("seconds, fps, frames", [(3.0, 30, 90), (2.5, 24, 60), (1 / 3, 30, 10)])
def test_the_frames_fill_the_seconds(seconds, fps, frames):
    assert Settings(seconds=seconds, fps=fps).frames == frames


@pytest.mark.parametrize(
    "aspect, size",
    [("3:4", (1080, 1440)), ("9:16", (1080, 1920)), ("1:1", (1080, 1080)), ("16:9", (1080, 608)), ("original", (1080, 720))],
)
def test_the_clip_has_the_asked_aspect(aspect, size):
    assert Settings(aspect=aspect).output_size(3000, 2000) == size


SIDES = st.integers(240, 12000)


@given(st.sampled_from(ASPECTS), st.integers(32, 2160).map(lambda half: 2 * half), SIDES, SIDES)
def test_the_size_suits_the_encoder_and_is_within_two_pixels_of_the_aspect(aspect, width, photo_width, photo_height):
    across, down = (photo_width, photo_height) if aspect == "original" else map(int, aspect.split(":"))
    clip_width, height = Settings(aspect=aspect, width=width).output_size(photo_width, photo_height)
    assert (clip_width, clip_width % 2, height % 4) == (width, 0, 0)
    assert height >= 4
    assert height == 4 or abs(height - width * down / across) <= 2


def fingerprint(settings, version="1.0", digest="abc"):
    return settings.fingerprint(version, digest)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Settings)])
def test_every_field_that_shapes_a_clip_changes_the_fingerprint(name):
    changed = fingerprint(Settings(**{name: OTHERS[name]})) != fingerprint(Settings())
    assert changed == (name != "max_artifact_score")  # which decides on clips that are known


@pytest.mark.parametrize("change", [{"version": "1.1"}, {"digest": "abd"}])
def test_code_and_networks_change_the_fingerprint(change):
    assert fingerprint(Settings(), **change) != fingerprint(Settings())


def test_the_fingerprint_is_twelve_hex_digits_that_fit_a_file_name():
    assert len(fingerprint(Settings())) == 12
    assert int(fingerprint(Settings()), 16) >= 0


def test_the_fingerprint_is_the_same_in_another_process():
    code = "from transforms.settings import Settings; print(Settings().fingerprint('1.0', 'abc'))"
    other = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": "7"}, capture_output=True, text=True, timeout=60
    )
    assert other.stdout.strip() == fingerprint(Settings())


@pytest.mark.parametrize("name, value", [("seconds", 4), ("max_megapixels", 50), ("fps", 25)])
def test_equal_settings_have_equal_fingerprints(name, value):
    whole, real = Settings(**{name: value}), Settings(**{name: float(value)})
    assert whole == real
    assert fingerprint(whole) == fingerprint(real)
