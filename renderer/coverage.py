"""Which rectangle of the image plane the mesh fills in every frame.

The mesh is one sheet, so wherever its projected outline winds round a point, some triangle covers that point. A
rectangle that has the whole projected left side of the outline to its left, the right side to its right, and so on, is
wound round once at each of its points: covered, whatever folds lie inside. So the outlines of ALL frames prove the
coverage of ALL pixels, and no frame need be sampled.
"""

import numpy as np

from renderer.camera import Window, project


def outline_points(inverse_depth, lens):
    """World points of the four sides of the photo: left, right, top, bottom, each (m, 3).

    Args:
      inverse_depth: (h, w) float at the mesh's grid vertices, whose outermost lie on the photo's border.
    """
    from renderer.mesh import grid_points

    points = grid_points(inverse_depth, lens)
    return points[:, 0], points[:, -1], points[0], points[-1]


def covered_window(sides, path):
    """The largest Window that every frame of `path` covers, or None where there is none.

    Args:
      sides: left, right, top, bottom, each (m, 3), from `outline_points`.
    """
    left, right, bottom, top = -np.inf, np.inf, -np.inf, np.inf
    for position, rotation in zip(path.positions, path.rotations, strict=True):
        seen = [project(side, position, rotation) for side in sides]
        if min(depth.min() for _, depth in seen) <= 1e-3:  # the border passes behind the camera
            return None
        left = max(left, seen[0][0][:, 0].max())
        right = min(right, seen[1][0][:, 0].min())
        top = min(top, seen[2][0][:, 1].min())
        bottom = max(bottom, seen[3][0][:, 1].max())
    if left >= right or bottom >= top:
        return None
    return Window(left, right, bottom, top)
