"""A depth map brought in line with the photo's outlines and with a person mask.

Used on what a network answers (depth repair) and on the labels it is taught with: a network that learnt from sharp outlines
answers with sharper ones. Lengths are in cells of the map; the constants were chosen on maps of 512 cells along the long side.
"""

import math

import cv2
import numba
import numpy as np

PERCENTILES = (1.0, 99.0)  # of the raw map go to 0 and 1: the tails are single pixels
EDGE_RANGE = 0.06  # of inverse depth inside a snap window: below it a step is too small to tear
SNAP_RADIUS = 9  # cells: a network that answers at half of 320x448 leaves a ramp of 9 to 14 cells at an outline
# Every third, then every second cell of the window: a ninth and a quarter of the price. Two strides without a common
# divisor, or each cell would only ever see a lattice of its own, which leaves combs.
SNAP_STRIDES = (3, 2)
SNAP_BINS = 48  # of the window's own range; finer than the mesh's flatness tolerance for steps up to a quarter
COLOUR_SIGMA = 10.0  # of Lab units: shading inside one surface stays below, most outlines above
SPACE_SHARE = 2 / 3  # of the radius: the Gaussian of the window
MEDIAN = 5  # cells: OpenCV's largest for floats; removes what is thinner than 1 % of the photo's side
PERSON_CORE = 5  # cells inside the outline from which depth is trusted
PERSON_REACH = 12.0  # cells, the Gaussian that carries it to the outline
PERSON_SLACK = 0.03  # of inverse depth: what a limb may lie behind its surroundings on the person
RIM = 0.15  # share of surroundings in a cell's window from which it is beside the outline
OUTLINE_STEP = 0.05  # of inverse depth by which a person stands out at least: below EDGE_RANGE, so that it does not tear
# Up to this much nearer than the person, what is beside them does not hide them, from twice as much it does. With the true masks
# of the 17 NYU frames held out, misordering at outlines fell from 0.147 to 0.053; at 0.05 to 0.068, at 0.15 to 0.052.
LOST_GAP = 0.1


def guided(image, guide, radius, epsilon):
    """Guided filter (He et al. 2013, grey guide): `image` smoothed along the edges of `guide`, both (h, w) float32 in [0, 1]."""
    size = (2 * radius + 1,) * 2
    mean_g, mean_i = cv2.blur(guide, size), cv2.blur(image, size)
    variance = cv2.blur(guide * guide, size) - mean_g * mean_g
    a = (cv2.blur(guide * image, size) - mean_g * mean_i) / (variance + epsilon)
    b = mean_i - a * mean_g
    return cv2.blur(a, size) * guide + cv2.blur(b, size)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _snap(depth, lab, rows, columns, radius, stride, colour_scale, space_scale, out):
    height, width = depth.shape
    histogram = np.empty(SNAP_BINS, np.float32)
    for k in range(len(rows)):
        y, x, total = rows[k], columns[k], 0.0
        top, bottom = max(0, y - radius), min(height, y + radius + 1)
        left, right = max(0, x - radius), min(width, x + radius + 1)
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


def snap_edges(depth, lab, radius=SNAP_RADIUS):
    """Weighted median at depth edges, weights from the photo's colours: a soft ramp becomes a step where the photo has one.

    Args:
      depth: (h, w) float32 inverse depth in [0, 1].
      lab: (h, w, 3) float32 CIE Lab of the photo.
      radius: of the window, in cells: half the width of the ramp that the map has at an outline.

    Returns:
      (h, w) float32. Cells away from depth edges are untouched.
    """
    kernel = np.ones((2 * radius - 1,) * 2, np.uint8)
    for stride in SNAP_STRIDES:
        span = cv2.dilate(depth, kernel) - cv2.erode(depth, kernel)
        rows, columns = np.nonzero(span > EDGE_RANGE)
        out = depth.copy()
        _snap(depth, lab, rows, columns, radius, stride, 0.5 / COLOUR_SIGMA**2, 0.5 / (SPACE_SHARE * radius) ** 2, out)
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


def stand_forward(depth, person):
    """Lifts people whose outline is lost, so that they stand before what is beside them.

    A person is nearer than what is seen beside their outline, unless that hides a part of them. So where the inside is as far as
    the outside or a little farther, the network has lost the outline: there, and smoothly into the person, depth is raised
    until a step is left. What is clearly nearer than the person, a table or somebody else, does not count as outside.

    Args and result as of `pull_person_forward`.
    """
    if not person.any() or person.all():
        return depth
    inside = person.astype(np.float32)
    reached = cv2.GaussianBlur(inside, (0, 0), PERSON_REACH)
    nearby = cv2.GaussianBlur(inside * depth, (0, 0), PERSON_REACH) / np.maximum(reached, 1e-4)
    beside = (1.0 - inside) * np.clip((nearby - depth) / LOST_GAP + 2.0, 0.0, 1.0)  # what is clearly nearer hides the person
    weight = cv2.GaussianBlur(beside, (0, 0), PERSON_REACH)
    outside = cv2.GaussianBlur(beside * depth, (0, 0), PERSON_REACH) / np.maximum(weight, 1e-4)
    rim = person & (weight > RIM)
    lift = np.where(rim, np.clip(OUTLINE_STEP + outside - depth, 0.0, None), 0.0).astype(np.float32)
    spread = cv2.GaussianBlur(rim.astype(np.float32), (0, 0), PERSON_REACH)
    inward = cv2.GaussianBlur(lift, (0, 0), PERSON_REACH) / np.maximum(spread, 1e-4)
    return np.where(person & (spread > 1e-3), np.minimum(depth + np.maximum(lift, inward), 1.0), depth).astype(np.float32)


def mend(depth, rgb, person):
    """Depth repair as the method tells it: medians for outlines, masks of people that pull pixels forward, edges snapped.

    Args:
      depth: (h, w) float32 inverse depth in [0, 1].
      rgb: (h, w, 3) uint8 sRGB photo of the same size.
      person: (h, w) bool.

    Returns:
      (h, w) float32.
    """
    depth = cv2.medianBlur(depth, MEDIAN)
    depth = stand_forward(pull_person_forward(depth, person), person)
    lab = cv2.cvtColor(cv2.GaussianBlur(rgb, (0, 0), 0.8).astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    return cv2.medianBlur(snap_edges(depth, lab), 3)


def mask_on(photo, mask):
    """A soft mask (h, w) drawn to the outlines of a photo (h, w, 3) uint8 of the same size; both stay in [0, 1]."""
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0
    return np.clip(guided(mask, grey, 6, 1e-3), 0, 1)


def normalise(depth):
    """Relative inverse depth to [0, 1] by percentiles; a constant map becomes 0."""
    low, high = np.percentile(depth, PERCENTILES)
    if not high - low > 1e-12:
        return np.zeros(depth.shape, np.float32)
    return np.clip((depth - low) / (high - low), 0, 1).astype(np.float32)
