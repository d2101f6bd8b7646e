"""Raw depth to depth that can be cut: medians for outlines, people pulled forward, edges snapped to the photo.

The method's steps ("median filtering to improve the edges", "masks are used to pull forward pixels"), each on the grid
that the mesh will have, so that nothing is resampled afterwards.
"""

import dataclasses
import math

import cv2
import numba
import numpy as np

from renderer.mesh import BLOCK, grid_shape
from transforms.stage import Stage

GRID = 512  # cells along the long side: one for two or three pixels of a 1080x1440 clip, the finest that pays
MEDIAN = 5  # cells: OpenCV's largest for floats; removes what is thinner than 1 % of the photo's side
PERCENTILES = (1.0, 99.0)  # of the raw map go to 0 and 1: the tails are single pixels
EDGE_RANGE = 0.06  # of inverse depth inside a snap window: below it a step is too small to tear
SNAP_RADIUS = 9  # cells: a network that answers at half of 256x352 leaves a ramp of 12 to 16 cells at an outline
# Every third, then every second cell of the window: a ninth and a quarter of the price. Two strides without a common
# divisor, or each cell would only ever see a lattice of its own, which leaves combs.
SNAP_STRIDES = (3, 2)
SNAP_BINS = 48  # of the window's own range; finer than the mesh's flatness tolerance for steps up to a quarter
COLOUR_SIGMA = 10.0  # of Lab units: shading inside one surface stays below, most outlines above
SPACE_SIGMA = 6.0  # cells, two thirds of the radius
PERSON_CORE = 5  # cells inside the outline from which depth is trusted
PERSON_REACH = 12.0  # cells, the Gaussian that carries it to the outline
PERSON_SLACK = 0.03  # of inverse depth: what a limb may lie behind its surroundings on the person


def guided(image, guide, radius, epsilon):
    """Guided filter (He et al. 2013, grey guide): `image` smoothed along the edges of `guide`, both (h, w) float32 in [0, 1]."""
    size = (2 * radius + 1,) * 2
    mean_g, mean_i = cv2.blur(guide, size), cv2.blur(image, size)
    variance = cv2.blur(guide * guide, size) - mean_g * mean_g
    a = (cv2.blur(guide * image, size) - mean_g * mean_i) / (variance + epsilon)
    b = mean_i - a * mean_g
    return cv2.blur(a, size) * guide + cv2.blur(b, size)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _snap(depth, lab, rows, columns, stride, colour_scale, space_scale, out):
    height, width = depth.shape
    histogram = np.empty(SNAP_BINS, np.float32)
    for k in range(len(rows)):
        y, x, total = rows[k], columns[k], 0.0
        top, bottom = max(0, y - SNAP_RADIUS), min(height, y + SNAP_RADIUS + 1)
        left, right = max(0, x - SNAP_RADIUS), min(width, x + SNAP_RADIUS + 1)
        low = high = depth[y, x]
        for v in range(top, bottom, stride):
            for u in range(left, right, stride):
                low, high = min(low, depth[v, u]), max(high, depth[v, u])
        histogram[:] = 0.0
        scale = (SNAP_BINS - 1) / max(high - low, 1e-9)
        for v in range(top, bottom, stride):
            for u in range(left, right, stride):
                d0, d1, d2 = lab[v, u, 0] - lab[y, x, 0], lab[v, u, 1] - lab[y, x, 1], lab[v, u, 2] - lab[y, x, 2]
                far = (v - y) * (v - y) + (u - x) * (u - x)
                weight = math.exp(-(d0 * d0 + d1 * d1 + d2 * d2) * colour_scale - far * space_scale)
                histogram[int((depth[v, u] - low) * scale + 0.5)] += weight
                total += weight
        run = 0.0
        for i in range(SNAP_BINS):
            run += histogram[i]
            if run >= 0.5 * total:
                out[y, x] = low + i / scale
                break


def snap_edges(depth, lab):
    """Weighted median at depth edges, weights from the photo's colours: a soft ramp becomes a step where the photo has one.

    Args:
      depth: (h, w) float32 inverse depth in [0, 1].
      lab: (h, w, 3) float32 CIE Lab of the photo.

    Returns:
      (h, w) float32. Cells away from depth edges are untouched.
    """
    kernel = np.ones((2 * SNAP_RADIUS - 1,) * 2, np.uint8)
    for stride in SNAP_STRIDES:
        span = cv2.dilate(depth, kernel) - cv2.erode(depth, kernel)
        rows, columns = np.nonzero(span > EDGE_RANGE)
        out = depth.copy()
        _snap(depth, lab, rows, columns, stride, 0.5 / COLOUR_SIGMA**2, 0.5 / SPACE_SIGMA**2, out)
        depth = out
    return depth


def pull_person_forward(depth, person):
    """Lifts the cells of a person that were predicted to be background to the person's own depth nearby.

    Args:
      depth: (h, w) float32 inverse depth in [0, 1].
      person: (h, w) bool.

    Returns:
      (h, w) float32, nowhere smaller than `depth`.
    """
    if not person.any():
        return depth
    core = cv2.erode(person.astype(np.uint8), np.ones((2 * PERSON_CORE + 1,) * 2, np.uint8), borderValue=1)
    core = core if core.any() else person.astype(np.uint8)
    # Inside the core, too, cells far below their surroundings are mistakes: a hole in a face must not set the depth.
    for _ in range(2):
        weight = cv2.GaussianBlur(core.astype(np.float32), (0, 0), PERSON_REACH)
        nearby = cv2.GaussianBlur(core * depth, (0, 0), PERSON_REACH) / np.maximum(weight, 1e-4)
        core = core * (depth > nearby - 3 * PERSON_SLACK)
    reached = person & (weight > 1e-3)
    return np.where(reached, np.maximum(depth, nearby - PERSON_SLACK), depth)


def normalise(depth):
    """Relative inverse depth to [0, 1] by percentiles; a constant map becomes 0."""
    low, high = np.percentile(depth, PERCENTILES)
    if not high - low > 1e-12:
        return np.zeros(depth.shape, np.float32)
    return np.clip((depth - low) / (high - low), 0, 1).astype(np.float32)


def repair(perception, trusted_depth=False):
    """Brings all maps to the mesh's grid and mends the depth.

    Args:
      perception: Perception as `infer` gives it.
      trusted_depth: the depth was measured (a phone's): keep its outlines, only fit and normalise it.

    Returns:
      Perception with all maps (h, w) alike, one value a cell of the mesh's grid, inverse depth in [0, 1].
    """
    photo_height, photo_width = perception.photo.rgb.shape[:2]
    shape = tuple(s - 1 for s in grid_shape(photo_width, photo_height, GRID))
    assert not any(s % BLOCK for s in shape)
    size = shape[::-1]
    small = cv2.resize(perception.photo.rgb, size, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0

    def fit(a):
        shrinks = a.shape[0] > shape[0]
        return cv2.resize(np.asarray(a, np.float32), size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)

    person = np.clip(guided(fit(perception.person), grey, 6, 1e-3), 0, 1)
    head = np.minimum(np.clip(guided(fit(perception.head), grey, 6, 1e-3), 0, 1), person)
    depth = normalise(fit(perception.inverse_depth))
    if not trusted_depth:
        depth = cv2.medianBlur(depth, MEDIAN)
        depth = pull_person_forward(depth, person > 0.5)
        lab = cv2.cvtColor(cv2.GaussianBlur(small, (0, 0), 0.8).astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
        depth = snap_edges(depth, lab)
        depth = cv2.medianBlur(depth, 3)
    return dataclasses.replace(
        perception, inverse_depth=depth, person=person, head=head, saliency=np.clip(fit(perception.saliency), 0, 1)
    )


class Repair(Stage):
    """Perception to Perception, repaired."""

    def __init__(self):
        super().__init__("repair", lambda _, __, perception: repair(perception))
