"""The command line: `cinematic-photos run | render | perceive | review | calibrate`.

Exit codes: 0 done, 1 nothing to do or the photo was refused, 2 the command is wrong or the machine lacks something.
"""

import argparse
import dataclasses
import difflib
import json
import logging
import os
import posixpath
import re
import sys
import time
from datetime import datetime

import beam_pipeline
from beam_pipeline import calibrate, review
from models import registry
from renderer import gl
from renderer.canvas import RENDERERS
from renderer.child import ChildCrashed
from renderer.encode import FORMATS
from renderer.studio import PATIENCE, Studio
from transforms.settings import ASPECTS, MOTIONS, Settings

DONE, REFUSED, WRONG = 0, 1, 2
MAX_SUMMARY = 1 << 20  # bytes of a summary.json, a hundred times what one has
LOCAL_RUNNERS = ("FnApiRunner", "DirectRunner")


class UserError(Exception):
    """A sentence for the user; the command ends with exit code 2."""


def _add_settings(parser, names):
    """Adds the Settings fields `names` as options, defaults and all."""
    texts = {
        "aspect": f"aspect of the clip: {' '.join(ASPECTS)}, or any W:H",
        "width": "width of the clip in pixels, even",
        "seconds": "length of the clip",
        "fps": "frames a second",
        "motion": f"of the camera: {', '.join(MOTIONS)}; auto takes the arc or push that tears least",
        "loop": "there and back, so that the clip repeats without a jump",
        "parallax": "asked shift of the subject against its background, as a share of the frame's width",
        "min_parallax": "least shift that the search may fall back to",
        "artifact_budget": "artifact score above which the search lowers the parallax",
        "max_artifact_score": "artifact score above which a photo is rejected",
        "min_window": "share of the widest possible crop that framing may shrink to",
        "min_side": "smallest short side of a photo in pixels; smaller ones are rejected",
        "format": f"of the clip: {', '.join(FORMATS)}",
        "renderer": f"what draws: {', '.join(RENDERERS)}; auto takes GL where a GPU draws, else the CPU",
        "max_megapixels": "largest photo that is decoded; larger ones are failures",
        "max_elongation": "long side to short side, above which a photo is a panorama",
        "min_highlight": "95th percentile of luma, of 255, below which a photo is dark",
        "max_shadow": "5th percentile of luma, of 255, above which a photo is blown out",
        "max_paper": "share of paper, beside text, above which a photo is a document",
        "max_flat": "share of flat colour above which what no camera took is a screenshot",
        "max_blur": "blur from 0 to 1 above which a photo is blurred",
        "depth_model": "network for depth: builtin, or HANDLE[#ADAPTER] (TF-Hub handle, SavedModel directory, .tflite)",
        "people_model": "network for people, alike",
        "saliency_model": "network for saliency, alike",
        "mirror_average": "average what the networks see with what they see in the mirror image, at twice their price",
    }
    fields = {f.name: f for f in dataclasses.fields(Settings)}
    group = parser.add_argument_group("what the clips are like")
    for name in names:
        field = fields[name]
        if field.type is bool:
            group.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=texts[name])
            continue
        group.add_argument(
            f"--{name.replace('_', '-')}", type=field.type, default=field.default, metavar=field.type.__name__.upper(),
            help=f"{texts[name]} (default %(default)s)",
        )  # fmt: skip


def _settings(args):
    names = [f.name for f in dataclasses.fields(Settings)]
    try:
        return Settings(**{name: getattr(args, name) for name in names if hasattr(args, name)})
    except ValueError as error:
        raise UserError(str(error)) from error


def _parser():
    parser = argparse.ArgumentParser(
        prog="cinematic-photos",
        description="Turns photos into short clips in which a virtual camera moves through the photo.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {beam_pipeline.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    all_settings = [f.name for f in dataclasses.fields(Settings)]

    def command(name, text, epilog):
        return commands.add_parser(
            name,
            help=text,
            description=text,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    run = command(
        "run",
        "Animate a library: every photo ends as a candidate clip, a rejection with its reason, or a failure.",
        "Writes OUTPUT/clips/, OUTPUT/candidates/, OUTPUT/rejected/, OUTPUT/failures/ (Parquet) and OUTPUT/summary.json.\n"
        "Any option of Apache Beam may follow, say --runner=DataflowRunner --project=P --region=R --temp_location=gs://B/tmp.\n\n"
        "  cinematic-photos run --input ~/Pictures --output clips\n"
        "  cinematic-photos run --input 'gs://bucket/2024/*.jpg' --output gs://bucket/clips --runner=DataflowRunner ...",
    )
    run.add_argument(
        "--input",
        action="append",
        required=True,
        metavar="PATTERN",
        help="folder (all photos below it) or glob, local or gs://; may be repeated",
    )
    run.add_argument("--output", required=True, metavar="DIR", help="folder for clips and records, local or gs://")
    run.add_argument(
        "--library-root",
        metavar="DIR",
        help="folder that photos are named relative to (default: what the patterns have in common)",
    )
    run.add_argument(
        "--record-shards",
        type=int,
        default=1,
        metavar="N",
        help="Parquet files a kind of record (default 1; a few hundred for millions of photos)",
    )
    run.add_argument(
        "--inference-batch",
        type=int,
        default=1,
        metavar="N",
        help="photos that the networks see at once (default 1, right for CPUs; 16 for a GPU)",
    )
    run.add_argument("--since", metavar="DATE", help="only files changed since then, as 2024-12-31 or 2024-12-31T18:00")
    run.add_argument("--limit", type=int, metavar="N", help="at most N photos")
    run.add_argument("--shard", default="1/1", metavar="I/N", help="the I-th of N parts of the library")
    run.add_argument("--redo", action="store_true", help="work on photos whatever earlier runs into OUTPUT say of them")
    run.add_argument("--prune", action="store_true", help="remove what earlier runs left of photos that are no longer there")
    run.add_argument(
        "--dry-run-score",
        action="store_true",
        help="do everything but draw, and tell how the scores lie: for the choice of thresholds; writes OUTPUT/dry-run",
    )
    run.add_argument(
        "--photo-seconds",
        type=float,
        default=PATIENCE,
        metavar="S",
        help="that decoding, and drawing, a photo may each take (default %(default)g)",
    )
    run.add_argument(
        "--core-hour-price", type=float, metavar="P", help="what summary.md reckons with (default 0.05, about dollars)"
    )
    run.add_argument(
        "--duplicate-distance",
        type=int,
        metavar="N",
        help="photos of one minute whose perceptual hashes differ by at most N of 64 bits show the same, and one is kept "
        "(default 8; -1 keeps all)",
    )
    run.add_argument(
        "--log-photos",
        action="store_true",
        help="a line of JSON on the standard error as each photo ends (elsewhere: in the log)",
    )
    run.add_argument("--quiet", action="store_true", help="no progress line; it is shown on terminals only")
    _add_settings(run, all_settings)

    render = command(
        "render",
        "Animate one photo, with maps of your own where you have them.",
        "Maps cover the whole photo and may have any size: DEPTH 8 or 16 bit, larger = nearer; REGIONS 0 background,\n"
        "1 body, 2 head; SALIENCY 8 bit. A network runs only for the maps that are not given.\n\n"
        "  cinematic-photos render --photo beach.jpg --output beach.mp4 --report beach.json",
    )
    render.add_argument("--photo", required=True, metavar="P", help="the photo")
    for name in ("depth", "regions", "saliency"):
        render.add_argument(f"--{name}", metavar="PNG", help=f"{name} map in place of the network's")
    render.add_argument("--output", required=True, metavar="FILE", help="where the clip goes")
    render.add_argument("--report", metavar="JSON", help="where the numbers of the shot go, and those of presets beside it")
    render.add_argument("--explain", metavar="DIR", help="where pictures of what tears, of saliency and crop, and of the path go")
    _add_settings(render, all_settings)
    render.set_defaults(format=None)  # as the name of --output says

    perceive = command(
        "perceive",
        "Write what the networks see: depth, regions and saliency of every photo.",
        "For each photo DIR/<its folder>/<stem>.depth.png (16 bit, relative inverse depth, larger = nearer),\n"
        "<stem>.regions.png (8 bit: 0 background, 1 body, 2 head), <stem>.saliency.png (8 bit: what framing keeps) and, of the\n"
        "built-in network, <stem>.object.png (8 bit: the salient object).",
    )
    perceive.add_argument("--input", action="append", required=True, metavar="PATTERN", help="folder or glob; may be repeated")
    perceive.add_argument("--output", required=True, metavar="DIR", help="folder for the maps")
    perceive.add_argument("--raw", action="store_true", help="the networks' own maps, before depth repair")
    _add_settings(perceive, ["min_side", "max_megapixels", "depth_model", "people_model", "saliency_model", "mirror_average"])

    text = "Make a page of what a run left, to look at in a browser: OUT/review/index.html."
    example = "  cinematic-photos review clips --input ~/Pictures --details 20"
    review.add_arguments(command("review", text, example))
    text = "Turn the marks that were made on the review page into thresholds."
    calibrate.add_arguments(command("calibrate", text, "  cinematic-photos calibrate clips marks.json"))
    return parser


def _beam_options(flags):
    """PipelineOptions of the flags that are not ours, with our choices for local runs. Raises UserError for unknown ones."""
    from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, SetupOptions, StandardOptions

    known = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    for group in PipelineOptions.__subclasses__():
        group._add_argparse_args(known)
    try:
        _, unknown = known.parse_known_args(flags)
    except argparse.ArgumentError as error:
        raise UserError(str(error)) from error
    options = PipelineOptions(flags)
    standard = options.view_as(StandardOptions)
    runner = standard.runner or "FnApiRunner"
    local = runner.split(".")[-1] in LOCAL_RUNNERS
    if "dask" in runner.lower():
        raise UserError(
            "The Dask runner drops tagged outputs and reports success; use FnApiRunner, DataflowRunner or FlinkRunner."
        )
    if unknown and local:
        ours = [a for action in _parser()._subparsers._group_actions[0].choices["run"]._actions for a in action.option_strings]
        name = unknown[0].split("=")[0]
        near = difflib.get_close_matches(name, ours + list(known._option_string_actions), 1)
        raise UserError(
            f"unknown option {name}" + (f", did you mean {near[0]}?" if near else ", see cinematic-photos run --help")
        )
    if local:
        standard.runner = "FnApiRunner"  # by name: `DirectRunner` first tries to download another runner
        direct = options.view_as(DirectOptions)
        given = {flag.split("=")[0] for flag in flags}
        if "--direct_num_workers" not in given:
            direct.direct_num_workers = len(os.sched_getaffinity(0))  # the cores that this process may use
        if "--direct_running_mode" not in given and direct.direct_num_workers != 1:
            direct.direct_running_mode = "multi_processing"
    options.view_as(SetupOptions).save_main_session = False
    return options, local


def _quieten():
    """Leaves the terminal to the progress line: libraries speak up for errors only, in the workers as well."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger().setLevel(logging.ERROR)
    for name in ("apache_beam.runners.portability.local_job_service", "apache_beam.io.filebasedsink"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _open_studio(renderer):
    """A Studio that is known to draw. Raises UserError with what to install."""
    studio = Studio(renderer)
    try:
        studio.check()
    except (gl.GLUnavailable, ChildCrashed) as error:
        raise UserError(str(error)) from error
    return studio


def _check_machine(job):
    """Stops at once, before any worker starts, where this machine cannot do the job."""
    _open_studio(job.settings.renderer).close()
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


def _run(args, flags):
    import apache_beam as beam
    from apache_beam.runners.runner import PipelineState

    from beam_pipeline import options, pipeline, progress, sinks, sources, storage

    beam_options, local = _beam_options(flags)
    try:
        given = {
            name: getattr(args, name) for name in ("core_hour_price", "duplicate_distance") if getattr(args, name) is not None
        }
        job = options.Job.of(
            args.input,
            args.output,
            _settings(args),
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
        fingerprint = job.fingerprint
    except ValueError as error:
        raise UserError(str(error)) from error
    empty = [p for p in job.patterns if next(sources.list_photos(p, job.output), None) is None]
    if len(empty) == len(job.patterns):
        print(f"cinematic-photos: no photo matches {', '.join(empty)}", file=sys.stderr)
        return REFUSED
    for pattern in empty:
        print(f"cinematic-photos: no photo matches {pattern}, going on with the others", file=sys.stderr)
    if local:
        _check_machine(job)
        sinks.sweep(job.output)
        _quieten()
    with progress.Display(local and not (args.quiet or args.log_photos) and sys.stderr.isatty()) as display:
        built = beam.Pipeline(options=beam_options)
        pipeline.build(built, job, display.journal)
        result = built.run()
        if not local:
            print(f"submitted; records and summary.json will be in {job.output} ({fingerprint})")
            return DONE
        state = result.wait_until_finish()
    if state != PipelineState.DONE:
        raise UserError(f"The run ended as {state}; what it wrote is complete, run it again.")
    summary = json.loads(storage.read(posixpath.join(job.output, "summary.json"), MAX_SUMMARY))
    if job.dry_run:
        return _tell_scores(job, summary)
    counts = ", ".join(f"{summary[key]} {key}" for key in ("candidates", "rejected", "failures", "skipped"))
    print(f"{summary['photos']} photos: {counts}")
    for name in ("clips", "candidates", "rejected", "failures", "summary.md"):
        print(f"  {name + ':':13} {posixpath.join(job.output, name)}")
    return DONE


def _tell_scores(job, summary):
    """Prints how the scores of a dry run lie."""
    import io

    import numpy as np
    import pyarrow
    import pyarrow.parquet as parquet

    from beam_pipeline import storage

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


def _read_maps(args):
    """{role: maps} of the user's own pictures, as the networks would have answered."""
    import numpy as np
    from PIL import Image

    maps = {}
    for option, role in (("depth", "depth"), ("regions", "people"), ("saliency", "saliency")):
        path = getattr(args, option)
        if not path:
            continue
        try:
            values = np.asarray(Image.open(path))
        except OSError as error:
            raise UserError(f"--{option} {path} cannot be read as a picture.") from error
        if values.ndim == 3 and option != "regions":
            values = values[..., 0]
        if values.ndim != 2:
            raise UserError(f"--{option} {path} must have one channel, it has shape {values.shape}.")
        if option == "regions":
            if values.max() > 2:
                raise UserError(f"--regions {path} must hold 0, 1 and 2 alone, it holds {values.max()}.")
            maps[role] = np.stack([values == label for label in range(3)], -1).astype(np.float32)
        elif option == "saliency":
            maps[role] = values.astype(np.float32) / (65535 if values.max() > 255 else 255)
        else:
            maps[role] = values.astype(np.float32)
    return maps


def _load_networks(settings, given=()):
    """The networks of the roles that are not given, None where all are."""
    models = {role: model for role, model in settings.models.items() if role not in given}
    return registry.Networks(models, settings.mirror_average) if models else None


def _render(args):
    from beam_pipeline import sources, storage
    from transforms import explain, infer, mesh, picture, render, repair, score, trajectory
    from transforms.elements import Failed, Rejected

    ending = os.path.splitext(args.output)[1][1:].lower()
    if args.format is None:
        args.format = ending if ending in FORMATS else Settings.format
    settings, maps = _settings(args), _read_maps(args)
    studio = _open_studio(settings.renderer)
    report = {"photo": os.path.basename(args.photo)}
    status = REFUSED
    try:
        photo = picture.decode(sources.read_bytes(sources.absolute(args.photo)), settings.max_megapixels, settings.min_side)
        networks = _load_networks(settings, maps)
        perception = infer.see(photo, (networks(photo.rgb) if networks else {}) | maps)
        scene = mesh.build_scene(repair.repair(perception, trusted_depth="depth" in maps))
        start = time.thread_time()
        shot = trajectory.shoot(scene, settings)
        report |= explain.numbers(shot.measures) | {"pivot": shot.pivot, "search_ms": 1000 * (time.thread_time() - start)}
        if args.report:
            report["baselines"] = explain.compare(shot, settings)
        if args.explain:
            _write_pictures(explain.pictures(shot, studio), args.explain, "--explain")
        clip = render.render(studio, score.accept(shot, settings.max_artifact_score), settings.fps, settings.format)
        report["coverage"] = 1.0  # counted: render fails for a single pixel of any frame that shows no surface
        storage.write(sources.absolute(args.output), clip.video)
        report |= {"result": "candidate", "width": clip.width, "height": clip.height, "frames": clip.frames, "fps": settings.fps}
        status = DONE
    except Rejected as rejected:
        report |= {"result": "rejected", "reason": str(rejected.reason), "detail": rejected.detail}
        print(f"cinematic-photos: rejected, {rejected.reason}: {rejected.detail}", file=sys.stderr)
    except Failed as failed:
        report |= {"result": "failed", "reason": str(failed.reason), "detail": failed.detail}
        print(f"cinematic-photos: failed, {failed.reason}: {failed.detail}", file=sys.stderr)
    except OSError as error:
        raise UserError(f"--output {args.output} cannot be written: {error.strerror or error}.") from error
    if args.report:
        try:
            storage.write(sources.absolute(args.report), (json.dumps(report, indent=2) + "\n").encode())
        except OSError as error:
            raise UserError(f"--report {args.report} cannot be written: {error.strerror or error}.") from error
    return status


def _write_pictures(pictures, folder, option):
    """Writes {name: (h, w) or (h, w, 3) sRGB} as PNG files below a folder, which an option of that name gave."""
    import cv2

    from beam_pipeline import sources, storage

    for name, values in pictures.items():
        encoded = cv2.imencode(".png", values if values.ndim == 2 else cv2.cvtColor(values, cv2.COLOR_RGB2BGR))[1]
        try:
            storage.write(os.path.join(sources.absolute(folder), f"{name}.png"), encoded.tobytes())
        except OSError as error:
            raise UserError(f"{option} {folder} cannot be written: {error.strerror or error}.") from error


def _perceive(args):
    import numpy as np

    from beam_pipeline import sources
    from models import outlines
    from transforms import infer, picture, repair
    from transforms.elements import Failed, Rejected

    settings = _settings(args)
    try:
        root = sources.library_root(args.input)
        networks = _load_networks(settings)
    except ValueError as error:
        raise UserError(str(error)) from error
    files = {file.uri: file for pattern in args.input for file in sources.list_photos(pattern, args.output)}
    written = 0
    for _, file in sorted(files.items()):
        ref = sources.photo_ref(file, root)
        try:
            photo = picture.decode(sources.read_photo(ref), settings.max_megapixels, settings.min_side)
        except (Rejected, Failed) as error:
            print(f"cinematic-photos: {ref.path}: {error.reason}: {error.detail}", file=sys.stderr)
            continue
        maps = networks(photo.rgb)
        seen = infer.see(photo, maps)
        depth = outlines.normalise(seen.inverse_depth)
        if not args.raw:
            seen = repair.repair(seen)
            depth = seen.inverse_depth
        head = seen.head > 0.5 * seen.person
        pictures = {
            "depth": np.round(depth * 65535).astype(np.uint16),
            "regions": np.where(seen.person > 0.5, np.where(head, 2, 1), 0).astype(np.uint8),
            "saliency": np.round(np.clip(seen.saliency, 0, 1) * 255).astype(np.uint8),
        }
        if "object" in maps:
            pictures["object"] = np.round(maps["object"] * 255).astype(np.uint8)
        stem = os.path.splitext(ref.path)[0]
        _write_pictures({f"{stem}.{name}": values for name, values in pictures.items()}, args.output, "--output")
        written += 1
    if not files:
        print(f"cinematic-photos: no photo matches {', '.join(args.input)}", file=sys.stderr)
    else:
        print(f"{written} of {len(files)} photos: maps are in {args.output}")
    return DONE if written else REFUSED


def main(argv=None):
    """Runs the command line; returns the exit code."""
    args, rest = _parser().parse_known_args(argv)
    try:
        if args.command == "run":
            return _run(args, rest)
        if rest:
            raise UserError(f"unknown option {rest[0]}, see cinematic-photos {args.command} --help")
        commands = {"render": _render, "perceive": _perceive, "review": review.run, "calibrate": calibrate.run}
        return commands[args.command](args)
    except (UserError, review.ReviewError, registry.ModelError) as error:
        print(f"cinematic-photos: {error}", file=sys.stderr)
        return WRONG
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        print("\ncinematic-photos: interrupted; what is written is complete, run it again", file=sys.stderr)
        return 130
