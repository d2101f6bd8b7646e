"""Writes what the networks see."""

import os
import sys

from beam_pipeline.commands import DONE, REFUSED, UserError, add_settings, reaching, settings_of, write_pictures
from models import registry

TEXT = "Write what the networks see: depth, regions and saliency of every photo."
EPILOG = (
    "For each photo DIR/<its folder>/<stem>.depth.png (16 bit, relative inverse depth, larger = nearer),\n"
    "<stem>.regions.png (8 bit: 0 background, 1 body, 2 head), <stem>.saliency.png (8 bit: what framing keeps) and, of the\n"
    "built-in network, <stem>.object.png (8 bit: the salient object)."
)
SETTINGS = ("min_side", "max_megapixels", "depth_model", "people_model", "saliency_model", "mirror_average")


def add_arguments(parser):
    parser.add_argument("--input", action="append", required=True, metavar="PATTERN", help="folder or glob; may be repeated")
    parser.add_argument("--output", required=True, metavar="DIR", help="folder for the maps")
    parser.add_argument("--raw", action="store_true", help="the networks' own maps, before depth repair")
    add_settings(parser, SETTINGS)


def run(args, flags):
    import numpy as np

    from beam_pipeline import sources
    from models import outlines
    from transforms import infer, picture, repair
    from transforms.elements import Failed, Rejected

    settings = settings_of(args)
    try:
        with reaching("--input"):
            root = sources.library_root(args.input)
            files = {file.uri: file for pattern in args.input for file in sources.list_photos(pattern, args.output)}
        networks = registry.Networks(settings.models, settings.mirror_average)
    except ValueError as error:
        raise UserError(str(error)) from error
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
        write_pictures({f"{stem}.{name}": values for name, values in pictures.items()}, args.output, "--output")
        written += 1
    if not files:
        print(f"cinematic-photos: no photo matches {', '.join(args.input)}", file=sys.stderr)
    else:
        print(f"{written} of {len(files)} photos: maps are in {args.output}")
    return DONE if written else REFUSED
