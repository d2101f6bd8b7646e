"""From patterns to the photos they match, each named once, relative to the library's root; and to their bytes."""

import dataclasses
import hashlib
import itertools
import os
import posixpath
import re
from collections.abc import Iterable
from pathlib import Path

import apache_beam as beam
from apache_beam.io.filesystem import FileSystem

from beam_pipeline import storage
from beam_pipeline.storage import File
from transforms.elements import Failed, FailReason, Outcome, PhotoRef
from transforms.stage import Stage

PHOTO_ENDINGS = (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".heic", ".heif", ".tif", ".tiff", ".bmp", ".gif")
WILDCARD = re.compile(r"[*?\[]")
MAX_BYTES = 512 << 20  # a photo file above it is not one; reading is bounded before decoding is
CLOSED = "0-closed"  # version of a folder that cannot be listed: it goes the way of a photo, and ends as a failure
SPREAD = 2  # levels of folders that are listed apart, so that many workers list what lies below them


def is_directory(path):
    """Whether a pattern is a folder: on disk what the disk says, in a bucket what ends in a slash or is no glob and no object."""
    if not storage.in_bucket(path):
        return os.path.isdir(path)
    return path.endswith("/") or not (WILDCARD.search(path) or storage.find(path))


def absolute(pattern):
    """A local pattern made absolute, a URI as it is. Raises ValueError for what is neither on disk nor in a Google bucket."""
    if "://" in pattern and not storage.in_bucket(pattern):
        raise ValueError(f"{pattern} is neither a local path nor a gs:// URI.")
    return pattern if storage.in_bucket(pattern) else os.path.abspath(os.path.expanduser(pattern))


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


def photo_ref(file, root):
    """PhotoRef of a File below `root`, whose name need not be text."""
    path = file.uri.removeprefix(root.rstrip("/") + "/")
    return PhotoRef(
        photo_id=hashlib.sha256(os.fsencode(path)).hexdigest()[:16],
        path=os.fsencode(path).decode("utf-8", "replace"),
        uri=file.uri,
        version=file.version,
    )


@dataclasses.dataclass(frozen=True)
class Pattern:
    """What an --input means.

    Attributes:
      text: absolute path or URI.
      kind: `folder` (every photo below it), `glob` (what it says), or `file` (one, whatever brackets its name holds).
    """

    text: str
    kind: str

    @staticmethod
    def of(text):
        text = absolute(text)
        if is_directory(text):
            return Pattern(text, "folder")
        return Pattern(text, "file" if storage.find(text) else "glob")

    @property
    def start(self):
        """The folder that listing begins with."""
        return self.text if self.kind == "folder" else static_prefix(self.text)

    def wanted(self, output=None):
        """A function that says whether a File is meant.

        Nothing below `output` is a photo of the library: a run over a folder with its own results would animate posters.
        """
        below = absolute(output).rstrip("/") + "/" if output else None
        glob = re.compile(FileSystem.translate_pattern(self.text)) if self.kind == "glob" else None

        def means(file):
            if below and file.uri.startswith(below):
                return False
            if self.kind == "folder":
                return file.version == CLOSED or file.uri.lower().endswith(PHOTO_ENDINGS)
            return not glob or not storage.in_bucket(file.uri) or bool(glob.match(file.uri))

        return means


@dataclasses.dataclass(frozen=True)
class Place:
    """A folder that a Pattern leads to, still to be listed."""

    pattern: Pattern
    folder: str


def list_level(place):
    """(Places, Files) right below a Place. A file, or a glob on disk, has no Places below it: it is looked up at once."""
    pattern, folder = place.pattern, place.folder
    if pattern.kind == "file":
        found = storage.find(pattern.text)
        return [], [found] if found else []
    if pattern.kind == "glob" and not storage.in_bucket(folder):
        files = (storage.local(str(path)) for path in Path("/").glob(pattern.text.lstrip("/")))
        return [], [file for file in files if file]
    try:
        folders, files = storage.scan(folder)
    except PermissionError:
        if storage.in_bucket(folder):
            raise
        return [], [File(folder, 0, 0.0, CLOSED)]
    return [Place(pattern, below) for below in folders], files


def list_below(place):
    """Files at any depth below a Place."""
    if storage.in_bucket(place.folder) and place.pattern.kind != "file":
        yield from storage.walk(place.folder)
        return
    waiting = [place]
    while waiting:
        places, files = list_level(waiting.pop())
        yield from files
        waiting += reversed(places)


def list_photos(text, output=None):
    """Files that a pattern means."""
    pattern = Pattern.of(text)
    return filter(pattern.wanted(output), list_below(Place(pattern, pattern.start)))


class Listing:
    """Files to the PhotoRefs that a job wants of them.

    Args:
      root: the library's.
      output: see `Pattern.wanted`.
      part: the Slice.
      strict: whether a folder that cannot be listed ends the run: what lies below it would look deleted.
    """

    def __init__(self, root, output, part=Slice(), strict=False):  # noqa: B008 - frozen
        self.root, self.output, self.part, self.strict = root, output, part, strict

    def refs(self, pattern, files):
        for file in filter(pattern.wanted(self.output), files):
            ref = photo_ref(file, self.root)
            if file.version == CLOSED and self.strict:
                raise PermissionError(f"The folder {ref.path} cannot be listed, and --prune would take its photos for deleted.")
            if self.part.holds(ref.photo_id, file.changed):
                yield ref

    def level(self, place):
        """PhotoRefs right below a Place and, tagged, the Places below it."""
        places, files = list_level(place)
        yield from self.refs(place.pattern, files)
        for below in places:
            yield beam.pvalue.TaggedOutput("places", below)

    def below(self, place):
        """PhotoRefs at any depth below a Place."""
        return self.refs(place.pattern, list_below(place))

    def first(self, patterns):
        """PhotoRefs of the first files that several Patterns mean, as many as the Slice has room for."""
        refs = (ref for pattern in patterns for ref in self.below(Place(pattern, pattern.start)))
        return itertools.islice(refs, self.part.limit)


class ListPhotos(beam.PTransform):
    """Patterns to the PhotoRefs of a Slice; a file that two patterns mean comes twice.

    Two levels of folders are listed apart and spread, so that workers list side by side what lies below. What follows joins the
    photos by their ids, which spreads them in turn.
    """

    def __init__(self, patterns, listing):
        super().__init__()
        self.patterns, self.listing = tuple(map(Pattern.of, patterns)), listing

    def expand(self, pbegin):
        if self.listing.part.limit:
            return pbegin | beam.Create([self.patterns]) | beam.FlatMap(self.listing.first).with_output_types(PhotoRef)
        found, places = [], pbegin | beam.Create([Place(pattern, pattern.start) for pattern in self.patterns])
        for level in range(SPREAD):
            listed = places | f"Level {level}" >> beam.FlatMap(self.listing.level).with_outputs("places", main="refs")
            places = listed.places | f"Spread {level}" >> beam.Reshuffle()
            found.append(listed.refs)
        found.append(places | "Below" >> beam.FlatMap(self.listing.below))
        return found | beam.Flatten() | "Refs" >> beam.Map(lambda ref: ref).with_output_types(PhotoRef)


def read_photo(ref, seconds=storage.PATIENCE):
    """The bytes of the version of a photo that was listed; raises as `read_bytes` does."""
    if storage.size_of(ref.version) > MAX_BYTES:
        raise Failed(FailReason.TOO_LARGE, f"The file is larger than {MAX_BYTES >> 20} MiB.")
    return read_bytes(ref.uri, ref.version, seconds)


def read_bytes(uri, version=None, seconds=storage.PATIENCE):
    """The bytes of a file. Raises Failed where it is gone or changed, cannot be read, or is too large to be a photo."""
    try:
        data = storage.read(uri, MAX_BYTES + 1, version, seconds)
    # Messages would carry the absolute path.
    except FileNotFoundError as error:
        text = "The file is gone, or has changed, since it was listed." if version else "There is no such file."
        raise Failed(FailReason.MISSING, text) from error
    except OSError as error:
        raise Failed(FailReason.NO_ACCESS, f"The file cannot be read ({type(error).__name__}).") from error
    if len(data) > MAX_BYTES:
        raise Failed(FailReason.TOO_LARGE, f"The file is larger than {MAX_BYTES >> 20} MiB.")
    return data


def digest(data):
    """16 hex digits of the SHA-256 of a photo's bytes."""
    return hashlib.sha256(data).hexdigest()[:16]


class Read(Stage):
    """To a photo's bytes. `seconds` that a bucket may take."""

    def __init__(self, seconds=storage.PATIENCE):
        super().__init__("read", lambda _, ref, __: read_photo(ref, seconds))


def with_digest(element):
    """An element of the rail that holds a photo's bytes, with their digest; who took a glimpse of that version has it already."""
    if isinstance(element, Outcome) or element.ref.digest:
        return element
    return dataclasses.replace(element, ref=dataclasses.replace(element.ref, digest=digest(element.value)))
