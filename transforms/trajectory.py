"""The camera of each photo: a search over direction, dolly, start and amplitude for the move that tears least where it matters.

A move is a straight way or an ellipse about the photo's own viewpoint, turned to a pivot on the subject. Every candidate shifts
the subject against its background equally far, so that no camera wins by hardly moving; many are compared on a coarse
copy of the scene, the best refined on a fine one, and the amplitude is lowered until the loss (`transforms.artifacts`)
is below the budget. Then the frame is chosen from what all frames cover.
"""

import dataclasses
import math

import cv2
import numpy as np

from renderer import camera, coverage
from renderer.mesh import cell_uv
from transforms import framing
from transforms.artifacts import COARSE_STEP, FRAMES, STEP, ArtifactMeter, Tears, padded_regions
from transforms.elements import Measures, Rejected, RejectReason, Scene, Shot
from transforms.moves import DIRECTIONS, Gauge, Move, candidates, neighbours, presets
from transforms.settings import MAX_RATIO, Settings
from transforms.stage import Stage

FINALISTS = 8  # of the coarse comparison that are measured on the fine copy
REFINEMENTS = 3  # rounds of halved steps round the best
FRAMING_ROUNDS = 10  # of path and frame; nearly always one or two, up to five more where the frame is not filled at first
FRAME_STEP = 0.7  # by which a move shrinks whose frame is not filled
LOWERED = 0.9  # of the asked parallax: a move that reached less is compared once more with others, at what it reached
ALIKE = 0.05  # relative: of two parallaxes so near to each other the one that tears less is taken
NEGLIGIBLE = 0.02  # a loss of which nothing is seen: one smear over 0.3 % of the background
POOL = 32  # of the candidates are compared again at a lower amplitude
LOOKS = 3  # at the candidates, each at the amplitude that the best of the last could have
# Of the frame: a larger piece of stretched mesh on a head is seen as a torn face (choice: 0.001). With 0.001 here, GL drew a
# larger one in 3 of 41 clips of `make bench-camera`.
MAX_HEAD = 0.0008
# Power of the amplitude that losses grow with, about: the first guess when one is lowered, and what the loss of a way's ends
# tells of the whole way.
GROWTH = 1.8
PHASES = camera.swing(FRAMES)
BUDGET_TOLERANCE = 0.1  # relative: a loss so near to the budget, which is itself a choice, ends the lowering
LOWERINGS = 5  # paths that are measured for it at most
PARALLAX_TOLERANCE = 0.02  # relative, of the asked one: the frame shrinks a little after the path is chosen
MIN_SPREAD = 0.08  # of inverse depth between subject and background; below it the depth is noise on a wall
SUBJECT_SHARE = 0.5  # of the largest saliency: what counts as subject
SUBJECT_STEP = 2  # cells: a quarter of them tell the same medians
KEPT_STEP = 4  # cells: the share of saliency that a frame keeps is told to a per mille by these
LOST_STEP = 16  # cells: enough to compare moves by what of it they lose, some 700 points
LOST_COST = 0.1  # loss that a move may have more, for all saliency that it keeps more: decides where next to nothing tears
MIN_SUBJECT = 0.002  # share of the photo: a smaller head or person is a passer-by, or noise
BACKGROUND_QUANTILE = 0.2  # of what is not the subject: behind most of it, and no outlier


@dataclasses.dataclass(frozen=True)
class Subject:
    """What the camera turns about.

    Attributes:
      inverse_depth: in [0, 1], of the subject.
      spread: of inverse depth between the subject and its background.
      pivot: (x, y) in [0, 1] on the photo, x right, y down: its middle.
      variance: (x, y) of its places about the middle.
    """

    inverse_depth: float
    spread: float
    pivot: tuple[float, float]
    variance: tuple[float, float]


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
    variance = (
        float((inside * ((x + 0.5) / depth.shape[1] - pivot[0]) ** 2).sum() / total),
        float((inside * ((y + 0.5) / depth.shape[0] - pivot[1]) ** 2).sum() / total),
    )
    return Subject(near, float(max(near - behind, before - near)), pivot, variance)


@dataclasses.dataclass(frozen=True)
class View:
    """What is known of a scene before any move: its subject, its heads, and the frame at rest.

    Attributes:
      width, height: of the clip, pixels.
      subject: the Subject; gauge: its Gauge; pivot: (3,) the world point that the camera turns to.
      heads: those that must stay whole.
      outline: the mesh's Outline, from `renderer.coverage`.
      whole: Window of the photo; first: the frame of the asked aspect at rest.
    """

    scene: Scene
    width: int
    height: int
    subject: Subject
    gauge: Gauge
    pivot: np.ndarray
    heads: framing.Heads
    outline: coverage.Outline
    whole: camera.Window
    first: camera.Window

    @staticmethod
    def of(scene, settings):
        """Raises Rejected: the photo's aspect is beyond any clip's, it is flat, or its heads do not fit the asked aspect."""
        layer, lens = scene.layers[-1], scene.lens
        width, height = settings.output_size(*layer.rgb.shape[1::-1])
        if not 1 / MAX_RATIO <= width / height <= MAX_RATIO:
            text = f"The photo's aspect gives a clip of {width}x{height}, beyond {MAX_RATIO}:1."
            raise Rejected(RejectReason.FRAMING, text)
        depth = layer.inverse_depth[:-1, :-1]
        sparse = np.s_[::SUBJECT_STEP, ::SUBJECT_STEP]
        subject = find_subject(depth[sparse], scene.saliency[sparse], scene.regions[sparse])
        if subject.spread < MIN_SPREAD:
            text = f"Subject and background differ by {subject.spread:.3f} of the depth range, below {MIN_SPREAD}."
            raise Rejected(RejectReason.TOO_FLAT, text)
        heads, whole = framing.Heads.of(layer.inverse_depth, scene.regions, lens), framing.photo_window(lens)
        first = framing.choose_window(
            whole, lens, width / height, scene.saliency, scene.regions == 2, heads.within(whole, lens, camera.AT_REST)
        )
        if first is None:
            raise Rejected(
                RejectReason.FRAMING, f"The heads do not fit into one frame of {width}:{height}; a wider --aspect shows them."
            )
        return View(
            scene=scene,
            width=width,
            height=height,
            subject=subject,
            gauge=Gauge.of(subject, lens),
            pivot=camera.unproject(np.array(subject.pivot), subject.inverse_depth, lens),
            heads=heads,
            outline=coverage.outline_points(layer.inverse_depth, lens),
            whole=whole,
            first=first,
        )

    def salient_points(self, step):
        """World points (h, w, 3) of every `step`-th cell, and their saliency (h, w)."""
        sparse = np.s_[step // 2 :: step, step // 2 :: step]
        places = cell_uv(*self.scene.saliency.shape)[sparse]
        depth = self.scene.layers[-1].inverse_depth[:-1, :-1][sparse]
        return camera.unproject(places, depth, self.scene.lens), self.scene.saliency[sparse]

    def saliency_kept(self, path, window):
        """Share of the photo's saliency that a window shows, in the frame of a Path that shows least of it."""
        return framing.saliency_kept(*self.salient_points(KEPT_STEP), window, path.part(FRAMES))

    def people(self, window):
        """Share of a window that shows people, from the photo's own viewpoint."""
        shape = self.scene.regions.shape
        return float((self.scene.regions[framing.cells_of(window, self.scene.lens, shape)] > 0).mean())

    def frame(self, path, settings):
        """The Window of a Path's frames, and its share of the largest at rest; raises Rejected where there is none."""
        scene, ratio = self.scene, self.width / self.height
        bounds = coverage.covered_window(self.outline, path)
        share = framing.largest(bounds, ratio)[0] / framing.largest(self.whole, ratio)[0] if bounds else 0.0
        if share < settings.min_window:
            text = f"The mesh fills {share:.2f} of the widest crop in every frame, below {settings.min_window}."
            raise Rejected(RejectReason.FRAMING, text)
        keep = self.heads.within(bounds, scene.lens, path)
        window = framing.choose_window(bounds, scene.lens, ratio, scene.saliency, scene.regions == 2, keep)
        if window is None:
            raise Rejected(RejectReason.FRAMING, "No frame shows all heads whole while the camera moves.")
        return window, float(share)


def excess(tears, budget):
    """By what factor Tears exceed what is allowed: the budget of loss, and MAX_HEAD for the largest piece on a head."""
    return max(tears.loss / max(budget, 1e-9), tears.largest_head / MAX_HEAD)


class Search:
    """Compares moves of equal parallax.

    Args:
      view: the View of a scene.
      motion: which moves, one of `transforms.settings.MOTIONS`.
      budget: loss that a path may have.
    """

    def __init__(self, view, motion, budget):
        pivot = view.pivot[:2] / -view.pivot[2]
        self.view, self.moves, self.budget = view, candidates(view.gauge, motion, pivot, view.whole), budget
        padded = padded_regions(view.scene.regions)
        self.coarse, self.fine = (ArtifactMeter(view.scene, view.first, step, padded) for step in (COARSE_STEP, STEP))
        self.pool = self.moves  # what is worth comparing again at a lower amplitude
        self.salient = view.salient_points(LOST_STEP)
        self.kept = framing.saliency_kept(*self.salient, view.first, camera.AT_REST)

    def judge(self, meter, move, amplitude):
        """(cost, Tears) of a move's path, from the poses where it tears most.

        The cost is the loss, dearer for what viewers expect less, for saliency that leaves the frame, and by all that tears a
        head.
        """
        if move.side.any():
            angles = np.arange(4) * math.pi / 2
            places, share = np.cos(angles)[:, None] * move.reach + np.sin(angles)[:, None] * move.side, 1.0
        else:
            ends = np.array([-1.0, 1.0]) + move.start
            places = ends[:, None] * move.reach
            share = (np.abs(PHASES + move.start) ** GROWTH).mean() / (np.abs(ends) ** GROWTH).mean()
        poses = camera.looking_at(amplitude * places, self.view.pivot)
        tears = meter.mean(poses, share)
        lost = max(self.kept - framing.saliency_kept(*self.salient, self.view.first, poses), 0.0)
        head = max(tears.largest_head / MAX_HEAD - 1, 0.0)
        dearer = move.bias() + lost
        return (tears.loss + self.budget * head) * (1 + dearer) + LOST_COST * lost + 1e-3 * move.bias(), tears

    def rank(self, moves, amplitude):
        """[(Move, Tears)] of those moves that can be made, from the least cost on the coarse copy."""
        moves = [move for move in moves if move.limit >= amplitude]
        judged = [self.judge(self.coarse, move, amplitude) for move in moves]
        order = sorted(range(len(moves)), key=lambda i: judged[i][0])
        return [(moves[i], judged[i][1]) for i in order]

    def refine(self, moves, amplitude):
        """The Move with the least cost on the fine copy, of some moves and those about the best of them."""
        judged = sorted((self.judge(self.fine, move, amplitude)[0], i) for i, move in enumerate(moves))
        # The best of each motion: beside an arc is never a push, which may be what leads to the least.
        starts = {moves[i].motion: (cost, moves[i]) for cost, i in reversed(judged)}
        return min((self.descend(*start, amplitude) for start in starts.values()), key=lambda found: found[0])[1]

    def descend(self, cost, best, amplitude):
        """(cost, Move) of the least cost about a move, in ever smaller steps."""
        turn = math.pi / DIRECTIONS
        for _ in range(REFINEMENTS):
            turn /= 2
            for move in neighbours(self.view.gauge, best, turn):
                if move.limit >= amplitude and (other := self.judge(self.fine, move, amplitude)[0]) < cost:
                    cost, best = other, move
        return cost, best

    def best(self, asked, least):
        """The Move with the least cost at the amplitude that it can have, between `least` and `asked` (tangent units).

        Raises Rejected where no move shifts the subject even that far without walking into the scene.
        """
        amplitude, moves = min(asked, max(move.limit for move in self.moves)), self.moves
        if amplitude < least:
            raise Rejected(RejectReason.TOO_FLAT, "No such move shifts the subject far enough without walking into the scene.")
        for _ in range(LOOKS):  # what tears least at the asked amplitude need not at the one that it is lowered to
            ranked = self.rank(moves, amplitude)
            moves = [move for move, _ in ranked[:POOL]]
            over = excess(ranked[0][1], self.budget)
            if over <= 1 or amplitude <= least:
                break
            amplitude = max(amplitude * over ** (-1 / GROWTH), least)
        self.pool = moves
        return self.refine(moves[:FINALISTS], amplitude)

    def again(self, amplitude):
        """The same at an amplitude (tangent units) that was reached, of the moves that `best` was left with."""
        return self.refine([move for move, _ in self.rank(self.pool, amplitude)[:FINALISTS]], amplitude)

    @property
    def evaluations(self):
        return self.coarse.evaluations + self.fine.evaluations


@dataclasses.dataclass(frozen=True)
class Take:
    """A move carried out: its amplitude, Path, Window, that window's share of the largest at rest, Tears, relative parallax."""

    move: Move
    amplitude: float
    path: camera.Path
    window: camera.Window
    share: float
    tears: Tears
    parallax: float


def measures_of(view, take, evaluations):
    """Measures of a Take, which cost so many poses measured."""
    background, body, head = take.tears.by_region
    return Measures(
        artifact_score=take.tears.loss,
        relative_parallax=take.parallax,
        motion=take.move.motion,
        direction=take.move.direction,
        climb=take.move.climb,
        largest_component=take.tears.largest,
        largest_head_component=take.tears.largest_head,
        stretched_share=take.tears.share,
        stretched_share_max=take.tears.largest_share,
        background_loss=background,
        body_loss=body,
        head_loss=head,
        saliency_kept=view.saliency_kept(take.path, take.window),
        window_share=take.share,
        people=view.people(take.window),
        evaluations=evaluations,
    )


def better(one, other):
    """Of two Takes the one with more parallax; where that is alike, the one that tears less."""
    return max(one, other, key=lambda take: (round(math.log(take.parallax) / ALIKE), -take.tears.loss))


def pose_path(move, amplitude, pivot, settings):
    """The Path of a Move, one pose a frame of the clip."""
    return camera.looking_at(move.positions(amplitude, settings.frames, settings.loop), pivot)


def lower(meter, path_of, amplitude, least, budget):
    """The largest amplitude, up to the given one, whose path tears no more than is allowed; the least where none does.

    Args:
      meter: an ArtifactMeter.
      path_of: function of an amplitude to its Path.

    Returns:
      (amplitude, Tears of its path).
    """
    low, high, size, found = least, amplitude, amplitude, None
    for round_ in range(LOWERINGS):
        tears = meter.along(path_of(size))
        over = excess(tears, budget)
        if over <= 1:
            low, found = size, (size, tears)
            if size == amplitude or over >= 1 - BUDGET_TOLERANCE:
                return found
        elif size <= least:
            return size, tears
        else:
            high = size
        guess = (1 - BUDGET_TOLERANCE / 4) * size * max(over, 1e-9) ** (-1 / GROWTH)
        middle = 0.5 * (low + high)
        if found is None and round_ > 0:  # the loss falls slower than GROWTH says
            guess = min(guess, middle)
        size = guess if low < guess < high else least if guess <= least and found is None else middle
    return found or (least, meter.along(path_of(least)))


def settle(view, meter, move, parallax, settings):
    """Path and frame of a Move: the asked parallax, or less where the loss or the frame demands it.

    The frame follows from the path, and from the frame what of the tears is seen and how much the asked parallax is: a few
    rounds settle them.

    Args:
      view: a View; meter: an ArtifactMeter, whose window is set.
      parallax: asked, share of the frame's width.

    Returns:
      Take.
    """

    def path_of(amplitude):
        return pose_path(move, amplitude, view.pivot, settings)

    amplitude = min(parallax * view.first.width, move.limit)
    for _ in range(FRAMING_ROUNDS):
        path = path_of(amplitude)
        try:
            window, share = view.frame(path, settings)
        except Rejected:
            least = min(settings.min_parallax, parallax) * view.first.width
            if amplitude <= least:
                raise
            amplitude = max(FRAME_STEP * amplitude, least)
            continue
        meter.frame(window)
        least = min(settings.min_parallax, parallax) * window.width
        wanted = max(min(amplitude, parallax * window.width), least)
        lowered, tears = lower(meter, path_of, wanted, least, settings.artifact_budget)
        if lowered >= (1 - PARALLAX_TOLERANCE) * amplitude:
            break
        amplitude = lowered
    else:
        tears = meter.along(path)
    return Take(move, amplitude, path, window, share, tears, view.gauge.of_path(path) / window.width)


def shoot(scene: Scene, settings: Settings) -> Shot:
    """Chooses path and frame of a Scene.

    Returns:
      Shot, whose window the scene covers in every frame, and which shows every head whole.

    Raises:
      Rejected: too flat, no move of the asked kind, or no frame of the asked aspect is left.
    """
    view = View.of(scene, settings)
    search = Search(view, settings.motion, settings.artifact_budget)
    widths = settings.parallax * view.first.width, min(settings.min_parallax, settings.parallax) * view.first.width
    take = settle(view, search.fine, search.best(*widths), settings.parallax, settings)
    if take.parallax < LOWERED * settings.parallax:
        take = better(take, settle(view, search.fine, search.again(take.amplitude), settings.parallax, settings))
    if settings.motion == "auto" and take.tears.loss > NEGLIGIBLE:
        # No preset may do better at this parallax: where one does, by whatever the search did not compare, it is taken.
        search.fine.frame(take.window)
        for move in presets(view.gauge, take.amplitude):
            if search.fine.along(pose_path(move, take.amplitude, view.pivot, settings)).loss < take.tears.loss:
                take = better(take, settle(view, search.fine, move, settings.parallax, settings))
                search.fine.frame(take.window)
    return Shot(
        scene=scene,
        path=take.path,
        window=take.window,
        width=view.width,
        height=view.height,
        pivot=(*view.subject.pivot, view.subject.inverse_depth),
        measures=measures_of(view, take, search.evaluations),
    )


class Shoot(Stage):
    """Scene to Shot: trajectory and framing."""

    def __init__(self, settings):
        super().__init__("trajectory", lambda _, __, scene: shoot(scene, settings))
