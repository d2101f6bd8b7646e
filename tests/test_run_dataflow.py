"""The Dataflow script: what it asks for, and what it submits."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "run_dataflow.sh"
WHOLE = {"--project": "p", "--region": "r", "--bucket": "b", "--input": "gs://b/photos", "--output": "gs://b/clips"}


def run(options, tmp_path):
    """Runs the script with a stand-in for the console script that prints its arguments."""
    stand_in = tmp_path / "cinematic-photos"
    stand_in.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    stand_in.chmod(0o755)
    environment = dict(os.environ, PATH=f"{tmp_path}:{os.environ['PATH']}")
    arguments = [part for option in options.items() for part in option]
    return subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, env=environment, timeout=30)


@pytest.mark.parametrize("missing", WHOLE)
def test_each_missing_option_is_named(missing, tmp_path):
    done = run({key: value for key, value in WHOLE.items() if key != missing}, tmp_path)
    assert done.returncode == 2
    assert f"{missing} is missing" in done.stderr


def test_a_local_output_is_refused(tmp_path):
    done = run(WHOLE | {"--output": "/home/me/clips"}, tmp_path)
    assert done.returncode == 2
    assert "gs://" in done.stderr


def test_it_submits_the_main_job_with_the_image(tmp_path):
    done = run(WHOLE | {"--image": "region-docker.pkg.dev/p/r/i", "--aspect": "9:16"}, tmp_path)
    assert done.returncode == 0, done.stderr
    arguments = done.stdout.splitlines()
    assert arguments[0] == "run"
    for part in ("--runner=DataflowRunner", "--project=p", "--sdk_container_image=region-docker.pkg.dev/p/r/i", "9:16"):
        assert part in arguments
    assert arguments[arguments.index("--input") + 1] == "gs://b/photos"


def test_without_an_image_workers_install_the_package(tmp_path):
    assert any(part.startswith("--setup_file=") for part in run(WHOLE, tmp_path).stdout.splitlines())
