"""Where the virtual camera's frame lies: the asked aspect, all of it covered by the mesh, as much saliency as fits."""

import numpy as np

from renderer.camera import Window

POSITIONS = 65  # of the crop along its free side: steps of 0.5 % of the photo for the narrowest crops
# Share of all saliency that a crop must gain for lying half a photo off the subject's middle. Without it a crop takes in a
# lamp post at one border and leaves the subject at the other.
CENTRE_PULL = 0.15
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


def _place(low, high, length, weights, axis, span):
    """Start of an interval of `length` in [low, high] that holds the most weight; coordinates in units of [-span, span]."""
    edges, below = _cumulative(weights, axis)
    starts = np.linspace(low, max(low, high - length), POSITIONS)

    def share(x):
        return np.interp((x / span + 1) / 2, edges, below)

    held = share(starts + length) - share(starts)
    centre = span * (2 * float(np.interp(0.5, below, edges)) - 1)  # half of the weight lies on either side
    held -= CENTRE_PULL * np.abs(starts + length / 2 - centre) / span
    return float(starts[np.argmax(held)])


def choose_window(bounds, lens, ratio, saliency, head):
    """The window of an aspect inside `bounds` that keeps most.

    Args:
      bounds: Window that is covered in every frame.
      lens: the photo's Lens.
      ratio: width / height of the clip.
      saliency: (h, w) float, a cell of the photo each, row 0 on top.
      head: (h, w) bool, alike.

    Returns:
      Window: as large as fits, hence it keeps more than any smaller one, and free to slide along one side only.
    """
    width, height = largest(bounds, ratio)
    weights = saliency * (1 + (HEAD_WEIGHT - 1) * head) + 1e-6
    left = _place(bounds.left, bounds.right, width, weights, 0, lens.half_width)
    bottom = _place(bounds.bottom, bounds.top, height, weights[::-1], 1, lens.half_height)
    return Window(left, left + width, bottom, bottom + height)


def cells_of(window, lens, shape):
    """(rows slice, columns slice) of a (h, w) map of the photo that lie inside a window of the face-on view."""
    h, w = shape
    x0, x1 = ((t / lens.half_width + 1) / 2 * w for t in (window.left, window.right))
    y0, y1 = ((1 - t / lens.half_height) / 2 * h for t in (window.top, window.bottom))

    def bounds(a, b, n):
        return slice(int(np.clip(round(a), 0, n - 1)), int(np.clip(round(b), 1, n)))

    return bounds(y0, y1, h), bounds(x0, x1, w)


def saliency_kept(window, lens, saliency):
    """Share of the photo's saliency (h, w) that a window keeps at the face-on view."""
    return float(saliency[cells_of(window, lens, saliency.shape)].sum() / max(float(saliency.sum()), 1e-12))
