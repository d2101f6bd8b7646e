"""Photos of every kind, whole and broken, end as upright sRGB pixels or as a typed reason."""

import dataclasses
import io
import math
import struct
import zlib
from datetime import datetime, timedelta, timezone

import numpy as np
import pillow_heif
import pytest
from PIL import ExifTags, Image, ImageCms
from skimage import data

from renderer.camera import DEFAULT_FOV
from transforms.elements import Failed, FailReason, Photo, Rejected, RejectReason
from transforms.picture import decode

MAX_MEGAPIXELS, MIN_SIDE = 150.0, 64
LOSSY = 5.0  # mean levels that compression costs at most; wrong colours or a turned picture cost 30 and more
NOT_A_PHOTO = {FailReason.UNREADABLE, FailReason.UNSUPPORTED}
Turn = Image.Transpose
# EXIF orientation: how the upright picture lies in the file, the inverse of what a viewer does.
AS_STORED = {
    1: None,
    2: Turn.FLIP_LEFT_RIGHT,
    3: Turn.ROTATE_180,
    4: Turn.FLIP_TOP_BOTTOM,
    5: Turn.TRANSPOSE,
    6: Turn.ROTATE_90,
    7: Turn.TRANSVERSE,
    8: Turn.ROTATE_270,
}

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about the metadata that is broken on purpose

pillow_heif.register_heif_opener()  # to write HEIC here


@pytest.fixture(scope="module")
def cat():
    return Image.fromarray(data.chelsea())  # 451x300, RGB


@pytest.fixture(scope="module")
def cameraman():
    return data.camera()  # (512, 512) uint8


def encoded(image, format, **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def decoded(content):
    return decode(content, MAX_MEGAPIXELS, MIN_SIDE)


def error(rgb, expected):
    """Mean absolute difference in levels of (h, w, 3) against a picture of any mode."""
    expected = np.asarray(expected.convert("RGB") if isinstance(expected, Image.Image) else expected, float)
    assert rgb.shape == expected.shape
    return np.abs(rgb - expected).mean()


def exif_of(details=(), **tags):
    """EXIF bytes; `details` go into the Exif IFD, as {tag: value}."""
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif).update(details)
    exif.update({getattr(ExifTags.Base, name): value for name, value in tags.items()})
    return exif.tobytes()


def animation(image, format):
    frame = image.resize((96, 64))
    return encoded(frame, format, save_all=True, append_images=[frame.transpose(Turn.ROTATE_180)], duration=100)


# Pixels


@pytest.mark.parametrize(
    "format, options",
    [("PNG", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("BMP", {}), ("WEBP", {"lossless": True})],
)
def test_a_lossless_file_gives_its_very_pixels(cat, format, options):
    assert error(decoded(encoded(cat, format, **options)).rgb, cat) == 0


@pytest.mark.parametrize(
    "format, options",
    [("JPEG", {}), ("JPEG", {"progressive": True}), ("WEBP", {}), ("HEIF", {}), ("MPO", {})],
)
def test_a_lossy_file_looks_like_the_original(cat, format, options):
    assert error(decoded(encoded(cat, format, **options)).rgb, cat) < LOSSY


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_keeps_its_colours(cat, format):
    assert error(decoded(encoded(cat.convert("CMYK"), format)).rgb, cat) < LOSSY


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_a_palette_gives_the_colours_it_names(cat, format):
    palette = cat.convert("P", palette=Image.ADAPTIVE)
    assert error(decoded(encoded(palette, format)).rgb, palette) == 0


@pytest.mark.parametrize(
    "format, mode", [("JPEG", "L"), ("PNG", "L"), ("PNG", "LA"), ("WEBP", "L"), ("HEIF", "L"), ("TIFF", "L")]
)
def test_grey_becomes_three_equal_channels(cameraman, format, mode):
    rgb = decoded(encoded(Image.fromarray(cameraman).convert(mode), format)).rgb.astype(int)
    assert np.ptp(rgb, axis=2).max() <= 2  # WebP and HEIC go through chroma, and round
    assert error(rgb, Image.fromarray(cameraman)) < LOSSY


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_brightness(cameraman, format):
    sixteen = cameraman.astype(np.uint16) * 257
    assert error(decoded(encoded(Image.fromarray(sixteen), format)).rgb, Image.fromarray(cameraman)) == 0


def test_a_16_bit_photo_of_the_night_stays_dark(cameraman):
    assert decoded(encoded(Image.fromarray(cameraman.astype(np.uint16)), "PNG")).rgb.max() <= 1  # 255 of 65535


def test_a_float_tiff_from_black_0_to_white_1_keeps_its_brightness(cameraman):
    floats = cameraman.astype(np.float32) / 255
    assert error(decoded(encoded(Image.fromarray(floats), "TIFF")).rgb, Image.fromarray(cameraman)) < 1


def test_one_bit_is_black_and_white(cameraman):
    bits = Image.fromarray(cameraman).convert("1")
    assert error(decoded(encoded(bits, "PNG")).rgb, bits) == 0


# Transparency


@pytest.mark.parametrize("format, options", [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})])
def test_transparency_is_laid_on_white(cat, format, options):
    alpha = np.tile(np.linspace(0, 255, cat.width).astype(np.uint8), (cat.height, 1))
    see_through = cat.copy()
    see_through.putalpha(Image.fromarray(alpha))
    share = alpha[..., None] / 255
    laid = share * np.asarray(cat) + (1 - share) * 255
    assert np.abs(decoded(encoded(see_through, format, **options)).rgb - laid).max() <= 1


def test_grey_transparency_is_laid_on_white(cameraman):
    ghost = Image.merge("LA", [Image.fromarray(cameraman), Image.new("L", cameraman.shape[::-1], 0)])
    assert decoded(encoded(ghost, "PNG")).rgb.min() == 255


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_a_transparent_palette_entry_is_white(cat, format):
    palette = cat.convert("P", palette=Image.ADAPTIVE)
    entry = palette.getpixel((200, 100))
    rgb = decoded(encoded(palette, format, transparency=entry)).rgb
    assert (rgb[np.asarray(palette) == entry] == 255).all()


def test_a_transparent_colour_is_white(cat):
    rgb = decoded(encoded(cat, "PNG", transparency=cat.getpixel((200, 100)))).rgb
    assert (rgb[100, 200] == 255).all()


# Orientation


@pytest.mark.parametrize("orientation", AS_STORED)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "HEIF"])
def test_every_orientation_gives_the_same_upright_picture(cat, format, orientation):
    small = cat.resize((150, 100))
    stored = small if AS_STORED[orientation] is None else small.transpose(AS_STORED[orientation])
    content = encoded(stored, format, exif=exif_of(Orientation=orientation), quality=95)
    assert error(decoded(content).rgb, small) < LOSSY


# Colour profiles


def swapped_profile():
    """sRGB with the primaries of red and blue changed over: of a profile's tags, their names are all that differs."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"?XYZ").replace(b"bXYZ", b"rXYZ").replace(b"?XYZ", b"bXYZ")


@pytest.mark.parametrize(
    "format, mode", [("JPEG", "RGB"), ("PNG", "RGB"), ("PNG", "RGBA"), ("TIFF", "RGB"), ("WEBP", "RGBA"), ("HEIF", "RGB")]
)
def test_a_colour_profile_is_followed_to_srgb(cat, format, mode):
    blue_first = Image.merge("RGB", cat.split()[::-1]).convert(mode)
    content = encoded(blue_first, format, icc_profile=swapped_profile(), quality=95)
    assert error(decoded(content).rgb, cat) < LOSSY


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize(
    "profile",
    [b"no profile at all", swapped_profile()[:200], ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()],
    ids=["garbage", "truncated", "of another colour model"],
)
def test_a_profile_that_does_not_fit_is_ignored(cat, format, profile):
    assert error(decoded(encoded(cat, format, icc_profile=profile)).rgb, cat) < LOSSY


# Animations and files of several pictures


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_an_animation_is_rejected(cat, format):
    with pytest.raises(Rejected) as rejected:
        decoded(animation(cat, format))
    assert rejected.value.reason is RejectReason.ANIMATED


def test_a_gif_of_one_frame_is_a_photo(cat):
    assert error(decoded(encoded(cat, "GIF")).rgb, cat) < LOSSY


@pytest.mark.parametrize("format", ["MPO", "TIFF", "HEIF"])
def test_a_file_of_several_photos_gives_its_first(cat, format):
    content = encoded(cat, format, save_all=True, append_images=[cat.transpose(Turn.ROTATE_180)])
    assert error(decoded(content).rgb, cat) < LOSSY


# Size


def test_a_photo_below_the_smallest_side_is_rejected(cat):
    with pytest.raises(Rejected) as rejected:
        decode(encoded(cat, "JPEG"), MAX_MEGAPIXELS, min_side=301)
    assert rejected.value.reason is RejectReason.TOO_SMALL


def test_a_photo_of_just_the_smallest_side_is_taken(cat):
    assert decode(encoded(cat, "JPEG"), MAX_MEGAPIXELS, min_side=300).rgb.shape == (300, 451, 3)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "HEIF", "TIFF", "BMP", "GIF"])
def test_the_megapixel_limit_holds_for_every_format(cat, format):
    with pytest.raises(Failed) as failed:
        decode(encoded(cat, format), max_megapixels=0.13, min_side=MIN_SIDE)  # 451 * 300 = 0.1353 million
    assert failed.value.reason is FailReason.TOO_LARGE


def png_bomb():
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"not deflate") + chunk(b"IEND", b"")


def jpeg_bomb():
    """A JPEG whose frame header lies; the pixels end far too soon."""
    content = bytearray(encoded(Image.fromarray(data.chelsea()), "JPEG"))
    size = content.index(b"\xff\xc0") + 5  # marker, length, precision
    content[size : size + 4] = struct.pack(">HH", 60000, 60000)
    return bytes(content)


def gif_bomb():
    screen = struct.pack("<HHBBB", 60000, 60000, 0, 0, 0)
    frame = struct.pack("<cHHHHB", b",", 0, 0, 60000, 60000, 0)
    return b"GIF89a" + screen + frame + b"\x02\0;"


@pytest.mark.parametrize("bomb", [png_bomb(), jpeg_bomb(), gif_bomb()], ids=["png", "jpeg", "gif"])
def test_a_bomb_is_refused_by_its_header_alone(bomb):
    with pytest.raises(Failed) as failed:  # to decode it would take 10 GB, and end as unreadable
        decoded(bomb)
    assert failed.value.reason is FailReason.TOO_LARGE


# Broken files


@pytest.mark.parametrize(
    "content",
    [b"", b"\0", bytes(4096), b"Dear diary,\n", b"<html>404</html>", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a"],
)
def test_what_is_no_photo_fails(content):
    with pytest.raises(Failed) as failed:
        decoded(content)
    assert failed.value.reason in NOT_A_PHOTO


def test_a_format_that_is_no_photo_format_is_unsupported(cat):
    with pytest.raises(Failed) as failed:
        decoded(encoded(cat, "PDF"))
    assert failed.value.reason is FailReason.UNSUPPORTED


@pytest.mark.parametrize("kept", [0.001, 0.02, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize(
    "format, options",
    [("JPEG", {}), ("JPEG", {"progressive": True}), *((name, {}) for name in ("PNG", "WEBP", "HEIF", "TIFF", "BMP", "GIF"))],
)
def test_a_truncated_file_fails(cat, format, options, kept):
    content = encoded(cat, format, **options)
    with pytest.raises(Failed) as failed:
        decoded(content[: int(len(content) * kept)])
    assert failed.value.reason in NOT_A_PHOTO


def outcome(content):
    """What becomes of a file; anything but the three typed ends passes through as an error."""
    try:
        return decoded(content)
    except (Failed, Rejected) as ended:
        return ended


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_a_truncated_animation_ends_in_a_typed_reason(cat, format):
    content = animation(cat, format)
    for length in range(0, len(content), 23):
        assert isinstance(outcome(content[:length]), Failed | Rejected)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "HEIF", "TIFF", "BMP", "GIF"])
def test_100_mutations_of_a_file_all_end_as_photo_or_typed_reason(cat, format):
    content = encoded(cat.resize((96, 64)), format, exif=exif_of(Orientation=6, DateTime="2020:01:02 03:04:05"))
    random = np.random.default_rng(1)
    for _ in range(100):
        mutated = bytearray(content)
        # half of them hit the headers, which are where parsers branch
        reach = len(content) if random.random() < 0.5 else 200
        for position in random.integers(reach, size=random.integers(1, 5)):
            mutated[position] = random.integers(256)
        assert isinstance(outcome(bytes(mutated)), Photo | Failed | Rejected)


# Metadata


def at(time, **details):
    return {ExifTags.Base.DateTimeOriginal: time} | {getattr(ExifTags.Base, tag): value for tag, value in details.items()}


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "HEIF", "TIFF"])
def test_the_capture_time_is_naive_where_exif_tells_no_offset(cat, format):
    content = encoded(cat, format, exif=exif_of(at("2021:02:23 17:30:59")))
    assert decoded(content).capture_time == datetime(2021, 2, 23, 17, 30, 59)


@pytest.mark.parametrize("text, hours", [("+02:00", 2), ("-09:30", -9.5), ("Z", 0)])
def test_the_capture_time_is_aware_where_exif_tells_the_offset(cat, text, hours):
    time = decoded(encoded(cat, "JPEG", exif=exif_of(at("2021:02:23 17:30:59", OffsetTimeOriginal=text)))).capture_time
    assert time == datetime(2021, 2, 23, 17, 30, 59, tzinfo=timezone(timedelta(hours=hours)))
    assert time.utcoffset() == timedelta(hours=hours)


def test_an_offset_that_is_none_leaves_the_time_naive(cat):
    time = decoded(encoded(cat, "JPEG", exif=exif_of(at("2021:02:23 17:30:59", OffsetTimeOriginal="noon")))).capture_time
    assert time == datetime(2021, 2, 23, 17, 30, 59)


def test_the_capture_time_falls_back_on_the_time_of_the_file(cat):
    content = encoded(cat, "JPEG", exif=exif_of(DateTime="2021:02:23 17:30:59"))
    assert decoded(content).capture_time == datetime(2021, 2, 23, 17, 30, 59)


@pytest.mark.parametrize(
    "text", ["0000:00:00 00:00:00", "    :  :     :  :  ", "2021:02:30 12:00:00", "yesterday", "", "\0" * 19, 7]
)
def test_a_capture_time_that_is_none_is_none(cat, text):
    assert decoded(encoded(cat, "JPEG", exif=exif_of(at(text)))).capture_time is None


def of_focal_length(value):
    return exif_of({ExifTags.Base.FocalLengthIn35mmFilm: value})


@pytest.mark.parametrize("millimetres, degrees", [(18, 90), (26, 69.39), (50, 39.6), (135, 15.19)])
def test_the_field_of_view_follows_the_focal_length(cat, millimetres, degrees):
    fov = decoded(encoded(cat, "JPEG", exif=of_focal_length(millimetres))).fov
    assert math.degrees(fov) == pytest.approx(degrees, abs=0.01)


@pytest.mark.parametrize("value", [0, 1, 5, 1200, 65535, "wide", (26, 50)])
def test_an_odd_focal_length_gives_the_default_field_of_view(cat, value):
    assert decoded(encoded(cat, "JPEG", exif=of_focal_length(value))).fov == DEFAULT_FOV


def test_without_metadata_there_is_no_time_and_the_default_field_of_view(cat):
    photo = decoded(encoded(cat, "JPEG"))
    assert (photo.capture_time, photo.fov) == (None, DEFAULT_FOV)


@pytest.mark.parametrize("junk", [b"", b"junk", b"II*\0\xff\xff\xff\x7f", b"MM\0*\0\0\0\x08\xff\xff" + b"\x01" * 50])
def test_good_pixels_survive_broken_metadata(cat, junk):
    assert error(decoded(encoded(cat, "JPEG", exif=b"Exif\0\0" + junk)).rgb, cat) < LOSSY


@pytest.mark.parametrize("tag", [ExifTags.Base.Make, ExifTags.Base.Model])
def test_a_photo_of_a_camera_is_told_from_a_picture_of_a_program(cat, tag):
    exif = Image.Exif()
    exif[tag] = "Kodak"
    assert decoded(encoded(cat, "JPEG", exif=exif.tobytes())).from_camera is True
    assert decoded(encoded(cat, "JPEG")).from_camera is False


def test_nothing_that_tells_place_or_camera_leaves_the_decoder(cat):
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (48.0, 51.0, 29.6)
    exif[ExifTags.Base.BodySerialNumber] = "4711"
    photo = decoded(encoded(cat, "JPEG", exif=exif.tobytes()))
    assert (
        {field.name for field in dataclasses.fields(Photo)} == {"rgb", "fov", "capture_time", "from_camera"} == set(vars(photo))
    )
    assert (type(photo.rgb), photo.rgb.dtype, type(photo.fov), photo.capture_time) == (np.ndarray, np.uint8, float, None)
