"""How far a path tears the mesh: a low-resolution z-buffer that keeps, for each pixel, how much its texel is drawn out.

stretch = 1 / sigma_min of the Jacobian of the backward warp = sigma_max of the forward warp's, which is constant on a
triangle. It is measured against the photo's own scale, so a crop or a wider field of view changes nothing.
"""

import math

import numba
import numpy as np

ARTIFACT_STRETCH = 3.0  # a texel drawn out this many times reads as a smear, not as a surface seen aslant

STRETCH_SCALE = 8.5  # the most that is told: so that a stretch of 3 is the 90th of 255 levels


@numba.njit(cache=True, fastmath=True, nogil=True)
def _rasterise(points, labels, profile, position, rotation, half_size, shape, crop, stretch, region, share, depth):
    (half_width, half_height), (height, width) = half_size, shape
    rows, columns, step = points.shape[0], points.shape[1], profile.shape[2]
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
                x0 = max(int(math.ceil(min(u0, u1, u2) - 0.5)), crop[2])
                x1 = min(int(math.floor(max(u0, u1, u2) - 0.5)), crop[3] - 1)
                y0 = max(int(math.ceil(min(v0, v1, v2) - 0.5)), crop[0])
                y1 = min(int(math.floor(max(v0, v1, v2) - 0.5)), crop[1] - 1)
                if x0 > x1 or y0 > y1:
                    continue
                area = (u2 - u0) * (v1 - v0) - (u1 - u0) * (v2 - v0)  # > 0: seen from its front
                if area <= 1e-9:
                    continue
                scale = 1.0 / area
                sign = 1.0 if half == 0 else -1.0
                a, b = sign * (u2 - u0) / cell_u, sign * (u1 - u0) / cell_v
                d, e = sign * (v2 - v0) / cell_u, sign * (v1 - v0) / cell_v
                det = a * e - b * d
                # A coarse cell's displacement falls to the full mesh's cells in it by their shares of its depth: their
                # Jacobian is 1 + step * share * (J - 1), and their part of the coarse cell's area follows from the determinant.
                off = abs(a - 1.0) + abs(b) + abs(d) + abs(e - 1.0)
                full, part = 1.0, 0.0
                for k in range(step):
                    g = step * profile[r, c, k]
                    if k > 0 and 1.0 + g * off < ARTIFACT_STRETCH:
                        break
                    ga, gb, gd, ge = 1.0 + g * (a - 1.0), g * b, g * d, 1.0 + g * (e - 1.0)
                    total, gdet = ga * ga + gb * gb + gd * gd + ge * ge, ga * ge - gb * gd
                    s = math.sqrt(0.5 * (total + math.sqrt(max(total * total - 4.0 * gdet * gdet, 0.0))))
                    full = max(full, s) if k > 0 else s
                    if s >= ARTIFACT_STRETCH and gdet > 0.0:
                        part += gdet / (step * det)
                label = labels[r, c]
                for y in range(y0, y1 + 1):
                    for x in range(x0, x1 + 1):
                        px, py = x + 0.5, y + 0.5
                        k1 = ((u2 - u0) * (py - v0) - (px - u0) * (v2 - v0)) * scale
                        k2 = ((px - u0) * (v1 - v0) - (u1 - u0) * (py - v0)) * scale
                        k0 = 1.0 - k1 - k2
                        if k0 < -1e-9 or k1 < -1e-9 or k2 < -1e-9:
                            continue
                        near = k0 * w[r0, c0] + k1 * w[r1, c1] + k2 * w[r2, c2]
                        if near > depth[y, x]:
                            depth[y, x] = near
                            stretch[y, x] = full
                            region[y, x] = label
                            share[y, x] = part


@numba.njit(cache=True, nogil=True)
def _add_sorted(total, steps):
    """Adds to `total` the values of `steps`, largest first; sorts `steps`, which is short."""
    for i in range(1, len(steps)):
        value, k = steps[i], i
        while k > 0 and steps[k - 1] < value:
            steps[k] = steps[k - 1]
            k -= 1
        steps[k] = value
    for k in range(len(steps)):
        total[k] += steps[k]


@numba.njit(cache=True, nogil=True)
def _profiles(depth, step, out):
    across, down, steps = np.empty(step), np.empty(step), np.empty(step)
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            across[:], down[:] = 0.0, 0.0
            for i in range(step):
                y, x = r * step + i, c * step + i
                for k in range(step):
                    steps[k] = abs(depth[y, c * step + k + 1] - depth[y, c * step + k])
                _add_sorted(across, steps)
                for k in range(step):
                    steps[k] = abs(depth[r * step + k + 1, x] - depth[r * step + k, x])
                _add_sorted(down, steps)
            chosen = across if across.sum() >= down.sum() else down
            total = chosen.sum()
            for k in range(step):
                out[r, c, k] = chosen[k] / total if total > 1e-9 else 1.0 / step


def step_profile(depth, step):
    """How a cell of every `step`-th vertex shares its difference of depth among the cells of the full mesh in it.

    A depth step that the full mesh spans with one cell is spread over `step` cells by the coarse mesh, a slope is spread
    alike by both. The shares of the full mesh's steps tell them apart: 1, 0, ... of a sharp edge, all equal of a slope.

    Args:
      depth: (step r + 1, step c + 1) float inverse depth at the full mesh's vertices.

    Returns:
      (r, c, step) float64, largest first, adding up to 1: along the axis with more difference, sorted within each line of the
      full mesh, so that a slanted edge counts as sharp, and averaged over the lines.
    """
    rows, columns = (s // step for s in depth.shape)
    out = np.empty((rows, columns, step))
    _profiles(np.ascontiguousarray(depth), step, out)
    return out


def stretch_map(points, labels, profile, position, rotation, lens, shape, crop=None):
    """Draws one pose of a low-resolution mesh and says how much each pixel is drawn out.

    Args:
      points: (r, c, 3) float64 world points of the grid vertices.
      labels: (r - 1, c - 1) uint8, any label of each cell, carried along.
      profile: (r - 1, c - 1, step) float64, from `step_profile`; ones where `points` are the drawn mesh itself, step 1.
      position, rotation: (3,) and (3, 3), a pose of a `camera.Path`.
      lens: the photo's Lens; the map shows the photo's own field of view.
      shape: (height, width) of the map.
      crop: (rows slice, columns slice) of the map that is wanted, all by default; nothing is seen elsewhere.

    Returns:
      ((height, width) float32 the largest stretch of the full mesh's cells that the pixel's cell stands for, 0 where no surface
      is seen; (height, width) uint8 label of what is seen, 255 there; (height, width) float32 the share of it that is stretched
      by ARTIFACT_STRETCH or more: a coarse cell holds smooth ones beside the torn).
    """
    stretch = np.zeros(shape, np.float32)
    region = np.full(shape, 255, np.uint8)
    share, depth = np.zeros(shape, np.float32), np.zeros(shape)
    rows, columns = crop or (slice(0, shape[0]), slice(0, shape[1]))
    bounds = rows.start, rows.stop, columns.start, columns.stop
    half_size = lens.half_width, lens.half_height
    _rasterise(points, labels, profile, position, rotation, half_size, tuple(shape), bounds, stretch, region, share, depth)
    return stretch, region, share
