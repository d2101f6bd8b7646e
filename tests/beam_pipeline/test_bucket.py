"""The main job over a bucket, through its public command: the same as over a disk, whatever the bucket does meanwhile."""

import io
import json

import pyarrow.parquet as parquet
import pytest
from PIL import Image
from skimage import data

from tests.conftest import SMALL, command
from tests.faults import Fault, faulty

pytestmark = pytest.mark.command

TOLD = {"path", "phash", "digest", "photo_id", "reason", "stage", "artifact_score", "clip", "frames", "capture_time"}


@pytest.fixture(scope="module")
def photos(samples, tmp_path_factory):
    """A library on disk: three photos, one of which a bucket will lose for a while, and a file that is none."""
    root = tmp_path_factory.mktemp("photos")
    (root / "2014").mkdir()
    (root / "2014" / "astronaut.jpg").write_bytes((samples / "astronaut.jpg").read_bytes())
    (root / "cat.jpg").write_bytes((samples / "cat.jpg").read_bytes())
    Image.fromarray(data.coffee()).save(root / "gone.png")
    (root / "letter.jpg").write_text("Dear reader, this is no photo.")
    return root


def records(files, kind):
    """{path: row} of records among {name: bytes}."""
    tables = [parquet.read_table(io.BytesIO(content)) for name, content in files.items() if f"/{kind}/part-" in name]
    rows = [{key: row[key] for key in TOLD & row.keys()} for table in tables for row in table.to_pylist()]
    return {row["path"]: row for row in rows}


def photos_read(seen):
    """Names of the photos whose bytes were asked for."""
    return {path.split("/o/photos/")[1].split("?")[0] for _, path in seen if "/b/library/o/" in path and "alt=media" in path}


@pytest.fixture(scope="module")
def nights(photos, storage_emulator, tmp_path_factory):
    """[(files, stdout, photos read)] of a night of trouble, of one without news, of one after a copy of the library; and the
    files of a run over the disk."""
    storage_emulator.put(storage_emulator.client.create_bucket("library").name, "photos", photos)
    storage_emulator.client.create_bucket("results")
    arguments = ("run", "--input", "gs://library/photos", "--output", "gs://results/clips", *SMALL, "--direct_num_workers=1")
    found = []
    with faulty(storage_emulator) as (faults, endpoint):

        def night(*orders):
            faults.orders, faults.seen[:] = list(orders), []
            done = command(*arguments, environment=storage_emulator.environment | {"STORAGE_EMULATOR_HOST": endpoint})
            assert done.returncode == 0, done.stderr
            found.append((storage_emulator.files("results"), done.stdout, photos_read(faults.seen)))

        night(
            Fault("GET", "cat.jpg", 503),
            Fault("GET", "astronaut.jpg?alt=media", seconds=3),
            Fault("GET", "/o/photos/gone.png", 404, times=100),
            Fault("POST", "/b/results/o?uploadType", 503, after=True),
        )
        night(Fault("GET", "/o/photos/gone.png", 404, times=100))
        storage_emulator.put("library", "photos", photos)  # new generations of the same bytes
        night()
    local = tmp_path_factory.mktemp("local")
    done = command("run", "--input", photos, "--output", local, *SMALL)
    assert done.returncode == 0, done.stderr
    return found, {f"clips/{p.relative_to(local)}": p.read_bytes() for p in sorted(local.rglob("*")) if p.is_file()}


def test_trouble_that_passes_leaves_no_trace_and_what_is_gone_is_a_failure(nights):
    ((files, _, _), *_), _ = nights
    assert set(records(files, "candidates")) == {"2014/astronaut.jpg", "cat.jpg"}
    failures = {path: (row["stage"], row["reason"]) for path, row in records(files, "failures").items()}
    assert failures == {"gone.png": ("read", "missing"), "letter.jpg": ("decode", "unsupported")}
    summary = json.loads(files["clips/summary.json"])
    assert (summary["photos"], summary["candidates"], summary["failures"]) == (4, 2, 2)


def test_a_night_without_news_reads_no_photo_but_what_failed(nights):
    (_, (files, told, read), _), _ = nights
    assert read == {"gone.png"}
    assert "3 skipped" in told
    assert set(records(files, "candidates")) == {"2014/astronaut.jpg", "cat.jpg"}


def test_copied_photos_are_compared_and_not_animated_again(nights):
    (_, (before, *_), (files, told, read)), _ = nights
    assert "3 skipped" in told
    assert read == {"2014/astronaut.jpg", "cat.jpg", "letter.jpg", "gone.png"}
    clips = {name for name in before if name.startswith("clips/clips/")}
    assert {name: files[name] for name in clips} == {name: before[name] for name in clips}
    assert "gone.png" in records(files, "candidates")


def test_a_bucket_ends_up_with_what_a_disk_does(nights):
    (_, _, (files, _, _)), local = nights
    clips = [name for name in local if name.startswith("clips/clips/")]
    assert len(clips) == 6
    assert {name for name in files if name.startswith("clips/clips/")} == set(clips)
    assert all(files[name] == local[name] for name in clips)
    for kind in ("candidates", "rejected", "failures"):
        assert records(files, kind) == records(local, kind)
    assert not [name for name in files if "tmp" in name or "temp" in name]


@pytest.mark.parametrize(("source", "target", "option"), [("nowhere", "results", "--input"), ("library", "nowhere", "--output")])
def test_a_bucket_that_is_not_there_is_one_sentence(storage_emulator, nights, source, target, option):
    done = command(
        "run", "--input", f"gs://{source}/photos", "--output", f"gs://{target}/a", environment=storage_emulator.environment
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"{option} cannot be reached: there is no such bucket" in done.stderr


def test_without_credentials_the_command_says_how_to_get_them(tmp_path):
    nobody = {"NO_GCE_CHECK": "true", "CLOUDSDK_CONFIG": str(tmp_path), "GOOGLE_APPLICATION_CREDENTIALS": ""}
    done = command("run", "--input", "gs://library/photos", "--output", "gs://results/a", environment=nobody)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "gcloud auth" in done.stderr
