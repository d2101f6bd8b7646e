"""The photo extruded onto its depth: perception to scene."""

import cv2
import numpy as np

from renderer.camera import Lens
from renderer.mesh import extrude
from transforms.elements import Layer, Perception, Scene
from transforms.stage import Stage

RIM = 3  # cells: near surfaces carry their anti-aliased rim along, so that what is stretched is background alone


def at_vertices(cells):
    """Inverse depth (h, w) of cells to (h + 1, w + 1) of the grid's vertices: the nearest of the cells that meet there."""
    padded = cv2.copyMakeBorder(cells, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    return np.maximum.reduce([padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]])


def build_scene(perception: Perception) -> Scene:
    """Scene of a repaired Perception: one layer that covers the photo."""
    photo = perception.photo
    height, width = photo.rgb.shape[:2]
    lens = Lens.of_photo(width, height, photo.fov)
    depth = at_vertices(cv2.dilate(perception.inverse_depth, np.ones((RIM, RIM), np.uint8)))
    regions = np.where(perception.person > 0.5, np.where(perception.head > 0.5 * perception.person, 2, 1), 0).astype(np.uint8)
    return Scene(
        layers=(Layer(mesh=extrude(depth, lens), inverse_depth=depth, rgb=photo.rgb),),
        lens=lens,
        regions=regions,
        saliency=perception.saliency,
        capture_time=photo.capture_time,
    )


class BuildScene(Stage):
    """Perception to Scene."""

    def __init__(self):
        super().__init__("mesh", lambda _, __, perception: build_scene(perception))
