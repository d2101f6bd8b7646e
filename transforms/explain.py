"""Why a shot looks as it does: its numbers beside those of presets, and pictures as in the method's figures."""

import dataclasses

import cv2
import numpy as np

from renderer import camera
from renderer.mesh import cell_uv
from renderer.stretch import ARTIFACT_STRETCH
from transforms import baselines, framing
from transforms.artifacts import ArtifactMeter, padded_regions
from transforms.render import reel_of
from transforms.trajectory import View, measures_of

BODY, HEAD, TORN = (60, 110, 255), (60, 210, 90), (255, 30, 30)  # sRGB, as the method's figures have them
TINT, TORN_TINT = 0.35, 0.75  # how much of a picture's colour they replace
PICTURE = 720  # pixels, long side
INK, PAPER, PATH, PIVOT = (40, 40, 40), (250, 250, 248), (235, 120, 20), (200, 20, 60)
SCENE_STEP = 4  # cells: of the scene seen from above
CLOSE_UP = 0.3  # of a panel, left free about the path that it shows


def as_presets(shot, settings):
    """{name: Shot} of what presets would do to a Shot's scene, at its relative parallax; names as of `transforms.baselines`.

    A preset that cannot do it is left out.
    """
    view, meter = View.of(shot.scene, settings), ArtifactMeter(shot.scene, shot.window)
    takes = baselines.compare(view, meter, shot.measures.relative_parallax, settings)
    return {
        name: dataclasses.replace(shot, path=take.path, window=take.window, measures=measures_of(view, take, None))
        for name, take in takes.items()
    }


def compare(shot, settings):
    """Measures of what `as_presets` makes of a Shot.

    Returns:
      {name: dict of Measures and `fov_shrink`, or None where the preset cannot do it}; names as of `transforms.baselines`.
    """
    moved = as_presets(shot, settings)
    return {name: numbers(moved[name].measures) if name in moved else None for name in baselines.NAMES}


def numbers(measures):
    """Measures as a dict, with what the frame lost against the widest one that the photo allows at rest."""
    told = dataclasses.asdict(measures) | {"fov_shrink": 1.0 - measures.window_share}
    return {name: value for name, value in told.items() if value is not None}


def pictures(shot, drawing):
    """Pictures that explain a Shot.

    Args:
      shot: the Shot.
      drawing: a `renderer.studio.Studio`.

    Returns:
      {name: (h, w, 3) uint8 sRGB}: `artifacts-first` and `-last`, the ends of the path with what is torn in red, heads green,
      bodies blue; `saliency`, the photo under its saliency with the frame at rest; `path`, the camera's way.
    """
    first, last = _ends(shot, drawing)
    return {"artifacts-first": first, "artifacts-last": last, "saliency": _saliency(shot), "path": _path(shot)}


def _tinted(picture, mask, colour, share):
    picture[mask] = (1 - share) * picture[mask] + share * np.array(colour)


def _ends(shot, drawing):
    """The first and the last frame, tinted."""
    scale = PICTURE / max(shot.width, shot.height)
    width, height = (4 * max(round(side * scale / 4), 1) for side in (shot.width, shot.height))
    ends = dataclasses.replace(shot, path=shot.path.part(2), width=width, height=height)
    labels, scene = padded_regions(shot.scene.regions), shot.scene
    frames = drawing.stills(reel_of(ends, fps=1))
    surfaces = [(layer.mesh, labels) for layer in scene.layers]
    torn = drawing.stretches(surfaces, shot.window, ends.path, scene.lens, width, height)
    for frame, (stretch, region) in zip(frames, torn, strict=True):
        picture = frame.astype(np.float32)
        _tinted(picture, region == 1, BODY, TINT)
        _tinted(picture, region == 2, HEAD, TINT)
        _tinted(picture, stretch >= ARTIFACT_STRETCH, TORN, TORN_TINT)
        yield np.round(picture).astype(np.uint8)


def _saliency(shot):
    """The photo under a heat map of its saliency, and what of it the frame shows from the photo's own viewpoint."""
    rgb, lens = shot.scene.layers[-1].rgb, shot.scene.lens
    scale = PICTURE / max(rgb.shape[:2])
    height, width = (max(2, round(side * scale)) for side in rgb.shape[:2])
    photo = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    heat = cv2.resize(np.round(shot.scene.saliency * 255).astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
    colours = cv2.cvtColor(cv2.applyColorMap(heat, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    picture = cv2.addWeighted(photo, 0.45, colours, 0.55, 0)
    rows, columns = framing.cells_of(shot.window, lens, (height, width))
    shaded = picture // 2
    shaded[rows, columns] = picture[rows, columns]
    cv2.rectangle(shaded, (columns.start, rows.start), (columns.stop - 1, rows.stop - 1), (255, 255, 255), 2)
    pivot = round(shot.pivot[0] * width), round(shot.pivot[1] * height)
    cv2.drawMarker(shaded, pivot, PIVOT, cv2.MARKER_CROSS, 18, 3)
    return shaded


def _write(sheet, text, corner):
    cv2.putText(sheet, text, [int(v) for v in corner], cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)


class _Panel:
    """A drawing of world coordinates, two of them, inside a square of a sheet."""

    def __init__(self, sheet, left, top, side, low, high):
        self.sheet, self.corner, self.side = sheet, np.array([left, top]), side
        self.middle, self.scale = (low + high) / 2, side / max(float((high - low).max()), 1e-9)
        cv2.rectangle(sheet, (left, top), (left + side, top + side), (210, 210, 205), 1)

    def at(self, points):
        """(n, 2) pixels of (n, 2) coordinates, the second upwards."""
        shown = (np.atleast_2d(points) - self.middle) * self.scale * (1, -1) + self.side / 2
        return np.round(shown).astype(int) + self.corner

    def line(self, points, colour, width=1):
        cv2.polylines(self.sheet, [self.at(points)], False, colour, width, cv2.LINE_AA)

    def dot(self, point, colour, radius):
        cv2.circle(self.sheet, [int(v) for v in self.at(point)[0]], radius, colour, -1, cv2.LINE_AA)

    def title(self, text):
        _write(self.sheet, text, self.corner + (6, 18))


def _path(shot):
    """The scene and the camera's frustum from above, and beside it the way itself, enlarged, from above and from behind."""
    half, margin = PICTURE // 2, 12
    sheet = np.full((PICTURE + 2 * margin, PICTURE + half + 3 * margin, 3), PAPER, np.uint8)
    layer, lens, positions = shot.scene.layers[-1], shot.scene.lens, shot.path.positions
    rows, columns = shot.scene.regions.shape
    sparse = np.s_[::SCENE_STEP, ::SCENE_STEP]
    points = camera.unproject(cell_uv(rows, columns)[sparse], layer.inverse_depth[:-1, :-1][sparse], lens).reshape(-1, 3)
    colours = cv2.resize(layer.rgb, (columns, rows), interpolation=cv2.INTER_AREA)[sparse].reshape(-1, 3)
    above = points[:, [0, 2]] * (1, -1)
    low, high = np.minimum(above.min(0), -0.3), np.maximum(above.max(0), 0.3)
    panel = _Panel(sheet, margin, margin, PICTURE, low, high)
    order = np.argsort(points[:, 1])  # what is higher lies over what is lower
    x, y = panel.at(above[order]).T
    for right, down in ((0, 0), (1, 0), (0, 1), (1, 1)):  # a point is four pixels; the margin takes those at the border
        sheet[y + down, x + right] = colours[order]
    pivot = camera.unproject(np.array(shot.pivot[:2]), shot.pivot[2], lens)
    for index in (0, -1):
        eye = positions[index][[0, 2]] * (1, -1)
        for side in (shot.window.left, shot.window.right):
            ray = shot.path.rotations[index].T @ np.array([side, 0.0, -1.0]) * high[1]
            panel.line([eye, eye + ray[[0, 2]] * (1, -1)], PATH)
    panel.dot(pivot[[0, 2]] * (1, -1), PIVOT, 6)
    panel.title("scene from above; red: pivot; lines: first and last frame")
    reach = max(float(np.ptp(positions, axis=0).max()), 1e-6) * (0.5 + CLOSE_UP)
    middle = (positions.min(0) + positions.max(0)) / 2
    for number, (axes, sign, title) in enumerate((([0, 2], (1, -1), "path from above"), ([0, 1], (1, 1), "path from behind"))):
        centre = middle[axes] * sign
        panel = _Panel(sheet, PICTURE + 2 * margin, margin + number * half, half, centre - reach, centre + reach)
        panel.line(positions[:, axes] * sign, PATH, 2)
        for position in positions[:: max(len(positions) // 15, 1)]:
            panel.dot(position[axes] * sign, PATH, 3)
        panel.dot(positions[0][axes] * sign, INK, 5)
        panel.dot((0.0, 0.0), PIVOT, 4)
        panel.title(f"{title}, {2 * reach:.3f} wide")
    _write(sheet, "black: start; red: the photo's viewpoint", (PICTURE + 2 * margin + 6, PICTURE + 4))
    return sheet
