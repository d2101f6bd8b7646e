"""Colour for video, and frames to an H.264 MP4 (PyAV, libx264), other formats, and a JPEG, all in memory."""

import io
import os
from datetime import UTC, datetime
from fractions import Fraction

import av
import cv2
import numpy as np
from PIL import Image

# On a 10-megapixel portrait at 1080x1440: 45.2 dB, 0.5 MB and 1.5 CPU seconds. CRF 20 gives 46.9 dB for twice the bytes,
# `superfast` 22 saves 0.3 s for four times the bytes.
PRESET, CRF = "veryfast", "23"
# Macroblock-tree rate control reads memory that it has not written: ten encodings of the same
# frames gave nine different files with it and one without, and a rerun must give the same file. It would save 30 % of
# the bytes at equal PSNR.
X264_PARAMETERS = "mbtree=0"
# Reserved in front of the media for the index, so that a browser plays before it has all. 16384 bytes held the
# index of 1200 frames of 64x64, and not of 1800.
INDEX_BYTES, INDEX_BYTES_A_FRAME = 4096, 24
AV1_PRESET, AV1_CRF = "10", "35"  # SVT-AV1: about the bytes of the MP4 at its PSNR (choice)
VP9_CRF = "34"  # where the library was built without AV1
WEBP_QUALITY, WEBP_METHOD = 80, 2  # method: 0 fast to 6 small
PICTURES = ("webp", "gif")
FORMATS = ("mp4", "webm", *PICTURES)
POSTER_QUALITY = 88  # JPEG; about 250 kB at 1080x1440
BT709 = 1  # ITU-T H.273 code point for primaries, transfer and matrix
LIMITED_RANGE = 1  # AVCOL_RANGE_MPEG

# BT.709, limited range: what decoders of H.264 expect. Affine, hence it commutes with bilinear filtering, and the photo
# is converted once rather than every frame.
RGB_TO_YCBCR = np.array([[0.2126, 0.7152, 0.0722], [-0.1146, -0.3854, 0.5], [0.5, -0.4542, -0.0458]])
YCBCR_SCALE, YCBCR_OFFSET = np.array([219.0, 224.0, 224.0]) / 255.0, np.array([16.0, 128.0, 128.0])


def to_ycbcr(rgb):
    """BT.709 limited-range YCbCr (h, w, 3) uint8 of sRGB (h, w, 3) uint8."""
    matrix = np.hstack([RGB_TO_YCBCR * YCBCR_SCALE[:, None], YCBCR_OFFSET[:, None]])
    return cv2.transform(rgb, matrix)


def to_rgb(ycbcr):
    """sRGB (h, w, 3) uint8 of a BT.709 limited-range frame (h, w, 3) uint8."""
    matrix = np.linalg.inv(RGB_TO_YCBCR) / YCBCR_SCALE
    return cv2.transform(ycbcr, np.hstack([matrix, -matrix @ YCBCR_OFFSET[:, None]]))


def jpeg(planes):
    """JPEG bytes of a frame's planes (h * 3 / 2, w) uint8, without any metadata."""
    buffer = io.BytesIO()
    Image.fromarray(to_rgb(yuv444(planes))).save(buffer, "JPEG", quality=POSTER_QUALITY, optimize=True)
    return buffer.getvalue()


def yuv420(frame, out):
    """Writes a (h, w, >=3) uint8 YCbCr 4:4:4 frame into planar 4:2:0 `out` (h * 3 / 2, w); chroma is averaged 2x2."""
    h, w = frame.shape[:2]
    cv2.extractChannel(frame, 0, out[:h])
    for plane in (1, 2):
        chroma = cv2.resize(cv2.extractChannel(frame, plane), (w // 2, h // 2), interpolation=cv2.INTER_AREA)
        start = h + (plane - 1) * h // 4
        out[start : start + h // 4] = chroma.reshape(h // 4, w)
    return out


def yuv444(planes):
    """(h, w, 3) uint8 YCbCr of planar 4:2:0 (h * 3 / 2, w), chroma interpolated."""
    h, w = planes.shape[0] * 2 // 3, planes.shape[1]
    chroma = planes[h:].reshape(2, h // 2, w // 2)
    return cv2.merge([planes[:h], *(cv2.resize(plane, (w, h), interpolation=cv2.INTER_LINEAR) for plane in chroma)])


def video(frames, width, height, fps, capture_time: datetime | None = None, count=None, format="mp4"):
    """Encodes BT.709 limited-range YCbCr frames.

    Args:
      frames: iterable of planar 4:2:0 (height * 3 / 2, width) uint8, as of `yuv420`; each may be overwritten by the next.
      width, height: multiples of 2 and 4.
      fps: frames a second, an integer.
      capture_time: the only metadata the file gets; a naive one is written as if it were UTC, on any machine. GIF and WebP
        hold none.
      count: how many frames there are, where `frames` does not tell.
      format: one of FORMATS.

    Returns:
      bytes of the file, a MP4's with its index in front; the same frames give the same bytes.
    """
    if width % 2 or height % 4:
        raise ValueError(f"width must be even and height a multiple of 4, got {width}x{height}")
    if format in PICTURES:
        return _animation(frames, fps, format)
    count = len(frames) if count is None else count
    buffer = io.BytesIO()
    codec, codec_options, container_options = _codec(format, count)
    with av.open(buffer, "w", format=format, options=container_options) as container:
        if capture_time is not None:
            container.metadata["creation_time"] = (
                capture_time if capture_time.tzinfo else capture_time.replace(tzinfo=UTC)
            ).isoformat()
        stream = container.add_stream(codec, rate=fps, options=codec_options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.thread_count = 1  # one process a core; and threads would change the bits
        context.time_base = Fraction(1, fps)
        context.color_primaries = context.color_trc = context.colorspace = BT709
        context.color_range = LIMITED_RANGE
        for index, planes in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            picture.pts = index
            picture.color_range, picture.colorspace = LIMITED_RANGE, BT709
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _codec(format, count):
    """(codec, its options, the container's) of a format for so many frames."""
    if format == "mp4":
        index = INDEX_BYTES + INDEX_BYTES_A_FRAME * count
        x264 = {"preset": PRESET, "crf": CRF, "x264-params": X264_PARAMETERS}
        return "libx264", x264, {"moov_size": str(index), "fflags": "+bitexact"}
    if "libsvtav1" in av.codecs_available:
        os.environ.setdefault("SVT_LOG", "1")  # errors alone: it greets each film with twenty lines otherwise
        return "libsvtav1", {"preset": AV1_PRESET, "crf": AV1_CRF, "svtav1-params": "lp=1"}, {"fflags": "+bitexact"}
    return "libvpx-vp9", {"deadline": "good", "cpu-used": "4", "crf": VP9_CRF, "b:v": "0"}, {"fflags": "+bitexact"}


def _animation(frames, fps, format):
    """An animated picture that repeats for ever."""
    pictures = (Image.fromarray(to_rgb(yuv444(planes))) for planes in frames)
    if format == "gif":  # every frame its own palette; a GIF counts hundredths of a second, and players slow down below two
        pictures = (picture.quantize(method=Image.Quantize.FASTOCTREE) for picture in pictures)
        options = {"duration": max(10 * round(100 / fps), 20), "optimize": False, "disposal": 1}
    else:
        options = {"duration": round(1000 / fps), "quality": WEBP_QUALITY, "method": WEBP_METHOD}
    buffer, first = io.BytesIO(), next(pictures)
    first.save(buffer, format.upper(), save_all=True, append_images=pictures, loop=0, **options)
    return buffer.getvalue()
