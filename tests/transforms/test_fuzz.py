"""Five thousand damaged files: each ends as a photo, a rejection or a failure, soon, and nothing else happens."""

import collections
import io
import random
import time
import warnings

import numpy as np
import pillow_heif
import pytest
from PIL import ExifTags, Image
from skimage import data

from transforms.elements import Failed, Rejected
from transforms.picture import decode

INPUTS, SEED = 5000, 8
MAX_MEGAPIXELS, MIN_SIDE = 20, 100
SECONDS = 10.0  # for one file; whole ones of this size take a hundredth of one


@pytest.fixture(scope="module")
def whole():
    """Files of every format, with EXIF where they hold it."""
    pillow_heif.register_heif_opener()
    photo, exif = Image.fromarray(data.chelsea()).resize((320, 213)), Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Orientation] = "Canon", 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2020:01:01 10:00:00"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (48.0, 51.0, 29.6)
    deep = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 256)
    kinds = [
        (photo, "JPEG", {"exif": exif}), (photo, "JPEG", {"progressive": True}), (photo.convert("CMYK"), "JPEG", {}),
        (photo, "PNG", {"exif": exif}), (photo.convert("P"), "PNG", {}), (photo.convert("RGBA"), "PNG", {}), (deep, "PNG", {}),
        (photo, "WEBP", {"exif": exif}), (photo, "WEBP", {"lossless": True}), (photo, "HEIF", {"exif": exif.tobytes()}),
        (photo, "TIFF", {}), (photo, "TIFF", {"compression": "tiff_lzw"}), (photo, "TIFF", {"compression": "jpeg"}),
        (photo, "BMP", {}), (photo, "GIF", {}), (photo, "GIF", {"save_all": True, "append_images": [photo.rotate(90)]}),
    ]  # fmt: skip
    files = []
    for image, kind, options in kinds:
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        files.append(buffer.getvalue())
    return files


def damaged(content, chance):
    """A file cut off, with other bytes, with a piece doubled, missing or put in, or with a header that lies."""
    content = bytearray(content)
    place, other = chance.randrange(len(content)), chance.randrange(len(content))
    length, kind = chance.randrange(1, 1000), chance.randrange(6)
    if kind == 0:
        del content[place:]
    elif kind == 1:
        for _ in range(chance.choice((1, 3, 10, 100))):
            content[chance.randrange(len(content))] = chance.randrange(256)
    elif kind == 2:
        for _ in range(chance.choice((1, 4, 20))):
            content[chance.randrange(min(len(content), 600))] = chance.choice((0, 127, 128, 255))
    elif kind == 3:
        content[place : place + length] = content[other : other + length]
    elif kind == 4:
        del content[place : place + length]
    else:
        content[place:place] = chance.randbytes(length)
    return bytes(content)


@pytest.mark.filterwarnings("ignore")
def test_every_damaged_file_ends_in_a_photo_a_rejection_or_a_failure(whole):
    chance, ends = random.Random(SEED), collections.Counter()
    warnings.simplefilter("ignore")
    for number in range(INPUTS):
        content = damaged(whole[number % len(whole)], chance)
        start = time.perf_counter()
        try:
            photo = decode(content, MAX_MEGAPIXELS, MIN_SIDE)
            assert photo.rgb.dtype == np.uint8
            assert photo.rgb.shape[2] == 3
            assert min(photo.rgb.shape[:2]) >= MIN_SIDE
            ends["photo"] += 1
        except (Rejected, Failed) as ended:
            assert ended.detail
            ends[type(ended).__name__] += 1
        assert time.perf_counter() - start < SECONDS, number
    assert sum(ends.values()) == INPUTS
    assert min(ends[kind] for kind in ("photo", "Rejected", "Failed")) > 0
