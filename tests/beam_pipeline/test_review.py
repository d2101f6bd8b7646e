"""The review page's files: what they hold, what they must not, and how a second page replaces the first."""

import dataclasses
import json
import re
import subprocess
import sys

import pyarrow
import pyarrow.parquet as parquet
import pytest

from beam_pipeline import manifest, review, sinks
from tests.beam_pipeline.test_sinks import CANDIDATE, FAILURE, REJECTION
from transforms.settings import Settings

SETTINGS = {"settings": {"max_artifact_score": 1.2, "depth_model": "builtin"}}


def write_records(folder, *outcomes):
    """Records as a run leaves them."""
    for kind, name in manifest.FOLDERS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        rows = [sinks.row(outcome) for outcome in outcomes if isinstance(outcome, kind)]
        table = pyarrow.Table.from_pylist(rows, sinks.SCHEMAS[kind])
        parquet.write_table(table, folder / name / "part-00000-of-00001.parquet")
    (folder / "summary.json").write_text(json.dumps(SETTINGS))


def clip(number, **changes):
    return dataclasses.replace(CANDIDATE, photo_id=f"{number:016x}", **changes)


def handed_over(files, name):
    """The values that a script of the page hands over."""
    text = files[name].decode("ascii")
    return json.loads("[" + re.fullmatch(r"cinematic[.]\w+[(](.*)[)];\n", text, re.S)[1] + "]")


@pytest.fixture
def output(tmp_path):
    write_records(tmp_path, clip(1), clip(2, artifact_score=0.9), REJECTION, FAILURE)
    return tmp_path


def test_kinds_are_the_folders_of_the_records():
    assert review.KINDS == tuple(manifest.FOLDERS.values())


def test_every_record_is_an_entry_and_the_highest_score_comes_first(output):
    library = review.read_library(str(output))
    assert [row["kind"] for row in library.rows] == ["rejected", "candidates", "candidates", "failures"]
    assert [row["artifact_score"] for row in library.rows] == [9.0, 0.9, 0.25, None]
    assert library.rows[2]["people"] == CANDIDATE.people
    assert library.thresholds == {"max_artifact_score": 1.2}


def test_records_of_an_earlier_version_without_people_are_read(output):
    name = output / "candidates" / "part-00000-of-00001.parquet"
    parquet.write_table(parquet.read_table(name).drop_columns(["people"]), name)
    assert {row["people"] for row in review.read_library(str(output)).rows} == {None}


def test_of_too_many_photos_a_page_takes_those_with_the_lowest_ids(output):
    library = review.read_library(str(output), 2)
    assert (len(library.rows), library.photos) == (2, 4)
    assert {row["photo_id"] for row in library.rows} == {f"{n:016x}" for n in (1, 2)}


def test_rows_come_in_parts_that_name_their_page(output):
    library = review.read_library(str(output))
    files = review.page_files(library, rows=3)
    (told,) = handed_over(files, "data/library.js")
    parts = [handed_over(files, f"data/part-0000{number}.js") for number in (0, 1)]
    assert (told["parts"], told["entries"]) == (2, 4)
    assert [(build, number, len(rows)) for build, number, rows in parts] == [(told["build"], 0, 3), (told["build"], 1, 1)]
    assert dict(zip(told["columns"], parts[0][2][1], strict=True))["path"] == CANDIDATE.path
    assert f"page.js?{told['build']}".encode() in files["index.html"]
    assert list(files)[-1] == "index.html"


def test_a_name_that_is_a_script_stays_inside_its_string(tmp_path):
    write_records(tmp_path, clip(1, path="</script><script>alert(1)</script>\u2028.jpg"))
    files = review.page_files(review.read_library(str(tmp_path)))
    assert handed_over(files, "data/part-00000.js")[2][0][1] == "</script><script>alert(1)</script>\u2028.jpg"
    assert b"innerHTML" not in files["page.js"]


def test_a_page_replaces_an_earlier_one_and_leaves_nothing_temporary(output, monkeypatch):
    monkeypatch.setattr(review, "page_files", lambda library, details: page_files(library, details, 1))
    review.write_page(str(output), review.read_library(str(output)))
    monkeypatch.undo()
    where = review.write_page(str(output), review.read_library(str(output)))
    names = sorted(p.relative_to(output / "review").as_posix() for p in (output / "review").rglob("*") if p.is_file())
    assert names == ["data/library.js", "data/part-00000.js", "index.html", "page.js", "style.css"]
    assert where == str(output / "review" / "index.html")


page_files = review.page_files


def test_no_file_of_a_page_names_the_folder(output):
    review.write_page(str(output), review.read_library(str(output)))
    for path in (output / "review").rglob("*"):
        assert path.is_dir() or str(output).encode() not in path.read_bytes()


def test_the_highest_clips_and_the_nearest_rejections_get_details(tmp_path):
    torn = [dataclasses.replace(REJECTION, photo_id=f"{n:016x}", artifact_score=float(n)) for n in (11, 12, 13)]
    write_records(tmp_path, *(clip(n, artifact_score=n / 10) for n in (1, 2, 3)), *torn, FAILURE)
    library = review.read_library(str(tmp_path))
    picked = [int(row["photo_id"], 16) for row in review.chosen(library, 2, [f"{1:016x}"])]
    assert picked == [1, 3, 2, 11, 12]
    assert len(review.chosen(library, None)) == 6
    with pytest.raises(review.ReviewError, match="no record has this id"):
        review.chosen(library, 2, ["77"])


def test_details_are_forgotten_once_photo_or_configuration_is_another(output):
    (output / "review" / "details").mkdir(parents=True)
    versions = {f"{1:016x}": "9-1.5/f00", f"{2:016x}": "9-1.5/other", "77": "9-1.5/f00"}
    (output / "review" / "details" / "index.json").write_text(json.dumps(versions))
    assert review.known_details(str(output), review.read_library(str(output))) == {f"{1:016x}": "9-1.5/f00"}


def test_pictures_of_photos_that_are_gone_are_deleted(cli, output):
    for photo_id in (f"{1:016x}", "77"):
        (output / "review" / "details" / photo_id).mkdir(parents=True)
        (output / "review" / "details" / photo_id / "photo.jpg").touch()
    (output / "review" / "details" / "index.json").write_text(json.dumps({f"{1:016x}": "9-1.5/f00", "77": "9-1.5/f00"}))
    assert cli("review", output).returncode == 0
    assert [p.parent.name for p in (output / "review" / "details").rglob("photo.jpg")] == [f"{1:016x}"]
    assert json.loads((output / "review" / "details" / "index.json").read_text()) == {f"{1:016x}": "9-1.5/f00"}


def test_a_network_that_the_summary_names_without_its_place_must_be_named_again():
    summary = {"settings": {"depth_model": "midas.tflite", "width": 240}}
    with pytest.raises(review.ReviewError, match="--depth-model"):
        review.settings_of(summary, {})
    settings = review.settings_of(summary, {"depth": "/models/midas.tflite"})
    assert (settings.depth_model, settings.width) == ("/models/midas.tflite", 240)


@pytest.mark.parametrize(
    "arguments, says",
    [
        (("OUT",), "holds no records"),
        (("OUT", "--details", "few"), "--details"),
        (("OUT", "--entries", "0"), "--entries"),
        (("OUT", "--photo", "00ff"), "--photo needs --input"),
        (("OUT", "--input", "/nowhere"), "--input /nowhere is no folder"),
    ],
)
def test_what_cannot_be_ends_in_one_sentence_and_exit_code_2(cli, tmp_path, arguments, says):
    done = cli("review", *(str(tmp_path) if a == "OUT" else a for a in arguments))
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_run_gets_a_page_with_details_of_its_photos(cli, finished, library):
    output, _ = finished
    done = cli("review", output, "--input", library, "--details", 1)
    assert done.returncode == 0, done.stderr
    assert "review of 8 photos, 1 with details" in done.stdout
    files = {p.relative_to(output / "review").as_posix(): p.read_bytes() for p in (output / "review").rglob("*") if p.is_file()}
    (told,) = handed_over(files, "data/library.js")
    (photo_id,) = told["details"]
    of, report = handed_over(files, f"details/{photo_id}/detail.js")
    assert of == photo_id
    assert report["same"]  # the settings of the run were found again
    row = next(row for row in review.read_library(str(output)).rows if row["photo_id"] == photo_id)
    assert report["cameras"]["search"]["artifact_score"] == pytest.approx(row["artifact_score"], rel=0.01)
    for name in ("photo", "depth", "regions", "saliency", "artifacts-first", "artifacts-last", "path"):
        assert files[f"details/{photo_id}/{name}.jpg"].startswith(b"\xff\xd8"), name
    for name in report["cameras"]:
        assert len(files[f"details/{photo_id}/{name}.mp4"]) > 1000
    assert not any(str(library).encode() in data or b"Exif" in data for name, data in files.items())


def test_a_photo_that_has_changed_since_gets_no_details(tmp_path, samples, monkeypatch):
    write_records(tmp_path, clip(1, path="cat.jpg"), clip(2, path="../cat.jpg"), clip(3, path="gone.jpg"))
    monkeypatch.setattr(review, "detail_of", None)  # none gets so far
    told = []
    wanted = review.read_library(str(tmp_path)).rows
    made = review.write_details(str(tmp_path), str(samples), wanted, Settings(), "f00", told.append)
    assert made == {}
    text = "".join(told)
    for says in ("cat.jpg: The photo has changed", "../cat.jpg: Its path leads out", "gone.jpg: There is no such file"):
        assert says in text
    assert str(samples) not in text


def test_a_bucket_gets_the_same_page(cli, output, storage_emulator):
    review.write_page(str(output), review.read_library(str(output)))
    pages = {p.relative_to(output).as_posix(): p.read_bytes() for p in (output / "review").rglob("*") if p.is_file()}
    storage_emulator.put(storage_emulator.client.create_bucket("reviewed").name, "clips", output)
    for name in pages:
        storage_emulator.client.bucket("reviewed").blob(f"clips/{name}").delete()
    done = cli("review", "gs://reviewed/clips", environment=storage_emulator.environment)
    assert done.returncode == 0, done.stderr
    found = storage_emulator.files("reviewed", "clips/review")
    assert {name.removeprefix("clips/"): data for name, data in found.items()} == pages


def test_the_command_line_starts_without_beam():
    code = "import sys, beam_pipeline.cli; sys.exit('apache_beam' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
