"""What flows between the stages. Frozen, and nobody writes into their arrays.

PhotoRef -> Photo -> Perception -> Scene -> Shot -> Clip -> Candidate
              any stage may end it: Rejection or Failure
"""

import dataclasses
import enum
from datetime import datetime

import numpy as np

from renderer.camera import Lens, Path, Window
from renderer.mesh import Mesh


@dataclasses.dataclass(frozen=True)
class Glimpse:
    """What a hasty look at a photo tells, to compare it with others.

    Attributes:
      phash: 16 hex digits of its perceptual hash.
      sharpness: in [0, 1].
      minute: it was taken in, as EXIF tells it, ISO 8601; None where it is silent.
      cpu_seconds: that it cost.
    """

    phash: str
    sharpness: float
    minute: str | None
    cpu_seconds: float


@dataclasses.dataclass(frozen=True)
class PhotoRef:
    """A photo of the library, unread.

    Attributes:
      photo_id: 16 hex digits of the SHA-256 of `path`.
      path: relative to the library's root, with forward slashes; the only name that leaves the pipeline.
      uri: where to read it; never written to any output.
      version: of its bytes, as the listing tells: `<size>-<stamp>`, the stamp its generation or time of change.
      glimpse: where one was taken.
      digest: 16 hex digits of the SHA-256 of its bytes, once they are read.
    """

    photo_id: str
    path: str
    uri: str
    version: str
    glimpse: Glimpse | None = None
    digest: str | None = None


@dataclasses.dataclass(frozen=True)
class Photo:
    """A decoded photo.

    Attributes:
      rgb: (height, width, 3) uint8 sRGB, upright.
      fov: radians across the long side, from EXIF or the default.
      capture_time: as EXIF tells it, aware where it tells the offset; None where it is silent.
      from_camera: whether EXIF names a camera.
    """

    rgb: np.ndarray
    fov: float
    capture_time: datetime | None
    from_camera: bool = False


@dataclasses.dataclass(frozen=True)
class Perception:
    """What the networks see in a photo; maps cover the whole photo, of any size, alike among themselves after repair.

    Attributes:
      photo: the Photo.
      inverse_depth: (h, w) float32 relative inverse depth, larger = nearer; in [0, 1] after repair.
      person: (h, w) float32 probability of body or head.
      head: (h, w) float32 probability of head.
      saliency: (h, w) float32 in [0, 1].
    """

    photo: Photo
    inverse_depth: np.ndarray
    person: np.ndarray
    head: np.ndarray
    saliency: np.ndarray


@dataclasses.dataclass(frozen=True)
class Layer:
    """One surface of a scene.

    Attributes:
      mesh: the adaptive Mesh.
      inverse_depth: (r, c) float32 at the vertices of the full grid the mesh was made from.
      rgb: (height, width, 3) uint8 sRGB, its picture.
    """

    mesh: Mesh
    inverse_depth: np.ndarray
    rgb: np.ndarray


@dataclasses.dataclass(frozen=True)
class Scene:
    """A photo in 3D.

    Attributes:
      layers: near to far; the last covers the whole photo.
      lens: the photo's Lens.
      regions: (h, w) uint8: 0 background, 1 body, 2 head, a cell of the grid each.
      saliency: (h, w) float32 in [0, 1], alike.
      capture_time: see Photo.
    """

    layers: tuple[Layer, ...]
    lens: Lens
    regions: np.ndarray
    saliency: np.ndarray
    capture_time: datetime | None


@dataclasses.dataclass(frozen=True)
class Measures:
    """What the search knows of the shot it chose. Names and meanings are those of the records' columns."""

    artifact_score: float
    relative_parallax: float
    motion: str  # arc, push or orbit
    direction: float  # radians, 0 = along x, counter-clockwise
    climb: float  # radians towards the scene
    largest_component: float  # share of the frame
    largest_head_component: float
    stretched_share: float
    stretched_share_max: float
    background_loss: float  # these three add up to the artifact score
    body_loss: float
    head_loss: float
    saliency_kept: float
    window_share: float
    people: float  # share of the frame, from the photo's own viewpoint
    evaluations: int


@dataclasses.dataclass(frozen=True)
class Shot:
    """A scene with its camera.

    Attributes:
      scene: the Scene.
      path: one pose a frame.
      window: what every frame shows; the scene covers it in every frame.
      width, height: of the clip, pixels.
      pivot: what the camera turns to: (x, y) in [0, 1] on the photo, and its inverse depth.
      measures: see Measures.
    """

    scene: Scene
    path: Path
    window: Window
    width: int
    height: int
    pivot: tuple[float, float, float]
    measures: Measures


@dataclasses.dataclass(frozen=True)
class Clip:
    """A finished clip: `video` and `poster` (JPEG) bytes, and the shot's numbers."""

    video: bytes
    poster: bytes
    width: int
    height: int
    frames: int
    capture_time: datetime | None
    measures: Measures


class RejectReason(enum.StrEnum):
    """Why a photo gets no clip although nothing went wrong."""

    TOO_SMALL = "too_small"
    ANIMATED = "animated"
    NEAR_DUPLICATE = "near_duplicate"
    PANORAMA = "panorama"
    DARK = "dark"
    BLOWN_OUT = "blown_out"
    DOCUMENT = "document"
    SCREENSHOT = "screenshot"
    BLURRED = "blurred"
    TOO_FLAT = "too_flat"
    ARTIFACTS = "artifacts"
    FRAMING = "framing"


class FailReason(enum.StrEnum):
    """What went wrong with a photo."""

    MISSING = "missing"
    NO_ACCESS = "no_access"
    UNREADABLE = "unreadable"
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"
    UNWRITABLE = "unwritable"
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    UNCOVERED = "uncovered"


class Rejected(Exception):
    """Raised by a stage's function: this photo deserves no clip.

    Args:
      reason: a RejectReason.
      detail: one sentence with the number that decided it.
      score: the artifact score where there is one.
    """

    def __init__(self, reason: RejectReason, detail: str, score: float | None = None) -> None:
        super().__init__(reason, detail, score)  # as it is made, so that it travels between processes
        self.reason, self.detail, self.score = reason, detail, score

    def __str__(self) -> str:
        return self.detail


class Failed(Exception):
    """Raised by a stage's function: this photo cannot be worked on. `reason` is a FailReason."""

    def __init__(self, reason: FailReason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail

    def __str__(self) -> str:
        return self.detail


# Records. Their columns are those of their parts, from the last to the first: who, then what, then at what cost.


@dataclasses.dataclass(frozen=True)
class Named:
    """Which photo, in which version, of which bytes (None where they could not be read), under which configuration."""

    photo_id: str
    path: str
    version: str
    digest: str | None
    fingerprint: str


@dataclasses.dataclass(frozen=True)
class Drawn:
    """The files of a clip, and what they are like; `phash` and `sharpness` as of Glimpse, None where none was taken."""

    clip: str
    poster: str
    width: int
    height: int
    frames: int
    fps: int
    capture_time: str | None
    phash: str | None
    sharpness: float | None


@dataclasses.dataclass(frozen=True)
class Ended:
    """Where a photo ended and why."""

    stage: str
    reason: str
    detail: str


@dataclasses.dataclass(frozen=True)
class Spent:
    """By stage: CPU seconds, and MB that the process which ran it had held at most by then."""

    cpu_seconds: dict[str, float]
    peak_mb: dict[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Candidate(Spent, Measures, Drawn, Named):
    """The record of a clip."""


@dataclasses.dataclass(frozen=True)
class Scored(Spent, Measures, Named):
    """The record of a shot that a dry run did not draw."""


@dataclasses.dataclass(frozen=True)
class Judged:
    """The artifact score, None before it is known."""

    artifact_score: float | None


@dataclasses.dataclass(frozen=True)
class Rejection(Spent, Judged, Ended, Named):
    """The record of a photo that gets no clip."""


@dataclasses.dataclass(frozen=True)
class Failure(Spent, Ended, Named):
    """The record of a photo that could not be worked on."""


Outcome = Candidate | Scored | Rejection | Failure
