"""Where the virtual camera's frame lies: the asked aspect, all of it covered by the mesh, as much saliency as fits."""

import dataclasses

import cv2
import numpy as np

from renderer.camera import Window, project, unproject

POSITIONS = 65  # of the crop along its free side: steps of 0.5 % of the photo for the narrowest crops
# Share of all saliency that a crop must gain for lying half a photo off the subject's middle. Without it a crop takes in a
# lamp post at one border and leaves the subject at the other.
CENTRE_PULL = 0.15
MIN_HEAD, HEAD_SHARE = (
    0.001,
    0.25,
)  # of the photo, and of its largest head: smaller ones are passers-by, whom a frame may leave out
HEAD_MARGIN = 0.01  # of the photo's long side, between a head and the frame's border (choice)
HEAD_POINTS = 48  # of a head's outline are followed through the frames
HEAD_WEIGHT = 4.0  # a head counts this many times its saliency: who is in the photo stays in it


def photo_window(lens):
    """The Window of the whole photo."""
    return Window(-lens.half_width, lens.half_width, -lens.half_height, lens.half_height)


def largest(bounds, ratio):
    """(width, height) of the largest window of an aspect ratio (width / height) inside `bounds`."""
    width = min(bounds.width, bounds.height * ratio)
    return width, width / ratio


def _cumulative(weights, axis):
    """Cells' weights summed along one axis, then accumulated along the other: (edges in [0, 1], share below each edge)."""
    profile = weights.sum(axis=axis)
    total = max(float(profile.sum()), 1e-12)
    return np.linspace(0, 1, len(profile) + 1), np.concatenate([[0.0], np.cumsum(profile)]) / total


def _place(low, high, length, weights, axis, span, keep):
    """Start of an interval of `length` in [low, high] that holds the most weight; coordinates in units of [-span, span].

    `keep` (least, largest) must lie inside it, as far as [low, high] goes; None where it does not fit.
    """
    edges, below = _cumulative(weights, axis)
    first, last = max(low, keep[1] - length), min(high - length, keep[0])
    if first > last + 1e-9 * span:
        return None
    starts = np.linspace(first, max(first, last), POSITIONS)

    def share(x):
        return np.interp((x / span + 1) / 2, edges, below)

    held = share(starts + length) - share(starts)
    centre = span * (2 * float(np.interp(0.5, below, edges)) - 1)  # half of the weight lies on either side
    held -= CENTRE_PULL * np.abs(starts + length / 2 - centre) / span
    return float(starts[np.argmax(held)])


@dataclasses.dataclass(frozen=True)
class Heads:
    """The heads that a frame must show whole.

    Attributes:
      points: (n, 3) world points of their outlines.
      cut: whether the photo itself cuts one of them, on its left, right, bottom and top side: there nothing can be made whole.
    """

    points: np.ndarray
    cut: tuple[bool, bool, bool, bool]

    @staticmethod
    def of(inverse_depth, regions, lens):
        """Heads of a photo.

        Args:
          inverse_depth: (r + 1, c + 1) float at the mesh's vertices.
          regions: (r, c) uint8 region of each cell.
          lens: the photo's Lens.
        """
        rows, columns = regions.shape
        heads = (regions == 2).astype(np.uint8)
        _, pieces, stats, _ = cv2.connectedComponentsWithStats(heads, connectivity=8)
        areas = stats[1:, cv2.CC_STAT_AREA]
        points, edges = [np.zeros((0, 3))], []
        for piece in 1 + np.flatnonzero(areas >= max(MIN_HEAD * heads.size, HEAD_SHARE * areas.max(initial=0))):
            contours, _ = cv2.findContours((pieces == piece).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            x, y = max(contours, key=len)[:, 0].T
            ends = [x.argmin(), x.argmax(), y.argmin(), y.argmax()]  # always followed, or a sparse selection would miss an ear
            chosen = np.unique([*ends, *np.linspace(0, len(x) - 1, HEAD_POINTS).astype(int)])
            x, y = x[chosen], y[chosen]
            edges.append((x.min() == 0, x.max() == columns - 1, y.max() == rows - 1, y.min() == 0))
            points.append(unproject(np.stack([(x + 0.5) / columns, (y + 0.5) / rows], -1), inverse_depth[y, x], lens))
        return Heads(np.concatenate(points), tuple(bool(e) for e in np.any(edges, axis=0)) if edges else (False,) * 4)

    def within(self, bounds, lens, path):
        """The Window that shows them in all frames of a Path, with a margin where `bounds` leave one; None without heads."""
        if not len(self.points):
            return None
        seen, _ = project(self.points, path.positions, path.rotations)
        low, high = seen.min((0, 1)), seen.max((0, 1))
        margin = HEAD_MARGIN * 2 * max(lens.half_width, lens.half_height)

        def side(value, bound, sign, cut):
            if cut:
                return bound
            inside = sign * (value - bound) >= 0
            return sign * max(sign * value - margin, sign * bound) if inside else value

        return Window(
            side(low[0], bounds.left, 1, self.cut[0]),
            side(high[0], bounds.right, -1, self.cut[1]),
            side(low[1], bounds.bottom, 1, self.cut[2]),
            side(high[1], bounds.top, -1, self.cut[3]),
        )


def choose_window(bounds, lens, ratio, saliency, head, keep=None):
    """The window of an aspect inside `bounds` that keeps most.

    Args:
      bounds: Window that is covered in every frame.
      lens: the photo's Lens.
      ratio: width / height of the clip.
      saliency: (h, w) float, a cell of the photo each, row 0 on top.
      head: (h, w) bool, alike.
      keep: Window that must lie inside, or None.

    Returns:
      Window: as large as fits, hence it keeps more than any smaller one, and free to slide along one side only; None where
      `keep` does not fit into it.
    """
    width, height = largest(bounds, ratio)
    keep = keep or Window(np.inf, -np.inf, np.inf, -np.inf)
    weights = saliency * (1 + (HEAD_WEIGHT - 1) * head) + 1e-6
    left = _place(bounds.left, bounds.right, width, weights, 0, lens.half_width, (keep.left, keep.right))
    bottom = _place(bounds.bottom, bounds.top, height, weights[::-1], 1, lens.half_height, (keep.bottom, keep.top))
    return None if left is None or bottom is None else Window(left, left + width, bottom, bottom + height)


def cells_of(window, lens, shape):
    """(rows slice, columns slice) of a (h, w) map of the photo that lie inside a window of the face-on view."""
    h, w = shape
    x0, x1 = ((t / lens.half_width + 1) / 2 * w for t in (window.left, window.right))
    y0, y1 = ((1 - t / lens.half_height) / 2 * h for t in (window.top, window.bottom))

    def bounds(a, b, n):
        return slice(int(np.clip(round(a), 0, n - 1)), int(np.clip(round(b), 1, n)))

    return bounds(y0, y1, h), bounds(x0, x1, w)


def saliency_kept(points, saliency, window, path):
    """Share of the photo's saliency that a window shows, in the frame of a Path that shows least of it.

    Args:
      points: (h, w, 3) world points; saliency: (h, w) what each weighs.
      window: the Window; path: frames to look at.
    """
    points, weights = points.reshape(-1, 3), saliency.ravel().astype(float)
    weights /= max(weights.sum(), 1e-12)
    x, y = np.moveaxis(project(points, path.positions, path.rotations)[0], -1, 0)
    inside = (x >= window.left) & (x <= window.right) & (y >= window.bottom) & (y <= window.top)
    return min(float((inside @ weights).min()), 1.0)
