"""Decoding in a child: a photo that brings it down is a failure of its own, and the next one is decoded."""

import io
import os
import time

import numpy as np
import pytest
from PIL import Image
from skimage import data

from transforms import picture
from transforms.decode import Decode, guard, guarded
from transforms.elements import Failed, FailReason, Failure, PhotoRef, Rejected, RejectReason
from transforms.stage import InFlight


def file_of(pixels, kind="JPEG"):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


PHOTO = file_of(data.coffee())


def decodes():
    return guarded(guard(50), picture.decode, PHOTO, 50, 300)


def reason(error, *call):
    with pytest.raises(error) as raised:
        guarded(guard(50), *call)
    return raised.value.reason


def test_a_photo_is_the_same_as_without_a_guard():
    photo, plain = decodes(), picture.decode(PHOTO, 50, 300)
    assert np.array_equal(photo.rgb, plain.rgb)
    assert (photo.fov, photo.capture_time, photo.from_camera) == (plain.fov, plain.capture_time, plain.from_camera)


def test_rejections_and_failures_come_through_as_they_are():
    assert reason(Rejected, picture.decode, PHOTO, 50, 3000) is RejectReason.TOO_SMALL
    assert reason(Failed, picture.decode, PHOTO[: len(PHOTO) // 2], 50, 300) is FailReason.UNREADABLE


def test_a_crashing_parser_a_hanging_one_and_a_hungry_one_are_failures_of_their_photo():
    decodes()
    assert reason(Failed, os.abort) is FailReason.CRASHED
    assert decodes().rgb.shape == (400, 600, 3)
    assert reason(Failed, np.ones, 1 << 30) is FailReason.TOO_LARGE
    assert decodes().rgb.shape == (400, 600, 3)
    child = guard(50, 0.5)
    with pytest.raises(Failed) as failed:
        guarded(child, time.sleep, 60)
    assert failed.value.reason is FailReason.TIMEOUT


def test_as_a_stage_it_costs_what_the_child_spent():
    stage = Decode(50, 300).do_fn
    stage.setup()
    ref = PhotoRef("0", "a.jpg", "/a.jpg", "1-1", digest="d")
    (flown,) = stage.process(InFlight(ref, "f", PHOTO))
    assert flown.cpu_seconds[-1][0] == "decode" and flown.cpu_seconds[-1][1] > 0.001
    (ended,) = stage.process(InFlight(ref, "f", b"no photo"))
    assert isinstance(ended, Failure) and ended.digest == "d"
