"""The zoo through the public command: each file ends in the right clip or the right record, and no secret leaves with it."""

import json
import os
import threading
import time

import pyarrow.parquet as parquet
import pytest
from PIL import Image

from tests import zoo
from tests.beam_pipeline.test_run import KINDS
from tests.conftest import command

pytestmark = pytest.mark.command

TINY = ("--width", 128, "--seconds", 0.2, "--fps", 30, "--min-side", 100, "--duplicate-distance", -1, "--log-photos")
MINUTES = 8
GROWING = "growing.jpg"


def grow(path, ended):
    """Lets a file grow until it is told to end."""
    while not ended.wait(0.05):
        with open(path, "ab") as file:
            file.write(b"more")


@pytest.fixture(scope="module")
def visited(tmp_path_factory):
    """(what must become of each file, output folder, CompletedProcess, seconds)."""
    home = tmp_path_factory.mktemp("home of canary")
    library, output = home / "library", home / "output"
    library.mkdir()
    expected = zoo.build(library) | {GROWING.encode(): "missing"}
    (library / GROWING).write_bytes(zoo.jpeg())
    ended = threading.Event()
    grower = threading.Thread(target=grow, args=(library / GROWING, ended))
    grower.start()
    start = time.monotonic()
    try:
        done = command("run", "--input", library, "--output", output, *TINY, timeout=60 * MINUTES)
    finally:
        ended.set()
        grower.join()
    assert done.returncode == 0, done.stderr
    return expected, output, done, time.monotonic() - start


@pytest.fixture(scope="module")
def records(visited):
    """{path: row}."""
    return {row["path"]: row for kind in KINDS for row in parquet.read_table(visited[1] / kind).to_pylist()}


def test_the_zoo_is_large(visited):
    assert len(visited[0]) >= 60


def test_every_file_ends_as_it_must(visited, records):
    told = {name.decode("utf-8", "replace"): end for name, end in visited[0].items()}
    assert {path: row.get("reason") or zoo.CLIP for path, row in records.items()} == told


def test_the_sum_is_whole(visited):
    summary = json.loads((visited[1] / "summary.json").read_text())
    assert summary["photos"] == len(visited[0]) == sum(summary[kind] for kind in (*KINDS, "skipped"))


def test_every_clip_lies_as_its_photo_lies_upright(visited, records):
    """Turned by EXIF or not, in colour or not: the poster's shape is the clip's, and the eight turned ones look alike."""
    posters = [Image.open(visited[1] / row["poster"]) for row in records.values() if "poster" in row]
    assert {poster.size for poster in posters} == {(128, 172)}


def written(output):
    return {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}


def test_no_secret_of_a_photo_is_in_anything_that_is_written_or_said(visited):
    _, output, done, _ = visited
    home = os.fsencode(output.parent)
    said = {"stdout": done.stdout.encode(), "stderr": done.stderr.encode()}
    for place, content in (written(output) | said).items():
        for secret in (*zoo.CANARIES.values(), zoo.SECONDS):
            assert secret not in content, place
        assert b"GPS" not in content and b"Exif" not in content, place
        if place != "stdout":  # which tells the user where the results are
            assert home not in content, place


def test_the_canaries_are_there_to_be_found():
    content = zoo.jpeg()
    assert all(secret in content for secret in (*zoo.CANARIES.values(), zoo.SECONDS))


def test_the_standard_error_has_a_line_of_json_for_each_photo_and_nothing_else(visited, records):
    lines = [json.loads(line) for line in visited[2].stderr.splitlines()]
    assert {line["photo_id"]: line.get("reason") for line in lines} == {r["photo_id"]: r.get("reason") for r in records.values()}


def test_nothing_temporary_is_left(visited):
    assert not [path for path in visited[1].rglob("*") if "tmp" in path.name or "temp" in path.name]
