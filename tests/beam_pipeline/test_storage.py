"""Files on disk and in a bucket: what is read is what was listed, what is written is whole, and trouble ends in bounded time."""

import time
import uuid
from datetime import UTC, datetime

import pytest

from beam_pipeline import sources, storage
from tests.faults import Fault, faulty
from transforms.elements import Failed, FailReason

# On disk


def names_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def test_a_file_is_written_with_the_folders_it_needs_and_no_other_name(tmp_path):
    storage.write(str(tmp_path / "clips" / "00" / "a.mp4"), b"new")
    assert (tmp_path / "clips" / "00" / "a.mp4").read_bytes() == b"new"
    assert names_below(tmp_path) == ["clips/00/a.mp4"]


def test_a_file_replaces_the_one_of_its_name(tmp_path):
    for content in (b"a long one", b"short", b""):
        storage.write(str(tmp_path / "a.mp4"), content)
        assert (tmp_path / "a.mp4").read_bytes() == content
    assert names_below(tmp_path) == ["a.mp4"]


def test_a_name_that_promises_compression_is_written_as_it_is(tmp_path):
    storage.write(str(tmp_path / "a.gz"), b"plain")
    assert (tmp_path / "a.gz").read_bytes() == b"plain"


@pytest.mark.parametrize("target", ["file/a.mp4", "folder"], ids=["its folder is a file", "it is a folder"])
def test_where_writing_fails_nothing_is_left(tmp_path, target):
    (tmp_path / "file").write_bytes(b"in the way")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        storage.write(str(tmp_path / target), b"new")
    assert names_below(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"in the way"


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"old")
    with pytest.raises(TypeError):
        storage.write(str(tmp_path / "a.mp4"), "text, which the open file refuses")
    assert names_below(tmp_path) == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"old"


def test_what_is_gone_is_deleted(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"old")
    storage.delete(str(tmp_path / "a.mp4"))
    storage.delete(str(tmp_path / "a.mp4"))
    assert names_below(tmp_path) == []


# In a bucket


@pytest.fixture
def bucket(storage_emulator, monkeypatch):
    """(its URI, its Faults, google-cloud-storage's own view of it): a new one for each test, reached through the proxy."""
    there = storage_emulator.client.create_bucket(f"b{uuid.uuid4().hex}")
    with faulty(storage_emulator) as (faults, endpoint):
        for name, value in (storage_emulator.environment | {"STORAGE_EMULATOR_HOST": endpoint}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(storage, "SILENCE", 1.0)
        storage.client.cache_clear()
        yield f"gs://{there.name}", faults, there
        storage.client.cache_clear()


def put(there, *names, content=b"pixels"):
    for name in names:
        there.blob(name).upload_from_string(content)


def test_a_bucket_is_listed_level_by_level_and_as_a_whole(bucket):
    uri, _, there = bucket
    put(there, "photos/a.jpg", "photos/2024/b.jpg", "photos/2024/may/c.JPG", "photos/2024/", "photos/notes.txt", "other/d.jpg")
    folders, files = storage.scan(f"{uri}/photos")
    assert folders == [f"{uri}/photos/2024"]
    assert [file.uri for file in files] == [f"{uri}/photos/a.jpg", f"{uri}/photos/notes.txt"]
    found = [file.uri.removeprefix(uri) for file in sources.list_photos(f"{uri}/photos/")]
    assert sorted(found) == ["/photos/2024/b.jpg", "/photos/2024/may/c.JPG", "/photos/a.jpg"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("", ["2024/b.jpg", "2024/may/c.png", "a.jpg"]),
        ("*.jpg", ["a.jpg"]),
        ("2024/**", ["2024/b.jpg", "2024/may/c.png", "2024/x.txt"]),
        ("**/*.png", ["2024/may/c.png"]),
        ("2024/b.jpg", ["2024/b.jpg"]),
        ("2024", ["2024/b.jpg", "2024/may/c.png"]),
        ("nowhere/*.jpg", []),
    ],
)
def test_patterns_mean_in_a_bucket_what_they_mean_on_disk(bucket, pattern, names):
    uri, _, there = bucket
    put(there, "a.jpg", "2024/b.jpg", "2024/may/c.png", "2024/x.txt")
    found = sources.list_photos(f"{uri}/{pattern}", output=f"{uri}/out")
    assert sorted(file.uri.removeprefix(f"{uri}/") for file in found) == names


def test_what_is_read_is_the_generation_that_was_listed(bucket):
    uri, _, there = bucket
    put(there, "a.jpg")
    (file,) = sources.list_photos(f"{uri}/")
    ref = sources.photo_ref(file, uri)
    assert ref.version == f"6-{there.get_blob('a.jpg').generation}"
    assert sources.read_photo(ref) == b"pixels"
    put(there, "a.jpg", content=b"others")
    with pytest.raises(Failed) as failed:
        sources.read_photo(ref)
    assert failed.value.reason is FailReason.MISSING


def reason(uri, **options):
    with pytest.raises(Failed) as failed:
        sources.read_bytes(uri, **options)
    assert uri.split("/")[2] not in failed.value.detail
    return failed.value.reason


def test_what_is_gone_since_it_was_listed_is_missing_and_what_is_locked_gives_no_access(bucket):
    uri, faults, there = bucket
    assert reason(f"{uri}/gone.jpg") is FailReason.MISSING
    put(there, "a.jpg")
    faults.orders = [Fault("GET", "a.jpg", 403)]
    assert reason(f"{uri}/a.jpg") is FailReason.NO_ACCESS


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429}, {"seconds": 2.0}], ids=["503", "429", "slow"])
def test_passing_trouble_is_waited_out(bucket, fault):
    uri, faults, there = bucket
    put(there, "a.jpg")
    faults.orders = [Fault("GET", "a.jpg", times=2, **fault)]
    assert sources.read_bytes(f"{uri}/a.jpg") == b"pixels"
    assert sum("a.jpg" in path for _, path in faults.seen) == 3


@pytest.mark.parametrize("fault", [{"status": 503}, {"seconds": 2.0}], ids=["503", "slow"])
def test_trouble_that_stays_ends_in_a_failure_in_bounded_time(bucket, fault):
    uri, faults, there = bucket
    put(there, "a.jpg")
    faults.orders = [Fault("GET", "a.jpg", times=1000, **fault)]
    start = time.monotonic()
    assert reason(f"{uri}/a.jpg", seconds=3.0) is FailReason.NO_ACCESS
    assert time.monotonic() - start < 15
    assert len(faults.seen) < 12


def test_a_bucket_that_drips_is_given_up(bucket):
    """Each piece comes in time, the last of them too late: here the first is, as no time at all is given."""
    uri, faults, there = bucket
    put(there, "a.jpg", content=bytes(1 << 20))
    assert reason(f"{uri}/a.jpg", seconds=0.0) is FailReason.NO_ACCESS
    assert sum("a.jpg" in path for _, path in faults.seen) == 1  # the library may ask for the bucket as well


def test_an_object_too_large_to_be_a_photo_is_not_kept_whole(bucket, monkeypatch):
    uri, _, there = bucket
    monkeypatch.setattr(sources, "MAX_BYTES", 1000)
    put(there, "film.jpg", content=bytes(100_000))
    assert reason(f"{uri}/film.jpg") is FailReason.TOO_LARGE


def test_a_clip_has_type_cache_header_and_the_time_of_its_photo(bucket):
    uri, _, there = bucket
    taken = datetime(2014, 9, 7, 5, 30)
    storage.write(f"{uri}/clips/00/a.mp4", b"film", taken)
    storage.write(f"{uri}/summary.json", b"{}")
    clip = there.get_blob("clips/00/a.mp4")
    assert (clip.content_type, clip.cache_control) == ("video/mp4", storage.CACHING)
    assert clip.custom_time == taken.replace(tzinfo=UTC)
    assert clip.download_as_bytes() == b"film"
    assert there.get_blob("summary.json").content_type == "application/json"


def test_the_same_again_is_not_written_twice_and_something_else_replaces_it(bucket):
    uri, _, there = bucket
    storage.write(f"{uri}/a.mp4", b"film")
    first = there.get_blob("a.mp4").generation
    storage.write(f"{uri}/a.mp4", b"film")
    assert there.get_blob("a.mp4").generation == first
    storage.write(f"{uri}/a.mp4", b"other")
    assert there.get_blob("a.mp4").download_as_bytes() == b"other"


def test_a_write_whose_answer_got_lost_is_written_once(bucket):
    uri, faults, there = bucket
    faults.orders = [Fault("POST", "/upload", 503, after=True)]
    storage.write(f"{uri}/a.mp4", b"film")
    assert there.get_blob("a.mp4").download_as_bytes() == b"film"
    assert sum(method == "POST" for method, _ in faults.seen) == 2


def test_a_name_that_others_keep_changing_is_given_up(bucket):
    uri, faults, there = bucket
    put(there, "a.mp4", content=b"theirs")
    faults.orders = [Fault("POST", "/upload", 412, times=100)]
    with pytest.raises(OSError):
        storage.write(f"{uri}/a.mp4", b"ours")
    assert sum(method == "POST" for method, _ in faults.seen) == storage.WRITES
    assert there.get_blob("a.mp4").download_as_bytes() == b"theirs"


def test_deleting_in_a_bucket_is_done_once_it_is_gone(bucket):
    uri, _, there = bucket
    put(there, "a.mp4")
    storage.delete(f"{uri}/a.mp4")
    storage.delete(f"{uri}/a.mp4")
    assert there.get_blob("a.mp4") is None


def test_without_credentials_it_is_said_how_to_get_them(tmp_path, monkeypatch):
    for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    storage.client.cache_clear()
    with pytest.raises(PermissionError, match="gcloud auth"):
        storage.client()
