"""The photo's camera, the virtual camera's path, and the projection between world and image plane."""

import dataclasses
import math

import numpy as np

NEAR, FAR = 1.0, 6.0  # pseudo-metric distances of inverse depth 1 and 0; a choice: a portrait to a street, 1 : 6
DEFAULT_FOV = math.radians(60.0)  # of the long side where EXIF is silent; phones' main cameras: 65 to 73, kits: 40 to 75


def distance(inverse_depth: np.ndarray) -> np.ndarray:
    """Pseudo-metric distance of relative inverse depth in [0, 1], any shape: 1 / (d (1/near - 1/far) + 1/far)."""
    return 1.0 / (inverse_depth * (1.0 / NEAR - 1.0 / FAR) + 1.0 / FAR)


@dataclasses.dataclass(frozen=True)
class Lens:
    """The photo's own pinhole camera.

    Attributes:
      half_width, half_height: of the photo on the image plane, in tangent units.
    """

    half_width: float
    half_height: float

    @staticmethod
    def of_photo(width: int, height: int, fov: float = DEFAULT_FOV) -> "Lens":
        """The lens of a photo (pixels) whose LONG side spans `fov` radians."""
        if not 0 < fov < math.pi:
            raise ValueError(f"fov must lie between 0 and pi radians, got {fov}")
        unit = math.tan(fov / 2) / max(width, height)
        return Lens(width * unit, height * unit)


@dataclasses.dataclass(frozen=True)
class Window:
    """A rectangle of the image plane, tangent units, y up: what a frame shows."""

    left: float
    right: float
    bottom: float
    top: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.top - self.bottom


@dataclasses.dataclass(frozen=True)
class Path:
    """The virtual camera's poses, one a frame.

    Attributes:
      positions: (n, 3) float64, world frame, in units of the near distance.
      rotations: (n, 3, 3) float64, world to camera: x_camera = R (x_world - position).
    """

    positions: np.ndarray
    rotations: np.ndarray

    def __len__(self) -> int:
        return len(self.positions)

    def part(self, count: int) -> "Path":
        """A Path of `count` of these poses, evenly spread, the first and the last among them; of all where they are fewer."""
        chosen = np.unique(np.linspace(0, len(self) - 1, count).round().astype(int))
        return Path(self.positions[chosen], self.rotations[chosen])


AT_REST = Path(np.zeros((1, 3)), np.eye(3)[None])  # where the photo was taken


def turns_to_pivot(positions: np.ndarray, pivot: np.ndarray) -> np.ndarray:
    """Rotations (n, 3, 3), world to camera, that show `pivot` from positions (n, 3) where the photo shows it.

    The smallest such rotations (Rodrigues), hence yaw and pitch and no roll about the line of sight.
    """
    a, b = pivot - positions, pivot / np.linalg.norm(pivot)
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    x, y, z = (a[:, (1, 2, 0)] * b[[2, 0, 1]] - a[:, (2, 0, 1)] * b[[1, 2, 0]]).T  # a x b
    zero = np.zeros_like(x)
    skew = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    return np.eye(3) + skew + skew @ skew / (1.0 + a @ b)[:, None, None]


def ease(t: np.ndarray) -> np.ndarray:
    """Quintic smoothstep of t in [0, 1]: speed and acceleration vanish at both ends, jerk stays bounded (60 / T^3)."""
    return t * t * t * (t * (6.0 * t - 15.0) + 10.0)


def swing(frames: int, loop: bool = False) -> np.ndarray:
    """Phases (frames,) of a way from -1 to 1, eased at both ends; a loop goes there and back and ends before it."""
    if loop:
        return -np.cos(2 * math.pi * np.arange(frames) / frames)
    return 2 * ease(np.linspace(0, 1, frames)) - 1


def revolution(frames: int, loop: bool = False) -> np.ndarray:
    """Angles (frames,) of a full turn from 0 to 2 pi, eased; a loop has constant speed, its last frame precedes its first."""
    return 2 * math.pi * (np.arange(frames) / frames if loop else ease(np.linspace(0, 1, frames)))


def looking_at(positions: np.ndarray, pivot: np.ndarray) -> "Path":
    """Path of poses at positions (n, 3), turned so that the point `pivot` (3,) stays where the photo shows it."""
    positions = np.asarray(positions, float)
    return Path(positions, turns_to_pivot(positions, pivot))


def project(points: np.ndarray, position: np.ndarray, rotation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Projects world points (m, 3) into a pose, (3,) and (3, 3), or into n poses, (n, 3) and (n, 3, 3).

    Returns:
      ((..., m, 2) tangent units, (..., m) distance along the view); ... is n where there are n poses.
    """
    seen = (points - position[..., None, :]) @ np.swapaxes(rotation, -1, -2)
    depth = -seen[..., 2]
    return seen[..., :2] / depth[..., None], depth


def unproject(xy: np.ndarray, inverse_depth: np.ndarray, lens: Lens) -> np.ndarray:
    """World points (..., 3) of photo positions xy (..., 2) in [0, 1] (x right, y down) at relative inverse depths (...)."""
    z = distance(np.asarray(inverse_depth, float))
    x = (2.0 * xy[..., 0] - 1.0) * lens.half_width * z
    y = (1.0 - 2.0 * xy[..., 1]) * lens.half_height * z
    return np.stack([x, y, -z], axis=-1)
