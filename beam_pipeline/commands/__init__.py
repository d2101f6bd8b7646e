"""The commands, a module each: `TEXT`, `EPILOG`, `add_arguments(parser)` and `run(args, flags)`; here is what they share.

`run` returns the exit code: 0 done, 1 nothing to do or the photo was refused, 2 wrong command or something is missing.
"""

import contextlib
import dataclasses
import json
import os
import posixpath

from models import shelf
from models.registry import ROLES
from renderer import gl
from renderer.canvas import RENDERERS
from renderer.child import ChildCrashed
from renderer.encode import FORMATS
from renderer.studio import Studio
from transforms.settings import ASPECTS, MOTIONS, Settings

DONE, REFUSED, WRONG = 0, 1, 2
MAX_SUMMARY = 1 << 20  # bytes of a summary.json, a hundred times what one has
ALL_SETTINGS = tuple(field.name for field in dataclasses.fields(Settings))


class UserError(Exception):
    """A sentence for the user; the command ends with exit code 2."""


@contextlib.contextmanager
def reaching(option):
    """Turns what a disk or bucket raises that an option names into a sentence for the user."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{option} cannot be reached: {error.strerror or error}") from error


def add_settings(parser, names):
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


def models_of(args):
    """{role: model} of the options that were given, names on the shelf as what they stand for."""
    given = {role: getattr(args, f"{role}_model", None) for role in ROLES}
    return {role: shelf.resolve(shelf.default_folder(), role, model) for role, model in given.items() if model}


def settings_of(args):
    """Settings of the options that were given. Raises UserError."""
    given = {name: getattr(args, name) for name in ALL_SETTINGS if hasattr(args, name)}
    given |= {f"{role}_model": model for role, model in models_of(args).items()}
    try:
        return Settings(**given)
    except ValueError as error:
        raise UserError(str(error)) from error


def open_studio(renderer, seconds=None):
    """A Studio that is known to draw, `seconds` as of it. Raises UserError with what to install."""
    studio = Studio(renderer, seconds)
    try:
        studio.check()
    except (gl.GLUnavailable, ChildCrashed) as error:
        raise UserError(str(error)) from error
    return studio


def read_summary(output):
    """The dict of the summary.json of an output folder. Raises OSError."""
    from beam_pipeline import storage

    return json.loads(storage.read(posixpath.join(output, "summary.json"), MAX_SUMMARY))


def write_pictures(pictures, folder, option):
    """Writes {name: (h, w) or (h, w, 3) sRGB} as PNG files below a folder, which an option of that name gave."""
    import cv2

    from beam_pipeline import sources, storage

    for name, values in pictures.items():
        encoded = cv2.imencode(".png", values if values.ndim == 2 else cv2.cvtColor(values, cv2.COLOR_RGB2BGR))[1]
        try:
            storage.write(os.path.join(sources.absolute(folder), f"{name}.png"), encoded.tobytes())
        except OSError as error:
            raise UserError(f"{option} {folder} cannot be written: {error.strerror or error}.") from error
