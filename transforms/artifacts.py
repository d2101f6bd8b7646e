"""What a camera path shows of stretched mesh, and what that costs.

The loss of a pose, as the method describes it: pixels that show stretched mesh are grouped into connected components inside
each region (padded head, body, background); a component of area a in a region of area A adds (a / A) ** 1.5, so that one
large smear weighs more than many specks; the regions are summed with weights that protect the subject. The loss of a path is
its mean over frames; times 100 it is the artifact score: one smear over 1 % of the background in every frame is 0.1,
over 10 % of it 3.2.
"""

import dataclasses

import cv2
import numba
import numpy as np

from renderer.mesh import grid_points
from renderer.stretch import step_profile, stretch_map
from transforms import framing

STEP = 4  # vertices: a 129x97 mesh, half a millisecond a pose; a coarser one blurs a finger away
COARSE_STEP = 8  # for comparing many directions: a third of the price, and the order of the best hardly changes
PIXELS_PER_CELL = 2  # of the meter's pictures: a stretched cell of 1/128 shows in full from 1.5 on
FRAMES = 5  # of a path are measured: its ends, where it tears most, and what lies between
EXPONENT = 1.5  # between "sum of areas" (1) and "the largest alone" (2 and more); a choice
REGION_WEIGHTS = (1.0, 3.0, 8.0)  # background, body, head: a torn face ruins the clip, torn leaves do not
MIN_REGION = 0.01  # share of the frame: a smaller region is measured as if it had this area, or one speck decides
PAD = (0.0, 0.02, 0.035)  # of the long side, how far body and head reach over their outlines


def padded_regions(regions):
    """Regions (h, w) uint8 with body and head grown over their outlines, where the tears are; head over body."""
    out = np.zeros_like(regions)
    for label in (1, 2):
        radius = max(1, round(PAD[label] * max(regions.shape)))
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
        out[cv2.dilate((regions >= label).astype(np.uint8), kernel) > 0] = label
    return out


@numba.njit(cache=True, nogil=True)
def _root(parents, i):
    while parents[i] != i:
        parents[i] = parents[parents[i]]
        i = parents[i]
    return i


@numba.njit(cache=True, nogil=True)
def _components(torn, region, component_areas, component_regions):
    """Two-pass labelling, 8-connected, of torn pixels of equal region. Fills the two arrays, returns how many it found."""
    height, width = torn.shape
    labels = np.full((2, width + 2), -1, np.int32)  # of this row and the one above, with a border
    found = 0
    # A new label needs a torn pixel without torn neighbours before it, hence at most one in two.
    parents = np.empty(height * (width // 2 + 1) + 1, np.int32)
    for y in range(height):
        now, above = y & 1, 1 - (y & 1)
        for x in range(width):
            labels[now, x + 1] = -1
            if torn[y, x] == 0:
                continue
            label = -1
            for dy, dx in ((0, -1), (-1, -1), (-1, 0), (-1, 1)):
                v, u = y + dy, x + dx
                if v < 0 or u < 0 or u >= width or region[v, u] != region[y, x]:
                    continue
                other = labels[now if dy == 0 else above, u + 1]
                if other < 0:
                    continue
                other = _root(parents, other)
                if label < 0:
                    label = other
                elif label != other:
                    low, high = min(label, other), max(label, other)
                    parents[high] = low
                    component_areas[low] += component_areas[high]
                    component_areas[high] = 0
                    label = low
            if label < 0:
                label = found
                parents[label] = label
                component_areas[label] = 0
                component_regions[label] = region[y, x]
                found += 1
            component_areas[label] += torn[y, x]
            labels[now, x + 1] = label
    return found


def components(torn, region):
    """Connected pieces of what is torn.

    Args:
      torn: (h, w) float32 share of each pixel that shows stretched mesh; a piece holds pixels above 0.
      region: (h, w) uint8, whose borders cut pieces apart.

    Returns:
      ((n,) float64 areas in pixels, (n,) uint8 regions), in the order of their first pixels.
    """
    most = torn.shape[0] * (torn.shape[1] // 2 + 1) + 1
    areas, regions = np.zeros(most), np.zeros(most, np.uint8)
    found = _components(torn, region, areas, regions)
    real = areas[:found] > 0
    return areas[:found][real], regions[:found][real]


@dataclasses.dataclass(frozen=True)
class Tears:
    """What a pose or a path shows of stretched mesh; areas as shares of the frame.

    Attributes:
      by_region: loss of background, body and head, weighted: they add up to the loss.
      share: of all that is stretched; of a path the mean over its frames.
      largest_share: of a path the largest of its frames.
      largest, largest_head: of a connected component, over all frames of a path.
    """

    by_region: tuple[float, float, float]
    share: float
    largest_share: float
    largest: float
    largest_head: float

    @property
    def loss(self):
        return sum(self.by_region)


NO_TEARS = Tears((0.0, 0.0, 0.0), 0.0, 0.0, 0.0, 0.0)  # of the photo's own viewpoint


def tears_of(torn, region, areas):
    """Tears of one picture.

    Args:
      torn: (h, w) float32 share of each pixel that shows stretched mesh.
      region: (h, w) uint8: 0 background, 1 body, 2 head, 255 no surface.
      areas: (3,) pixels of each region where the camera is at rest.
    """
    pieces, regions = components(torn, region)
    if not len(pieces):
        return NO_TEARS
    costs = (pieces / areas[regions]) ** EXPONENT
    share, heads = float(pieces.sum()) / torn.size, pieces[regions == 2]
    return Tears(
        tuple(100.0 * weight * float(costs[regions == label].sum()) for label, weight in enumerate(REGION_WEIGHTS)),
        share,
        share,
        float(pieces.max()) / torn.size,
        float(heads.max(initial=0)) / torn.size,
    )


def region_areas(face_on):
    """(3,) pixels of each region in a picture (h, w) at rest, none below MIN_REGION."""
    return np.maximum(np.bincount(face_on.ravel(), minlength=3)[:3], MIN_REGION * face_on.size)


def mean_tears(tears, share=1.0):
    """Tears of a path from those of its frames; `share` scales the means, where these frames are those that tear most."""
    return Tears(
        tuple(share * float(np.mean([t.by_region[label] for t in tears])) for label in range(3)),
        share * float(np.mean([t.share for t in tears])),
        max(t.share for t in tears),
        max(t.largest for t in tears),
        max(t.largest_head for t in tears),
    )


class ArtifactMeter:
    """Measures poses and paths on a low-resolution copy of a scene.

    Args:
      scene: the Scene.
      window: what the frames show; tears outside it do not count.
      step: every so many vertices of the full mesh make the copy.
      padded: the scene's `padded_regions`, where they are known.
    """

    def __init__(self, scene, window, step=STEP, padded=None):
        layer = scene.layers[-1]
        self.lens = scene.lens
        depth = layer.inverse_depth[::step, ::step].astype(float)
        self.points = grid_points(depth, scene.lens)
        self.profile = step_profile(layer.inverse_depth, step)
        cells = tuple(s - 1 for s in depth.shape)
        self.shape = tuple(s * PIXELS_PER_CELL for s in cells)
        padded = padded_regions(scene.regions) if padded is None else padded
        self.labels = cv2.resize(padded, cells[::-1], interpolation=cv2.INTER_NEAREST)
        self.face_on = cv2.resize(padded, self.shape[::-1], interpolation=cv2.INTER_NEAREST)
        self.evaluations = 0
        self.frame(window)

    def frame(self, window):
        """Looks through another window from now on."""
        self.crop = framing.cells_of(window, self.lens, self.shape)
        self.areas = region_areas(self.face_on[self.crop])

    def at(self, position, rotation):
        """Tears of one pose."""
        _, region, torn = stretch_map(
            self.points, self.labels, self.profile, position, rotation, self.lens, self.shape, self.crop
        )
        self.evaluations += 1
        return tears_of(torn[self.crop], region[self.crop], self.areas)

    def along(self, path):
        """Tears of a path, over FRAMES of its frames, evenly spread, the first and the last among them."""
        return self.mean(path.part(FRAMES))

    def mean(self, path, share=1.0):
        """Tears of all frames of a path; `share` as of `mean_tears`."""
        tears = [self.at(p, r) if p.any() else NO_TEARS for p, r in zip(path.positions, path.rotations, strict=True)]
        return mean_tears(tears, share)
