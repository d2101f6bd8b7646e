"""Which rectangle of the image plane the mesh fills in every frame.

The mesh is one sheet, so wherever its projected outline winds round a point, some triangle covers that point. A
rectangle that has the whole projected left side of the outline to its left, the right side to its right, and so on, is
wound round once at each of its points: covered, whatever folds lie inside. So the outlines of ALL frames prove the
coverage of ALL pixels, and no frame need be sampled.
"""

import dataclasses

import numpy as np

from renderer.camera import Window, distance, project
from renderer.mesh import grid_points

NEAREST = 0.05  # of the near distance: what comes closer to the camera than that is clipped by any projection


@dataclasses.dataclass(frozen=True)
class Outline:
    """What bounds a mesh.

    Attributes:
      sides: world points of the photo's left, right, top and bottom side, each (m, 3).
      hull: (8, 3) corners of the frustum that holds every vertex.
    """

    sides: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    hull: np.ndarray


def outline_points(inverse_depth, lens):
    """Outline of the mesh of an inverse depth map.

    Args:
      inverse_depth: (h, w) float at the mesh's grid vertices, whose outermost lie on the photo's border.
      lens: the photo's Lens.
    """
    points = grid_points(inverse_depth, lens)
    ends = np.array([distance(inverse_depth.max()), distance(inverse_depth.min())])[:, None, None]
    corners = np.array([(x, y, -1.0) for x in (-lens.half_width, lens.half_width) for y in (-lens.half_height, lens.half_height)])
    return Outline((points[:, 0], points[:, -1], points[0], points[-1]), (ends * corners).reshape(8, 3))


def covered_window(outline, path):
    """The largest Window that every frame of `path` covers, or None where there is none.

    Args:
      outline: of the mesh, from `outline_points`.
    """
    # Depth is linear, so its least over the hull bounds that of every vertex: nothing passes behind the camera.
    if project(outline.hull, path.positions, path.rotations)[1].min() <= NEAREST:
        return None
    left, right, top, bottom = (project(side, path.positions, path.rotations)[0] for side in outline.sides)
    left, right, top, bottom = left[..., 0].max(), right[..., 0].min(), top[..., 1].min(), bottom[..., 1].max()
    if left >= right or bottom >= top:
        return None
    return Window(float(left), float(right), float(bottom), float(top))
