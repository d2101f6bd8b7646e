"""The review page: what a run left, as a static page that opens from a disk or a bucket. `cinematic-photos review`.

A page from a disk may not fetch files, so the records become scripts, some thousands a file, that hand over rows. Pictures of how
a shot came about are in no record: for some photos they are made again from the library.
"""

import contextlib
import dataclasses
import hashlib
import importlib.resources
import io
import json
import posixpath

from beam_pipeline import storage
from beam_pipeline.commands import UserError, models_of, open_studio, read_summary
from renderer.child import ChildCrashed, ChildTimeout
from renderer.studio import PATIENCE
from transforms.elements import RejectReason
from transforms.settings import Settings

TEXT = "Make a page of what a run left, to look at in a browser: OUT/review/index.html."
EPILOG = "  cinematic-photos review clips --input ~/Pictures --details 20"
FOLDER = "review"  # below OUTPUT
KINDS = CLIPS, REJECTED, FAILED = "candidates", "rejected", "failures"  # as of manifest.FOLDERS, without loading Beam
ASSETS = ("style.css", "page.js", "index.html")  # the last is what people open
ROWS = 2000  # a script, some 600 KB
ENTRIES = 50_000  # that a page holds at most: a browser filters them in a few hundredths of a second
DETAILS = 12  # of each kind, by default: a minute's work, and what a person looks at in a sitting (choice)
PICTURE = 640  # pixels, long side
PICTURE_QUALITY = 82  # JPEG; some 60 KB a picture, beside which none is judged by its grain (choice)
CLIP_WIDTH = 270  # pixels: five of them stand side by side
MAX_RECORDS = 1 << 30  # bytes of a file of records, some millions
TEXTS = ("photo_id", "path", "version", "fingerprint")
NUMBERS = (
    "artifact_score", "people", "relative_parallax", "saliency_kept", "window_share", "largest_component",
    "largest_head_component", "stretched_share", "background_loss", "body_loss", "head_loss", "direction", "climb",
)  # fmt: skip
COLUMNS = (*TEXTS, "kind", "stage", "reason", "detail", "capture_time", "clip", "poster", "width", "height", "motion", *NUMBERS)
READ = (*COLUMNS, "digest")  # a page has no use for the last
# The settings that decide on a number of the records, and whether more of it is worse.
THRESHOLDS = {
    "max_artifact_score": ("artifact_score", True),
    "min_parallax": ("relative_parallax", False),
    "min_window": ("window_share", False),
}


class ReviewError(UserError):
    """What a run left cannot be read or shown."""


@dataclasses.dataclass(frozen=True)
class Library:
    """What a run left.

    Attributes:
      rows: dicts of READ, None where a record holds none; the highest artifact scores first.
      photos: how many records there are; more than rows where only a sample was taken.
      summary: of summary.json, empty where there is none.
    """

    rows: list[dict]
    photos: int
    summary: dict

    @property
    def thresholds(self):
        """{setting: value} of those of THRESHOLDS that the run told."""
        settings = self.summary.get("settings", {})
        return {name: settings[name] for name in THRESHOLDS if isinstance(settings.get(name), int | float)}


def read_tables(output):
    """[(kind, pyarrow Table of those of READ that it has)] of a run's records. Raises ReviewError where there are none."""
    import pyarrow
    import pyarrow.parquet as parquet

    found = []
    for folder in KINDS:
        try:
            files = storage.scan(posixpath.join(output, folder))[1]
            parts = []
            for file in files:
                if file.uri.endswith(".parquet"):
                    opened = parquet.ParquetFile(io.BytesIO(storage.read(file.uri, MAX_RECORDS)))
                    names = [name for name in READ if name in opened.schema_arrow.names]
                    parts.append(opened.read(columns=names))
        except FileNotFoundError:
            continue
        except (OSError, pyarrow.ArrowException) as error:
            raise ReviewError(f"The records in {posixpath.join(output, folder)} cannot be read ({error}).") from error
        if parts:
            found.append((folder, pyarrow.concat_tables(parts, promote_options="default")))
    if not found:
        raise ReviewError(f"{output} holds no records: `cinematic-photos run --output {output}` writes them.")
    return found


def read_library(output, most=None):
    """Library of an output folder.

    Args:
      output: folder or URI.
      most: rows at most; of more photos those with the lowest ids are taken, which are hashes, hence a fair sample.
    """
    import numpy as np

    tables = read_tables(output)
    ids = np.sort(np.concatenate([table["photo_id"].to_numpy(zero_copy_only=False).astype(str) for _, table in tables]))
    last = ids[most - 1] if most and len(ids) > most else None
    rows = []
    for kind, table in tables:
        if last is not None:
            table = table.filter(table["photo_id"].to_numpy(zero_copy_only=False).astype(str) <= last)
        rows += [dict.fromkeys(READ) | row | {"kind": kind} for row in table.to_pylist()]
    rows.sort(key=lambda row: (-1.0 if row["artifact_score"] is None else row["artifact_score"], row["photo_id"]), reverse=True)
    try:
        summary = read_summary(output)
    except FileNotFoundError:
        summary = {}
    return Library(rows, len(ids), summary)


def _script(call, *values):
    """A script that hands values to the page. ASCII alone, so that no encoding can be guessed wrong."""
    return f"cinematic.{call}({', '.join(json.dumps(value, separators=(',', ':')) for value in values)});\n".encode()


def _short(value):
    return float(f"{value:.5g}") if isinstance(value, float) else value


def page_files(library, details=(), rows=ROWS):
    """{path below the page's folder: bytes} of a page, index.html last.

    Args:
      library: a Library.
      details: ids of the photos that have details.
      rows: a script.
    """
    listed = [[_short(row[name]) for name in COLUMNS] for row in library.rows]
    parts = [listed[first : first + rows] for first in range(0, len(listed), rows)]
    about = {
        "columns": COLUMNS,
        "parts": len(parts),
        "entries": len(listed),
        "photos": library.photos,
        "thresholds": library.thresholds,
        "details": sorted(details),
    }
    # Of two pages that follow each other a browser may hold parts of both: a part says which one it belongs to.
    build = hashlib.sha256(json.dumps([about, listed]).encode()).hexdigest()[:12]
    files = {f"data/part-{number:05d}.js": _script("part", build, number, part) for number, part in enumerate(parts)}
    files["data/library.js"] = _script("begin", about | {"build": build})
    assets = importlib.resources.files("beam_pipeline") / "page"
    for name in ASSETS:
        data = (assets / name).read_bytes()
        files[name] = data.replace(b"BUILD", build.encode()) if name == "index.html" else data
    return files


def write_page(output, library, details=()):
    """Writes a page below OUTPUT; returns where index.html is."""
    folder = posixpath.join(output, FOLDER)
    files = page_files(library, details)
    for name, data in files.items():
        storage.write(posixpath.join(folder, name), data)
    for file in storage.scan(posixpath.join(folder, "data"))[1]:  # parts of a larger page before it
        if f"data/{posixpath.basename(file.uri)}" not in files:
            storage.delete(file.uri)
    return posixpath.join(folder, "index.html")


# Details


def chosen(library, count, ids=()):
    """Rows whose details are worth seeing: the clips that score highest, and as many of the rejected that missed by least.

    Args:
      count: of each; None for all.
      ids: of photos that are wanted as well. Raises ReviewError for one that has no record.
    """
    clips = [row for row in library.rows if row["kind"] == CLIPS]
    torn = [row for row in library.rows if row["reason"] == RejectReason.ARTIFACTS and row["kind"] == REJECTED]
    by_id = {row["photo_id"]: row for row in library.rows}
    for photo_id in ids:
        if photo_id not in by_id:
            raise ReviewError(f"--photo {photo_id}: no record has this id.")
    picked = [*(by_id[photo_id] for photo_id in ids), *clips[:count], *(torn[::-1][:count])]
    return list({row["photo_id"]: row for row in picked}.values())


def settings_of(summary, models):
    """Settings of the run that wrote a summary; `models` {role: handle} where the user names them, as summaries tell names alone.

    Raises ReviewError.
    """
    told = summary.get("settings", {})
    given = {field.name: told[field.name] for field in dataclasses.fields(Settings) if field.name in told}
    for role in Settings().models:
        name = f"{role}_model"
        if models.get(role):
            given[name] = models[role]
        elif given.get(name, "builtin") != "builtin":
            option = name.replace("_", "-")
            raise ReviewError(f"The run took {given[name]} for {role}: say where it is with --{option}.")
    try:
        return Settings(**given)
    except (TypeError, ValueError) as error:
        raise ReviewError(f"The settings in summary.json cannot be used: {error}") from error


def _small(rgb):
    """(h, w, 3) uint8 with a long side of PICTURE at most."""
    import cv2

    scale = PICTURE / max(rgb.shape[:2])
    return cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else rgb


def _jpeg(rgb):
    import cv2

    quality = [cv2.IMWRITE_JPEG_QUALITY, PICTURE_QUALITY]
    return cv2.imencode(".jpg", cv2.cvtColor(_small(rgb), cv2.COLOR_RGB2BGR), quality)[1].tobytes()


def _maps(photo, scene):
    """{name: (h, w, 3) uint8 sRGB}: the photo, its depth (near is bright), and the photo with heads green and bodies blue."""
    import cv2
    import numpy as np

    from transforms import explain

    small = _small(photo.rgb)
    size = small.shape[1::-1]
    depth = cv2.resize(scene.layers[-1].inverse_depth, size, interpolation=cv2.INTER_LINEAR)
    coloured = cv2.applyColorMap(np.round(255 * np.clip(depth, 0, 1)).astype(np.uint8), cv2.COLORMAP_INFERNO)
    labels = cv2.resize(scene.regions, size, interpolation=cv2.INTER_NEAREST)
    regions = small // 2 + 64
    for label, colour in ((1, explain.BODY), (2, explain.HEAD)):
        regions[labels == label] = (0.45 * small[labels == label] + 0.55 * np.array(colour)).astype(np.uint8)
    return {"photo": small, "depth": cv2.cvtColor(coloured, cv2.COLOR_BGR2RGB), "regions": regions}


def detail_of(data, animator):
    """What there is to see of a photo.

    Args:
      data: its bytes; animator: a `transforms.animate.Animator`.

    Returns:
      (report, {file name: bytes}); the report has the measures of the shot and of presets, and the names of pictures and clips.

    Raises Rejected, Failed.
    """
    from transforms import decode, explain, picture, render
    from transforms.elements import Failed

    settings = animator.settings
    guard = decode.guard(settings.max_megapixels, PATIENCE)
    photo = decode.guarded(guard, picture.decode, data, settings.max_megapixels, settings.min_side)
    scene = animator.build(photo)
    shot = animator.shoot(scene)
    files = {f"{name}.jpg": _jpeg(rgb) for name, rgb in (_maps(photo, scene) | explain.pictures(shot, animator.studio)).items()}
    takes = {"search": shot} | explain.as_presets(shot, settings)
    cameras = {}
    for name, take in takes.items():
        height = max(4, round(CLIP_WIDTH * shot.height / shot.width / 4) * 4)
        small = dataclasses.replace(take, width=CLIP_WIDTH, height=height)
        try:
            clip = render.render(animator.studio, small, settings.fps)
        except Failed:  # of a preset that cannot be drawn the others are still worth seeing
            continue
        files |= {f"{name}.mp4": clip.video, f"{name}-still.jpg": clip.poster}
        cameras[name] = {key: _short(value) for key, value in explain.numbers(take.measures).items()}
    return {"cameras": cameras}, files


def _detail_name(photo_id):
    return f"details/{photo_id}/detail.js"


def write_details(output, root, wanted, settings, fingerprint, tell=lambda text: None):
    """Writes the details of rows; returns {photo id: of which version they are}.

    Args:
      root: the library's, absolute; wanted: rows; settings, fingerprint: as they are worked on now.
      tell: is called with a line for the user as photos are worked on.
    """
    from beam_pipeline import sources
    from transforms.animate import Animator
    from transforms.elements import Failed, FailReason, Rejected

    written = {}
    with Animator(settings, open_studio(settings.renderer, PATIENCE)) as animator:
        for number, row in enumerate(wanted, 1):
            photo_id, path = row["photo_id"], row["path"]
            tell(f"details {number} of {len(wanted)}")
            try:
                if ".." in path.split("/") or path.startswith("/"):
                    raise Failed(FailReason.MISSING, "Its path leads out of the library.")
                data = sources.read_bytes(posixpath.join(root, path))
                if row["digest"] and sources.digest(data) != row["digest"]:
                    raise Failed(FailReason.MISSING, "The photo has changed since the run.")
                report, files = detail_of(data, animator)
            except (Rejected, Failed) as ended:
                tell(f"no details of {path}: {ended.detail}\n")
                continue
            except (ChildCrashed, ChildTimeout) as ended:
                tell(f"no details of {path}: {ended}\n")
                continue
            folder = posixpath.join(output, FOLDER, "details", photo_id)
            for name, data in files.items():
                storage.write(posixpath.join(folder, name), data)
            report |= {"same": fingerprint == row["fingerprint"]}
            storage.write(posixpath.join(output, FOLDER, _detail_name(photo_id)), _script("detail", photo_id, report))
            written[photo_id] = version_of(row)
    return written


def version_of(row):
    """What a mark or a detail is of: it holds no longer where photo or configuration is another."""
    return f"{row['version']}/{row['fingerprint']}"


def known_details(output, library):
    """{photo id: version} of the details that earlier reviews made and that still hold."""
    try:
        index = json.loads(storage.read(posixpath.join(output, FOLDER, "details", "index.json"), MAX_RECORDS))
    except (FileNotFoundError, ValueError):
        return {}
    today = {row["photo_id"]: version_of(row) for row in library.rows}
    return {photo_id: version for photo_id, version in index.items() if today.get(photo_id) == version}


def forget(output, details):
    """Deletes the details of photos that have none any more: a photo that is gone must be gone from here as well."""
    folder = posixpath.join(output, FOLDER, "details")
    with contextlib.suppress(FileNotFoundError):
        folders = storage.scan(folder)[0]
        if not folders:  # a bucket answers so where there is none
            return
        for below in folders:
            if posixpath.basename(below) not in details:
                for file in storage.scan(below)[1]:
                    storage.delete(file.uri)
        index = json.dumps(details, indent=1, sort_keys=True).encode()
        storage.write(posixpath.join(folder, "index.json"), index)


# The command


def add_arguments(parser):
    parser.add_argument("output", metavar="OUT", help="what `run` wrote, local or gs://")
    parser.add_argument("--input", metavar="LIBRARY", help="the library's root: makes pictures of how shots came about")
    parser.add_argument(
        "--details",
        default=str(DETAILS),
        metavar="N|all",
        help="with --input: of the N clips with the highest scores and the N rejected that missed by least (default %(default)s)",
    )
    parser.add_argument("--photo", action="append", default=[], metavar="ID", help="with --input: of this one as well")
    parser.add_argument(
        "--entries",
        type=int,
        default=ENTRIES,
        metavar="N",
        help="photos on the page, of more a sample (default %(default)s)",
    )
    for role in Settings().models:
        parser.add_argument(f"--{role}-model", metavar="STR", help=f"network for {role}, where the run took another than builtin")


def run(args, flags):
    """Makes the page; returns the exit code. Raises ReviewError."""
    import sys

    import beam_pipeline
    from beam_pipeline import sources
    from models import registry

    if args.details != "all" and not args.details.isdecimal():
        raise ReviewError(f"--details must be a number or `all`, got {args.details!r}")
    if args.entries < 1:
        raise ReviewError(f"--entries must be at least 1, got {args.entries}")
    if args.photo and not args.input:
        raise ReviewError("--photo needs --input: details are made from the photos.")
    try:
        output, root = sources.absolute(args.output).rstrip("/"), args.input and sources.absolute(args.input).rstrip("/")
        if root and not sources.is_directory(root):
            raise ReviewError(f"--input {args.input} is no folder.")
    except ValueError as error:
        raise ReviewError(str(error)) from error

    def tell(text):
        if text.endswith("\n") or sys.stderr.isatty():
            print(f"\r{text:40}", end="", file=sys.stderr, flush=True)

    try:
        library = read_library(output, args.entries)
        details = known_details(output, library)
        if root:
            settings = settings_of(library.summary, models_of(args))
            wanted = chosen(library, None if args.details == "all" else int(args.details), args.photo)
            fingerprint = settings.fingerprint(beam_pipeline.__version__, registry.digest(settings.models))
            details |= write_details(output, root, wanted, settings, fingerprint, tell)
        where = write_page(output, library, details)
        forget(output, details)
    except OSError as error:
        raise ReviewError(f"{args.output} cannot be read or written: {error.strerror or error}.") from error
    sampled = f", a sample of {library.photos}" if len(library.rows) < library.photos else ""
    print(f"review of {len(library.rows)} photos{sampled}, {len(details)} with details: {where}")
    return 0
