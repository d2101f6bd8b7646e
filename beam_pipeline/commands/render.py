"""Animates one photo."""

import json
import os
import sys
import time

from beam_pipeline.commands import ALL_SETTINGS, DONE, REFUSED, UserError, add_settings, open_studio, settings_of, write_pictures
from renderer.encode import FORMATS
from transforms.settings import Settings

TEXT = "Animate one photo, with maps of your own where you have them."
EPILOG = (
    "Maps cover the whole photo and may have any size: DEPTH 8 or 16 bit, larger = nearer; REGIONS 0 background,\n"
    "1 body, 2 head; SALIENCY 8 bit. A network runs only for the maps that are not given.\n\n"
    "  cinematic-photos render --photo beach.jpg --output beach.mp4 --report beach.json"
)


def add_arguments(parser):
    parser.add_argument("--photo", required=True, metavar="P", help="the photo")
    for name in ("depth", "regions", "saliency"):
        parser.add_argument(f"--{name}", metavar="PNG", help=f"{name} map in place of the network's")
    parser.add_argument("--output", required=True, metavar="FILE", help="where the clip goes")
    parser.add_argument("--report", metavar="JSON", help="where the numbers of the shot go, and those of presets beside it")
    parser.add_argument("--explain", metavar="DIR", help="where pictures of what tears, of saliency and crop, and of the path go")
    add_settings(parser, ALL_SETTINGS)
    parser.set_defaults(format=None)  # as the name of --output says


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


def run(args, flags):
    from beam_pipeline import sources, storage
    from transforms import animate, explain
    from transforms.elements import Failed, Rejected

    ending = os.path.splitext(args.output)[1][1:].lower()
    if args.format is None:
        args.format = ending if ending in FORMATS else Settings.format
    settings, maps = settings_of(args), _read_maps(args)
    animator = animate.Animator(settings, open_studio(settings.renderer))
    report = {"photo": os.path.basename(args.photo)}
    status = REFUSED
    try:
        scene = animator.build(animator.decode(sources.read_bytes(sources.absolute(args.photo))), maps)
        start = time.thread_time()
        shot = animator.shoot(scene)
        report |= explain.numbers(shot.measures) | {"pivot": shot.pivot, "search_ms": 1000 * (time.thread_time() - start)}
        if args.report:
            report["baselines"] = explain.compare(shot, settings)
        if args.explain:
            write_pictures(explain.pictures(shot, animator.studio), args.explain, "--explain")
        clip = animator.render(shot)
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
