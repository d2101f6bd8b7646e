"""What was staged is enough: two fresh processes that have the staged package alone do the job, from gs:// to gs://."""

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from tests.beam_pipeline.test_run import KINDS, SMALL, files, records
from tests.dataflow import replay
from tests.dataflow.conftest import ROOT, clean_python

BUCKET = "a-library"
WORKERS = 2
SECONDS = 300


def children():
    """{process id: (its parent's, command line, environment)} of every process that this user may look at."""
    result = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            pairs = (pair.partition("=") for pair in (folder / "environ").read_bytes().decode(errors="replace").split("\0"))
            result[int(folder.name)] = parent, words, {name: value for name, _, value in pairs}
    return result


def drawing_below(process):
    """{process id of a worker: the PYTHONPATH of its drawing process, which is the worker's own}."""
    known = children()

    def below(pid):
        while pid in known and pid != process:
            pid = known[pid][0]
        return pid == process

    return {
        parent: environment.get("PYTHONPATH", "")
        for pid, (parent, words, environment) in known.items()
        if any(word.startswith("renderer.") for word in words) and below(pid)
    }


@pytest.fixture(scope="module")
def replayed(checkout, submit, storage_emulator, library, tmp_path_factory):
    """(output folder, {worker: PYTHONPATH}): the job as the script submits it, done by workers that have what it staged."""
    folder = tmp_path_factory.mktemp("replay")
    storage_emulator.client.create_bucket(BUCKET)
    storage_emulator.put(BUCKET, "photos", library)
    where = ("--project", "a-project", "--region", "europe-west4", "--bucket", BUCKET)
    what = ("--input", f"gs://{BUCKET}/photos/", "--output", f"gs://{BUCKET}/out", *SMALL, "--record-shards", 2)
    done = submit(*where, *what, f"--template_location=gs://{BUCKET}/job.json")
    assert done.returncode == 0, done.stderr

    bucket = storage_emulator.client.bucket(BUCKET)
    bucket.blob("job.json").download_to_filename(folder / "job.json")
    job = json.loads((folder / "job.json").read_text())
    staged = job["environment"]["sdkPipelineOptions"]["options"]["staging_location"].removeprefix(f"gs://{BUCKET}/")
    for name in ("pipeline.pb", "workflow.tar.gz"):
        bucket.blob(f"{staged}/{name}").download_to_filename(folder / name)
    python = clean_python(folder / "venv", folder / "workflow.tar.gz")

    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [python, replay.__file__, folder / "pipeline.pb", folder / "job.json", WORKERS]
    workers, over = {}, time.monotonic() + SECONDS
    # A group of its own, so that nothing of it outlives the test.
    own = {"cwd": folder, "env": clean | storage_emulator.environment, "start_new_session": True}
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=subprocess.STDOUT, **own)
        try:
            while process.poll() is None and time.monotonic() < over:
                workers |= drawing_below(process.pid)
                time.sleep(0.2)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
    assert process.returncode == 0, (folder / "log").read_text()[-3000:]
    for name, data in storage_emulator.files(BUCKET, "out/").items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder / "out", workers


@pytest.mark.slow
def test_the_clips_are_those_of_a_local_run_byte_by_byte(replayed, finished):
    ours, (theirs, _) = replayed[0], finished
    assert files(ours) == files(theirs)


@pytest.mark.slow
def test_every_photo_has_the_record_of_a_local_run(replayed, finished):
    ours, (theirs, _) = replayed[0], finished
    for kind in KINDS:
        both = records(ours, kind), records(theirs, kind)
        for rows in both:
            for row in rows.values():
                del row["cpu_seconds"], row["peak_mb"], row["version"]  # a bucket has versions of its own
        assert both[0] == both[1]
    summary = json.loads((ours / "summary.json").read_text())
    assert summary["photos"] == sum(summary[key] for key in ("candidates", "rejected", "failures", "skipped")) == 8


@pytest.mark.slow
def test_two_processes_have_worked_and_ran_the_staged_package(replayed):
    output, workers = replayed
    assert len(workers) == WORKERS
    for places in workers.values():
        assert str(output.parent / "venv") in places
        assert not [place for place in places.split(os.pathsep) if place == str(ROOT) or "checkout" in place]


@pytest.mark.slow
def test_records_lie_in_the_asked_number_of_files_and_nothing_temporary_is_left(replayed):
    output, _ = replayed
    assert {path.name for path in output.iterdir()} == {"clips", *KINDS, "summary.json", "summary.md"}
    for kind in KINDS:
        assert len(list((output / kind).iterdir())) == 2
        assert all(parquet.ParquetFile(path) for path in (output / kind).iterdir())
