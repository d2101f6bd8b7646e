"""The photo extruded onto its depth map: a grid of triangles, dense at depth edges, coarse where depth is smooth."""

import dataclasses
import functools

import numpy as np

from renderer.camera import unproject

BLOCK = 4  # cells to a block's side: 2 leaves twice the triangles, 8 wastes most of a block at every edge
GRID_MULTIPLE = (
    2 * BLOCK
)  # of a grid's cells a side, so that copies of it at every fourth and every eighth vertex end at its border
FLAT_TOLERANCE = 0.005  # of inverse depth: 59 dB against the full grid on a 12-megapixel portrait at 1080x1440


@dataclasses.dataclass(frozen=True)
class Mesh:
    """One layer of a scene.

    Attributes:
      positions: (m, 3) float32, world frame.
      uv: (m, 2) float32 in [0, 1], x right, y down: where on the photo the vertex lies.
      triangles: (t, 3) uint32, counter-clockwise as the photo's camera sees them.
    """

    positions: np.ndarray
    uv: np.ndarray
    triangles: np.ndarray


def grid_uv(height, width):
    """Photo positions (height, width, 2) of grid vertices; the outermost lie on the photo's border."""
    return np.stack(np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height)), axis=-1)


def cell_uv(rows, columns):
    """Photo positions (rows, columns, 2) of the middles of a grid's cells."""
    return np.stack(np.meshgrid((np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows), axis=-1)


def grid_points(inverse_depth, lens):
    """World points (h, w, 3) of the grid vertices of an inverse depth map (h, w)."""
    return unproject(grid_uv(*inverse_depth.shape), inverse_depth, lens)


@functools.cache
def _block_templates():
    """Triangles of a block, as (row, column) of its vertices, for each of 17 cases.

    Cases 0 to 15 are flat blocks: bits 1, 2, 4, 8 say that the neighbour above, right, below, left is dense, and that
    this side therefore keeps its inner vertices, or a crack would open. Case 16 is a dense block.
    """
    templates = []
    for case in range(16):
        ring = []
        for side in range(4):
            steps = range(BLOCK) if case >> side & 1 else (0,)
            corner = ((0, 0), (0, BLOCK), (BLOCK, BLOCK), (BLOCK, 0))[side]
            along = ((0, 1), (1, 0), (0, -1), (-1, 0))[side]
            ring += [(corner[0] + s * along[0], corner[1] + s * along[1]) for s in steps]
        if case == 0:  # two triangles; a fan round the middle would cost four
            templates.append([(ring[0], ring[2], ring[1]), (ring[0], ring[3], ring[2])])
            continue
        middle = (BLOCK // 2, BLOCK // 2)
        templates.append([(middle, b, a) for a, b in zip(ring, ring[1:] + ring[:1], strict=True)])
    dense = []
    for r in range(BLOCK):
        for c in range(BLOCK):
            a, b, d, e = (r, c), (r, c + 1), (r + 1, c), (r + 1, c + 1)
            dense += [(a, d, b), (b, d, e)]
    templates.append(dense)
    return tuple(np.array(t) for t in templates)


def _block_is_flat(depth):
    """(rows, columns) bool: is the block's inverse depth within the tolerance of two triangles over its corners."""
    rows, columns = (s // BLOCK for s in np.subtract(depth.shape, 1))
    index = np.arange(BLOCK + 1)
    blocks = depth[
        (np.arange(rows) * BLOCK)[:, None, None, None] + index[:, None], (np.arange(columns) * BLOCK)[:, None, None] + index
    ]
    t = index / BLOCK
    top = blocks[..., :1, :1] * (1 - t) + blocks[..., :1, -1:] * t
    bottom = blocks[..., -1:, :1] * (1 - t) + blocks[..., -1:, -1:] * t
    patch = top * (1 - t[:, None]) + bottom * t[:, None]
    # Two triangles differ from the bilinear patch by up to a quarter of its twist.
    twist = np.abs(blocks[..., 0, 0] - blocks[..., 0, -1] - blocks[..., -1, 0] + blocks[..., -1, -1]) / 4
    return np.abs(blocks - patch).max(axis=(-1, -2)) + twist <= FLAT_TOLERANCE


def grid_shape(photo_width, photo_height, long_side):
    """(rows, columns) of vertices: whole blocks, near the photo's aspect, `long_side` cells along the long side."""
    scale = long_side / max(photo_width, photo_height) / GRID_MULTIPLE
    return tuple(max(1, round(s * scale)) * GRID_MULTIPLE + 1 for s in (photo_height, photo_width))


def extrude(inverse_depth, lens):
    """Builds the adaptive mesh of an inverse depth map.

    Args:
      inverse_depth: (h, w) float in [0, 1] at grid vertices; h - 1 and w - 1 are multiples of BLOCK.
      lens: the photo's Lens.

    Returns:
      Mesh. It is watertight: no vertex lies on the inside of another triangle's edge.
    """
    height, width = inverse_depth.shape
    if (height - 1) % BLOCK or (width - 1) % BLOCK:
        raise ValueError(f"inverse_depth must have sides of {BLOCK} n + 1, got {inverse_depth.shape}")
    dense = ~_block_is_flat(inverse_depth)
    around = np.pad(dense, 1)
    sides = (around[:-2, 1:-1], around[1:-1, 2:], around[2:, 1:-1], around[1:-1, :-2])
    case = sum(side.astype(int) << bit for bit, side in enumerate(sides))
    case = np.where(dense, 16, case)
    triangles = []
    for value, template in enumerate(_block_templates()):
        rows, columns = np.nonzero(case == value)
        if len(rows):
            r = rows[:, None, None] * BLOCK + template[..., 0]
            c = columns[:, None, None] * BLOCK + template[..., 1]
            triangles.append((r * width + c).reshape(-1, 3))
    triangles = np.concatenate(triangles)
    used, triangles = np.unique(triangles, return_inverse=True)
    return Mesh(
        positions=grid_points(inverse_depth, lens).reshape(-1, 3)[used].astype(np.float32),
        uv=grid_uv(height, width).reshape(-1, 2)[used].astype(np.float32),
        triangles=triangles.reshape(-1, 3).astype(np.uint32),
    )
