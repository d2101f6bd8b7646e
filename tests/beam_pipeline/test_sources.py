"""Patterns name each photo of a library once, under a name that tells nothing of the machine."""

import itertools
import os
import re

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from beam_pipeline import sources, storage
from beam_pipeline.storage import File
from transforms.elements import Failed, FailReason

# File names that a disk takes and that are easily broken on the way: bytes, as the disk knows them.
ODD_NAMES = [b"caf\xe9.jpg", b"two\nlines.jpg", "日本.jpg".encode(), b"a b.jpg", b"[x]*.jpg", b"%41#.jpg", b"-f.jpg", b"\\.jpg"]


@pytest.fixture
def library(tmp_path):
    root = tmp_path / "library"
    root.mkdir()
    return root


def fill(root, *names):
    """Empty files below `root`, names as text or bytes."""
    for name in names:
        path = os.path.join(os.fsencode(root), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        open(path, "wb").close()


def listed(pattern, root, output=None):
    """Names of the listed files relative to `root`, sorted; more than a hundred are cut off, as loops have no end."""
    files = itertools.islice(sources.list_photos(str(pattern), output and str(output)), 100)
    return sorted(os.path.relpath(file.uri, root) for file in files)


# Listing


def test_a_folder_gives_every_photo_below_it_whatever_the_case_of_its_ending(library):
    photos = ["1.jpg", "2.JPG", "2024/3.JpEg", "2024/may/4.HEIC", "2024/may/5.png", "6.webp", "7.TIF", "8.bmp", "9.gif"]
    fill(library, *photos, "notes.txt", "2024/clip.mp4", "jpg", "album.jpg/photo.txt")
    assert listed(library, library) == sorted(photos)


@pytest.mark.parametrize(
    "pattern, names",
    [
        ("*.jpg", ["a.jpg"]),
        ("[ab].*", ["a.jpg", "b.PNG"]),
        ("2024/?.jpg", ["2024/c.jpg"]),
        ("*/*", ["2024/c.jpg", "2024/notes.txt"]),
        ("**/*.jpg", ["2024/c.jpg", "2024/may/d.jpg", "a.jpg"]),
        ("2024/may/d.jpg", ["2024/may/d.jpg"]),
        ("*.webp", []),
        ("nowhere", []),
    ],
)
def test_a_glob_gives_what_it_says_and_no_folders(library, pattern, names):
    fill(library, "a.jpg", "b.PNG", "2024/c.jpg", "2024/notes.txt", "2024/may/d.jpg")
    assert listed(library / pattern, library) == names


@pytest.mark.parametrize("pattern", ["", "**/*.jpg"])
@pytest.mark.parametrize("output", ["clips", "clips/"])
def test_nothing_below_the_output_folder_is_a_photo_of_the_library(library, pattern, output):
    fill(library, "a.jpg", "clips/00/poster.jpg", "clips-of-others/b.jpg")
    assert listed(library / pattern, library, f"{library}/{output}") == ["a.jpg", "clips-of-others/b.jpg"]


@pytest.mark.parametrize("pattern", ["", "**/*.jpg"])
def test_loops_of_links_end_and_give_each_photo_once(library, pattern):
    fill(library, "a.jpg")
    for name in ("again", "and again"):
        (library / name).symlink_to(library)
    assert listed(library / pattern, library) == ["a.jpg"]


def test_a_pipe_which_would_block_its_reader_is_no_photo(library):
    os.mkfifo(library / "pipe.jpg")
    assert listed(library, library) == []


@pytest.mark.parametrize("folder", ["[x]", "2024*", "who?", "[", "caf\udce9"])
def test_a_folder_may_hold_wildcards_in_its_name(library, folder):
    fill(library, f"{folder}/a.jpg", "x/b.jpg", "20245/c.jpg")
    assert listed(library / folder, library) == [f"{folder}/a.jpg"]
    assert sources.library_root([str(library / folder)]) == str(library / folder)


def test_relative_patterns_and_the_home_folder_are_understood(library, monkeypatch):
    fill(library, "a.jpg")
    monkeypatch.chdir(library.parent)
    monkeypatch.setenv("HOME", str(library.parent))
    assert listed("library", library) == listed("~/library", library) == listed("./library/*.jpg", library) == ["a.jpg"]


# Naming


def named(uri, root="/library"):
    return sources.photo_ref(File(os.fsdecode(uri), 1, 0.0, "1-0"), root)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_odd_file_name_survives_and_gives_a_path_that_can_be_written(library, name):
    fill(library, name)
    path = os.path.join(os.fsencode(library), name)
    with open(path, "wb") as file:
        file.write(b"pixels")
    (file,) = sources.list_photos(str(library))
    assert file.size == len(b"pixels")
    ref = sources.photo_ref(file, str(library))
    assert os.fsencode(ref.uri) == path
    assert sources.read_bytes(ref.uri) == b"pixels"
    assert ref.path == name.decode("utf-8", "replace")
    assert ref.path.encode("utf-8")  # raises on what is not text


def test_names_that_look_alike_once_they_are_text_keep_apart():
    first, second = (named(b"/library/caf" + byte + b".jpg") for byte in (b"\xe9", b"\xe8"))
    assert first.path == second.path
    assert first.photo_id != second.photo_id


def test_the_path_is_all_that_the_photo_id_depends_on():
    refs = [
        named(uri, root)
        for uri, root in [
            (b"/home/ann/photos/2024/a.jpg", "/home/ann/photos"),
            (b"/mnt/2024/a.jpg", "/mnt/"),
            (b"/2024/a.jpg", "/"),
            (b"gs://bucket/2024/a.jpg", "gs://bucket"),
        ]
    ]
    assert {ref.path for ref in refs} == {"2024/a.jpg"}
    assert len({ref.photo_id for ref in refs}) == 1
    assert re.fullmatch("[0-9a-f]{16}", refs[0].photo_id)


def test_different_paths_have_different_photo_ids():
    names = [b"a.jpg", b"A.jpg", b"b.jpg", b"2024/a.jpg", b"a.jpg\n", *ODD_NAMES]
    assert len({named(b"/library/" + name).photo_id for name in names}) == len(names)


@pytest.mark.parametrize(
    "patterns, root",
    [
        ([""], ""),
        (["2024", "2025"], ""),
        (["2024", "2024/may"], "2024"),
        (["2024/*.jpg", "2024/**/*.png"], "2024"),
        (["2024/m*/x/*.jpg"], "2024"),
        (["2024/may/a.jpg"], "2024/may"),
        (["2024", "2024-05"], ""),  # one name begins with the other: they share letters, no folder
    ],
)
def test_the_root_is_the_folder_that_all_patterns_lie_under(library, patterns, root):
    fill(library, "2024/may/a.jpg", "2024-05/b.jpg", "2025/c.jpg")
    assert sources.library_root([str(library / pattern) for pattern in patterns]) == str(library / root)


@pytest.mark.parametrize(
    "patterns, root",
    [
        (["gs://bucket/2024/*.jpg"], "gs://bucket/2024"),
        (["gs://bucket/2024/", "gs://bucket/2025/*/x.png"], "gs://bucket"),
        (["gs://bucket/*"], "gs://bucket"),
    ],
)
def test_the_root_of_a_bucket_is_never_above_the_bucket(patterns, root):
    assert sources.library_root(patterns) == root


@pytest.mark.parametrize(
    "patterns", [["gs://one/*.jpg", "gs://two/*.jpg"], ["/photos/*.jpg", "gs://one/*"], ["gs://one/*", "/photos/*.jpg"]]
)
def test_patterns_without_a_common_folder_are_refused(patterns):
    with pytest.raises(ValueError, match="--input"):
        sources.library_root(patterns)


# In a pipeline


def test_list_photos_names_each_file_by_its_photo_id_however_many_patterns_match_it(library):
    names = [b"a.jpg", b"2024/b.jpg", *ODD_NAMES]
    fill(library, *names)
    patterns = [str(library), f"{library}/**/*.jpg", f"{library}/2024/b.jpg"]
    expected = [named(os.path.join(os.fsencode(library), name), str(library)) for name in names]
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        refs = pipeline | sources.ListPhotos(patterns, sources.Listing(str(library), None))
        # as a stage would meet them: fused, and the files still there
        found = refs | beam.Map(lambda ref: (ref.photo_id, ref.path, sources.read_bytes(ref.uri))) | beam.Distinct()
        assert_that(found, equal_to([(ref.photo_id, ref.path, b"") for ref in expected]))


def test_list_photos_leaves_out_the_output_folder(library):
    fill(library, "a.jpg", "out/clips/00/poster.jpg")
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        refs = pipeline | sources.ListPhotos([str(library)], sources.Listing(str(library), str(library / "out")))
        assert_that(refs | beam.Map(lambda ref: ref.path), equal_to(["a.jpg"]))


def test_photo_refs_with_odd_names_cross_a_shuffle(library):
    fill(library, *ODD_NAMES)
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        refs = pipeline | sources.ListPhotos([str(library)], sources.Listing(str(library), None)) | beam.Reshuffle()
        uris = [os.fsencode(file.uri) for file in sources.list_photos(str(library))]
        assert_that(refs | beam.Map(lambda ref: os.fsencode(ref.uri)), equal_to(uris))


def test_folders_at_any_depth_are_listed_whatever_their_names(library):
    names = ["a.jpg", "1/b.jpg", "1/2/c.jpg", "1/2/3/d.jpg", "1/2/3/4/5/e.jpg", "caf\udce9/x/y/z/f.jpg"]
    fill(library, *names)
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        refs = pipeline | sources.ListPhotos([str(library)], sources.Listing(str(library), None))
        assert_that(
            refs | beam.Map(lambda ref: ref.path), equal_to([os.fsencode(name).decode("utf-8", "replace") for name in names])
        )


def test_a_folder_that_cannot_be_listed_is_told_and_not_passed_over(library, monkeypatch):
    """As root nothing is closed, hence by a listing that refuses."""
    fill(library, "a.jpg", "lost+found/b.jpg")
    scan = storage.scan

    def refuse(folder):
        if folder.endswith("lost+found"):
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(storage, "scan", refuse)
    assert listed(library, library) == ["a.jpg", "lost+found"]
    pattern = sources.Pattern.of(str(library))
    place = sources.Place(pattern, pattern.start)
    refs = list(sources.Listing(str(library), None).below(place))
    with pytest.raises(Failed) as failed:
        sources.read_photo(next(ref for ref in refs if ref.path == "lost+found"))
    assert failed.value.reason is FailReason.NO_ACCESS
    with pytest.raises(PermissionError, match="--prune"):
        list(sources.Listing(str(library), None, strict=True).below(place))


def sliced(library, **part):
    """Names of the photos of a Slice."""
    listing = sources.Listing(str(library), None, sources.Slice(**part))
    return [ref.path for ref in listing.first([sources.Pattern.of(str(library))])]


def test_the_shards_of_a_library_hold_every_photo_once(library):
    fill(library, *[f"{i}.jpg" for i in range(60)])
    parts = [sliced(library, shard=(i, 4)) for i in range(4)]
    assert sorted(itertools.chain(*parts)) == sorted(f"{i}.jpg" for i in range(60))
    assert all(5 <= len(part) <= 25 for part in parts)


def test_a_limit_takes_no_more_and_since_no_older(library):
    fill(library, "old.jpg", *[f"{i}.jpg" for i in range(5)])
    os.utime(library / "old.jpg", (1e9, 1e9))
    assert len(sliced(library, limit=3)) == 3
    assert sorted(sliced(library, since=1.1e9)) == sorted(f"{i}.jpg" for i in range(5))


def test_the_version_of_a_photo_changes_with_its_bytes_and_its_time(library):
    def version():
        (file,) = sources.list_photos(str(library))
        return file.version

    fill(library, "a.jpg")
    os.utime(library / "a.jpg", (1e9, 1e9))
    first = version()
    assert version() == first
    (library / "a.jpg").write_bytes(b"x")
    os.utime(library / "a.jpg", (1e9, 1e9))
    second = version()
    os.utime(library / "a.jpg", (1e9, 1e9 + 1e-3))
    assert len({first, second, version()}) == 3


# Reading


def test_a_file_is_read_as_it_is_even_where_its_name_promises_compression(library):
    (library / "scan.jpg.gz").write_bytes(b"pixels")
    assert sources.read_bytes(str(library / "scan.jpg.gz")) == b"pixels"


def fail_to_read(path):
    with pytest.raises(Failed) as failed:
        sources.read_bytes(str(path))
    assert str(path) not in failed.value.detail and str(path.parent) not in failed.value.detail
    return failed.value.reason


def test_a_file_that_is_gone_is_missing(library):
    assert fail_to_read(library / "gone.jpg") is FailReason.MISSING


def test_a_link_to_nowhere_is_missing(library):
    (library / "dangling.jpg").symlink_to(library / "gone.jpg")
    assert fail_to_read(library / "dangling.jpg") is FailReason.MISSING


def test_what_cannot_be_opened_gives_no_access(library):
    (library / "folder.jpg").mkdir()
    assert fail_to_read(library / "folder.jpg") is FailReason.NO_ACCESS


def test_a_file_that_changes_after_it_was_listed_is_not_read_as_what_was_listed(library):
    path = library / "growing.jpg"
    path.write_bytes(b"half")
    (file,) = sources.list_photos(str(library))
    ref = sources.photo_ref(file, str(library))
    assert sources.read_photo(ref) == b"half"
    path.write_bytes(b"half and half")
    with pytest.raises(Failed) as failed:
        sources.read_photo(ref)
    assert failed.value.reason is FailReason.MISSING


def test_a_pipe_in_the_place_of_a_listed_file_does_not_block(library):
    os.mkfifo(library / "a.jpg")
    with pytest.raises(Failed):
        sources.read_bytes(str(library / "a.jpg"), "4-1")


def test_a_file_too_large_to_be_a_photo_is_not_read_whole(library, monkeypatch):
    monkeypatch.setattr(sources, "MAX_BYTES", 1 << 20)  # half a gigabyte takes too long here
    (library / "film.jpg").write_bytes(bytes((1 << 20) + 1))
    assert fail_to_read(library / "film.jpg") is FailReason.TOO_LARGE


def test_one_photo_is_itself_whatever_brackets_its_name_holds(tmp_path):
    photo = tmp_path / "me [1]*.jpg"
    photo.write_bytes(b"any")
    assert [file.uri for file in sources.list_photos(str(photo))] == [str(photo)]
