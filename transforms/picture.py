"""Photo bytes, whatever camera or program wrote them, to upright sRGB pixels.

Everything that hostile bytes are fed to is here, and nothing else is imported: `transforms.decode` calls it in a child process.
"""

import io
import math
import warnings
from datetime import datetime

import numpy as np
import pillow_heif
from PIL import ExifTags, Image, ImageCms, ImageOps

from renderer.camera import DEFAULT_FOV
from transforms.elements import Failed, FailReason, Photo, Rejected, RejectReason

FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "GIF", "TIFF", "BMP")  # JPEG opens MPO, too
FOV_RANGE = (math.radians(12), math.radians(110))  # 170 mm to 13 mm: beyond it EXIF is as likely wrong as right
FULL_FRAME_MM = 36.0  # long side of the film that EXIF's 35 mm equivalent refers to


def read_capture_time(exif):
    """datetime of EXIF's DateTimeOriginal, aware where OffsetTimeOriginal is there; None where it is not a time."""
    details = exif.get_ifd(ExifTags.IFD.Exif)
    text = details.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime)
    try:
        time = datetime.strptime(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None
    try:
        offset = datetime.strptime(str(details.get(ExifTags.Base.OffsetTimeOriginal)).strip("\0 "), "%z").tzinfo
    except ValueError:
        return time
    return time.replace(tzinfo=offset)


def read_fov(exif):
    """Radians across the long side from EXIF's 35 mm equivalent focal length, or the default where it is silent or odd."""
    try:
        focal = float(exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.FocalLengthIn35mmFilm) or 0)
    except (TypeError, ValueError, ZeroDivisionError):
        return DEFAULT_FOV
    if not focal > 0:
        return DEFAULT_FOV
    fov = 2 * math.atan(FULL_FRAME_MM / 2 / focal)
    return fov if FOV_RANGE[0] <= fov <= FOV_RANGE[1] else DEFAULT_FOV


def to_srgb(image):
    """An upright PIL image of any mode to (h, w, 3) uint8 sRGB; transparency is laid on white."""
    if image.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
        values = np.asarray(image, np.float32)
        if image.mode == "F":  # floats from 0 to 1 by custom, else in steps of 8 or 16 bits
            white = next((top for top in (1.0, 255.0) if values.max() <= top), 65535.0)
        else:  # 16-bit greys come as I;16 or, from some files, as I
            white = 65535.0
        image = Image.fromarray((np.clip(values / white, 0, 1) * 255 + 0.5).astype(np.uint8))
    if image.mode in ("P", "PA", "LA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
    profile = image.info.get("icc_profile")
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image).convert("RGB")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            image = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a profile of another colour model than the pixels, or a broken one: every viewer ignores it, too
    return np.asarray(image.convert("RGB"))


def decode(data: bytes, max_megapixels: float, min_side: int) -> Photo:
    """Decodes a photo.

    Args:
      data: bytes of the file.
      max_megapixels: refused above it, from the header, before any pixel is decoded.
      min_side: pixels; below it the photo is rejected.

    Returns:
      Photo. Of the metadata it keeps the capture time, the field of view, and whether a camera is named.

    Raises:
      Failed: unreadable, unsupported, or too large.
      Rejected: too small, or animated.
      MemoryError: where the process is bounded.
    """
    pillow_heif.register_heif_opener()
    Image.MAX_IMAGE_PIXELS = None  # our own bound, below, is typed and tunable
    if not data:
        raise Failed(FailReason.UNREADABLE, "The file is empty.")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    # A parser fed with hostile bytes raises whatever it trips over: OSError, SyntaxError, struct.error, KeyError...
    except Exception as error:
        begins = [name for name in FORMATS if (accepts := Image.OPEN[name][1]) and accepts(data[:16]) is True]
        if begins:
            raise Failed(FailReason.UNREADABLE, f"What begins as {begins[0]} cannot be read on.") from error
        raise Failed(FailReason.UNSUPPORTED, f"No photo format is recognised ({type(error).__name__}).") from error
    width, height = image.size
    if width * height > max_megapixels * 1e6:
        raise Failed(FailReason.TOO_LARGE, f"{width}x{height} pixels are above {max_megapixels:g} megapixels.")
    if min(width, height) < min_side:
        raise Rejected(RejectReason.TOO_SMALL, f"{width}x{height} pixels, the short side is below {min_side}.")
    try:
        if image.format in ("GIF", "WEBP", "PNG") and getattr(image, "is_animated", False):
            raise Rejected(RejectReason.ANIMATED, f"The file is an animation of {image.n_frames} pictures.")
        image.load()
    except (Rejected, MemoryError):
        raise
    except Exception as error:
        raise Failed(FailReason.UNREADABLE, f"The pixels cannot be decoded ({type(error).__name__}).") from error
    try:
        exif = image.getexif()
        fov, capture_time = read_fov(exif), read_capture_time(exif)
        from_camera = bool(exif.get(ExifTags.Base.Make) or exif.get(ExifTags.Base.Model))
        upright = ImageOps.exif_transpose(image)
    except MemoryError:
        raise
    except Exception:  # broken metadata around good pixels: the photo is worth more than its EXIF
        fov, capture_time, from_camera, upright = DEFAULT_FOV, None, False, image
    try:
        rgb = to_srgb(upright)
    except MemoryError:
        raise
    except Exception as error:
        raise Failed(FailReason.UNREADABLE, f"The colours cannot be converted ({type(error).__name__}).") from error
    return Photo(rgb=rgb, fov=fov, capture_time=capture_time, from_camera=from_camera)


def shrink(data, max_megapixels, side):
    """A hasty look at a photo: JPEG files are read at an eighth of their size.

    Args:
      data: bytes of the file.
      max_megapixels: see `decode`.
      side: pixels that the long side is at most.

    Returns:
      ((h, w) uint8 luma, not turned upright; datetime of capture or None), or None where there is nothing to see.
    """
    pillow_heif.register_heif_opener()
    Image.MAX_IMAGE_PIXELS = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            if image.width * image.height > max_megapixels * 1e6 or getattr(image, "is_animated", False):
                return None
            taken = read_capture_time(image.getexif())
            image.draft("L", (side, side))
            small = image.convert("L")
            small.thumbnail((side, side))
    # Hostile bytes raise whatever a parser trips over; here it only means that there is nothing to compare.
    except Exception:
        return None
    return np.asarray(small), taken
