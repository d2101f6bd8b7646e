"""Colour for video, and frames to an H.264 MP4 (PyAV, libx264) and a JPEG in memory."""

import io
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
    """sRGB (h, w, 3) uint8 of a BT.709 limited-range frame (h, w, >=3) uint8."""
    scaled = (ycbcr[..., :3].astype(np.float32) - YCBCR_OFFSET.astype(np.float32)) / YCBCR_SCALE.astype(np.float32)
    rgb = cv2.transform(scaled, np.linalg.inv(RGB_TO_YCBCR).astype(np.float32))
    return np.clip(rgb + 0.5, 0, 255).astype(np.uint8)


def jpeg(ycbcr):
    """JPEG bytes of a frame (h, w, >=3) uint8, without any metadata."""
    buffer = io.BytesIO()
    Image.fromarray(to_rgb(ycbcr)).save(buffer, "JPEG", quality=POSTER_QUALITY, optimize=True)
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


def mp4(frames, width, height, fps, capture_time: datetime | None = None, count=None):
    """Encodes BT.709 limited-range YCbCr frames.

    Args:
      frames: iterable of (height, width, >=3) uint8.
      width, height: multiples of 2 and 4.
      fps: frames a second, an integer.
      capture_time: the only metadata the file gets; a naive one is written as if it were UTC, on any machine.
      count: how many frames there are, where `frames` does not tell.

    Returns:
      bytes of an MP4 with its index in front; the same frames give the same bytes.
    """
    if width % 2 or height % 4:
        raise ValueError(f"width must be even and height a multiple of 4, got {width}x{height}")
    buffer = io.BytesIO()
    index = INDEX_BYTES + INDEX_BYTES_A_FRAME * (len(frames) if count is None else count)
    options = {"moov_size": str(index), "fflags": "+bitexact"}
    with av.open(buffer, "w", format="mp4", options=options) as container:
        if capture_time is not None:
            container.metadata["creation_time"] = (
                capture_time if capture_time.tzinfo else capture_time.replace(tzinfo=UTC)
            ).isoformat()
        x264 = {"preset": PRESET, "crf": CRF, "x264-params": X264_PARAMETERS}
        stream = container.add_stream("libx264", rate=fps, options=x264)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.thread_count = 1  # one process a core; and threads would change the bits
        context.time_base = Fraction(1, fps)
        context.color_primaries = context.color_trc = context.colorspace = BT709
        context.color_range = LIMITED_RANGE
        planes = np.empty((height * 3 // 2, width), np.uint8)
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(yuv420(frame, planes), format="yuv420p")
            picture.pts = index
            picture.color_range, picture.colorspace = LIMITED_RANGE, BT709
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return buffer.getvalue()
