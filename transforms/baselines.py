"""What cameras that know nothing of the photo would do to it, at the same parallax: the measure of what the search is worth.

swing    level, through the photo's viewpoint
circle   round it
dolly    straight towards the scene
grid     the best covered of 16 x 16 ways aside and forward, as the automatic zoom of Niklaus et al. 2019 ("3D Ken Burns")
         chooses: it counts what is seen of no surface, not where it tears nor what it tears
"""

import numpy as np

from renderer import camera
from transforms.artifacts import COARSE_STEP, ArtifactMeter
from transforms.elements import Rejected
from transforms.moves import Move, presets
from transforms.trajectory import Take, pose_path

GRID = 16  # as published
PRESETS = {"arc": "swing", "orbit": "circle", "push": "dolly"}  # by their motion
NAMES = (*PRESETS.values(), "grid")
ROUNDS = 4  # of path and frame, as each follows from the other


def _grid(view, amplitude):
    """The way whose end shows least stretched mesh."""
    meter = ArtifactMeter(view.scene, view.first, COARSE_STEP)
    best = None
    for x in np.linspace(-1, 1, GRID):
        for y in np.linspace(-1, 1, GRID):
            move = Move.toward(view.gauge, (x, y))
            if move.limit < amplitude:
                continue
            end = camera.looking_at([2 * amplitude * move.reach], view.pivot)
            share = meter.at(end.positions[0], end.rotations[0]).share
            if best is None or share < best[0]:
                best = share, move
    return best and best[1]


def moves(view, amplitude):
    """{name: Move} of the presets that can be made at a shift of `amplitude` (tangent units) without walking into the scene."""
    found = {PRESETS[move.motion]: move for move in presets(view.gauge, amplitude)}
    grid = _grid(view, amplitude)
    return found | ({"grid": grid} if grid else {})


def compare(view, meter, parallax, settings):
    """Tears of every preset at a parallax.

    Args:
      view: a View.
      meter: an ArtifactMeter of the scene; its window is changed.
      parallax: share of the width of each preset's own frame.

    Returns:
      {name: Take}; a preset that cannot do it, or whose frame the mesh does not fill, is left out.
    """
    found = {}
    for name, move in moves(view, parallax * view.first.width).items():
        amplitude = parallax * view.first.width
        try:
            for _ in range(ROUNDS):
                path = pose_path(move, amplitude, view.pivot, settings)
                window, share = view.frame(path, settings)
                reached = view.gauge.of_path(path) / window.width
                amplitude *= parallax / reached
        except Rejected:
            continue
        meter.frame(window)
        found[name] = Take(move, amplitude, path, window, share, meter.along(path), reached)
    return found
