"""Files on disk and in buckets behind one small interface. Whatever goes wrong is an OSError, on either side.

Beam's own file systems read and write records. Photos and clips want more than these offer: the generation of an object, so that
what is read is what was listed; content type, cache header and time of an object; one deadline over all tries of a request.
"""

import base64
import contextlib
import dataclasses
import functools
import logging
import mimetypes
import os
import stat
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import google_crc32c
import requests
from google.api_core import exceptions
from google.api_core.retry import Retry
from google.auth.exceptions import GoogleAuthError
from google.cloud import storage  # type: ignore[attr-defined]  # a namespace package
from google.cloud.storage.retry import DEFAULT_RETRY

BUCKET = "gs://"
PATIENCE = 120.0  # seconds for reading or writing a file, all tries together: a photo of 512 MiB at 5 MB/s (choice)
SILENCE = 30.0  # seconds without an answer before a try is given up (choice)
WRITES = 3  # that a clip is tried to be put in place while others change the same name (choice)
# A clip keeps its name when its photo changes, hence no longer; nobody but the user's own viewers may keep it at all (choice).
CACHING = "private, max-age=3600"


@dataclasses.dataclass(frozen=True)
class File:
    """A file as a listing tells it.

    Attributes:
      uri: absolute path, with undecodable bytes as surrogates, or gs:// URI.
      size: bytes.
      changed: seconds since 1970.
      version: `<size>-<stamp>`; the stamp is the object's generation, or the time of change in nanoseconds.
    """

    uri: str
    size: int
    changed: float
    version: str


def size_of(version: str) -> int:
    """Bytes of a file in a version."""
    return int(version.split("-")[0])


def in_bucket(path: str) -> bool:
    return path.startswith(BUCKET)


def _split(uri: str) -> tuple[str, str]:
    bucket, _, name = uri.removeprefix(BUCKET).partition("/")
    return bucket, name


@functools.cache
def client() -> storage.Client:
    """This process' client. Raises OSError where nobody is logged in."""
    logging.getLogger("google.auth").setLevel(logging.ERROR)  # warns, in other words, of what is raised here
    try:
        return storage.Client(project=None)  # needs none: it neither makes nor lists buckets
    except GoogleAuthError as error:
        raise PermissionError(
            "gs:// needs credentials: run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS"
        ) from error


@contextlib.contextmanager
def _as_os_errors() -> Iterator[None]:
    """What a bucket raises, as the OSError that says the same."""
    try:
        yield
    except (exceptions.NotFound, exceptions.PreconditionFailed) as error:
        raise FileNotFoundError("there is no such bucket or object") from error
    except (exceptions.Forbidden, exceptions.Unauthorized, GoogleAuthError) as error:
        raise PermissionError(f"it may not be read or written ({type(error).__name__})") from error
    except (exceptions.GoogleAPIError, requests.RequestException) as error:
        cause = error.cause if isinstance(error, exceptions.RetryError) and error.cause else error
        raise OSError(f"the bucket does not answer: {type(cause).__name__}") from error


def _retry(seconds: float = PATIENCE) -> Retry:
    return DEFAULT_RETRY.with_timeout(seconds)


def _file_of_blob(blob: storage.Blob) -> File:
    return File(f"{BUCKET}{blob.bucket.name}/{blob.name}", blob.size, blob.updated.timestamp(), f"{blob.size}-{blob.generation}")


def _file_of_status(path: str, status: os.stat_result) -> File:
    return File(path, status.st_size, status.st_mtime, f"{status.st_size}-{status.st_mtime_ns}")


def local(path: str) -> File | None:
    """File at a local path; None where it is no regular file. A link to nothing is one, which ends as a failure."""
    try:
        status = os.stat(path)
    except OSError:
        return File(path, 0, 0.0, "0-0")
    return _file_of_status(path, status) if stat.S_ISREG(status.st_mode) else None  # no folders, pipes and devices


def scan(folder: str) -> tuple[list[str], list[File]]:
    """(folders, Files) right below a folder; links to folders are not followed, a loop of them has no end. Raises OSError."""
    if not in_bucket(folder):
        folders, files = [], []
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif found := local(entry.path):
                    files.append(found)
        return folders, files
    bucket, prefix = _split(folder.rstrip("/") + "/")
    with _as_os_errors():
        blobs = client().list_blobs(bucket, prefix=prefix, delimiter="/", timeout=SILENCE, retry=_retry())
        files = [_file_of_blob(blob) for blob in blobs if not blob.name.endswith("/")]
        return sorted(f"{BUCKET}{bucket}/{name.rstrip('/')}" for name in blobs.prefixes), files


def walk(folder: str) -> Iterator[File]:
    """Files at any depth below a folder of a bucket. Raises OSError."""
    bucket, prefix = _split(folder.rstrip("/") + "/")
    with _as_os_errors():
        for blob in client().list_blobs(bucket, prefix=prefix, timeout=SILENCE, retry=_retry()):
            if not blob.name.endswith("/"):  # what consoles make to show an empty folder
                yield _file_of_blob(blob)


def find(uri: str) -> File | None:
    """File of exactly that name, or None. Raises OSError where the bucket does not tell."""
    if not in_bucket(uri):
        return local(uri) if os.path.isfile(uri) else None
    bucket, name = _split(uri)
    if not name:
        return None
    with _as_os_errors():
        blob = client().bucket(bucket).get_blob(name, timeout=SILENCE, retry=_retry())
        return blob and _file_of_blob(blob)


class _Bounded:
    """What a download is written into: bytes, up to a number and for a time."""

    def __init__(self, limit: int, seconds: float) -> None:
        self.parts: list[bytes] = []
        self.left, self.end = limit, time.monotonic() + seconds

    def write(self, part: bytes) -> int:
        if time.monotonic() > self.end:
            raise TimeoutError("the bucket is too slow")
        self.parts.append(part[: self.left])
        self.left -= len(self.parts[-1])
        return len(part)


def read(uri: str, limit: int, version: str | None = None, seconds: float = PATIENCE) -> bytes:
    """The first `limit` bytes of a file.

    Raises:
      FileNotFoundError: it is not there, or no longer in that version.
      OSError: it cannot be read, in a bucket for so many seconds.
    """
    if not in_bucket(uri):
        # A name that a pipe has taken since would block for ever otherwise.
        with open(os.open(uri, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            data = file.read(limit)
            status = os.fstat(file.fileno())  # after reading: a file that grows meanwhile has changed as well
        if version and _file_of_status(uri, status).version != version:
            raise FileNotFoundError("changed")
        return data
    bucket, name = _split(uri)
    generation = version.split("-")[1] if version else None
    into = _Bounded(limit, seconds)
    with _as_os_errors():
        blob = client().bucket(bucket).blob(name)
        blob.download_to_file(into, if_generation_match=generation, timeout=SILENCE, retry=_retry(seconds))
    return b"".join(into.parts)


def write(path: str, data: bytes, created: datetime | None = None) -> None:
    """Writes bytes so that the name appears with its whole content or not at all.

    Args:
      path: local path or gs:// URI; folders are made.
      data: bytes.
      created: datetime that a bucket's life-cycle rules may count from (custom time); UTC where it knows no offset.

    Raises OSError.
    """
    if in_bucket(path):
        _upload(path, data, created)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        with open(temporary, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _upload(uri: str, data: bytes, created: datetime | None) -> None:
    bucket, name = _split(uri)
    checksum = base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()
    generation = 0  # only where nothing is there; a condition also makes a try that was cut off safe to repeat
    with _as_os_errors():
        for attempt in range(WRITES):
            blob = client().bucket(bucket).blob(name)
            blob.cache_control = CACHING
            if created:
                blob.custom_time = created if created.tzinfo else created.replace(tzinfo=UTC)
            kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
            try:
                blob.upload_from_string(
                    data,
                    kind,
                    if_generation_match=generation,
                    timeout=SILENCE,
                    retry=_retry(),
                    checksum="crc32c",
                )
                return
            except exceptions.PreconditionFailed:
                there = blob.bucket.get_blob(name, timeout=SILENCE, retry=_retry())
                # A repeated bundle, or a try whose answer got lost, has written the same before.
                if there and there.crc32c == checksum and there.size == len(data):
                    return
                if attempt == WRITES - 1:
                    raise
                generation = there.generation if there else 0


def delete(path: str) -> None:
    """Deletes a file; that it is gone already is what was wanted. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        if not in_bucket(path):
            os.unlink(path)
            return
        bucket, name = _split(path)
        with _as_os_errors():
            client().bucket(bucket).blob(name).delete(timeout=SILENCE, retry=_retry())
