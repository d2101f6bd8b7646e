"""What the networks are trained on: photos with whatever labels there are, read once into memory, cropped at random.

A source (one table of the training configuration) is a folder of photos with any of

    depth    measured depth (`metres_per_unit`, dequantised) or disparity, or folders of `<stem>.depth.png` to be averaged
    people   a folder of person masks and/or a folder of `<stem>.regions.png`
    fixation a folder of density maps or of `<stem>.saliency.png`
    object   a folder of masks of the salient object, or of `<stem>.saliency.png`

Paths are relative to `--data` for photos and measured truth, to `--labels` for predictions ("labels:" in front).
"""

import dataclasses
from pathlib import Path

import cv2
import keras
import numpy as np
from PIL import Image, ImageOps

IGNORE = 255
STORED_SHORT_SIDE = 288  # the largest crop (below) is drawn from at most this: storing more would only cost memory
PHOTO_ENDINGS = (".jpg", ".jpeg", ".png")
CROP_SHARE = (0.62, 1.0)  # of the short side: subjects appear up to 1.6 times larger than in the whole photo
ASPECT_JITTER = 0.2  # log range: photos squeezed by 20 % are still plausible, and some sources come squashed
BAND = 2  # pixels at 288 on each side of a pseudo-label's outline that are not trusted


@dataclasses.dataclass(frozen=True)
class Sample:
    """One photo and its labels, all (h, w) alike; a label that is not there is None.

    Attributes:
      photo: (h, w, 3) uint8 sRGB.
      depth: (h, w) float16 relative inverse depth, standardised.
      regions: (h, w) uint8: 0 background, 1 body, 2 head, 255 unknown.
      fixation, object: (h, w) uint8, 255 = certain.
      weight: how often this sample is drawn relative to others.
    """

    photo: np.ndarray
    depth: np.ndarray | None
    regions: np.ndarray | None
    fixation: np.ndarray | None
    object: np.ndarray | None
    weight: float


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
    maps = []
    for entry in source.get("depth", []):
        if path := folders.find(entry, stem, ".depth.png"):
            maps.append(_standardise(_fit(_grey(path).astype(np.float32), shape, cv2.INTER_LINEAR)))
    return _standardise(np.mean(maps, axis=0)) if maps else None


def _read_regions(source, stem, folders, shape):
    mask = labels = None
    if "person_masks" in source and (path := folders.find(source["person_masks"], stem, ".png")):
        mask = _fit((_grey(path) > 127).astype(np.uint8), shape, cv2.INTER_NEAREST) > 0
    if "regions" in source and (path := folders.find(source["regions"], stem, ".regions.png")):
        labels = _fit(_grey(path), shape, cv2.INTER_NEAREST)
    if mask is None and labels is None:
        return np.zeros(shape, np.uint8) if source.get("no_people") else None
    if labels is None:
        return np.where(mask, 1, 0).astype(np.uint8)
    if mask is None:
        person = (labels > 0).astype(np.uint8)
        kernel = np.ones((2 * BAND + 1,) * 2, np.uint8)
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


def _read_map(entry, stem, folders, shape):
    for ending in (".saliency.png", ".png"):
        if entry and (path := folders.find(entry, stem, ending)):
            return _fit(_grey(path), shape)
    return None


def read_source(source, data, labels):
    """Reads one source of the configuration. Returns a list of Sample; raises ValueError where it has no photo."""
    folders, samples = Folders(data, labels), []
    photos = sorted(p for p in (Path(data) / source["photos"]).glob("*") if p.suffix.lower() in PHOTO_ENDINGS)
    for path in photos:
        image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
        scale = STORED_SHORT_SIDE / min(image.size)
        shape = tuple(max(1, round(s * scale)) for s in image.size[::-1])
        photo = np.asarray(image.resize(shape[::-1], Image.BICUBIC if scale > 1 else Image.BOX))
        depth = _read_depth(source, path.stem, folders, shape)
        samples.append(
            Sample(
                photo=photo,
                depth=None if depth is None else depth.astype(np.float16),
                regions=_read_regions(source, path.stem, folders, shape),
                fixation=_read_map(source.get("fixation"), path.stem, folders, shape),
                object=_read_map(source.get("object"), path.stem, folders, shape),
                weight=source.get("weight", 1.0),
            )
        )
    if not samples:
        raise ValueError(f"no photo in {Path(data) / source['photos']}")
    return samples


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

    An item is (photos (n, s, s, 3) float32 0..255, labels): `depth` (n, s/2, s/2), `regions` (n, s/2, s/2) uint8,
    `fixation` and `object` (n, s/2, s/2) in [0, 1], and for each of the four `has_*` (n,) 0 or 1.
    """

    def __init__(self, samples, size, batch, batches, seed, augment=True):
        super().__init__(workers=1)
        self.samples, self.size, self.batch, self.batches, self.seed, self.augment = samples, size, batch, batches, seed, augment
        weights = np.array([s.weight for s in samples])
        self.probabilities = weights / weights.sum()
        self.epoch = 0

    def __len__(self):
        return self.batches

    def _crop(self, sample, rng):
        h, w = sample.photo.shape[:2]
        stretch = np.exp(rng.uniform(-ASPECT_JITTER, ASPECT_JITTER) / 2) if self.augment else 1.0
        share = rng.uniform(*CROP_SHARE) if self.augment else 1.0
        side = share * min(h, w) / max(stretch, 1 / stretch)
        ch, cw = max(8, int(side * stretch)), max(8, int(side / stretch))
        y, x = rng.integers(0, h - ch + 1), rng.integers(0, w - cw + 1)
        flip = self.augment and rng.random() < 0.5

        def cut(array, size, interpolation=cv2.INTER_AREA):
            piece = cv2.resize(array[y : y + ch, x : x + cw], (size, size), interpolation=interpolation)
            return piece[:, ::-1] if flip else piece

        s, half = self.size, self.size // 2
        photo = cut(sample.photo, s)
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
                labels[name] = np.zeros((half, half), np.float32)
            else:
                value = value if value.dtype == np.uint8 else value.astype(np.float32)
                labels[name] = cut(value, half, interpolation).astype(np.float32) * scale
        if sample.fixation is not None and labels["fixation"].sum() < 1.0:  # the crop missed everything that is looked at
            labels["has_fixation"] = np.float32(0)
        return (_jitter(photo, rng) if self.augment else photo.astype(np.float32)), labels

    def __getitem__(self, index):
        rng = np.random.default_rng((self.seed, self.epoch, index))
        chosen = rng.choice(len(self.samples), self.batch, p=self.probabilities)
        photos, labels = zip(*(self._crop(self.samples[i], rng) for i in chosen), strict=True)
        return np.stack(photos), {key: np.stack([label[key] for label in labels]) for key in labels[0]}


class FollowEpoch(keras.callbacks.Callback):
    """Tells the crops which epoch it is, so that a resumed run draws what the interrupted one would have drawn."""

    def __init__(self, crops):
        super().__init__()
        self.crops = crops

    def on_epoch_begin(self, epoch, logs=None):
        self.crops.epoch = epoch
