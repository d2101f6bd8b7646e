"""How far a path tears the mesh: a low-resolution z-buffer that keeps, for each pixel, how much its texel is drawn out.

stretch = 1 / sigma_min of the Jacobian of the backward warp = sigma_max of the forward warp's, which is constant on a
triangle. It is measured against the photo's own scale, so a crop or a wider field of view changes nothing.
"""

import math

import numba
import numpy as np

ARTIFACT_STRETCH = 3.0  # a texel drawn out this many times reads as a smear, not as a surface seen aslant


@numba.njit(cache=True, fastmath=True, nogil=True)
def _rasterise(points, labels, gain, position, rotation, half_width, half_height, height, width, stretch, region, depth):
    rows, columns = points.shape[0], points.shape[1]
    u = np.empty((rows, columns))
    v = np.empty((rows, columns))
    w = np.empty((rows, columns))
    for r in range(rows):
        for c in range(columns):
            x = points[r, c, 0] - position[0]
            y = points[r, c, 1] - position[1]
            z = points[r, c, 2] - position[2]
            inverse = -1.0 / (rotation[2, 0] * x + rotation[2, 1] * y + rotation[2, 2] * z)
            u[r, c] = ((rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2] * z) * inverse / half_width + 1.0) * 0.5 * width
            v[r, c] = (
                (1.0 - (rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2] * z) * inverse / half_height) * 0.5 * height
            )
            w[r, c] = inverse  # nearer = larger, and linear on the screen
    cell_u, cell_v = width / (columns - 1.0), height / (rows - 1.0)
    for r in range(rows - 1):
        for c in range(columns - 1):
            for half in range(2):
                if half == 0:
                    r0, c0, r1, c1, r2, c2 = r, c, r + 1, c, r, c + 1
                else:
                    r0, c0, r1, c1, r2, c2 = r + 1, c + 1, r, c + 1, r + 1, c
                u0, v0, u1, v1, u2, v2 = u[r0, c0], v[r0, c0], u[r1, c1], v[r1, c1], u[r2, c2], v[r2, c2]
                area = (u2 - u0) * (v1 - v0) - (u1 - u0) * (v2 - v0)  # > 0: seen from its front
                if area <= 1e-9:
                    continue
                sign = 1.0 if half == 0 else -1.0
                a, b = sign * (u2 - u0) / cell_u, sign * (u1 - u0) / cell_v
                d, e = sign * (v2 - v0) / cell_u, sign * (v1 - v0) / cell_v
                total, det = a * a + b * b + d * d + e * e, a * e - b * d
                s = math.sqrt(0.5 * (total + math.sqrt(max(total * total - 4.0 * det * det, 0.0))))
                s = 1.0 + (s - 1.0) * gain[r, c]
                x0 = max(int(math.ceil(min(u0, u1, u2) - 0.5)), 0)
                x1 = min(int(math.floor(max(u0, u1, u2) - 0.5)), width - 1)
                y0 = max(int(math.ceil(min(v0, v1, v2) - 0.5)), 0)
                y1 = min(int(math.floor(max(v0, v1, v2) - 0.5)), height - 1)
                label = labels[r, c]
                for y in range(y0, y1 + 1):
                    for x in range(x0, x1 + 1):
                        px, py = x + 0.5, y + 0.5
                        k1 = ((u2 - u0) * (py - v0) - (px - u0) * (v2 - v0)) / area
                        k2 = ((px - u0) * (v1 - v0) - (u1 - u0) * (py - v0)) / area
                        k0 = 1.0 - k1 - k2
                        if k0 < -1e-9 or k1 < -1e-9 or k2 < -1e-9:
                            continue
                        near = k0 * w[r0, c0] + k1 * w[r1, c1] + k2 * w[r2, c2]
                        if near > depth[y, x]:
                            depth[y, x] = near
                            stretch[y, x] = s
                            region[y, x] = label


def step_gain(depth, step):
    """How much more a cell of every `step`-th vertex is stretched in the full mesh, where it is stretched most.

    A depth step that the full mesh spans with one cell is spread over `step` cells by the coarse mesh, a slope is spread
    alike by both. The share of a coarse cell's difference that its largest single fine step holds tells them apart.

    Args:
      depth: (step r + 1, step c + 1) float inverse depth at the full mesh's vertices.

    Returns:
      (r, c) float64 in [1, step]: multiply (stretch - 1) by it.
    """
    fine = np.maximum(np.abs(np.diff(depth, axis=0))[:, :-1], np.abs(np.diff(depth, axis=1))[:-1])
    largest = fine.reshape(fine.shape[0] // step, step, fine.shape[1] // step, step).max(axis=(1, 3))
    corners = depth[::step, ::step]
    four = np.stack([corners[:-1, :-1], corners[:-1, 1:], corners[1:, :-1], corners[1:, 1:]])
    across = np.maximum(four.max(0) - four.min(0), 1e-9)
    return np.clip(step * largest / across, 1.0, step)


def stretch_map(points, labels, gain, position, rotation, lens, shape):
    """Draws one pose of a low-resolution mesh and says how much each pixel is drawn out.

    Args:
      points: (r, c, 3) float64 world points of the grid vertices.
      labels: (r - 1, c - 1) uint8, any label of each cell, carried along.
      gain: (r - 1, c - 1) float64, from `step_gain`; ones where `points` are the drawn mesh itself.
      position, rotation: (3,) and (3, 3), a pose of a `camera.Path`.
      lens: the photo's Lens; the map shows the photo's own field of view.
      shape: (height, width) of the map.

    Returns:
      ((height, width) float32 stretch, 0 where no surface is seen; (height, width) uint8 label of what is seen, 255 there).
    """
    stretch = np.zeros(shape, np.float32)
    region = np.full(shape, 255, np.uint8)
    depth = np.zeros(shape)
    _rasterise(
        points, labels, gain, position, rotation, lens.half_width, lens.half_height, shape[0], shape[1], stretch, region, depth
    )  # fmt: skip
    return stretch, region
