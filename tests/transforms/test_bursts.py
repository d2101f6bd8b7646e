"""Of photos that show the same, one is kept: which, and what is compared with what."""

import io
import random

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to
from PIL import ExifTags, Image, ImageFilter
from skimage import data

from beam_pipeline import sources
from transforms import bursts
from transforms.bursts import Member, choose, distance, glimpse
from transforms.decode import guard
from transforms.elements import Failed, FailReason, Glimpse, PhotoRef, Rejection

PHOTO = Image.fromarray(data.coffee())
CHILD = guard(100)


def file_of(image, kind="JPEG", taken=None, **options):
    exif = Image.Exif()
    if taken:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken
    buffer = io.BytesIO()
    image.save(buffer, kind, exif=exif.tobytes(), **options)
    return buffer.getvalue()


def seen(image, *arguments, **options):
    return glimpse(CHILD, file_of(image, *arguments, **options), 50)


def new(name, phash, sharpness=0.5, minute="2020-01-01T10:00"):
    ref = PhotoRef(name, f"{name}.jpg", f"/{name}.jpg", "1")
    return Member(name, Glimpse(phash, sharpness, minute, 0.0), ref)


def known(name, phash, sharpness=0.5, minute="2020-01-01T10:00"):
    return Member(name, Glimpse(phash, sharpness, minute, 0.0))


def ends(members, limit=8):
    """({kept}, {rejected: kept in its place}) by photo id."""
    kept, rejected = set(), {}
    for value in choose(members, limit, "f00"):
        if isinstance(value, Rejection):
            assert (value.reason, value.stage, value.fingerprint) == ("near_duplicate", "bursts", "f00")
            rejected[value.photo_id] = next(m.photo_id for m in members if f" {m.photo_id} " in value.detail)
        else:
            kept.add(value.photo_id)
    return kept, rejected


# A glimpse


@pytest.mark.parametrize(
    "copy",
    [
        file_of(PHOTO, quality=60),
        file_of(PHOTO, "PNG"),
        file_of(PHOTO, "WEBP", quality=70),
        file_of(PHOTO.resize((1800, 1200))),
        file_of(PHOTO.resize((300, 200))),
        file_of(Image.fromarray(np.clip(np.asarray(PHOTO) * 1.1, 0, 255).astype(np.uint8))),
        file_of(PHOTO.crop((4, 3, 596, 397))),
    ],
    ids=["worse", "png", "webp", "larger", "smaller", "brighter", "cropped a little"],
)
def test_copies_of_a_photo_look_alike(copy):
    assert distance(glimpse(CHILD, copy, 50).phash, seen(PHOTO).phash) <= bursts.DISTANCE


def test_other_photos_do_not():
    others = [data.astronaut(), data.chelsea(), data.rocket(), data.camera(), data.stereo_motorcycle()[0]]
    hashes = [seen(Image.fromarray(other).convert("RGB")).phash for other in others]
    assert all(distance(one, seen(PHOTO).phash) > 2 * bursts.DISTANCE for one in hashes)


def test_a_sharper_photo_is_told_from_a_blurred_one():
    blurred = [seen(PHOTO.filter(ImageFilter.GaussianBlur(radius))).sharpness for radius in (0, 2, 4)]
    assert blurred[0] > blurred[1] > blurred[2]


def test_the_minute_is_that_of_the_capture():
    assert seen(PHOTO, taken="2014:09:07 05:07:59").minute == "2014-09-07T05:07"
    assert seen(PHOTO).minute is None


def test_of_two_frames_the_one_whose_subject_is_sharp_is_sharper():
    """The cat's face against the background beside it, blurred alike."""
    cat = Image.fromarray(data.chelsea())
    soft = cat.filter(ImageFilter.GaussianBlur(4))
    face, beside = Image.new("L", cat.size), Image.new("L", cat.size)
    face.paste(255, (90, 20, 270, 220))
    beside.paste(255, (271, 20, 451, 220))
    subject_blurred, background_blurred = Image.composite(soft, cat, face), Image.composite(soft, cat, beside)
    assert seen(background_blurred).sharpness > seen(subject_blurred).sharpness + 0.02


@pytest.mark.parametrize("place", [(40, 40), (400, 40), (40, 250), (400, 250)])
def test_the_salient_part_holds_what_stands_out(place):
    pixels = np.full((300, 500), 100, np.uint8)
    x, y = place
    pixels[y - 15 : y + 15, x - 15 : x + 15] = np.random.default_rng(1).integers(0, 255, (30, 30))
    part = bursts.salient_part(pixels)
    assert part.shape == (150, 250)
    assert (part != 100).sum() > 800


@pytest.mark.parametrize("content", [b"", b"no photo", file_of(PHOTO)[:300]], ids=["empty", "text", "cut"])
def test_of_what_cannot_be_read_there_is_no_glimpse(content):
    assert glimpse(CHILD, content, 50) is None


def test_of_what_is_too_large_or_animated_there_is_none():
    assert glimpse(CHILD, file_of(PHOTO), 0.1) is None
    moving = file_of(PHOTO, "GIF", save_all=True, append_images=[PHOTO.rotate(90)])
    assert glimpse(CHILD, moving, 50) is None


# The choice


def test_of_a_burst_the_sharpest_is_kept():
    members = [new("a", "00ff00ff00ff00ff", 0.5), new("b", "00ff00ff00ff00fe", 0.8), new("c", "00ff00ff00ff00fc", 0.6)]
    assert ends(members) == ({"b"}, {"a": "b", "c": "b"})


def test_what_shows_something_else_in_the_same_minute_is_kept():
    members = [new("a", "00ff00ff00ff00ff"), new("b", "ff00ff00ff00ff00"), new("c", "00ff00ff00ff00fe", 0.4)]
    assert ends(members) == ({"a", "b"}, {"c": "a"})


def test_a_clip_of_an_earlier_night_stays_the_one():
    members = [known("old", "00ff00ff00ff00ff", 0.1), new("sharper", "00ff00ff00ff00ff", 0.9)]
    assert ends(members) == (set(), {"sharper": "old"})


def test_a_limit_of_zero_wants_equal_hashes():
    members = [new("a", "00ff00ff00ff00ff", 0.9), new("b", "00ff00ff00ff00fe"), new("c", "00ff00ff00ff00ff")]
    assert ends(members, limit=0) == ({"a", "b"}, {"c": "a"})


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_a_group_decides_nothing(seed):
    chance = random.Random(seed)
    members = [new(f"p{i:03d}", f"{chance.getrandbits(12):016x}", round(chance.random(), 1)) for i in range(80)]
    first = ends(members)
    chance.shuffle(members)
    assert ends(members) == first
    assert first[0].isdisjoint(first[1])
    assert len(first[0]) + len(first[1]) == 80


def test_ten_thousand_copies_are_walked_through_and_not_gathered():
    """A group may be read twice and is never held."""

    class Copies:
        def __iter__(self):
            return (new(f"p{i:05d}", "00ff00ff00ff00ff", 0.5 + i / 1e5) for i in range(10_000))

    kept, rejected = [], 0
    for value in choose(Copies(), 8, "f00"):
        if isinstance(value, Rejection):
            rejected += 1
        else:
            kept.append(value.photo_id)
    assert (kept, rejected) == (["p09999"], 9_999)


def test_in_a_pipeline_every_photo_is_kept_or_rejected():
    files = {
        "/a.jpg": file_of(PHOTO, taken="2020:01:01 10:00:01"),
        "/b.jpg": file_of(PHOTO.filter(ImageFilter.GaussianBlur(2)), taken="2020:01:01 10:00:03"),
        "/c.jpg": file_of(PHOTO, taken="2020:01:01 10:05:00"),
        "/d.jpg": file_of(Image.fromarray(data.chelsea()), taken="2020:01:01 10:00:05"),
        "/e.jpg": file_of(PHOTO),
        "/f.jpg": file_of(PHOTO),
        "/broken.jpg": b"no photo",
    }

    def read(ref):
        if ref.uri not in files:
            raise Failed(FailReason.MISSING, "The file is gone since it was listed.")
        return files[ref.uri]

    refs = [PhotoRef(uri.strip("/.jpg"), uri[1:], uri, "1") for uri in (*files, "/gone.jpg")]
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        new, earlier = pipeline | beam.Create(refs), pipeline | "None" >> beam.Create([])
        best = (new, earlier) | bursts.KeepBest(read, sources.digest, 50, 8, "f00")
        assert_that(
            best["kept"] | "Names" >> beam.Map(lambda ref: ref.path),
            equal_to(["a.jpg", "c.jpg", "d.jpg", "f.jpg", "broken.jpg", "gone.jpg"]),
            "kept",
        )
        assert_that(best["duplicates"] | "Paths" >> beam.Map(lambda r: r.path), equal_to(["b.jpg", "e.jpg"]), "duplicates")
