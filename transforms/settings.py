"""Every choice that shapes a clip, in one frozen value with a fingerprint."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable

from models.registry import ROLES
from renderer.canvas import RENDERERS
from renderer.encode import FORMATS

ASPECTS = ("3:4", "9:16", "1:1", "4:3", "16:9", "original")
MOTIONS = ("auto", "arc", "push", "orbit")
MAX_RATIO = 4  # of the clip's sides; beyond it a panorama is a ribbon on any screen
LIMITS = {  # what is sane at all; outside a value is a slip of the pen
    "width": (64, 4320),
    "seconds": (0.05, 120),
    "fps": (1, 240),
    "parallax": (0.001, 0.2),  # above a fifth of the frame every photo is torn
    "min_parallax": (0, 0.2),
    "artifact_budget": (0, 1e6),
    "max_artifact_score": (0, 1e6),
    "min_window": (0.05, 1),
    "min_side": (32, 1e5),
    "max_megapixels": (0.001, 1e4),
    "max_elongation": (1, 1e4),
    "min_highlight": (0, 255),
    "max_shadow": (0, 255),
    "max_paper": (0, 1),
    "max_flat": (0, 1),
    "max_blur": (0, 1),
}


def _kind(field: dataclasses.Field) -> Callable[[float], float]:
    """int or float, of a field with limits."""
    return int if field.type is int else float


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a run does to each photo. Equal settings give equal clips."""

    aspect: str = "3:4"  # of the clip; portrait, as phones show memories
    width: int = 1080  # pixels; the height follows from the aspect
    seconds: float = 3.0  # long enough to feel the move, short enough to loop in a story
    fps: int = 30  # H.264 players everywhere run it smoothly
    motion: str = "auto"  # of the camera; auto takes the arc or push that tears least
    loop: bool = False  # there and back, so that the clip can be repeated without a jump
    parallax: float = 0.04  # asked shift of subject against background, share of the frame's width
    min_parallax: float = 0.012  # below it the clip looks like a still (choice, by eye on the sample library)
    artifact_budget: float = 0.6  # the search lowers the parallax until the score is below it; there hardly a tear is seen
    max_artifact_score: float = 1.2  # above it a photo is rejected: at 1.3 streaks beside hair are seen
    min_window: float = 0.55  # share of the tallest or widest possible crop that framing may shrink to
    min_side: int = 240  # pixels; smaller photos are thumbnails
    format: str = "mp4"  # H.264, which plays everywhere; the others for those who ask
    renderer: str = "auto"  # what draws: GL where there is a GPU, else the CPU, which beats software GL by half
    max_megapixels: float = 150.0  # refused from the header; the largest phone sensors give 108 and 200 binned to 50
    max_elongation: float = 2.5  # long side to short side; above it a clip shows a sliver of a panorama (choice)
    min_highlight: float = 30.0  # of 255, 95th percentile of luma; black photos have 12, all others from 39
    max_shadow: float = 200.0  # of 255, 5th percentile of luma; washed-out photos have from 225, others to 187
    max_paper: float = 0.4  # share of bright grey beside text; pages have from 0.46, no photo has both
    max_flat: float = 0.42  # share of flat colour, no camera named; screenshots have from 0.49, 1 photo in 700 has
    max_blur: float = 0.75  # of 1, at 512 pixels; badly blurred photos have from 0.77, others to 0.69
    depth_model: str = "builtin"  # or a TF-Hub handle, SavedModel directory or .tflite file, with its adapter
    people_model: str = "builtin"
    saliency_model: str = "builtin"
    mirror_average: bool = False  # the mean of photo and mirror image: steadier maps at twice the price of inference

    def __post_init__(self) -> None:
        if self.aspect not in ASPECTS and not re.fullmatch(r"[1-9]\d{0,3}:[1-9]\d{0,3}", self.aspect):
            raise ValueError(f"--aspect must be like 3:4 or `original`, got {self.aspect!r}")
        if self.motion not in MOTIONS:
            raise ValueError(f"--motion must be one of {', '.join(MOTIONS)}, got {self.motion!r}")
        for name, known in (("format", FORMATS), ("renderer", RENDERERS)):
            if getattr(self, name) not in known:
                raise ValueError(f"--{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        for field in dataclasses.fields(self):  # 4 and 4.0 seconds are the same clip, and must have the same fingerprint
            value = getattr(self, field.name)
            if field.name not in LIMITS:
                continue
            low, high = LIMITS[field.name]
            if not low <= value <= high or _kind(field)(value) != value:
                kind = "a whole number" if _kind(field) is int else "a number"
                raise ValueError(f"--{field.name.replace('_', '-')} must be {kind} from {low:g} to {high:g}, got {value}")
            object.__setattr__(self, field.name, _kind(field)(value))
        if self.width % 2:
            raise ValueError(f"--width must be even, got {self.width}")
        if not 2 <= self.frames <= 3600:
            raise ValueError(f"--seconds times --fps must give 2 to 3600 frames, got {self.frames}")
        if self.aspect != "original" and not 1 / MAX_RATIO <= self._ratio() <= MAX_RATIO:
            raise ValueError(f"--aspect must lie between 1:{MAX_RATIO} and {MAX_RATIO}:1, got {self.aspect}")

    @property
    def models(self) -> dict[str, str]:
        """{role: model} as `models.registry` takes it."""
        return {role: getattr(self, f"{role}_model") for role in ROLES}

    @property
    def frames(self) -> int:
        return round(self.seconds * self.fps)

    def _ratio(self) -> float:
        across, down = (int(part) for part in self.aspect.split(":"))
        return across / down

    def output_size(self, photo_width: int, photo_height: int) -> tuple[int, int]:
        """(width, height) of the clip in pixels: width even, height a multiple of 4, as 4:2:0 planes need."""
        ratio = photo_width / photo_height if self.aspect == "original" else self._ratio()
        return self.width, max(4, round(self.width / ratio / 4) * 4)

    def fingerprint(self, version: str, model_digest: str) -> str:
        """12 hex digits that change when the settings, the code's version or the networks' bytes do.

        The threshold of the artifact score is left out: it decides on clips, it does not shape them.
        """
        shaping = dataclasses.asdict(self)
        del shaping["max_artifact_score"]
        text = json.dumps([shaping, version, model_digest], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]
