"""Animates a library."""

import argparse
import json
import logging
import os
import posixpath
import re
import sys
from datetime import datetime

from beam_pipeline.commands import (
    ALL_SETTINGS,
    DONE,
    REFUSED,
    UserError,
    add_settings,
    open_studio,
    reaching,
    read_summary,
    settings_of,
)
from models import registry
from renderer.studio import PATIENCE

TEXT = "Animate a library: every photo ends as a candidate clip, a rejection with its reason, or a failure."
EPILOG = (
    "Writes OUTPUT/clips/, OUTPUT/candidates/, OUTPUT/rejected/, OUTPUT/failures/ (Parquet) and OUTPUT/summary.json.\n"
    "Any option of Apache Beam may follow, say --runner=DataflowRunner --project=P --region=R --temp_location=gs://B/tmp.\n\n"
    "  cinematic-photos run --input ~/Pictures --output clips\n"
    "  cinematic-photos run --input 'gs://bucket/2024/*.jpg' --output gs://bucket/clips --runner=DataflowRunner ..."
)


def add_arguments(parser):
    parser.add_argument(
        "--input",
        action="append",
        required=True,
        metavar="PATTERN",
        help="folder (all photos below it) or glob, local or gs://; may be repeated",
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="folder for clips and records, local or gs://")
    parser.add_argument(
        "--library-root",
        metavar="DIR",
        help="folder that photos are named relative to (default: what the patterns have in common)",
    )
    parser.add_argument(
        "--record-shards",
        type=int,
        default=1,
        metavar="N",
        help="Parquet files a kind of record (default 1; a few hundred for millions of photos)",
    )
    parser.add_argument(
        "--inference-batch",
        type=int,
        default=1,
        metavar="N",
        help="photos that the networks see at once (default 1, right for CPUs; 16 for a GPU)",
    )
    parser.add_argument("--since", metavar="DATE", help="only files changed since then, as 2024-12-31 or 2024-12-31T18:00")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N photos")
    parser.add_argument("--shard", default="1/1", metavar="I/N", help="the I-th of N parts of the library")
    parser.add_argument("--redo", action="store_true", help="work on photos whatever earlier runs into OUTPUT say of them")
    parser.add_argument("--prune", action="store_true", help="remove what earlier runs left of photos that are no longer there")
    parser.add_argument(
        "--dry-run-score",
        action="store_true",
        help="do everything but draw, and tell how the scores lie: for the choice of thresholds; writes OUTPUT/dry-run",
    )
    parser.add_argument(
        "--photo-seconds",
        type=float,
        default=PATIENCE,
        metavar="S",
        help="that decoding, and drawing, a photo may each take (default %(default)g)",
    )
    parser.add_argument(
        "--core-hour-price", type=float, metavar="P", help="what summary.md reckons with (default 0.05, about dollars)"
    )
    parser.add_argument(
        "--duplicate-distance",
        type=int,
        metavar="N",
        help="photos of one minute whose perceptual hashes differ by at most N of 64 bits show the same, and one is kept "
        "(default 8; -1 keeps all)",
    )
    parser.add_argument(
        "--log-photos",
        action="store_true",
        help="a line of JSON on the standard error as each photo ends (elsewhere: in the log)",
    )
    parser.add_argument("--json", action="store_true", help="print summary.json in place of a few lines")
    parser.add_argument("--quiet", action="store_true", help="no progress line; it is shown on terminals only")
    add_settings(parser, ALL_SETTINGS)


def _quieten():
    """Leaves the terminal to the progress line: libraries speak up for errors only, in the workers as well."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger().setLevel(logging.ERROR)
    for name in ("apache_beam.runners.portability.local_job_service", "apache_beam.io.filebasedsink"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _check_machine(job):
    """Stops at once, before any worker starts, where this machine cannot do the job."""
    open_studio(job.settings.renderer).close()
    registry.check(job.settings.models)
    if "://" not in job.output:
        try:
            os.makedirs(job.output, exist_ok=True)
        except OSError as error:
            raise UserError(f"--output {job.output} cannot be made: {error.strerror}.") from error
        if not os.access(job.output, os.W_OK):
            raise UserError(f"--output {job.output} is not writable.")


def _slice(args):
    """The Slice that the options name. Raises ValueError with a sentence for the user."""
    from beam_pipeline import sources

    try:
        since = datetime.fromisoformat(args.since).timestamp() if args.since else None
    except ValueError:
        raise ValueError(f"--since must be a date like 2024-12-31, got {args.since!r}") from None
    part = re.fullmatch(r"(\d+)/(\d+)", args.shard)
    if not part:
        raise ValueError(f"--shard must be like 2/8, got {args.shard!r}")
    return sources.Slice(since, args.limit, (int(part[1]) - 1, int(part[2])))


def run(args, flags):
    import apache_beam as beam
    from apache_beam.runners.runner import PipelineState

    from beam_pipeline import engines, options, pipeline, progress, sinks, sources

    own = argparse.ArgumentParser(add_help=False)
    add_arguments(own)
    beam_options, runner = engines.beam_options(flags, own._option_string_actions)
    local = runner in engines.LOCAL_RUNNERS
    try:
        given = {
            name: getattr(args, name) for name in ("core_hour_price", "duplicate_distance") if getattr(args, name) is not None
        }
        with reaching("--input"):
            job = options.Job.of(
                args.input,
                args.output,
                settings_of(args),
                root=args.library_root,
                record_shards=args.record_shards,
                inference_batch=args.inference_batch,
                part=_slice(args),
                redo=args.redo,
                prune=args.prune,
                dry_run=args.dry_run_score,
                photo_seconds=args.photo_seconds,
                log_photos=args.log_photos and local,
                **given,
            )
            empty = [p for p in job.patterns if next(sources.list_photos(p, job.output), None) is None]
        fingerprint = job.fingerprint
    except ValueError as error:
        raise UserError(str(error)) from error
    if len(empty) == len(job.patterns):
        print(f"cinematic-photos: no photo matches {', '.join(empty)}", file=sys.stderr)
        return REFUSED
    for pattern in empty:
        print(f"cinematic-photos: no photo matches {pattern}, going on with the others", file=sys.stderr)
    if local:
        _check_machine(job)
    if runner != "DataflowRunner":
        with reaching("--output"):
            sinks.sweep(job.output)
        _quieten()
    with progress.Display(local and not (args.quiet or args.log_photos) and sys.stderr.isatty()) as display:
        built = beam.Pipeline(options=beam_options)
        pipeline.build(built, job, display.journal)
        if runner == "DataflowRunner":
            return engines.submit(built, beam_options, job.output, fingerprint)
        result = built.run()
        try:
            state = result.wait_until_finish()
        except RuntimeError as error:  # what a job server tells of a failed job, the cause in its last line
            raise UserError(f"The run failed: {str(error).strip().splitlines()[-1]}") from error
    if state != PipelineState.DONE:
        raise UserError(f"The run ended as {state}; what it wrote is complete, run it again.")
    if not local:
        sinks.sweep(job.output)  # a worker that was killed on the way may have left the file that it was writing
    summary = read_summary(job.output)
    if job.dry_run:
        return _tell_scores(job, summary, args.json)
    if args.json:
        print(json.dumps(summary, indent=2))
        return DONE
    counts = ", ".join(f"{summary[key]} {key}" for key in ("candidates", "rejected", "failures", "skipped"))
    print(f"{summary['photos']} photos: {counts}")
    for name in ("clips", "candidates", "rejected", "failures", "summary.md"):
        print(f"  {name + ':':13} {posixpath.join(job.output, name)}")
    return DONE


def _tell_scores(job, summary, as_json):
    """Prints how the scores of a dry run lie."""
    import io

    import numpy as np
    import pyarrow
    import pyarrow.parquet as parquet

    from beam_pipeline import storage

    if as_json:
        print(json.dumps(summary, indent=2))
        return DONE
    counts = f"{summary.get('scored', 0)} scored, {summary['rejected']} rejected, {summary['failures']} failures"
    print(f"{summary['photos']} photos: {counts}")
    for reason, count in sorted(summary["rejected_by_reason"].items()):
        print(f"  rejected, {reason}: {count}")
    columns = ["artifact_score", "relative_parallax", "saliency_kept"]
    files = [storage.read(file.uri, file.size) for file in storage.scan(posixpath.join(job.output, "scored"))[1]]
    rows = pyarrow.concat_tables(parquet.read_table(io.BytesIO(file), columns=columns) for file in files)
    if rows.num_rows:
        print(f"{'':20}" + "".join(f"{name:>10}" for name in ("least", "10 %", "median", "90 %", "most")))
        for name in rows.column_names:
            values = np.percentile(rows[name].to_numpy(), (0, 10, 50, 90, 100))
            print(f"{name:20}" + "".join(f"{value:10.3f}" for value in values))
        scores = rows["artifact_score"].to_numpy()
        for threshold in sorted(
            {*(round(float(p), 2) for p in np.percentile(scores, (25, 50, 75, 90))), job.settings.max_artifact_score}
        ):
            kept = int((scores <= threshold).sum())
            print(f"--max-artifact-score {threshold:g} keeps {kept} of {len(scores)}")
    print(f"records: {job.output}")
    return DONE
