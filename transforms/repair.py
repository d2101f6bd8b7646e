"""Raw depth to depth that can be cut: medians for outlines, people pulled forward, edges snapped to the photo.

The method's steps ("median filtering to improve the edges", "masks are used to pull forward pixels"), each on the grid
that the mesh will have, so that nothing is resampled afterwards.
"""

import dataclasses

import cv2
import numpy as np

from models.outlines import mask_on, mend, normalise
from renderer.mesh import BLOCK, grid_shape
from transforms.elements import Perception
from transforms.stage import Stage

GRID = 512  # cells along the long side: one for two or three pixels of a 1080x1440 clip, the finest that pays


def repair(perception: Perception, trusted_depth: bool = False) -> Perception:
    """Brings all maps to the mesh's grid and mends the depth.

    Args:
      perception: Perception as `infer` gives it.
      trusted_depth: the depth was measured (a phone's): keep its outlines, only fit and normalise it.

    Returns:
      Perception with all maps (h, w) alike, one value a cell of the mesh's grid, inverse depth in [0, 1].
    """
    photo_height, photo_width = perception.photo.rgb.shape[:2]
    shape = tuple(s - 1 for s in grid_shape(photo_width, photo_height, GRID))
    assert not any(s % BLOCK for s in shape)
    size = shape[::-1]
    small = cv2.resize(perception.photo.rgb, size, interpolation=cv2.INTER_AREA)

    def fit(a):
        shrinks = a.shape[0] > shape[0]
        return cv2.resize(np.asarray(a, np.float32), size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)

    person = mask_on(small, fit(perception.person))
    head = np.minimum(mask_on(small, fit(perception.head)), person)
    depth = normalise(fit(perception.inverse_depth))
    if not trusted_depth:
        depth = mend(depth, small, person > 0.5)
    return dataclasses.replace(
        perception, inverse_depth=depth, person=person, head=head, saliency=np.clip(fit(perception.saliency), 0, 1)
    )


class Repair(Stage):
    """Perception to Perception, repaired."""

    def __init__(self):
        super().__init__("repair", lambda _, __, perception: repair(perception))
