"""Maps and photos drawn by hand, for the tests of depth repair."""

import numpy as np

FAR, NEAR = np.float32(0.2), np.float32(0.8)  # inverse depths
ORANGE, TEAL = (230, 140, 40), (20, 110, 120)


def disc(shape, x, y, radius):
    """Bool map: a disc; x, y and radius in cells."""
    rows, columns = np.indices(shape)
    return np.hypot(columns - x, rows - y) <= radius


def two_colours(shape, edge):
    """(h, w, 3) uint8: orange left of a column, teal from it on."""
    rgb = np.empty((*shape, 3), np.uint8)
    rgb[:, :edge], rgb[:, edge:] = ORANGE, TEAL
    return rgb


def ramp(shape, middle, width):
    """(h, w) float32 inverse depth that falls from near to far over `width` columns."""
    row = np.interp(np.arange(shape[1]), (middle - width / 2, middle + width / 2), (NEAR, FAR))
    return np.tile(row.astype(np.float32), (shape[0], 1))
