"""What a job is: checked once, before anything runs."""

import dataclasses
import posixpath
from collections.abc import Iterable
from typing import Any

import beam_pipeline
from beam_pipeline import manifest, sources
from models import registry
from renderer.studio import PATIENCE
from transforms.bursts import DISTANCE as DUPLICATE_DISTANCE
from transforms.settings import Settings

CORE_HOUR_PRICE = 0.05  # US dollars, memory included: the order of what clouds ask for (choice)
DRY_RUN = "dry-run"  # folder below the output that a dry run writes into
MAX_DISTANCE = 64  # bits of a perceptual hash
MAX_BATCH = 64  # decoded photos that wait together in memory, some 10 MB each


@dataclasses.dataclass(frozen=True)
class Job:
    """The main job.

    Attributes:
      patterns: of photos, absolute or URIs.
      root: the library's root; photos are named relative to it.
      output: folder or URI.
      settings: what each clip is like.
      record_shards: Parquet files a kind of record.
      inference_batch: photos that the networks see at once.
      part: which Slice of the library is looked at.
      redo: photos are worked on whatever earlier runs say of them.
      dry_run: shots are scored and not drawn; records go to a folder of their own, and earlier ones are not looked at.
      photo_seconds: that drawing a photo may take by the clock.
      log_photos: each photo's end is a line on the standard error rather than in the log.
      core_hour_price: what summary.md reckons with.
      duplicate_distance: bits of 64 by which photos that show the same differ at most; below 0 every photo is kept.
      prune: what earlier runs left of photos that are no longer there is removed.
    """

    patterns: tuple[str, ...]
    root: str
    output: str
    settings: Settings
    record_shards: int = 1
    inference_batch: int = 1
    part: sources.Slice = sources.Slice()
    redo: bool = False
    prune: bool = False
    dry_run: bool = False
    photo_seconds: float = PATIENCE
    log_photos: bool = False
    core_hour_price: float = CORE_HOUR_PRICE
    duplicate_distance: int = DUPLICATE_DISTANCE

    def __post_init__(self) -> None:
        """Raises ValueError with a sentence for the user."""
        if self.record_shards < 1:
            raise ValueError(f"--record-shards must be at least 1, got {self.record_shards}")
        if not 1 <= self.inference_batch <= MAX_BATCH:
            raise ValueError(f"--inference-batch must be from 1 to {MAX_BATCH}, got {self.inference_batch}")
        if self.part.limit is not None and self.part.limit < 1:
            raise ValueError(f"--limit must be at least 1, got {self.part.limit}")
        if not 0 <= self.part.shard[0] < self.part.shard[1]:
            raise ValueError("--shard must be i/n with i from 1 to n")
        if self.prune and self.part != sources.Slice():
            raise ValueError("--prune needs the whole library: it does not go with --since, --limit or --shard.")
        if not self.photo_seconds > 0:
            raise ValueError(f"--photo-seconds must be above 0, got {self.photo_seconds:g}")
        if self.duplicate_distance > MAX_DISTANCE:
            raise ValueError(f"--duplicate-distance must be at most {MAX_DISTANCE}, got {self.duplicate_distance}")

    @staticmethod
    def of(patterns: Iterable[str], output: str, settings: Settings, root: str | None = None, **choices: Any) -> "Job":
        """The job of what a user names; `choices` are further attributes. Raises ValueError with a sentence for the user."""
        patterns = tuple(sources.absolute(p) for p in patterns)
        root = sources.absolute(root).rstrip("/") if root else sources.library_root(patterns)
        output = sources.absolute(output).rstrip("/")
        for pattern in patterns:
            below = sources.static_prefix(pattern).rstrip("/") + "/"
            if not below.startswith(root.rstrip("/") + "/"):
                raise ValueError(f"--input {pattern} does not lie under --library-root {root}.")
            if below.startswith(output + "/"):
                raise ValueError(
                    f"--output {output} holds the photos of --input {pattern}: choose a folder beside or below them."
                )
        if choices.get("dry_run"):
            output = posixpath.join(output, DRY_RUN)
        return Job(patterns, root, output, settings, **choices)

    @property
    def rules(self) -> manifest.Rules:
        """How earlier records are judged."""
        return manifest.Rules(
            self.fingerprint, self.settings.max_artifact_score, self.redo, self.prune, self.duplicate_distance < 0
        )

    @property
    def fingerprint(self) -> str:
        """Of everything that shapes the clips: settings, code version, networks. Raises ModelError for missing ones."""
        return self.settings.fingerprint(beam_pipeline.__version__, registry.digest(self.settings.models))

    def about(self) -> dict[str, Any]:
        """What summary.json says of the run itself: no absolute path, which could name a user."""
        return {
            "fingerprint": self.fingerprint,
            "settings": dataclasses.asdict(self.settings)
            | {f"{role}_model": posixpath.basename(m) for role, m in self.settings.models.items()},
            "versions": versions(),
            "core_hour_price": self.core_hour_price,
        }


def versions() -> dict[str, str]:
    """{package: version} of what shapes pixels and records."""
    import importlib.metadata
    import platform

    names = (
        "apache-beam",
        "av",
        "keras",
        "numba",
        "numpy",
        "opencv-python-headless",
        "pillow",
        "pillow-heif",
        "pyarrow",
        "tensorflow",
    )
    found = {name: importlib.metadata.version(name) for name in names}
    return {"cinematic-photos": beam_pipeline.__version__, "python": platform.python_version(), **found}
