"""The camera of each photo: a search over direction, dolly and amplitude that keeps what tears small and off the subject.

Loss of a path, as the method describes it: at the path's ends, the pixels that show stretched mesh are grouped into
connected components; a component of area a in a region of area A adds (a / A) ** 1.5, so that one large smear weighs
more than many specks; the regions (padded head, body, background) are summed with weights that protect the subject.
The artifact score is this loss times 100: one smear over 1 % of the background is 0.1, over 10 % of it 3.2.
"""

import dataclasses
import math

import cv2
import numpy as np

from renderer import camera, coverage
from renderer.mesh import grid_points
from renderer.stretch import ARTIFACT_STRETCH, step_gain, stretch_map
from transforms import framing
from transforms.elements import Measures, Rejected, RejectReason, Shot
from transforms.settings import MAX_RATIO
from transforms.stage import Stage

SEARCH_STEP = 4  # vertices: a 129x97 mesh, about 1 ms a pose; half of it blurs a finger away
PIXELS_PER_CELL = 2  # of the search's pictures: a stretched cell of 1/128 shows in full from 1.5 on
EXPONENT = 1.5  # between "sum of areas" (1) and "the largest alone" (2 and more); a choice
REGION_WEIGHTS = (1.0, 3.0, 8.0)  # background, body, head: a torn face ruins the clip, torn leaves do not
MIN_REGION = 0.01  # share of the frame: a smaller region is measured as if it had this area, or one speck decides
PAD = (0.0, 0.02, 0.035)  # of the long side, how far body and head reach over their outlines
DIRECTIONS = 12  # over half a turn: 15 degrees, which the refinement halves twice; a choice
DOLLIES = (-0.5, 0.0, 0.5)  # towards or away, in units of the sideways travel
REFINEMENTS = 2  # rounds of halved steps round the best
FRAMING_ROUNDS = 4  # of path and frame; nearly always one, two where the frame shows a tear that the search did not count
BISECTIONS = 5  # of the amplitude: 3 % of the asked parallax
VERTICAL_COST = 0.15  # of the loss: sideways motion is what viewers expect; up and down must earn its place
MIN_SPREAD = 0.08  # of inverse depth between subject and background; below it the depth is noise on a wall
SUBJECT_SHARE = 0.5  # of the largest saliency: what counts as subject
MIN_SUBJECT = 0.002  # share of the photo: a smaller head or person is a passer-by, or noise
BACKGROUND_QUANTILE = 0.2  # of what is not the subject: behind most of it, and no outlier


@dataclasses.dataclass(frozen=True)
class Subject:
    """What the camera turns about.

    Attributes:
      inverse_depth: in [0, 1], of the subject.
      spread: of inverse depth between the subject and its background.
      pivot: (x, y) in [0, 1] on the photo, x right, y down.
    """

    inverse_depth: float
    spread: float
    pivot: tuple[float, float]


def _weighted_median(values, weights):
    order = np.argsort(values, axis=None)
    cumulative = np.cumsum(weights.ravel()[order])
    return float(values.ravel()[order[np.searchsorted(cumulative, 0.5 * cumulative[-1])]])


def find_subject(depth, saliency, regions):
    """The subject of a photo: heads, else people, else what is most salient.

    Args:
      depth, saliency, regions: (h, w) inverse depth, saliency and region of each cell.
    """
    choices = (regions == 2, regions > 0, saliency >= SUBJECT_SHARE * saliency.max())
    chosen = next((c for c in choices[:2] if c.mean() >= MIN_SUBJECT), choices[2])
    # Of several, one: a pivot between two people turns about the wall behind them.
    _, pieces = cv2.connectedComponents(chosen.astype(np.uint8), connectivity=8)
    weights = np.square(saliency) + 1e-9
    heaviest = 1 + np.argmax(np.bincount(pieces.ravel(), weights.ravel())[1:])
    inside = np.where(pieces == heaviest, weights, 0)
    near = _weighted_median(depth, inside)
    chosen |= choices[2] | (regions > 0)
    rest = depth[~chosen] if (~chosen).mean() > 0.05 else depth
    behind, before = np.quantile(rest, (BACKGROUND_QUANTILE, 1 - BACKGROUND_QUANTILE))
    y, x = np.mgrid[0 : depth.shape[0], 0 : depth.shape[1]]
    total = inside.sum()
    pivot = (
        float((inside * (x + 0.5)).sum() / total / depth.shape[1]),
        float((inside * (y + 0.5)).sum() / total / depth.shape[0]),
    )
    return Subject(near, float(max(near - behind, before - near)), pivot)


def padded_regions(regions):
    """Regions (h, w) uint8 with body and head grown over their outlines, where the tears are; head over body."""
    out = np.zeros_like(regions)
    for label in (1, 2):
        radius = max(1, round(PAD[label] * max(regions.shape)))
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
        out[cv2.dilate((regions >= label).astype(np.uint8), kernel) > 0] = label
    return out


@dataclasses.dataclass(frozen=True)
class Tears:
    """What a path shows of stretched mesh. `loss` as above; areas as shares of the frame."""

    loss: float
    share: float
    largest: float
    largest_head: float


class ArtifactMeter:
    """Measures paths on a low-resolution copy of a scene.

    Args:
      scene: the Scene.
      window: what the frames show; tears outside it do not count.
    """

    def __init__(self, scene, window):
        layer = scene.layers[-1]
        depth = layer.inverse_depth[::SEARCH_STEP, ::SEARCH_STEP].astype(float)
        self.points, self.lens = grid_points(depth, scene.lens), scene.lens
        self.gain = step_gain(layer.inverse_depth.astype(float), SEARCH_STEP)
        cells = tuple(s - 1 for s in depth.shape)
        labels = padded_regions(scene.regions)
        self.labels = cv2.resize(labels, cells[::-1], interpolation=cv2.INTER_NEAREST)
        self.shape = tuple(s * PIXELS_PER_CELL for s in cells)
        self.crop = framing.cells_of(window, scene.lens, self.shape)
        face_on = cv2.resize(labels, self.shape[::-1], interpolation=cv2.INTER_NEAREST)[self.crop]
        areas = np.bincount(face_on.ravel(), minlength=3)[:3]
        self.areas = np.maximum(areas, MIN_REGION * face_on.size)
        self.evaluations = 0

    def at(self, position, rotation):
        """Tears of one pose."""
        stretch, region = stretch_map(self.points, self.labels, self.gain, position, rotation, self.lens, self.shape)
        torn, region = stretch[self.crop] >= ARTIFACT_STRETCH, region[self.crop]
        loss = largest = largest_head = 0.0
        for label, weight in enumerate(REGION_WEIGHTS):
            _, _, stats, _ = cv2.connectedComponentsWithStats((torn & (region == label)).astype(np.uint8), connectivity=8)
            areas = stats[1:, cv2.CC_STAT_AREA]
            loss += weight * float(((areas / self.areas[label]) ** EXPONENT).sum())
            if len(areas):
                largest = max(largest, areas.max() / torn.size)
                if label == 2:
                    largest_head = areas.max() / torn.size
        self.evaluations += 1
        return Tears(100.0 * loss, float(torn.mean()), float(largest), float(largest_head))

    def path(self, travel, dolly, pivot):
        """Mean loss and worst areas over both ends of an arc."""
        ends = camera.arc((-1.0, 1.0), travel, dolly, pivot)
        tears = [self.at(p, r) for p, r in zip(ends.positions, ends.rotations, strict=True)]
        return Tears(
            float(np.mean([t.loss for t in tears])),
            float(np.mean([t.share for t in tears])),
            max(t.largest for t in tears),
            max(t.largest_head for t in tears),
        )


def search(meter, amplitude, minimum, budget, pivot):
    """Finds the path with the least artifacts, then the largest amplitude that stays under the budget.

    Args:
      meter: an ArtifactMeter.
      amplitude, minimum: asked and least half-length of the path.
      budget: loss that the amplitude is lowered for.
      pivot: (3,) world point.

    Returns:
      (direction in radians, dolly in units of travel, amplitude, Tears of that path).
    """

    def measured(direction, dolly, size):
        return meter.path(size * np.array([math.cos(direction), math.sin(direction)]), size * dolly, pivot)

    def cost(direction, dolly):
        bias = VERTICAL_COST * math.sin(direction) ** 2 + 0.02 * abs(dolly)  # a level path wins a tie
        return measured(direction, dolly, amplitude).loss * (1 + bias) + 1e-3 * bias

    grid = [(math.pi * i / DIRECTIONS, dolly) for i in range(DIRECTIONS) for dolly in DOLLIES]
    best_cost, best = min((cost(*candidate), candidate) for candidate in grid)
    turn, push = math.pi / DIRECTIONS, DOLLIES[-1]
    for _ in range(REFINEMENTS):
        turn, push = turn / 2, push / 2
        around = [(best[0] + a * turn, best[1] + b * push) for a, b in ((-1, 0), (1, 0), (0, -1), (0, 1))]
        best_cost, best = min((best_cost, best), *((cost(*candidate), candidate) for candidate in around))
    return *best, *lower(meter, *best, amplitude, minimum, budget, pivot)


def lower(meter, direction, dolly, amplitude, minimum, budget, pivot):
    """The largest amplitude, up to the given one, whose loss stays under the budget; the least where none does; and its Tears."""

    def measured(size):
        return meter.path(size * np.array([math.cos(direction), math.sin(direction)]), size * dolly, pivot)

    tears = measured(amplitude)
    if tears.loss <= budget or amplitude <= minimum:
        return amplitude, tears
    low, high, tears = minimum, amplitude, measured(minimum)
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        there = measured(middle)
        if there.loss <= budget:
            low, tears = middle, there
        else:
            high = middle
    return low, tears


def shoot(scene, settings):
    """Chooses path and frame of a Scene.

    Returns:
      Shot, whose window the scene covers in every frame.

    Raises:
      Rejected: too flat, or no frame of the asked aspect is left.
    """
    layer = scene.layers[-1]
    height, width = layer.rgb.shape[:2]
    clip_width, clip_height = settings.output_size(width, height)
    if not 1 / MAX_RATIO <= clip_width / clip_height <= MAX_RATIO:
        raise Rejected(
            RejectReason.FRAMING, f"The photo's aspect gives a clip of {clip_width}x{clip_height}, beyond {MAX_RATIO}:1."
        )
    ratio, head = clip_width / clip_height, scene.regions == 2
    depth = layer.inverse_depth[:-1, :-1]
    subject = find_subject(depth, scene.saliency, scene.regions)
    if subject.spread < MIN_SPREAD:
        raise Rejected(
            RejectReason.TOO_FLAT,
            f"Subject and background differ by {subject.spread:.3f} of the depth range, below {MIN_SPREAD}.",
        )
    whole = framing.photo_window(scene.lens)
    first = framing.choose_window(whole, scene.lens, ratio, scene.saliency, head)
    pivot = camera.unproject(np.array(subject.pivot), subject.inverse_depth, scene.lens)
    inverse_spread = subject.spread * (1 / camera.NEAR - 1 / camera.FAR)
    per_travel = 2 * inverse_spread / first.width  # relative parallax a unit of half-length

    least = min(settings.min_parallax, settings.parallax) / per_travel
    meter = ArtifactMeter(scene, first)
    direction, dolly, amplitude, _ = search(meter, settings.parallax / per_travel, least, settings.artifact_budget, pivot)
    evaluations, outline = meter.evaluations, coverage.outline_points(layer.inverse_depth, scene.lens)
    phases = 2 * camera.ease(np.linspace(0, 1, settings.frames)) - 1
    # The frame follows from the path, and what of the tears is seen from the frame: a few rounds settle both.
    for _ in range(FRAMING_ROUNDS):
        travel = amplitude * np.array([math.cos(direction), math.sin(direction)])
        path = camera.arc(phases, travel, dolly * amplitude, pivot)
        bounds = coverage.covered_window(outline, path)
        share = framing.largest(bounds, ratio)[0] / framing.largest(whole, ratio)[0] if bounds else 0.0
        if share < settings.min_window:
            text = f"The mesh fills {share:.2f} of the widest crop in every frame, below {settings.min_window}."
            raise Rejected(RejectReason.FRAMING, text)
        window = framing.choose_window(bounds, scene.lens, ratio, scene.saliency, head)
        final = ArtifactMeter(scene, window)
        shown = amplitude
        amplitude, tears = lower(final, direction, dolly, amplitude, least, settings.artifact_budget, pivot)
        evaluations += final.evaluations
        if amplitude == shown:
            break
    else:
        tears = final.path(travel, dolly * shown, pivot)
    return Shot(
        scene=scene,
        path=path,
        window=window,
        width=clip_width,
        height=clip_height,
        pivot=subject.pivot,
        measures=Measures(
            artifact_score=tears.loss,
            relative_parallax=float(shown * 2 * inverse_spread / window.width),
            direction=float(direction),
            dolly=float(dolly),
            largest_component=tears.largest,
            largest_head_component=tears.largest_head,
            stretched_share=tears.share,
            saliency_kept=framing.saliency_kept(window, scene.lens, scene.saliency),
            window_share=float(share),
            evaluations=evaluations,
        ),
    )


class Shoot(Stage):
    """Scene to Shot: trajectory and framing."""

    def __init__(self, settings):
        super().__init__("trajectory", lambda _, __, scene: shoot(scene, settings))
