"""From patterns to the photos they match, each named once, relative to the library's root."""

import hashlib
import os
import posixpath
import re
import stat
from collections.abc import Iterable
from pathlib import Path

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from google.api_core import exceptions

from transforms.elements import Failed, FailReason, PhotoRef

PHOTO_ENDINGS = (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".heic", ".heif", ".tif", ".tiff", ".bmp", ".gif")
WILDCARD = re.compile(r"[*?\[]")
MAX_BYTES = 512 << 20  # a photo file above it is not one; reading is bounded before decoding is


def is_directory(path):
    """Whether a pattern is a folder: on disk what the disk says, elsewhere what ends in a slash or holds no wildcard or file."""
    if "://" not in path:
        return os.path.isdir(path)
    return path.endswith("/") or not (WILDCARD.search(path) or FileSystems.exists(path))


def absolute(pattern):
    """A local pattern made absolute, a URI as it is."""
    return pattern if "://" in pattern else os.path.abspath(os.path.expanduser(pattern))


def static_prefix(pattern):
    """The folder part of a pattern before its first wildcard."""
    if is_directory(pattern):
        return pattern
    match = WILDCARD.search(pattern)
    return posixpath.dirname(pattern[: match.start()] if match else pattern)


def library_root(patterns: Iterable[str]):
    """The folder that all patterns lie under: photos are named relative to it. Raises ValueError where there is none."""
    prefixes = [static_prefix(absolute(p)).rstrip("/").split("/") for p in patterns]
    common = []
    for parts in zip(*prefixes, strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    if len(common) < 1 or (len(common) < 3 and "://" in next(iter(patterns))):
        raise ValueError("The --input patterns have no folder in common; run one job for each bucket.")
    return "/".join(common) or "/"


def photo_ref(uri, root):
    """PhotoRef of a file below `root`; `uri` is bytes, because file names need not be text."""
    uri = os.fsdecode(uri)
    path = uri.removeprefix(root.rstrip("/") + "/")
    return PhotoRef(
        photo_id=hashlib.sha256(os.fsencode(path)).hexdigest()[:16],
        path=os.fsencode(path).decode("utf-8", "replace"),
        uri=uri,
    )


def _files(pattern):
    if "://" in pattern:
        whole = pattern.rstrip("/") + "/**" if is_directory(pattern) else pattern
        yield from (found.path for found in FileSystems.match([whole])[0].metadata_list)
        return
    if os.path.isfile(pattern):  # one photo, whatever brackets its name holds
        found = [pattern]
    elif is_directory(pattern):
        # Neither this nor the glob follows links to folders: a loop of them has no end.
        found = (os.path.join(folder, name) for folder, _, names in os.walk(pattern) for name in names)
    else:
        found = map(str, Path("/").glob(pattern.lstrip("/")))
    yield from (name for name in found if _may_be_read(name))


def _may_be_read(path):
    """False for folders, pipes and devices; True for files, and for links to nothing, which end as failures."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return True


def list_photos(pattern, output=None):
    """URIs (bytes) of the files that a pattern matches.

    A folder gives every photo below it, a glob what it says. Nothing below `output` is a photo of the library: a run
    over a folder that holds its own results would animate its posters.
    """
    pattern = absolute(pattern)
    below = absolute(output).rstrip("/") + "/" if output else None
    folder = is_directory(pattern)
    for uri in _files(pattern):
        if folder and not uri.lower().endswith(PHOTO_ENDINGS):
            continue
        if not (below and uri.startswith(below)):
            yield os.fsencode(uri)


class ListPhotos(beam.PTransform):
    """Patterns to PhotoRefs, each file once however many patterns match it.

    Making them distinct shuffles URIs over the workers, so that no Reshuffle is needed after it.
    """

    def __init__(self, patterns, root, output):
        super().__init__()
        self.patterns, self.root, self.output = tuple(patterns), root, output

    def expand(self, pbegin):
        return (
            pbegin
            | "Patterns" >> beam.Create(self.patterns)
            | "List" >> beam.FlatMap(list_photos, self.output).with_output_types(bytes)
            | "Distinct" >> beam.Distinct()
            | "Name" >> beam.Map(photo_ref, root=self.root).with_output_types(PhotoRef)
        )


def read_bytes(uri):
    """The whole file at a URI. Raises Failed where it is gone, cannot be read, or is too large to be a photo."""
    try:
        with FileSystems.open(uri, compression_type="uncompressed") as file:
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, exceptions.NotFound) as error:
        raise Failed(FailReason.MISSING, "The file is gone since it was listed.") from error
    # Messages would carry the absolute path. A bucket's other troubles (429, 5xx) are raised, for the runner to try again.
    except (OSError, exceptions.Forbidden, exceptions.Unauthorized) as error:
        raise Failed(FailReason.UNREADABLE, f"The file cannot be read ({type(error).__name__}).") from error
    if len(data) > MAX_BYTES:
        raise Failed(FailReason.TOO_LARGE, f"The file is larger than {MAX_BYTES >> 20} MiB.")
    return data
