"""What the networks are trained on: photos with whatever labels there are, read once into memory, cropped at random.

A source (one table of the training configuration) is a folder of photos with any of

    depth    measured depth (`metres_per_unit`, dequantised), or folders of `<stem>.depth.png`: the first one tells the
             layout, the others what is finer than DETAIL. A teacher that sees more pixels has sharper outlines and a
             worse layout.
    people   a folder of person masks and/or a folder of `<stem>.regions.png`
    fixation a folder of density maps or of `<stem>.saliency.png`
    object   a folder of masks of the salient object, or of `<stem>.saliency.png`

`weight` says how often its photos are drawn, and `people_weight`, on top of that, those of them that show people.

Paths are relative to `--data` for photos and measured truth, to `--labels` for predictions ("labels:" in front). What
`is_held_out` says is never trained on: `models.evaluate` measures there.

Predicted depth is sharpened with the photo and the person mask before it teaches (`models.outlines`). A share of the samples
is composed: a person cut out of one photo stands in another, at a depth that the floor below the feet tells.
"""

import dataclasses
import os
import re
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import keras
import numpy as np
from PIL import Image, ImageOps

from models.outlines import pull_person_forward, snap_edges

IGNORE = 255
STORED_SHORT_SIDE = (
    480  # at most: the smallest crop (below) is then about as sharp as what inference sees, 288 to 384 pixels high
)
PHOTO_ENDINGS = (".jpg", ".jpeg", ".png")
CROP_SHARE = (0.62, 1.0)  # of the largest crop that fits: subjects appear up to 1.6 times larger than in the whole photo
ASPECT_JITTER = 0.2  # log range: photos squeezed by 20 % are still plausible, and some sources come squashed
HOLD_OUT = 10  # every tenth photo, by a checksum of its name
# Frames of NYU Depth v2: neighbours show the same room, so that whole ranges are held out; these two have people in them.
NYU, NYU_HELD_OUT = "nyu_v2_labeled", (range(200, 250), range(500, 550))
SNAP_SHARE = 0.02  # of the short side: the teachers' ramps at an outline are 7 to 12 wide at 352 pixels
# Of the short side. TCMonoDepth at 384 had 0.391 soft-edge F1 and an rmse/std of 0.556 on the development sets, at 256 0.343 and
# 0.493; joined at 0.02 it is 0.394 and 0.492, at 0.08 0.395 and 0.499.
DETAIL = 0.02
SPECK = 5e-4  # of the picture: person masks of several sets have holes and crumbs of this size
COMPOSED_HEIGHT = (np.log(0.2), np.log(1.1))  # of the picture that a pasted person takes, even in its logarithm
SHOWS_PEOPLE = 0.005  # of the photo from which `people_weight` counts
LABEL_ENTRIES = {  # label of a Sample: entries of a source that bring it
    "depth": ("metric_depth", "depth"),
    "regions": ("person_masks", "regions"),
    "fixation": ("fixation",),
    "object": ("object",),
}
BAND = 0.006  # of the short side, on each side of a pseudo-label's outline that are not trusted


def is_held_out(folder, stem):
    """Whether the photo `stem` of the set that `folder` (relative to the data) lies in is for measuring, not for training."""
    if Path(folder).parts[:1] == (NYU,):
        number = int(re.sub(r"\D", "", stem) or -1)
        return any(number in block for block in NYU_HELD_OUT)
    return zlib.crc32(stem.encode()) % HOLD_OUT == 0


@dataclasses.dataclass(frozen=True)
class Sample:
    """One photo and its labels, all (h, w) alike; a label that is not there is None.

    Attributes:
      photo: (h, w, 3) uint8 sRGB.
      depth: (h, w) float16 relative inverse depth, standardised.
      regions: (h, w) uint8: 0 background, 1 body, 2 head, 255 unknown.
      fixation, object: (h, w) uint8, 255 = certain.
      weight: how often this sample is drawn relative to others.
      cut_out: the person mask is a person's own, exact enough to be pasted elsewhere.
    """

    photo: np.ndarray
    depth: np.ndarray | None
    regions: np.ndarray | None
    fixation: np.ndarray | None
    object: np.ndarray | None
    weight: float = 1.0
    cut_out: bool = False


def _grey(path):
    image = np.asarray(Image.open(path))
    if image.ndim != 2:
        raise ValueError(f"{path}: wants one channel, has shape {image.shape}")
    return image


def _fit(array, shape, interpolation=cv2.INTER_AREA):
    return cv2.resize(array, shape[::-1], interpolation=interpolation)


def _standardise(depth):
    depth = depth - np.median(depth)
    return depth / (np.abs(depth).mean() + 1e-6)


def _dequantised(units):
    """Undoes 8-bit steps: the smoothest map that rounds to the same units (so that gradients are not staircases)."""
    smooth = units.astype(np.float32)
    for sigma in np.linspace(6, 2, 12):
        smooth = np.clip(cv2.GaussianBlur(smooth, (0, 0), sigma), units - 0.5, units + 0.5)
    return smooth


class Folders:
    """Finds a source's files below the two roots."""

    def __init__(self, data, labels):
        self.data, self.labels = Path(data), Path(labels)

    def find(self, entry, stem, ending):
        root = self.labels if entry.startswith("labels:") else self.data
        path = root / entry.removeprefix("labels:") / f"{stem}{ending}"
        return path if path.exists() else None


def _read_depth(source, stem, folders, shape):
    if measured := source.get("metric_depth"):
        path = folders.find(measured, stem, ".png")
        if path is None:
            return None
        metres = _dequantised(_grey(path)) * source["metres_per_unit"]
        return _standardise(_fit(1.0 / np.maximum(metres, 0.1), shape))
    depth = None
    for entry in source.get("depth", []):
        if path := folders.find(entry, stem, ".depth.png"):
            finer = _standardise(_fit(_grey(path).astype(np.float32), shape, cv2.INTER_LINEAR))
            depth = finer if depth is None else _detailed(depth, finer)
    return None if depth is None else _standardise(depth)


def _detailed(depth, finer):
    """The layout of one depth map with the outlines of another of the same scene, both standardised."""
    sigma = DETAIL * min(depth.shape)
    a, b = depth - depth.mean(), finer - finer.mean()
    finer = finer * max((a * b).mean() / (b * b).mean(), 0.0)
    return depth + (finer - depth) - cv2.GaussianBlur(finer - depth, (0, 0), sigma)


def _sharpened(depth, photo, regions):
    """A predicted depth map with its outlines on the photo's, and its people in front where a mask knows them."""
    low, high = np.percentile(depth, (0.5, 99.5))
    unit = np.clip((depth - low) / (high - low + 1e-6), 0, 1).astype(np.float32)
    if regions is not None:
        unit = pull_person_forward(unit, (regions > 0) & (regions != IGNORE))
    lab = cv2.cvtColor(cv2.GaussianBlur(photo, (0, 0), 0.8).astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    return _standardise(cv2.medianBlur(snap_edges(unit, lab, max(2, round(SNAP_SHARE * min(unit.shape)))), 3))


def _without_specks(mask):
    """A bool mask with its smallest holes filled and its smallest pieces gone."""
    for value in (0, 1):
        _, pieces, stats, _ = cv2.connectedComponentsWithStats((mask == value).astype(np.uint8), connectivity=4)
        small = stats[:, cv2.CC_STAT_AREA] < SPECK * mask.size
        small[0] = False  # whatever has the other value
        mask = mask ^ small[pieces]
    return mask


def _read_regions(source, stem, folders, shape):
    mask = labels = None
    if "person_masks" in source and (path := folders.find(source["person_masks"], stem, ".png")):
        mask = _without_specks(_fit((_grey(path) > 127).astype(np.float32), shape) > 0.5)
    if "regions" in source and (path := folders.find(source["regions"], stem, ".regions.png")):
        labels = _fit(_grey(path), shape, cv2.INTER_NEAREST)
    if mask is None and labels is None:
        return np.zeros(shape, np.uint8) if source.get("no_people") else None
    if labels is None:
        return np.where(mask, 1, 0).astype(np.uint8)
    if mask is None:
        person = (labels > 0).astype(np.uint8)
        kernel = np.ones((2 * max(1, round(BAND * min(shape))) + 1,) * 2, np.uint8)
        unsure = cv2.dilate(person, kernel) != cv2.erode(person, kernel)
        return np.where(unsure, IGNORE, labels).astype(np.uint8)
    # The mask says where a person is; the label nearest by inside it says which part. Half a head is a head.
    if (labels > 0).any():
        seeds = np.where(mask, labels, 0)
        near = cv2.distanceTransformWithLabels((seeds == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
        distance, index = near
        part = np.zeros(index.max() + 1, np.uint8)
        part[index[seeds > 0]] = seeds[seeds > 0]
        parts = np.where(distance < 0.06 * max(shape), part[index], 1)
    else:
        parts = 1
    regions = np.where(mask, parts, 0)
    if source.get("bystanders_unlabelled"):
        regions = np.where(~mask & (labels > 0), IGNORE, regions)
    return regions.astype(np.uint8)


def _shows_people(regions):
    return regions is not None and ((regions > 0) & (regions != IGNORE)).mean() > SHOWS_PEOPLE


def _read_map(entry, stem, folders, shape):
    for ending in (".saliency.png", ".png"):
        if entry and (path := folders.find(entry, stem, ending)):
            return _fit(_grey(path), shape)
    return None


def read_source(source, data, labels):
    """Reads one source of the configuration. Returns a list of Sample.

    Raises:
      ValueError: it has no photo, or names labels of a kind that not one of its photos has.
    """
    folders = Folders(data, labels)
    paths = sorted(p for p in (Path(data) / source["photos"]).glob("*") if p.suffix.lower() in PHOTO_ENDINGS)
    paths = [path for path in paths if not is_held_out(source["photos"], path.stem)]
    if not paths:
        raise ValueError(f"no photo in {Path(data) / source['photos']}")

    def read(path):
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        scale = min(1.0, STORED_SHORT_SIDE / min(image.size))  # never enlarged: crops are, where they must be
        shape = tuple(max(1, round(s * scale)) for s in image.size[::-1])
        photo = np.asarray(image.resize(shape[::-1], Image.BOX))
        depth = _read_depth(source, path.stem, folders, shape)
        regions = _read_regions(source, path.stem, folders, shape)
        if depth is not None and "depth" in source:
            depth = _sharpened(depth, photo, regions)
        return Sample(
            photo=photo,
            depth=None if depth is None else depth.astype(np.float16),
            regions=regions,
            fixation=_read_map(source.get("fixation"), path.stem, folders, shape),
            object=_read_map(source.get("object"), path.stem, folders, shape),
            weight=source.get("weight", 1.0) * (source.get("people_weight", 1.0) if _shows_people(regions) else 1.0),
            cut_out=source.get("cut_out", False) and depth is not None and regions is not None,
        )

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        samples = list(pool.map(read, paths))
    for label, entries in LABEL_ENTRIES.items():
        named = [str(source[entry]) for entry in entries if source.get(entry)]
        if named and all(getattr(sample, label) is None for sample in samples):
            raise ValueError(f"{source['photos']} names {' and '.join(named)}, but not one of its photos has a file there")
    return samples


def compose(backdrop, person, rng):
    """Stands the people of one Sample in another, at the depth of the floor under their feet.

    Args:
      backdrop: Sample with depth and nobody in it.
      person: Sample with depth, and regions that show somebody.
      rng: numpy Generator for size, place and light.

    Returns:
      Sample of the backdrop's size with photo, depth and regions; where people rest their eyes in it nobody knows.
    """
    mask = (person.regions > 0) & (person.regions != IGNORE)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    cut = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = backdrop.photo.shape[:2]
    tall, wide = mask[cut].shape
    cropped = rows[-1] >= mask.shape[0] - 2  # by its photo's lower border: it must be by this one, too
    scale = min(np.exp(rng.uniform(*COMPOSED_HEIGHT)) * height / tall, 1.1 * width / wide)
    size = max(8, round(wide * scale)), max(8, round(tall * scale))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    alpha = cv2.GaussianBlur(cv2.erode(mask.astype(np.float32), np.ones((3, 3))), (0, 0), 0.8)[cut]
    pieces = [
        cv2.resize(alpha, size, interpolation=interpolation),
        cv2.resize(person.photo[cut].astype(np.float32), size, interpolation=interpolation),
        cv2.resize(person.depth[cut].astype(np.float32), size, interpolation=cv2.INTER_LINEAR),
        cv2.resize(person.regions[cut], size, interpolation=cv2.INTER_NEAREST),
    ]
    if rng.random() < 0.5:
        pieces = [piece[:, ::-1] for piece in pieces]
    feet = height if cropped else min(height, int(rng.uniform(0.72, 1.0) * height))
    top, left = feet - size[1], int(rng.uniform(-0.15, 1.0 - 0.85 * size[0] / width) * width)
    there = np.s_[max(0, top) : feet, max(0, left) : min(width, left + size[0])]
    here = np.s_[there[0].start - top : feet - top, there[1].start - left : there[1].stop - left]
    alpha, colours, relief, labels = (piece[here] for piece in pieces)
    inside = alpha > 0.5
    if inside.sum() < 0.002 * height * width:
        return backdrop

    photo = backdrop.photo.astype(np.float32)
    behind = photo[there]
    colours = colours * np.clip(behind.mean() / (colours[inside].mean() + 1.0), 0.6, 1.6) ** rng.uniform(0, 1)
    photo[there] = behind + alpha[..., None] * (colours - behind)
    depth = backdrop.depth.astype(np.float32)
    hidden = depth[there][inside]
    floor = depth[max(0, feet - 6) : feet, there[1]]
    level = max(float(np.quantile(hidden, 0.9)), float(np.median(floor)) if not cropped else -np.inf) + rng.uniform(0.1, 0.8)
    relief = np.clip(0.3 * (relief - np.median(relief[inside])), -0.3, 0.5)
    depth[there] = np.where(inside, np.maximum(level + relief, depth[there] + 0.05), depth[there])
    regions = np.zeros((height, width), np.uint8) if backdrop.regions is None else backdrop.regions.copy()
    regions[there] = np.where(inside, labels, regions[there])
    return Sample(np.clip(photo, 0, 255).astype(np.uint8), depth.astype(np.float16), regions, None, None)


def _jitter(photo, rng):
    """Light, contrast, colour and lens: what differs between two cameras at one place."""
    x = photo.astype(np.float32) / 255.0
    x = x ** np.exp(rng.uniform(-0.35, 0.35))
    grey = x.mean(-1, keepdims=True)
    saturation = 0.0 if rng.random() < 0.04 else rng.uniform(0.6, 1.35)
    x = grey + (x - grey) * saturation
    x = (x - 0.5) * rng.uniform(0.75, 1.25) + 0.5 + rng.uniform(-0.08, 0.08)
    x = x * rng.uniform(0.92, 1.08, 3)
    if rng.random() < 0.15:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.4, 1.4))
    if rng.random() < 0.3:
        x = x + rng.normal(0, rng.uniform(0.005, 0.03), x.shape)
    return (np.clip(x, 0, 1) * 255).astype(np.float32)


class Crops(keras.utils.PyDataset):
    """Batches of random crops with the labels that their photos have.

    An item is (photos (n, h, w, 3) float32 0..255, labels): `depth` (n, h/2, w/2), `regions` (n, h/2, w/2) uint8,
    `fixation` and `object` (n, h/2, w/2) in [0, 1], and for each of the four `has_*` (n,) 0 or 1.

    Args:
      samples: list of Sample.
      size: (h, w) of the crops.
      batch, batches: crops a batch, batches an epoch.
      seed: with the epoch and the batch's index it fixes what is drawn.
      composed: share of crops that show a person of one photo in another, see `compose`.
      augment: False takes the middle of each photo as it is.
    """

    def __init__(self, samples, size, batch, batches, seed, composed=0.0, augment=True):
        super().__init__(workers=1)
        self.samples, self.size, self.batch, self.batches = samples, size, batch, batches
        self.seed, self.composed, self.augment = seed, composed, augment
        weights = np.array([s.weight for s in samples])
        self.probabilities = weights / weights.sum()
        self.people = [s for s in samples if s.cut_out and 0.03 < (s.regions > 0).mean() < 0.7]
        self.backdrops = [s for s in samples if s.depth is not None and s.regions is not None and not s.regions.any()]
        rooms = np.array([s.weight for s in self.backdrops])
        self.backdrop_probabilities = rooms / max(rooms.sum(), 1e-9)
        if composed and not (self.people and self.backdrops):
            raise ValueError("composing needs a source with cut_out = true and photos without people; set composed = 0 without")
        self.epoch = 0

    def __len__(self):
        return self.batches

    def _crop(self, sample, rng):
        size = self.size
        h, w = sample.photo.shape[:2]
        aspect = size[1] / size[0] * (np.exp(rng.uniform(-ASPECT_JITTER, ASPECT_JITTER)) if self.augment else 1.0)
        share = rng.uniform(*CROP_SHARE) if self.augment else 1.0
        ch = share * min(h, w / aspect)
        ch, cw = max(8, int(ch)), max(8, int(ch * aspect))
        y, x = rng.integers(0, h - ch + 1), rng.integers(0, w - cw + 1)
        if not self.augment:
            y, x = (h - ch) // 2, (w - cw) // 2
        flip = self.augment and rng.random() < 0.5

        def cut(array, size, interpolation=cv2.INTER_AREA):
            if interpolation == cv2.INTER_AREA and size[0] > ch:
                interpolation = cv2.INTER_LINEAR
            piece = cv2.resize(array[y : y + ch, x : x + cw], size[::-1], interpolation=interpolation)
            return piece[:, ::-1] if flip else piece

        half = size[0] // 2, size[1] // 2
        photo = cut(sample.photo, size)
        labels = {}
        for name, scale, interpolation in (
            ("depth", 1.0, cv2.INTER_AREA),
            ("regions", 1.0, cv2.INTER_NEAREST),
            ("fixation", 1 / 255.0, cv2.INTER_AREA),
            ("object", 1 / 255.0, cv2.INTER_AREA),
        ):
            value = getattr(sample, name)
            labels[f"has_{name}"] = np.float32(value is not None)
            if value is None:
                labels[name] = np.zeros(half, np.float32)
            else:
                value = value if value.dtype == np.uint8 else value.astype(np.float32)
                labels[name] = cut(value, half, interpolation).astype(np.float32) * scale
        if sample.fixation is not None and labels["fixation"].sum() < 1.0:  # the crop missed everything that is looked at
            labels["has_fixation"] = np.float32(0)
        return (_jitter(photo, rng) if self.augment else photo.astype(np.float32)), labels

    def __getitem__(self, index):
        rng = np.random.default_rng((self.seed, self.epoch, index))
        drawn = [self.samples[i] for i in rng.choice(len(self.samples), self.batch, p=self.probabilities)]
        for k in np.flatnonzero(rng.random(self.batch) < self.composed):
            backdrop = self.backdrops[rng.choice(len(self.backdrops), p=self.backdrop_probabilities)]
            drawn[k] = compose(backdrop, self.people[rng.integers(len(self.people))], rng)
        photos, labels = zip(*(self._crop(sample, rng) for sample in drawn), strict=True)
        return np.stack(photos), {key: np.stack([label[key] for label in labels]) for key in labels[0]}


class FollowEpoch(keras.callbacks.Callback):
    """Tells the crops which epoch it is, so that a resumed run draws what the interrupted one would have drawn."""

    def __init__(self, crops):
        super().__init__()
        self.crops = crops

    def on_epoch_begin(self, epoch, logs=None):
        self.crops.epoch = epoch
