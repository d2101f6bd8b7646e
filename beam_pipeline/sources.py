"""From patterns to the photos they match, each named once, relative to the library's root."""

import dataclasses
import hashlib
import itertools
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


@dataclasses.dataclass(frozen=True)
class Slice:
    """Which part of a library a run looks at; all of it by default.

    Attributes:
      since: seconds since 1970; older files are left out.
      limit: at most so many files, the first that the listing tells.
      shard: (i, n): of n parts of like size the i-th, from 0; a photo is always in the same one.
    """

    since: float | None = None
    limit: int | None = None
    shard: tuple[int, int] = (0, 1)

    def holds(self, photo_id, changed):
        """Whether a photo that was last changed then (seconds since 1970) is in the part."""
        part, parts = self.shard
        return int(photo_id, 16) % parts == part and (self.since is None or changed >= self.since)


def photo_ref(uri, root, version):
    """PhotoRef of a file below `root`; `uri` is bytes, because file names need not be text."""
    uri = os.fsdecode(uri)
    path = uri.removeprefix(root.rstrip("/") + "/")
    return PhotoRef(
        photo_id=hashlib.sha256(os.fsencode(path)).hexdigest()[:16],
        path=os.fsencode(path).decode("utf-8", "replace"),
        uri=uri,
        version=version,
    )


def _files(pattern):
    """(path, bytes, seconds since 1970 of the last change) of the files that a pattern matches."""
    if "://" in pattern:
        whole = pattern.rstrip("/") + "/**" if is_directory(pattern) else pattern
        for found in FileSystems.match([whole])[0].metadata_list:
            yield found.path, found.size_in_bytes, found.last_updated_in_seconds
        return
    if os.path.isfile(pattern):  # one photo, whatever brackets its name holds
        found = [pattern]
    elif is_directory(pattern):
        # Neither this nor the glob follows links to folders: a loop of them has no end.
        found = (os.path.join(folder, name) for folder, _, names in os.walk(pattern) for name in names)
    else:
        found = map(str, Path("/").glob(pattern.lstrip("/")))
    for name in found:
        try:
            status = os.stat(name)
        except OSError:  # a link to nothing, which ends as a failure
            yield name, 0, 0.0
            continue
        if stat.S_ISREG(status.st_mode):  # no folders, pipes and devices
            yield name, status.st_size, status.st_mtime


def list_photos(pattern, output=None):
    """(URI as bytes, bytes, seconds since 1970 of the last change) of the files that a pattern matches.

    A folder gives every photo below it, a glob what it says. Nothing below `output` is a photo of the library: a run
    over a folder that holds its own results would animate its posters.
    """
    pattern = absolute(pattern)
    below = absolute(output).rstrip("/") + "/" if output else None
    folder = is_directory(pattern)
    for uri, size, changed in _files(pattern):
        if folder and not uri.lower().endswith(PHOTO_ENDINGS):
            continue
        if not (below and uri.startswith(below)):
            yield os.fsencode(uri), size, changed


def list_slice(patterns, root, output, part):
    """PhotoRefs of the files that patterns match and a Slice holds; a file that two match comes twice."""
    photos = (found for pattern in patterns for found in list_photos(pattern, output))
    refs = ((photo_ref(uri, root, f"{size}-{changed:.6f}"), changed) for uri, size, changed in photos)
    held = (ref for ref, changed in refs if part.holds(ref.photo_id, changed))
    return itertools.islice(held, part.limit)


class ListPhotos(beam.PTransform):
    """Patterns to the PhotoRefs of a Slice. What follows joins them by photo id, which spreads them over the workers."""

    def __init__(self, patterns, root, output, part=Slice()):  # noqa: B008 - frozen
        super().__init__()
        self.patterns, self.root, self.output, self.part = tuple(patterns), root, output, part

    def expand(self, pbegin):
        groups = [self.patterns] if self.part.limit else [(pattern,) for pattern in self.patterns]
        return (
            pbegin
            | "Patterns" >> beam.Create(groups)
            | "List" >> beam.FlatMap(list_slice, self.root, self.output, self.part).with_output_types(PhotoRef)
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
        raise Failed(FailReason.NO_ACCESS, f"The file cannot be read ({type(error).__name__}).") from error
    if len(data) > MAX_BYTES:
        raise Failed(FailReason.TOO_LARGE, f"The file is larger than {MAX_BYTES >> 20} MiB.")
    return data
