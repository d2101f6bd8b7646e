"""The drawing without GL: a compiled z-buffer of the warp, then bilinear fetches from the photo's planes.

Two passes a frame. The first finds for every pixel the nearest triangle (a scanline rasteriser; spans of triangles that share an
edge are cut by the same arithmetic, so nothing is left open and nothing is drawn twice). The second turns the triangles' plane
equations into photo positions and fetches luma at full and chroma at half resolution, as the encoder wants them. Silhouettes,
where the mesh folds over what lies behind, are known exactly: the pixel that such an edge crosses is blended by its coverage.
"""

import math

import cv2
import numba
import numpy as np

from renderer.stretch import STRETCH_SCALE

FRACTION = 32  # positions are counted in 1/32 of a texel, as `cv2.remap` takes them
SLIVER = 1e-3  # pixels, of twice the area: what is smaller gets one position, its gradients would be ratios of rounding errors
FOLD = 0.02  # of inverse distance: what lies less behind an edge is no other surface
JUMP = 3 * FRACTION  # between the pixels of a block of four: farther apart, they show different surfaces
EDGE_SHARE = 16  # one pixel in so many may lie on a silhouette; those beyond stay as they are
COEFFICIENTS = 11  # of a triangle: x, y of its corner; value, d/dx, d/dy of 1/w, u/w and v/w


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _project(points, rotation, position, window, width, height, screen):
    left, right, bottom, top = window
    across, down = width / (right - left), height / (top - bottom)
    for i in range(len(points)):
        x, y, z = points[i, 0] - position[0], points[i, 1] - position[1], points[i, 2] - position[2]
        inverse = -1.0 / (rotation[2, 0] * x + rotation[2, 1] * y + rotation[2, 2] * z)
        screen[i, 0] = ((rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2] * z) * inverse - left) * across
        screen[i, 1] = (top - (rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2] * z) * inverse) * down
        screen[i, 2] = inverse


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _visible(screen, texels, triangles, planes, facing, nearest, owner):
    """Pass one: which triangle each pixel shows.

    Args:
      screen: (m, 3) float64, x and y in pixels and 1/w of each vertex; texels: (m, 2) float64, its position on the picture.
      triangles: (t, 3) int32.
      planes: (t, COEFFICIENTS) float32, facing: (t,) bool; filled for each triangle.
      nearest: (h, w) float32 1/w, 0 so far; owner: (h, w) int32 number of the triangle, -1 so far; filled where one is nearest.
    """
    height, width = nearest.shape
    for t in range(len(triangles)):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0, w0 = screen[i, 0], screen[i, 1], screen[i, 2]
        x1, y1, w1 = screen[j, 0], screen[j, 1], screen[j, 2]
        x2, y2, w2 = screen[k, 0], screen[k, 1], screen[k, 2]
        area = (x2 - x0) * (y1 - y0) - (x1 - x0) * (y2 - y0)  # > 0: seen from its front
        facing[t] = area > 0.0
        if not area > 0.0:
            continue
        # Rows whose middles lie between the top and the bottom corner.
        low, high = min(y0, y1, y2), max(y0, y1, y2)
        row, last = max(int(np.ceil(low - 0.5)), 0), min(int(np.ceil(high - 0.5)), height)
        if row >= last or max(x0, x1, x2) <= 0.5 or min(x0, x1, x2) > width - 0.5:
            continue
        u0, u1, u2 = texels[i, 0] * w0, texels[j, 0] * w1, texels[k, 0] * w2
        v0, v1, v2 = texels[i, 1] * w0, texels[j, 1] * w1, texels[k, 1] * w2
        plane = planes[t]
        plane[0], plane[1] = x0, y0
        if area < SLIVER:
            plane[2], plane[5], plane[8] = (w0 + w1 + w2) / 3, (u0 + u1 + u2) / 3, (v0 + v1 + v2) / 3
            plane[3] = plane[4] = plane[6] = plane[7] = plane[9] = plane[10] = 0.0
        else:
            scale = 1.0 / area
            ax, ay, bx, by = (y1 - y0) * scale, (x1 - x0) * scale, (y2 - y0) * scale, (x2 - x0) * scale
            plane[2], plane[3], plane[4] = w0, (w2 - w0) * ax - (w1 - w0) * bx, (w1 - w0) * by - (w2 - w0) * ay
            plane[5], plane[6], plane[7] = u0, (u2 - u0) * ax - (u1 - u0) * bx, (u1 - u0) * by - (u2 - u0) * ay
            plane[8], plane[9], plane[10] = v0, (v2 - v0) * ax - (v1 - v0) * bx, (v1 - v0) * by - (v2 - v0) * ay
        # Corners from top to bottom, so that an edge is walked alike from both of its sides.
        if y1 < y0:
            x0, y0, x1, y1 = x1, y1, x0, y0
        if y2 < y0:
            x0, y0, x2, y2 = x2, y2, x0, y0
        if y2 < y1:
            x1, y1, x2, y2 = x2, y2, x1, y1
        long_slope = (x2 - x0) / (y2 - y0)
        upper = (x1 - x0) / (y1 - y0) if y1 > y0 else 0.0
        lower = (x2 - x1) / (y2 - y1) if y2 > y1 else 0.0
        for y in range(row, last):
            middle = y + 0.5
            one = x0 + (middle - y0) * long_slope
            other = x0 + (middle - y0) * upper if middle < y1 else x1 + (middle - y1) * lower
            start, stop = max(int(np.ceil(min(one, other) - 0.5)), 0), min(int(np.ceil(max(one, other) - 0.5)), width)
            value = plane[2] + (middle - plane[1]) * plane[4] + (0.5 - plane[0]) * plane[3]
            for x in range(start, stop):
                near = np.float32(value + x * plane[3])
                if near > nearest[y, x]:
                    nearest[y, x] = near
                    owner[y, x] = t


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _position(whole, fraction, y, x):
    """Photo position of a pixel, x and y in 1/32 of a texel."""
    low = np.int32(fraction[y, x])
    return (np.int32(whole[y, x, 0]) << 5) + (low & 31), (np.int32(whole[y, x, 1]) << 5) + (low >> 5)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _positions(owner, planes, whole, fraction):
    """Pass two: the photo positions of all pixels as `cv2.remap` takes them.

    Args:
      whole: (h, w, 2) int16, filled with x and y; fraction: (h, w) uint16, filled with their 1/32.

    Returns:
      pixels that no triangle covers; their positions mean nothing.
    """
    height, width = owner.shape
    half, uncovered = np.float32(0.5), 0
    for y in range(height):
        for x in range(width):
            t = owner[y, x]
            if t < 0:
                uncovered += 1
                t = 0
            plane = planes[t]
            dx, dy = np.float32(x) + half - plane[0], np.float32(y) + half - plane[1]
            scale = np.float32(FRACTION) / (plane[2] + dx * plane[3] + dy * plane[4])
            u = np.int32((plane[5] + dx * plane[6] + dy * plane[7]) * scale + half)
            v = np.int32((plane[8] + dx * plane[9] + dy * plane[10]) * scale + half)
            whole[y, x, 0], whole[y, x, 1] = u >> 5, v >> 5
            fraction[y, x] = ((v & 31) << 5) | (u & 31)
    return uncovered


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _chroma_positions(whole, fraction, half_whole, half_fraction, torn_apart):
    """The same on the half-size planes, for every block of four pixels, of the positions of these.

    Args:
      half_whole: (h / 2, w / 2, 2) int16; half_fraction: (h / 2, w / 2) uint16; filled.
      torn_apart: (n, 2) int32, filled with the blocks that show two surfaces, as far as there is room.

    Returns:
      how many blocks these are.
    """
    rows, columns = half_fraction.shape
    found = 0
    for row in range(rows):
        for column in range(columns):
            u_sum, v_sum = 0, 0
            u_low, v_low, u_high, v_high = 1 << 30, 1 << 30, -(1 << 30), -(1 << 30)
            for i in range(2):
                for j in range(2):
                    u, v = _position(whole, fraction, 2 * row + i, 2 * column + j)
                    u_sum, v_sum = u_sum + u, v_sum + v
                    u_low, u_high, v_low, v_high = min(u_low, u), max(u_high, u), min(v_low, v), max(v_high, v)
            # The middle of a half-size texel lies between two: at (t + 0.5) / 2 - 0.5 of the index t.
            u, v = (u_sum >> 3) - FRACTION // 4, (v_sum >> 3) - FRACTION // 4
            half_whole[row, column, 0], half_whole[row, column, 1] = u >> 5, v >> 5
            half_fraction[row, column] = ((v & 31) << 5) | (u & 31)
            if (u_high - u_low > JUMP or v_high - v_low > JUMP) and found < len(torn_apart):
                torn_apart[found, 0], torn_apart[found, 1] = row, column
                found += 1
    return found


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fetch(plane, u, v):
    """Bilinear value of a plane at a position in 1/32 of a texel, inside its border."""
    rows, columns = plane.shape
    u, v = min(max(u, 0), (columns - 1) << 5), min(max(v, 0), (rows - 1) << 5)
    x, y, fx, fy = u >> 5, v >> 5, u & 31, v & 31
    right, below = min(x + 1, columns - 1), min(y + 1, rows - 1)
    top = np.int32(plane[y, x]) * (32 - fx) + np.int32(plane[y, right]) * fx
    bottom = np.int32(plane[below, x]) * (32 - fx) + np.int32(plane[below, right]) * fx
    return (top * (32 - fy) + bottom * fy + 512) >> 10


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _mend_chroma(blocks, whole, fraction, cb_texture, cr_texture, cb, cr):
    """Blocks that show two surfaces get the mean of their four pixels' chroma, not that of what lies between."""
    for b in range(len(blocks)):
        y, x = blocks[b, 0], blocks[b, 1]
        cb_sum, cr_sum = 2, 2
        for i in range(2):
            for j in range(2):
                u, v = _position(whole, fraction, 2 * y + i, 2 * x + j)
                u, v = (u >> 1) - FRACTION // 4, (v >> 1) - FRACTION // 4
                cb_sum += _fetch(cb_texture, u, v)
                cr_sum += _fetch(cr_texture, u, v)
        cb[y, x], cr[y, x] = cb_sum >> 2, cr_sum >> 2


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _smooth(screen, triangles, neighbours, facing, nearest, luma, blends):
    """Anti-aliases silhouettes of the luma plane.

    An edge between a triangle seen from its front and one seen from its back is where the mesh folds over what lies behind. The
    pixel that it crosses, row by row or column by column, is the mean of both sides, weighted by what it has of either.

    Args:
      blends: (n, 3) int32, room for what is to be written.
    """
    height, width = nearest.shape
    found = 0
    for t in range(len(triangles)):
        if not facing[t]:
            continue
        for side in range(3):
            other = neighbours[t, side]
            if other < 0 or facing[other]:
                continue
            a, b, c = triangles[t, side], triangles[t, (side + 1) % 3], triangles[t, (side + 2) % 3]
            steep = abs(screen[b, 1] - screen[a, 1]) >= abs(screen[b, 0] - screen[a, 0])
            along, across = (1, 0) if steep else (0, 1)
            if screen[b, along] < screen[a, along]:
                a, b = b, a
            length = screen[b, along] - screen[a, along]
            if not length > 0.0:
                continue
            slope, depth_slope = (screen[b, across] - screen[a, across]) / length, (screen[b, 2] - screen[a, 2]) / length
            beyond = screen[c, across] > screen[a, across] + (screen[c, along] - screen[a, along]) * slope
            inward = 1 if beyond else -1  # from the edge to what is near
            size, depth_size = (height, width) if steep else (width, height)
            first, last = max(int(np.ceil(screen[a, along] - 0.5)), 0), min(int(np.ceil(screen[b, along] - 0.5)), size)
            for line in range(first, last):
                way = line + 0.5 - screen[a, along]
                place = screen[a, across] + way * slope
                pixel = int(np.floor(place))
                if pixel < 1 or pixel >= depth_size - 1:
                    continue
                share = pixel + 1 - place if beyond else place - pixel  # of the pixel, that is near
                inner, outer = (pixel, pixel - inward) if share > 0.5 else (pixel + inward, pixel)
                near = screen[a, 2] + way * depth_slope
                inner_y, inner_x = (line, inner) if steep else (inner, line)
                outer_y, outer_x = (line, outer) if steep else (outer, line)
                # Hidden itself, or nothing much farther beside it.
                if abs(nearest[inner_y, inner_x] - near) > FOLD * near or nearest[outer_y, outer_x] > (1 - FOLD) * near:
                    continue
                if found < len(blends):
                    value = share * luma[inner_y, inner_x] + (1 - share) * luma[outer_y, outer_x]
                    blends[found, 0], blends[found, 1] = (line, pixel) if steep else (pixel, line)
                    blends[found, 2] = int(value + 0.5)
                    found += 1
    for i in range(found):
        luma[blends[i, 0], blends[i, 1]] = blends[i, 2]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _stretches(owner, planes, labels, across, down):
    """Pass two of another kind: ((h, w) float32 1 / sigma_min of the way back to the photo, (h, w) uint8 label)."""
    height, width = owner.shape
    stretch, region = np.zeros((height, width), np.float32), np.full((height, width), 255, np.uint8)
    for y in range(height):
        for x in range(width):
            t = owner[y, x]
            if t < 0:
                continue
            plane = planes[t]
            dx, dy = x + 0.5 - plane[0], y + 0.5 - plane[1]
            near = plane[2] + dx * plane[3] + dy * plane[4]
            u = (plane[5] + dx * plane[6] + dy * plane[7]) / near
            v = (plane[8] + dx * plane[9] + dy * plane[10]) / near
            a, b = (plane[6] - u * plane[3]) / near * across, (plane[7] - u * plane[4]) / near * across
            c, d = (plane[9] - v * plane[3]) / near * down, (plane[10] - v * plane[4]) / near * down
            total, det = a * a + b * b + c * c + d * d, a * d - b * c
            least = math.sqrt(max(0.5 * (total - math.sqrt(max(total * total - 4.0 * det * det, 0.0))), 1e-9))
            stretch[y, x] = min(1.0 / least, STRETCH_SCALE)
            row, column = min(max(int(v + 0.5), 0), labels.shape[0] - 1), min(max(int(u + 0.5), 0), labels.shape[1] - 1)
            region[y, x] = labels[row, column]
    return stretch, region


def neighbours_of(triangles):
    """(t, 3) int32: of each triangle what lies beyond its sides, corner 0 to 1, 1 to 2 and 2 to 0; -1 at the mesh's border."""
    corners = triangles.astype(np.int64)
    ends = np.stack([corners, np.roll(corners, -1, axis=1)], -1).reshape(-1, 2)
    keys = ends.min(1) * (corners.max(initial=0) + 1) + ends.max(1)
    order = np.argsort(keys, kind="stable")
    pairs = np.flatnonzero(keys[order][:-1] == keys[order][1:])
    found = np.full(len(keys), -1, np.int32)
    found[order[pairs]], found[order[pairs + 1]] = order[pairs + 1] // 3, order[pairs] // 3
    return found.reshape(-1, 3)


class _Sheets:
    """Layers, prepared: one mesh with one picture, theirs below each other; what does not change, and room for what does."""

    def __init__(self, layers):
        sizes = [len(mesh.positions) for mesh, _ in layers]
        first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self.points = np.concatenate([mesh.positions for mesh, _ in layers]).astype(float)
        self.triangles = np.concatenate([mesh.triangles + f for (mesh, _), f in zip(layers, first, strict=True)]).astype(np.int32)
        self.neighbours = neighbours_of(self.triangles)
        self.picture, tops = _below_each_other([picture for _, picture in layers])
        self.texels = np.concatenate(
            [mesh.uv * picture.shape[1::-1] - 0.5 + np.array([0, top]) for (mesh, picture), top in zip(layers, tops, strict=True)]
        )
        self.screen = np.empty((len(self.points), 3))
        self.planes = np.zeros((len(self.triangles), COEFFICIENTS), np.float32)
        self.facing = np.zeros(len(self.triangles), np.bool_)

    def look(self, position, rotation, window, nearest, owner):
        """Pass one for a pose."""
        height, width = nearest.shape
        nearest.fill(0)
        owner.fill(-1)
        bounds = window.left, window.right, window.bottom, window.top
        _project(self.points, rotation, position, bounds, width, height, self.screen)
        _visible(self.screen, self.texels, self.triangles, self.planes, self.facing, nearest, owner)


def _below_each_other(pictures):
    """One picture of all, and the row that each begins at. Sides are even, borders repeated: fetches see only their own."""
    width, parts, tops, top = max(picture.shape[1] for picture in pictures), [], [], 0
    for picture in pictures:
        h, w = picture.shape[:2]
        apart = 2 if len(pictures) > 1 else 0
        parts.append(cv2.copyMakeBorder(picture, apart, apart + h % 2, 0, width + width % 2 - w, cv2.BORDER_REPLICATE))
        tops.append(top + apart)
        top += len(parts[-1])
    return np.concatenate(parts), tops


class Canvas:
    """Draws frames of one size; see `renderer.canvas`."""

    def __init__(self, width, height):
        self.width, self.height = width, height

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def frames(self, layers, window, path):
        """Draws a path; see `renderer.gl.Context.frames`."""
        width, height, sheets = self.width, self.height, _Sheets(layers)
        half = height // 2, width // 2
        textures = [cv2.extractChannel(sheets.picture, i) for i in range(3)]
        rows, columns = textures[0].shape
        textures[1:] = [cv2.resize(t, (columns // 2, rows // 2), interpolation=cv2.INTER_AREA) for t in textures[1:]]
        nearest, owner = np.empty((height, width), np.float32), np.empty((height, width), np.int32)
        whole, fraction = np.empty((height, width, 2), np.int16), np.empty((height, width), np.uint16)
        half_whole, half_fraction = np.empty((*half, 2), np.int16), np.empty(half, np.uint16)
        room = width * height // EDGE_SHARE
        blocks, blends = np.empty((room, 2), np.int32), np.empty((room, 3), np.int32)
        frame = np.empty((height * 3 // 2, width), np.uint8)
        luma, chroma = frame[:height], frame[height:].reshape(2, *half)
        for position, rotation in zip(path.positions, path.rotations, strict=True):
            sheets.look(position, rotation, window, nearest, owner)
            uncovered = _positions(owner, sheets.planes, whole, fraction)
            found = _chroma_positions(whole, fraction, half_whole, half_fraction, blocks)
            cv2.remap(textures[0], whole, fraction, cv2.INTER_LINEAR, dst=luma, borderMode=cv2.BORDER_REPLICATE)
            for texture, plane in zip(textures[1:], chroma, strict=True):
                cv2.remap(texture, half_whole, half_fraction, cv2.INTER_LINEAR, dst=plane, borderMode=cv2.BORDER_REPLICATE)
            _mend_chroma(blocks[:found], whole, fraction, *textures[1:], *chroma)
            _smooth(sheets.screen, sheets.triangles, sheets.neighbours, sheets.facing, nearest, luma, blends)
            yield frame, uncovered

    def stretch(self, layers, window, path, lens):
        """How much the photo is drawn out; see `renderer.gl.Context.stretch`."""
        width, height, sheets = self.width, self.height, _Sheets(layers)
        nearest, owner = np.empty((height, width), np.float32), np.empty((height, width), np.int32)
        # Texels of the labels to pixels of a frame, face-on.
        across = width * 2 * lens.half_width / window.width / layers[0][1].shape[1]
        down = height * 2 * lens.half_height / window.height / layers[0][1].shape[0]
        for position, rotation in zip(path.positions, path.rotations, strict=True):
            sheets.look(position, rotation, window, nearest, owner)
            yield _stretches(owner, sheets.planes, sheets.picture, across, down)
