"""A night's bookkeeping without a photo: names joined with the records of earlier nights, `make bench-backfill`.

For each size a child process writes records of that many photos as a run does, lists that many names, of which one in a thousand
is new and one in a thousand was changed, and lets `Triage` part them, in the local runner, which holds all of it in memory.
"""

import argparse
import dataclasses
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import apache_beam as beam
import pyarrow
import pyarrow.parquet as parquet
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from beam_pipeline import manifest, sinks
from renderer.child import peak_mb
from transforms.elements import Candidate, Measures, PhotoRef, Rejection

NEWS = 1000  # one name of so many is new, and one was changed
LISTED_AT_ONCE = 10_000
MEASURES = Measures(0.25, 0.02, "arc", 0.5, 0.0, 0.01, 0.0, 0.02, 0.03, 0.15, 0.1, 0.0, 0.9, 0.8, 0.3, 120)
COSTS = {"read": 0.01, "decode": 0.13, "infer": 0.05, "repair": 0.09, "mesh": 0.01, "trajectory": 0.11, "render": 2.6}


def name(number):
    path = f"{2000 + number % 25}/{number // 25 % 12 + 1:02d}/IMG_{number:09d}.jpg"
    return hashlib.sha256(path.encode()).hexdigest()[:16], path


def record(number):
    """Four in ten photos have a clip, the others were rejected."""
    photo_id, path = name(number)
    named = {
        "photo_id": photo_id,
        "path": path,
        "version": "4000000-1700000000000000000",
        "digest": photo_id,
        "fingerprint": "f00",
    }
    if number % 10 >= 4:
        return Rejection(**named, stage="bursts", reason="near_duplicate", detail="", artifact_score=None, cpu_seconds=COSTS)
    clip = sinks.clip_name(photo_id, "f00", "")
    measures = dataclasses.asdict(MEASURES)
    return Candidate(
        **named, clip=f"{clip}.mp4", poster=f"{clip}.jpg", width=1080, height=1440, frames=90, fps=30, capture_time=None,
        phash=photo_id, sharpness=0.5, **measures, cpu_seconds=COSTS,
    )  # fmt: skip


def write_records(output, count):
    for kind, folder in ((Candidate, "candidates"), (Rejection, "rejected")):
        (output / folder).mkdir(parents=True)
        for part, first in enumerate(range(0, count, LISTED_AT_ONCE * 5)):
            found = map(record, range(first, min(first + LISTED_AT_ONCE * 5, count)))
            rows = [sinks.row(one) for one in found if isinstance(one, kind)]
            table = pyarrow.Table.from_pylist(rows, sinks.SCHEMAS[kind])
            parquet.write_table(table, output / folder / f"part-{part:05d}.parquet")


def listed(first, count):
    """PhotoRefs of names from `first`; the last thousandth of all is new."""
    for number in range(first, min(first + LISTED_AT_ONCE, count)):
        shifted = number + count // NEWS
        photo_id, path = name(shifted)
        size = 4_000_000 + (shifted % NEWS == 0)
        yield PhotoRef(photo_id, path, f"/library/{path}", f"{size}-1700000000000000000")


def join(output, count):
    """Parts the names; returns {tag: how many}."""
    pipeline = beam.Pipeline(FnApiRunner(), options=PipelineOptions([]))
    photos = pipeline | beam.Create(range(0, count, LISTED_AT_ONCE)) | beam.FlatMap(listed, count)
    records = pipeline | manifest.ReadRecords(str(output))
    parts = (photos, records) | manifest.Triage(manifest.Rules("f00", 1.2))
    for tag in ("work", manifest.KEPT, manifest.TOUCHED, manifest.UNLISTED):
        counter = beam.metrics.Metrics.counter("bench", tag)
        parts[tag] | f"Count {tag}" >> beam.Map(lambda _, counter=counter: counter.inc())
    result = pipeline.run()
    result.wait_until_finish()
    return {found.key.metric.name: found.committed for found in result.metrics().query()["counters"]}


def one_size(output, count):
    """Prints as JSON what a join of that size takes in this process."""
    start, spent = time.monotonic(), time.process_time()
    counts = join(output, count)
    seconds, cpu = time.monotonic() - start, time.process_time() - spent
    print(json.dumps({"names": count, "seconds": seconds, "cpu_seconds": cpu, "peak_mb": peak_mb(), "counts": counts}))


def measure(count):
    """The dict that `one_size` prints, of a fresh process."""
    with tempfile.TemporaryDirectory(prefix="cinematic-bench-") as folder:
        write_records(Path(folder), count)
        command = [sys.executable, "-m", "benchmarks.backfill", "--join", folder, "--names", str(count)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


HEAD = ("| names and records | s | CPU s | peak MB | new or changed |", "|---|---|---|---|---|")


def sizes(names):
    return sorted({names // 100, names // 10, names})


def table_row(found):
    """A row below HEAD."""
    numbers = f"{found['seconds']:.1f} | {found['cpu_seconds']:.1f} | {found['peak_mb']:.0f}"
    return f"| {found['names']:,} | {numbers} | {found['counts']['work']} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", type=int, default=1_000_000)
    parser.add_argument("--join", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.join:
        one_size(args.join, args.names)
        return
    print(*HEAD, sep="\n")
    for count in sizes(args.names):
        print(table_row(measure(count)), flush=True)


if __name__ == "__main__":
    main()
