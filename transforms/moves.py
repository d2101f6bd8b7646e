"""The ways a camera may go: arcs, pushes and orbits, each scaled to shift the subject equally far against its background.

So no move wins a comparison by hardly moving. A move has no size of its own; its amplitude is that shift, in tangent units.
"""

import dataclasses
import math

import numpy as np

from renderer import camera

DIRECTIONS = 12  # over half a turn: 15 degrees, which the refinement halves twice; a choice
CLIMBS, STEEPEST = (-0.46, 0.0, 0.46), math.pi / 4  # of an arc towards the scene, radians; a choice
TARGETS = 7  # a side, spread over the photo, and the subject: what a push goes to
# Phases are shifted by it: 0 passes through the photo's own viewpoint, 1 starts there, so that nothing tears on the other side.
STARTS = (0.0, 1.0)
FLATTENINGS = (1.0, 0.5, 0.25)  # of an orbit: a circle, and ellipses that avoid a direction
VERTICAL_COST = 0.15  # of the loss: sideways motion is what viewers expect; up and down must earn its place
CLIMB_COST = 0.02  # a radian: a level path wins a tie
MAX_APPROACH = 0.3  # of the near distance: what is nearest grows by 1.4; more leaves the frame (choice)


@dataclasses.dataclass(frozen=True)
class Gauge:
    """How far a camera's way shifts the subject against what is behind it.

    Seen from a camera moved by t across and s towards the scene, a point at x on the image plane with inverse distance D lies at
    (x - t D) / (1 - s D): to first order, subject and background on one line of sight part by the difference of their D times
    x s - t. Taken as root mean square over the subject's places, that is a norm of (t, s), whatever the direction.

    Attributes:
      root: (3, 3), the shift in tangent units of a way w is |root @ w|.
    """

    root: np.ndarray

    @staticmethod
    def of(subject, lens):
        inverse = subject.spread * (1 / camera.NEAR - 1 / camera.FAR)
        x = (2 * subject.pivot[0] - 1) * lens.half_width
        y = (1 - 2 * subject.pivot[1]) * lens.half_height
        own = math.sqrt(subject.variance[0] * (2 * lens.half_width) ** 2 + subject.variance[1] * (2 * lens.half_height) ** 2)
        # |t - x s|^2 + own^2 s^2, with s = -z of the way
        return Gauge(inverse * np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, own]]))

    def shift(self, way):
        """Of one way (3,), tangent units."""
        return float(np.linalg.norm(self.root @ way))

    def of_path(self, path):
        """The largest shift between any two frames of a Path, tangent units."""
        places = path.positions @ self.root.T
        return float(np.linalg.norm(places[:, None] - places[None], axis=-1).max())


@dataclasses.dataclass(frozen=True)
class Move:
    """A way of the camera, of any amplitude: (phase + start) * reach, or round an ellipse of the half-axes reach and side.

    Attributes:
      motion: arc, push or orbit.
      reach: (3,) world vector, scaled so that the move at amplitude 1 shifts the subject by 1 tangent unit in all.
      side: (3,), zero for a straight way.
      start: added to the phase, which runs from -1 to 1.
    """

    motion: str
    reach: np.ndarray
    side: np.ndarray
    start: float = 0.0

    @staticmethod
    def line(gauge, direction, climb, start=0.0):
        """Along `direction` (radians, 0 = x), climbing towards the scene by `climb` radians."""
        way = np.array([math.cos(climb) * math.cos(direction), math.cos(climb) * math.sin(direction), -math.sin(climb)])
        return Move("arc", way / (2 * gauge.shift(way)), np.zeros(3), start)

    @staticmethod
    def toward(gauge, target):
        """From the photo's viewpoint straight to what it shows at `target` (2,), tangent units: that tears nothing there."""
        way = np.array([target[0], target[1], -1.0])
        return Move("push", way / (2 * gauge.shift(way)), np.zeros(3), 1.0)

    @staticmethod
    def ellipse(gauge, direction, flattening):
        """Round the photo's viewpoint, across the line of sight."""
        way = np.array([math.cos(direction), math.sin(direction), 0.0])
        reach = way / (2 * gauge.shift(way))
        return Move("orbit", reach, flattening * np.array([-reach[1], reach[0], 0.0]))

    def positions(self, amplitude, frames, loop=False):
        """(frames, 3) positions at an amplitude."""
        if self.side.any():
            angle = camera.revolution(frames, loop)[:, None]
            return amplitude * (np.cos(angle) * self.reach + np.sin(angle) * self.side)
        return amplitude * (camera.swing(frames, loop)[:, None] + self.start) * self.reach

    @property
    def direction(self):
        """Radians in (-pi, pi], of the way across the line of sight, 0 = to the right."""
        return math.atan2(self.reach[1], self.reach[0])

    @property
    def climb(self):
        """Radians in [-pi / 2, pi / 2], of the way towards the scene."""
        return math.atan2(-self.reach[2], math.hypot(self.reach[0], self.reach[1]))

    @property
    def limit(self):
        """The amplitude at which the camera comes MAX_APPROACH near to the scene; infinite where it comes no nearer."""
        forward = max(-self.reach[2] * (self.start + 1), -self.reach[2] * (self.start - 1))
        return MAX_APPROACH / forward if forward > 0 else math.inf

    def bias(self):
        """What viewers expect less must tear less by this share."""
        return VERTICAL_COST * (math.sin(self.direction) * math.cos(self.climb)) ** 2 + CLIMB_COST * abs(self.climb)


def candidates(gauge, motion, pivot, whole):
    """The moves that the search compares first.

    Args:
      gauge: the subject's Gauge.
      motion: one of `transforms.settings.MOTIONS`.
      pivot: (2,) tangent units, where the photo shows the subject; whole: Window of the photo.
    """
    moves = []
    if motion in ("auto", "arc"):
        for start in STARTS:
            # What passes through the viewpoint is the same way backwards; what starts there is not: twice the step.
            step = math.pi / DIRECTIONS * (1 if start == 0 else 2)
            moves += [Move.line(gauge, step * i, climb, start) for climb in CLIMBS for i in range(DIRECTIONS)]
    if motion in ("auto", "push"):
        shares = (np.arange(TARGETS) + 0.5) / TARGETS
        grid = [(whole.left + x * whole.width, whole.bottom + y * whole.height) for x in shares for y in shares]
        moves += [Move.toward(gauge, target) for target in [tuple(pivot), *grid]]
    if motion == "orbit":
        turns = [math.pi * i / DIRECTIONS for i in range(DIRECTIONS)]
        moves += [Move.ellipse(gauge, turn, flat) for flat in FLATTENINGS for turn in (turns if flat < 1 else turns[:1])]
    return moves


def neighbours(gauge, move, turn):
    """Moves beside a move: about `turn` radians away, and of arcs those that start elsewhere."""
    if move.motion == "orbit":
        flat = float(np.linalg.norm(move.side) / np.linalg.norm(move.reach))
        return [Move.ellipse(gauge, move.direction + a, flat) for a in (-turn, turn)] if flat < 1 else []
    steps = ((-turn, 0.0), (turn, 0.0), (0.0, -turn), (0.0, turn))
    if move.motion == "push":
        target = move.reach[:2] / -move.reach[2]
        return [Move.toward(gauge, target + step) for step in steps]
    ways = [(move.direction + aside, min(max(move.climb + climb, -STEEPEST), STEEPEST)) for aside, climb in steps]
    turned = [Move.line(gauge, direction, climb, move.start) for direction, climb in ways]
    shift = turn * DIRECTIONS / math.pi  # half of what lies between the STARTS, when `turn` is half of a direction's step
    starts = {max(move.start - shift, -1.0), min(move.start + shift, 1.0)} - {move.start}
    return turned + [Move.line(gauge, move.direction, move.climb, start) for start in sorted(starts)]


def presets(gauge, amplitude):
    """Cameras that know nothing of the photo and can move so far: a level swing, a circle, and a dolly straight ahead."""
    moves = Move.line(gauge, 0.0, 0.0), Move.ellipse(gauge, 0.0, 1.0), Move.toward(gauge, (0.0, 0.0))
    return [move for move in moves if move.limit >= amplitude]
