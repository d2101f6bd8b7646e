"""What a run leaves behind: clips and posters, records in Parquet, and the summary. Temporary name first, then renamed."""

import dataclasses
import json
import operator
import posixpath
import re
import shutil
from pathlib import Path

import apache_beam as beam
import pyarrow

from beam_pipeline import storage
from beam_pipeline.manifest import COSTS, FOLDERS
from transforms.elements import Candidate, Failed, FailReason, Failure, Rejection, Scored
from transforms.stage import Stage

_TEXT, _REAL, _INT = pyarrow.string(), pyarrow.float64(), pyarrow.int64()


def _schema(**columns):
    return pyarrow.schema([pyarrow.field(name, kind, nullable=null) for name, (kind, null) in columns.items()])


_MEASURES = {
    "artifact_score": (_REAL, False),
    "relative_parallax": (_REAL, False),
    "motion": (_TEXT, False),
    "direction": (_REAL, False),
    "climb": (_REAL, False),
    "largest_component": (_REAL, False),
    "largest_head_component": (_REAL, False),
    "stretched_share": (_REAL, False),
    "stretched_share_max": (_REAL, False),
    "background_loss": (_REAL, False),
    "body_loss": (_REAL, False),
    "head_loss": (_REAL, False),
    "saliency_kept": (_REAL, False),
    "window_share": (_REAL, False),
    "people": (_REAL, False),
    "evaluations": (_INT, False),
}
_NAMED = {name: (_TEXT, name == "digest") for name in ("photo_id", "path", "version", "digest", "fingerprint")}
_SPENT = {name: (pyarrow.map_(_TEXT, _REAL), False) for name in COSTS}
# Column by column as docs/output.md tells them; a test holds each against its dataclass.
SCHEMAS = {
    Candidate: _schema(
        **_NAMED,
        clip=(_TEXT, False),
        poster=(_TEXT, False),
        width=(_INT, False),
        height=(_INT, False),
        frames=(_INT, False),
        fps=(_INT, False),
        capture_time=(_TEXT, True),
        phash=(_TEXT, True),
        sharpness=(_REAL, True),
        **_MEASURES,
        **_SPENT,
    ),
    Scored: _schema(**_NAMED, **_MEASURES, **_SPENT),
    Rejection: _schema(
        **_NAMED,
        stage=(_TEXT, False),
        reason=(_TEXT, False),
        detail=(_TEXT, False),
        artifact_score=(_REAL, True),
        **_SPENT,
    ),
    Failure: _schema(**_NAMED, stage=(_TEXT, False), reason=(_TEXT, False), detail=(_TEXT, False), **_SPENT),
}


def sweep(output):
    """Deletes what a killed run left behind in an output folder: half-written files, Beam's folders of half-written records.

    Only for the start of a run: two at once into one folder are not meant to be. A bucket shows no half-written clips.
    """
    if storage.in_bucket(output):
        for kind in (*FOLDERS.values(), "scored"):
            folder = posixpath.join(output, kind)
            for file in storage.walk(folder):
                if file.uri.startswith(f"{folder}/beam-temp-"):
                    storage.delete(file.uri)
        return
    for path in Path(output).glob("clips/*/*.tmp"):
        path.unlink()
    for folder in (*FOLDERS.values(), "scored"):
        for path in Path(output).glob(f"{folder}/beam-temp-*"):
            shutil.rmtree(path)
    for path in Path(output).glob("*.tmp"):
        path.unlink()


def clip_name(photo_id, fingerprint, ending):
    """Path of a clip or poster below the output folder: 256 folders, so that none holds millions."""
    return f"clips/{photo_id[:2]}/{photo_id}-{fingerprint}{ending}"


def write_clip(output, fingerprint, fps, format, ref, clip):
    """Writes a Clip's files, then returns its Candidate, still without costs. Raises Failed where they cannot be written."""
    names = {ending: clip_name(ref.photo_id, fingerprint, ending) for ending in (f".{format}", ".jpg")}
    try:
        storage.write(posixpath.join(output, names[".jpg"]), clip.poster, clip.capture_time)
        storage.write(posixpath.join(output, names[f".{format}"]), clip.video, clip.capture_time)
    except OSError as error:  # its text would carry the absolute path
        raise Failed(FailReason.UNWRITABLE, f"The clip cannot be written ({type(error).__name__}).") from error
    return Candidate(
        photo_id=ref.photo_id,
        path=ref.path,
        version=ref.version,
        digest=ref.digest,
        fingerprint=fingerprint,
        clip=names[f".{format}"],
        poster=names[".jpg"],
        width=clip.width,
        height=clip.height,
        frames=clip.frames,
        fps=fps,
        capture_time=clip.capture_time.isoformat() if clip.capture_time else None,
        phash=ref.glimpse.phash if ref.glimpse else None,
        sharpness=ref.glimpse.sharpness if ref.glimpse else None,
        **dataclasses.asdict(clip.measures),
        cpu_seconds={},
    )


class WriteClip(Stage):
    """Clip to Candidate."""

    def __init__(self, output, fingerprint, fps, format):
        super().__init__("write", lambda _, ref, clip: write_clip(output, fingerprint, fps, format, ref, clip))


def row(record):
    """A record as the dict that Parquet takes; maps become lists of pairs."""
    fields = dataclasses.asdict(record)
    return fields | {name: list(fields[name].items()) for name in COSTS}


def delete_other_shards(folder, shards, written):
    """Deletes records that an earlier run left in another number of files, once `written` are there; those it replaced."""
    for file in storage.scan(folder)[1]:
        if re.fullmatch(r"part-\d+-of-\d+\.parquet", posixpath.basename(file.uri)):
            if not file.uri.endswith(f"-of-{shards:05d}.parquet"):
                storage.delete(file.uri)
    return written


class WriteRecords(beam.PTransform):
    """Outcomes to `candidates/`, `rejected/` and `failures/`, a fixed number of Parquet files each; to their names, once written.

    The number is fixed so that a second run replaces the first one's files; `delete_other_shards` sees to other numbers.
    """

    def __init__(self, output, shards, folders=FOLDERS):
        super().__init__()
        self.output, self.shards, self.folders = output, shards, folders

    def expand(self, outcomes):
        written = []
        for kind, folder in self.folders.items():
            names = (
                outcomes
                | f"Only {folder}" >> beam.Filter(lambda outcome, kind=kind: isinstance(outcome, kind))
                | f"Rows of {folder}" >> beam.Map(row)
                | f"Write {folder}"
                >> beam.io.WriteToParquet(
                    posixpath.join(self.output, folder, "part"),
                    SCHEMAS[kind],
                    file_name_suffix=".parquet",
                    num_shards=self.shards,
                )
            )
            written.append(
                outcomes.pipeline
                | f"Folder of {folder}" >> beam.Create([posixpath.join(self.output, folder)])
                | f"Tidy {folder}" >> beam.FlatMap(delete_other_shards, self.shards, beam.pvalue.AsList(names))
            )
        return written | beam.Flatten()


@dataclasses.dataclass(frozen=True)
class Totals:
    """Counts, CPU seconds and peaks of memory of outcomes; `plus` is commutative and associative."""

    candidates: int = 0
    rejected: tuple[tuple[str, int], ...] = ()
    failures: tuple[tuple[str, int], ...] = ()
    skipped: int = 0
    scored: int = 0
    cpu_seconds: tuple[tuple[str, float], ...] = ()
    peak_mb: tuple[tuple[str, float], ...] = ()

    @staticmethod
    def of(outcome):
        costs = {name: tuple(sorted(getattr(outcome, name).items())) for name in COSTS}
        if isinstance(outcome, Candidate):
            return Totals(candidates=1, **costs)
        if isinstance(outcome, Scored):
            return Totals(scored=1, **costs)
        name = "rejected" if isinstance(outcome, Rejection) else "failures"
        return Totals(**costs, **{name: ((outcome.reason, 1),)})

    def plus(self, other):
        def added(a, b, two=operator.add):
            total = dict(a)
            for key, value in b:
                total[key] = two(total[key], value) if key in total else value
            return tuple(sorted(total.items()))

        return Totals(
            self.candidates + other.candidates,
            added(self.rejected, other.rejected),
            added(self.failures, other.failures),
            self.skipped + other.skipped,
            self.scored + other.scored,
            added(self.cpu_seconds, other.cpu_seconds),
            added(self.peak_mb, other.peak_mb, max),
        )

    def summary(self):
        """The dict of summary.json; `photos` is the sum of the four that follow it."""
        rejected, failures = dict(self.rejected), dict(self.failures)
        counts = {"candidates": self.candidates, "rejected": sum(rejected.values()), "failures": sum(failures.values())}
        counts["skipped"] = self.skipped
        if self.scored:
            counts["scored"] = self.scored
        costs = {stage: round(seconds, 3) for stage, seconds in self.cpu_seconds}
        return {
            "photos": sum(counts.values()),
            **counts,
            "rejected_by_reason": rejected,
            "failures_by_reason": failures,
            "cpu_seconds": costs | {"total": round(sum(costs.values()), 3)},
            "peak_mb": {stage: round(megabytes) for stage, megabytes in self.peak_mb},
        }


class SumTotals(beam.CombineFn):
    """Totals to one, on any runner, an empty library included."""

    def create_accumulator(self):
        return Totals()

    def add_input(self, total, other):
        return total.plus(other)

    def merge_accumulators(self, totals):
        result = Totals()
        for total in totals:
            result = result.plus(total)
        return result

    def extract_output(self, total):
        return total


def readable(summary):
    """Markdown of a summary: what came of the photos, and what they cost."""
    lines = [f"# {summary['photos']} photos", "", "| | photos |", "|---|---|"]
    for kind in ("candidates", "scored", "rejected", "failures", "skipped"):
        lines += [f"| {kind} | {summary[kind]} |"] if kind in summary else []
        lines += [f"| {kind}: {reason} | {n} |" for reason, n in sorted(summary.get(f"{kind}_by_reason", {}).items())]
    worked = summary["photos"] - summary["skipped"]
    price = summary["core_hour_price"]
    lines += ["", "| stage | CPU s | a photo worked on | MB, at most, of its process |", "|---|---|---|---|"]
    peaks = summary["peak_mb"]
    lines += [
        f"| {stage} | {spent:.1f} | {spent / max(worked, 1):.3f} | {peaks.get(stage, '')} |"
        for stage, spent in summary["cpu_seconds"].items()
    ]
    cost = summary["cpu_seconds"]["total"] / max(worked, 1) / 3600 * price * 1000
    lines += ["", f"A thousand photos like these cost {cost:.3g} at {price:g} a core hour, if all cores are busy."]
    lines += ["", f"Configuration {summary['fingerprint']}, cinematic-photos {summary['versions']['cinematic-photos']}.", ""]
    return "\n".join(lines)


class WriteSummary(beam.PTransform):
    """(Outcomes of this run, records that stood) to `summary.json` and, for people, `summary.md`."""

    def __init__(self, output, about):
        super().__init__()
        self.output, self.about = output, about

    def expand(self, inputs):
        new, kept = inputs

        def write(totals, output, about):
            summary = totals.summary() | about
            storage.write(posixpath.join(output, "summary.md"), readable(summary).encode())
            storage.write(posixpath.join(output, "summary.json"), (json.dumps(summary, indent=2) + "\n").encode())

        totals = new | "Of new" >> beam.Map(Totals.of), kept | "Of kept" >> beam.Map(lambda _: Totals(skipped=1))
        return (
            totals
            | beam.Flatten()
            | "Sum" >> beam.CombineGlobally(SumTotals())
            | "Write" >> beam.Map(write, self.output, self.about)
        )
