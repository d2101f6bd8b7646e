"""Scenes made of a real photo and maps drawn by hand, for the tests of the camera."""

import cv2
import numpy as np
from skimage import data

from renderer import camera
from transforms.elements import Perception, Photo
from transforms.mesh import build_scene

SHAPE = (512, 384)  # cells, as a portrait photo's grid has
FAR, NEAR = 0.2, 0.9


def disc(x=0.45, y=0.35, radius=0.2):
    """(512, 384) bool; x, y in [0, 1], radius as share of the width."""
    rows, columns = np.indices(SHAPE) + 0.5
    return np.hypot(columns - x * SHAPE[1], rows - y * SHAPE[0]) <= radius * SHAPE[1]


def box(top, bottom, left, right):
    out = np.zeros(SHAPE, bool)
    out[top:bottom, left:right] = True
    return out


def scene_of(depth, person=None, head=None, saliency=None):
    """The astronaut with the given maps; those left out are empty."""
    photo = cv2.resize(data.astronaut()[:, 64:448], SHAPE[::-1])
    maps = (np.zeros(SHAPE) if m is None else m for m in (depth, person, head, saliency))
    return build_scene(Perception(Photo(photo, camera.DEFAULT_FOV, None), *(np.asarray(m, np.float32) for m in maps)))


def standing_out(near, **maps):
    """Scene of something near, with sharp outlines, in front of a wall."""
    return scene_of(np.where(near, NEAR, FAR), **maps)


def soft_subject():
    """Scene of a smooth bump in front of a wall: it moves without a tear."""
    rows, columns = np.indices(SHAPE) / np.array(SHAPE)[:, None, None]
    bump = np.exp(-((columns - 0.45) ** 2 + (rows - 0.35) ** 2) / 0.05)
    return scene_of(FAR + 0.6 * bump, saliency=bump)
