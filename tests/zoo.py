"""A library as hostile as they come: files of every kind, whole, broken and in disguise, and what must become of each.

Every photo tells in its metadata where, by whom and with what it was taken: `CANARIES`, none of which may leave the library.
"""

import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
from PIL import ExifTags, Image, ImageCms, PngImagePlugin
from skimage import data

CANARIES = {
    "owner": b"Canary Owner Ottilie",
    "serial": b"SN-CANARY-0815",
    "comment": b"canary comment: key is under the mat",
    "face": b"Canary Face Friedrich",
    "place": b"Canary Lane 7",
}
LATITUDE = (12.0, 34.0, 56.78)
SECONDS = struct.pack(">II", 2839, 50)  # how EXIF holds the last of them
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><mwg-rs:RegionList><mwg-rs:Name>'
    + CANARIES["face"]
    + b"</mwg-rs:Name></mwg-rs:RegionList><photoshop:City>"
    + CANARIES["place"]
    + b"</photoshop:City></x:xmpmeta>"
)
PHOTO = Image.fromarray(data.chelsea())  # 451x300
CLIP = "clip"


def exif(orientation=1):
    tags = Image.Exif()
    tags[ExifTags.Base.Make], tags[ExifTags.Base.Orientation] = "Canon", orientation
    tags[ExifTags.Base.Artist] = CANARIES["owner"].decode()
    tags[ExifTags.Base.ImageDescription] = CANARIES["comment"].decode()
    details = tags.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = "2020:01:01 10:00:00"
    details[ExifTags.Base.BodySerialNumber] = CANARIES["serial"].decode()
    details[ExifTags.Base.CameraOwnerName] = CANARIES["owner"].decode()
    tags.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = LATITUDE
    return tags.tobytes()


def saved(image, kind, *others, **options):
    """Bytes of a file of one picture or several."""
    file, more = io.BytesIO(), {"save_all": True, "append_images": [other.copy() for other in others]} if others else {}
    image.copy().save(file, kind, **more, **options)  # copies: what one encoder leaves in an image confuses the next
    return file.getvalue()


def jpeg(image=PHOTO, **options):
    return saved(image, "JPEG", **{"exif": exif(), "xmp": XMP, "comment": CANARIES["comment"], **options})


def _segment(marker, content):
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _after_start(content, *segments):
    """A JPEG file with segments put in after its first marker."""
    return content[:2] + b"".join(segments) + content[2:]


def _exif_loop():
    """EXIF whose directory says that the next one is itself."""
    entry = struct.pack(">HHI4s", 0x010F, 2, 4, b"abc\0")
    return b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 1) + entry + struct.pack(">I", 8)


def _png(width, height, pixels=b""):
    """A PNG file of grey pixels whose header says what it likes."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(pixels, 9)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _text_bomb():
    """A PNG file with a caption of 100 MB, packed to 100 KB."""
    told = PngImagePlugin.PngInfo()
    told.add_text("Comment", "a" * 100_000_000, zip=True)
    return saved(PHOTO, "PNG", pnginfo=told)


def _sized(content, width, height):
    """A JPEG file whose frame header says another size."""
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + struct.pack(">HH", height, width) + content[at + 4 :]


def _heif(*images):
    pillow_heif.register_heif_opener()
    return saved(images[0], "HEIF", *images[1:], exif=exif(), xmp=XMP)


def animals():
    """{name as bytes: (content, what must become of it)}: `clip`, or the reason of a rejection or failure."""
    rgb, grey = np.asarray(PHOTO), np.asarray(PHOTO.convert("L"))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    whole, turned = jpeg(), PHOTO.rotate(180)
    png, webp, gif, heic = saved(PHOTO, "PNG"), saved(PHOTO, "WEBP"), saved(PHOTO, "GIF"), _heif(PHOTO)
    tiff = saved(PHOTO, "TIFF", compression="tiff_lzw")
    sixteen = cv2.imencode(".png", rgb.astype(np.uint16) * 257)[1].tobytes()
    good = {
        "baseline.jpg": whole,
        "progressive.jpg": jpeg(progressive=True),
        "grey.jpg": jpeg(PHOTO.convert("L")),
        "cmyk.jpg": jpeg(PHOTO.convert("CMYK")),
        "cmyk with the profile of a screen.jpg": jpeg(PHOTO.convert("CMYK"), icc_profile=srgb),
        "with a profile.jpg": jpeg(icc_profile=srgb),
        "with a broken profile.jpg": jpeg(icc_profile=b"no profile"),
        **{f"orientation {turn}.jpg": jpeg(exif=exif(turn)) for turn in range(1, 9)},
        "orientation 77.jpg": jpeg(exif=exif(77)),
        "huge metadata.jpg": _after_start(whole, *[_segment(0xE5, bytes(65_000))] * 320),
        "exif in a loop.jpg": _after_start(saved(PHOTO, "JPEG"), _segment(0xE1, _exif_loop())),
        "exif of garbage.jpg": _after_start(saved(PHOTO, "JPEG"), _segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff")),
        "with a film behind it.jpg": whole + b"\0\0\0\x18ftypmp42" + bytes(100_000),
        "two views.jpg": saved(PHOTO, "MPO", turned),
        "colour.png": png,
        "16 bit.png": sixteen,
        "16 bit grey.png": saved(Image.fromarray(grey.astype(np.uint16) * 257), "PNG"),
        "palette.png": saved(PHOTO.convert("P", palette=Image.Palette.ADAPTIVE), "PNG"),
        "see-through.png": saved(PHOTO.convert("RGBA"), "PNG"),
        "grey and see-through.png": saved(PHOTO.convert("LA"), "PNG"),
        "still.webp": webp,
        "lossless.webp": saved(PHOTO, "WEBP", lossless=True, exif=exif()),
        "still.gif": gif,
        "one.heic": heic,
        "several.heic": _heif(PHOTO, turned),
        "grey.heic": _heif(PHOTO.convert("L")),
        "lzw.tif": tiff,
        "as jpeg.tif": saved(PHOTO, "TIFF", compression="jpeg"),
        "cmyk.tif": saved(PHOTO.convert("CMYK"), "TIFF"),
        "16 bit grey.tif": saved(Image.fromarray(grey.astype(np.uint16) * 257), "TIFF"),
        "float.tif": saved(Image.fromarray(grey.astype(np.float32) / 255), "TIFF"),
        "pages.tif": saved(PHOTO, "TIFF", turned),
        "plain.bmp": saved(PHOTO, "BMP"),
        "a png really.jpg": png,
        "a jpeg really.png": whole,
        "two\nlines.jpg": whole,
        "..jpg.jpg": whole,
        "<script>alert('x')</script>".replace("/", "_") + ".jpg": whole,
        "-rf *.jpg": whole,
        f"{'long' * 60}.jpg": whole,
        "日本 🏔.jpg": whole,
    }
    bad = {
        "nothing.jpg": (b"", "unreadable"),
        "ten bytes.jpg": (whole[:10], "unreadable"),
        "half.jpg": (whole[: len(whole) // 2], "unreadable"),
        "all but the end.jpg": (whole[: len(whole) - len(whole) // 20], "unreadable"),
        "head alone.jpg": (whole[: whole.index(b"\xff\xda")], "unreadable"),
        "half.png": (png[: len(png) // 2], "unreadable"),
        "half.webp": (webp[: len(webp) // 2], "unreadable"),
        "half.tif": (tiff[: len(tiff) // 2], "unreadable"),
        "half.gif": (gif[: len(gif) // 2], "unreadable"),
        "half.heic": (heic[: len(heic) // 2], "unreadable"),
        "letter.jpg": (b"Dear reader, this is no photo.\n" * 50, "unsupported"),
        "page.jpg": (b"<!doctype html><title>404</title>", "unsupported"),
        "drawing.jpg": (b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>', "unsupported"),
        "script.jpg": (b"%!PS-Adobe-3.0\n(%pipe%touch /tmp/owned) (w) file\n", "unsupported"),
        "film.jpg": (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(5000), "unsupported"),
        "archive.jpg": (b"PK\x03\x04" + bytes(5000), "unsupported"),
        "noise.jpg": (np.random.default_rng(1).bytes(50_000), "unsupported"),
        "ends of the earth.jpg": (_sized(whole, 65_500, 65_500), "too_large"),
        "bomb.png": (_png(30_000, 30_000, bytes(1_000_000)), "too_large"),
        "bomb of words.png": (_text_bomb(), "unreadable"),
        "wide as the ocean.gif": (b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + gif[10:], "too_large"),
        "one pixel.png": (_png(1, 1, b"\0\0"), "too_small"),
        "a line.png": (_png(30_000, 10, bytes(300_010)), "too_small"),
        "moving.gif": (saved(PHOTO, "GIF", turned, duration=100), "animated"),
        "moving.webp": (saved(PHOTO, "WEBP", turned, duration=100), "animated"),
        "moving.png": (saved(PHOTO, "PNG", turned, duration=100), "animated"),
        "a wall.jpg": (jpeg(Image.fromarray(np.tile(rgb, (1, 6, 1)))), "panorama"),
        "night.jpg": (jpeg(Image.fromarray(rgb // 40)), "dark"),
        "snow.jpg": (jpeg(Image.fromarray(rgb // 10 + 230)), "blown_out"),
    }
    named = {os.fsencode(name): (content, CLIP) for name, content in good.items()}
    named |= {os.fsencode(name): value for name, value in bad.items()}
    return named | {b"caf\xe9.jpg": (whole, CLIP), b"\xff\xfe.png": (png, CLIP)}


def build(folder):
    """Writes the zoo below a folder; returns {name as bytes: what must become of it}."""
    root = os.fsencode(folder)
    expected = {}
    for name, (content, end) in animals().items():
        Path(os.fsdecode(os.path.join(root, name))).write_bytes(content)
        expected[name] = end
    below = Path(folder)
    (below / "album.jpg").mkdir()  # a folder in the disguise of a photo
    (below / "album.jpg" / "a.jpg").write_bytes(jpeg())
    (below / "album.jpg" / "round and round").symlink_to(below)
    (below / "link.jpg").symlink_to(below / "baseline.jpg")
    (below / "link to nowhere.jpg").symlink_to(below / "gone.jpg")
    (below / "link to itself.jpg").symlink_to(below / "link to itself.jpg")
    (below / "locked.jpg").symlink_to("/proc/self/mem")  # which not even root reads at its start
    os.mkfifo(below / "pipe.jpg")
    with open(below / "disk.jpg", "wb") as file:
        file.truncate(600 << 20)
    links = {b"album.jpg/a.jpg": CLIP, b"link.jpg": CLIP, b"link to nowhere.jpg": "missing", b"link to itself.jpg": "no_access"}
    return expected | links | {b"locked.jpg": "no_access", b"disk.jpg": "too_large"}
