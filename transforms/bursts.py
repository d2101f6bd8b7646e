"""Near-duplicates and bursts: of photos that show the same, one becomes a clip.

A glimpse of a photo costs a fraction of a clip: JPEG files are read at an eighth of their size. Photos are compared where they
share a key: the minute they were taken in, or, where nobody knows it, their whole hash. So a group is small however large the
library is, and where it is not (ten thousand copies of one picture) it is walked through, never gathered.
"""

import dataclasses
import functools
import heapq
import time

import apache_beam as beam
import cv2
import imagehash
import numpy as np
from PIL import Image
from skimage.measure import blur_effect

from transforms import picture
from transforms.decode import guard, guarded
from transforms.elements import Failed, Glimpse, PhotoRef, Rejection, RejectReason

SIDE = 256  # pixels, of what is compared
COMPARED = 512  # photos of a group that may be the one that is kept; a burst has a tenth of them
DISTANCE = 8  # of 64 bits: phash of re-saved copies differs by 0 to 4, of frames of a burst by 0 to 12, of others by some 32
RESIDUAL = 64  # pixels a side, at which the spectral residual is taken, as its authors do
SMALLEST = 16  # pixels, of a side whose blur can be told: the measure's window is 11
MINUTE = "%Y-%m-%dT%H:%M"


def sharpness(pixels):
    """In [0, 1], of (h, w) uint8 luma; 0 where there is too little to tell."""
    return 1.0 - float(blur_effect(pixels)) if min(pixels.shape) > SMALLEST and np.ptp(pixels) else 0.0


def salient_part(pixels):
    """The part of (h, w) uint8 luma, half as high and half as wide, that holds most of what stands out.

    By the spectral residual (Hou and Zhang 2007), before any network runs: of two frames the one whose subject is sharp
    is better than the one whose background is.
    """
    height, width = pixels.shape
    spectrum = np.fft.fft2(cv2.resize(pixels, (RESIDUAL, RESIDUAL), interpolation=cv2.INTER_AREA).astype(np.float64))
    logs = np.log(np.abs(spectrum) + 1e-9)
    residual = logs - cv2.blur(logs, (3, 3), borderType=cv2.BORDER_REFLECT)
    standing_out = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    held = cv2.boxFilter(standing_out, -1, (RESIDUAL // 2,) * 2, borderType=cv2.BORDER_CONSTANT)
    inside = held[RESIDUAL // 4 : -RESIDUAL // 4, RESIDUAL // 4 : -RESIDUAL // 4]  # parts that do not reach beyond the picture
    y, x = np.unravel_index(inside.argmax(), inside.shape)
    top, left = round(y / RESIDUAL * height), round(x / RESIDUAL * width)
    return pixels[top : top + height // 2, left : left + width // 2]


def glimpse(child, data, max_megapixels):
    """Glimpse of a file's bytes, read in a decoding child; None where there is nothing to compare."""
    start = time.thread_time() + child.cpu_seconds
    try:
        seen = guarded(child, picture.shrink, data, max_megapixels, SIDE)
    except Failed:
        seen = None
    if seen is None:
        return None
    pixels, taken = seen
    sharp = (sharpness(pixels) + sharpness(salient_part(pixels))) / 2
    minute = taken.strftime(MINUTE) if taken else None
    phash = str(imagehash.phash(Image.fromarray(pixels)))
    return Glimpse(phash, sharp, minute, time.thread_time() + child.cpu_seconds - start)


def distance(one, other):
    """Bits by which two hashes (hex digits) differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


@dataclasses.dataclass(frozen=True)
class Member:
    """A photo of a group: a new one with its PhotoRef, or one that has a clip from an earlier night, without."""

    photo_id: str
    glimpse: Glimpse
    ref: PhotoRef | None = None

    @property
    def key(self):
        return self.glimpse.minute or self.glimpse.phash

    @property
    def rank(self):
        """The higher is kept: a clip that is there already, else the sharper; the id makes it one order on any machine."""
        return self.ref is None, self.glimpse.sharpness, self.photo_id


def choose(members, limit, fingerprint):
    """Parts a group.

    Args:
      members: iterable of Member that can be walked twice, in any order.
      limit: bits that hashes of photos that show the same may differ by.
      fingerprint: of the configuration, for records.

    Yields:
      PhotoRefs of new photos that are kept, Rejections of the others, with the id of the kept one.
    """
    kept = []
    for member in heapq.nlargest(COMPARED, members, key=lambda member: member.rank):
        if all(distance(member.glimpse.phash, other.glimpse.phash) > limit for other in kept):
            kept.append(member)
    chosen = {member.photo_id for member in kept}
    for member in members:
        if member.ref is None:
            continue
        near = [(distance(member.glimpse.phash, other.glimpse.phash), other.photo_id) for other in kept]
        bits, nearest = min(near)
        if member.photo_id in chosen or bits > limit:
            yield member.ref
            continue
        yield Rejection(
            photo_id=member.photo_id,
            path=member.ref.path,
            version=member.ref.version,
            digest=member.ref.digest,
            fingerprint=fingerprint,
            stage="bursts",
            reason=str(RejectReason.NEAR_DUPLICATE),
            detail=f"Shows what {nearest} shows, {bits} of 64 bits apart.",
            artifact_score=None,
            cpu_seconds={"glimpse": member.glimpse.cpu_seconds},
        )


class Glance(beam.DoFn):
    """PhotoRef to the same with its Glimpse, where there is one, and the digest of its bytes.

    Args:
      read: `read(ref)` gives the file's bytes or raises Failed.
      digest: `digest(bytes)` is what records hold.
      max_megapixels: see `transforms.picture`.
      open_child: gives the decoding child.
    """

    def __init__(self, read, digest, max_megapixels, open_child):
        self.read, self.digest, self.max_megapixels = read, digest, max_megapixels
        self.open_child, self.child = open_child, None
        self.cpu = beam.metrics.Metrics.distribution("cinematic", "glimpse_cpu_ms")

    def setup(self):
        self.child = self.open_child()

    def process(self, ref):
        try:
            data = self.read(ref)
        except Failed:  # what reads it again says why it cannot
            yield ref
            return
        found = glimpse(self.child, data, self.max_megapixels)
        if found:
            self.cpu.update(round(1000 * found.cpu_seconds))
        yield dataclasses.replace(ref, glimpse=found, digest=self.digest(data))


ALONE, DUPLICATES = "alone", "duplicates"  # outputs beside the photos that are kept


class KeepBest(beam.PTransform):
    """(new PhotoRefs, Candidates of earlier nights) to {"kept": new PhotoRefs worth a clip, "duplicates": Rejections}."""

    def __init__(self, read, digest, max_megapixels, limit, fingerprint, seconds=None):
        super().__init__()
        self.glance = Glance(read, digest, max_megapixels, functools.partial(guard, max_megapixels, seconds))
        self.limit, self.fingerprint = limit, fingerprint

    def expand(self, inputs):
        new, candidates = inputs

        def part(ref):
            yield beam.pvalue.TaggedOutput(ALONE, ref) if ref.glimpse is None else Member(ref.photo_id, ref.glimpse, ref)

        def known(candidate):
            if candidate.phash:
                minute = candidate.capture_time[:16] if candidate.capture_time else None
                yield Member(candidate.photo_id, Glimpse(candidate.phash, candidate.sharpness, minute, 0.0))

        def pick(group, limit, fingerprint):
            for value in choose(group[1], limit, fingerprint):
                yield value if isinstance(value, PhotoRef) else beam.pvalue.TaggedOutput(DUPLICATES, value)

        glimpsed = new | "Glance" >> beam.ParDo(self.glance)
        parts = glimpsed | "Part" >> beam.FlatMap(part).with_outputs(ALONE, main="grouped")
        picked = (
            (parts.grouped, candidates | "Known" >> beam.FlatMap(known))
            | beam.Flatten()
            | "Key" >> beam.Map(lambda member: (member.key, member))
            | beam.GroupByKey()
            | "Pick" >> beam.FlatMap(pick, self.limit, self.fingerprint).with_outputs(DUPLICATES, main="kept")
        )
        return {"kept": (picked.kept, parts[ALONE]) | "Worth" >> beam.Flatten(), DUPLICATES: picked[DUPLICATES]}
