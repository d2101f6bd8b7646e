"""How good a depth map, a person mask or a saliency map is: pure functions over one photo.

Depth is judged as relative inverse depth: every map is first fitted to the truth by a scale (not negative) and a shift, least
squares in disparity, because that is all a single photo can tell (Ranftl et al. 2020). The truth is disparity, too; where it
was measured in metres it is one over that. Scores are plain floats, NaN where a photo cannot tell.
"""

import numpy as np
from scipy import ndimage

PAIRS, SEED = 5000, 0  # of pixels whose order is asked; the same ones in every run
ORDER_RATIO, ORDER_SHARE = 1.1, 0.05  # pairs count whose depths differ by a tenth, or disparities by this share of the range
EDGE_SHARE, EDGE_REACH, EDGE_TOLERANCE = 0.08, 2, 2  # of the range, across 2 * reach pixels, found within so many pixels
OUTLINE_DISTANCE = 6  # pixels inside and outside of a person's outline
OUTLINE_RATIO, OUTLINE_SHARE = 1.03, 0.03
FARTHEST_METRES = 10.0  # the usual cap of indoor sets
BOUNDARY_SIDE, BOUNDARY_TOLERANCE = 384, 2  # masks are compared at this long side, outlines within so many pixels
BETA_SQUARED = 0.3  # of the F-measure of salient objects (Achanta et al. 2009)


def fitted(predicted, disparity, valid):
    """`predicted` (h, w) scaled and shifted to `disparity` on the `valid` pixels; upside down it becomes a constant."""
    p, d = predicted[valid].astype(np.float64), disparity[valid].astype(np.float64)
    variance = p.var()
    scale = max(((p - p.mean()) * (d - d.mean())).mean() / variance, 0.0) if variance > 0 else 0.0
    return scale * (predicted - p.mean()) + d.mean()


def value_range(values):
    """Distance between the 1st and the 99th percentile."""
    low, high = np.percentile(values, (1, 99))
    return high - low


def _order(a, b, metric, ratio, threshold):
    """+1 where disparity `a` is clearly nearer than `b`, -1 where farther, 0 where they are alike."""
    nearer, farther = (a > b * ratio, b > a * ratio) if metric else (a - b > threshold, b - a > threshold)
    return nearer.astype(int) - farther.astype(int)


def relative_error(predicted, disparity, valid):
    """Root mean square error of the fitted map over the standard deviation of the truth: 0 perfect, 1 as good as a constant."""
    residual = (fitted(predicted, disparity, valid) - disparity)[valid]
    return float(np.sqrt((residual**2).mean()) / max(disparity[valid].std(), 1e-9))


def within_quarter(predicted, disparity, valid):
    """Share of pixels whose depth is right within a factor of 1.25 (Eigen et al. 2014); the truth is in 1/metres."""
    depth = 1.0 / np.maximum(fitted(predicted, disparity, valid)[valid], 1.0 / FARTHEST_METRES)
    ratio = depth * disparity[valid]
    return float((np.maximum(ratio, 1.0 / ratio) < 1.25).mean())


def ordinal_error(predicted, disparity, valid, metric):
    """Share of random pairs of pixels, clearly apart in depth, that the prediction puts in the other order (or in none)."""
    pixels, rng = np.flatnonzero(valid), np.random.default_rng(SEED)
    a, b = rng.choice(pixels, (2, 20 * PAIRS))
    truth = _order(disparity.flat[a], disparity.flat[b], metric, ORDER_RATIO, ORDER_SHARE * value_range(disparity[valid]))
    clear = np.flatnonzero(truth)[:PAIRS]
    if len(clear) < 100:
        return float("nan")
    return float((np.sign(predicted.flat[a[clear]] - predicted.flat[b[clear]]) != truth[clear]).mean())


def depth_edges(disparity, threshold):
    """(h, w) bool: pixels across which disparity changes by more than `threshold` within 2 * EDGE_REACH, ridges of it only."""
    found = np.zeros(disparity.shape, bool)
    for axis in (0, 1):
        d, f = np.moveaxis(disparity, axis, 0), np.moveaxis(found, axis, 0)
        jump = np.zeros(d.shape)
        jump[EDGE_REACH:-EDGE_REACH] = np.abs(d[2 * EDGE_REACH :] - d[: -2 * EDGE_REACH])
        # A sharp step has a plateau of jumps; the slope says where on it the step is.
        height = jump + 1e-3 * np.abs(np.gradient(d, axis=0))
        f |= (jump > threshold) & (height == ndimage.maximum_filter1d(height, 2 * EDGE_REACH + 1, axis=0))
    return found


def _f1(predicted, truth, tolerance):
    """F1 of two bool maps of lines, each pixel within `tolerance` of one of the other counting as found."""
    if not truth.any():
        return float("nan")
    if not predicted.any():
        return 0.0
    precision = (ndimage.distance_transform_edt(~truth)[predicted] <= tolerance).mean()
    recall = (ndimage.distance_transform_edt(~predicted)[truth] <= tolerance).mean()
    return float(2 * precision * recall / max(precision + recall, 1e-9))


def edge_f1(predicted, disparity, valid):
    """F1 of soft depth edges; NaN where the truth has next to none. Small holes of the truth take their nearest value."""
    filled = disparity
    if not valid.all():
        filled = disparity[tuple(ndimage.distance_transform_edt(~valid, return_distances=False, return_indices=True))]
    threshold = EDGE_SHARE * value_range(disparity[valid])
    truth = depth_edges(filled, threshold)
    if truth.sum() < 50:
        return float("nan")
    return _f1(depth_edges(fitted(predicted, disparity, valid), threshold), truth, EDGE_TOLERANCE)


def outline_pairs(person):
    """Flat indices (inside, outside) of pixels on both sides of the outline of a mask (h, w) bool, on one normal of it."""
    depth, nearest = ndimage.distance_transform_edt(person, return_indices=True)
    height = ndimage.distance_transform_edt(~person)
    y, x = np.nonzero(np.abs(depth - OUTLINE_DISTANCE) <= 0.75)
    dy, dx = nearest[0, y, x] - y, nearest[1, y, x] - x
    reach = 2 * OUTLINE_DISTANCE / np.hypot(dy, dx)
    v, u = np.rint(y + dy * reach).astype(int), np.rint(x + dx * reach).astype(int)
    kept = (v >= 0) & (u >= 0) & (v < person.shape[0]) & (u < person.shape[1])
    y, x, v, u = y[kept], x[kept], v[kept], u[kept]
    kept = np.abs(height[v, u] - OUTLINE_DISTANCE) <= 2  # else it came out beside another limb
    return np.ravel_multi_index((y[kept], x[kept]), person.shape), np.ravel_multi_index((v[kept], u[kept]), person.shape)


def outline_misordering(predicted, disparity, valid, person, metric):
    """Share of the pairs across a person's outline, truly nearer inside, that the prediction does not put nearer inside."""
    inside, outside = outline_pairs(person)
    known = valid.flat[inside] & valid.flat[outside]
    inside, outside = inside[known], outside[known]
    threshold = OUTLINE_SHARE * value_range(disparity[valid])
    nearer = _order(disparity.flat[inside], disparity.flat[outside], metric, OUTLINE_RATIO, threshold) > 0
    if nearer.sum() < 30:
        return float("nan")
    return float((predicted.flat[inside[nearer]] <= predicted.flat[outside[nearer]]).mean())


def intersection_over_union(a, b):
    """Of two bool masks; 1 where both are empty."""
    union = (a | b).sum()
    return float((a & b).sum() / union) if union else 1.0


def boundary_f1(predicted, truth):
    """F1 of the outlines of two bool masks (h, w); the picture's border is no outline."""
    scale = BOUNDARY_SIDE / max(truth.shape)
    lines = []
    for mask in (predicted, truth):
        small = ndimage.zoom(mask.astype(np.float32), scale, order=1) > 0.5
        lines.append(small & ~ndimage.binary_erosion(small, border_value=1))
    return _f1(*lines, BOUNDARY_TOLERANCE)


def correlation(a, b):
    """Linear correlation of two maps (CC of Bylinskii et al. 2019), 0 for a constant one."""
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0


def similarity(a, b):
    """Histogram intersection of two densities, each normalised to sum 1 (SIM, ibid.)."""
    uniform = np.full(a.shape, 1.0 / a.size)
    a, b = (x / x.sum() if x.sum() > 0 else uniform for x in (a, b))
    return float(np.minimum(a, b).sum())


def precision_recall(predicted, mask):
    """Precision and recall of a map (h, w) in 0..255 at the thresholds 1 to 255, two arrays (255,)."""
    levels = np.clip(np.rint(predicted), 0, 255).astype(int)
    hits = np.bincount(levels[mask], minlength=256)[:0:-1].cumsum()[::-1]
    taken = np.bincount(levels.ravel(), minlength=256)[:0:-1].cumsum()[::-1]
    return np.where(taken > 0, hits / np.maximum(taken, 1), 1.0), hits / max(mask.sum(), 1)


def best_f(precision, recall):
    """Largest F-measure over the thresholds, of precision and recall averaged over the photos of a set."""
    return float(((1 + BETA_SQUARED) * precision * recall / (BETA_SQUARED * precision + recall + 1e-9)).max())
