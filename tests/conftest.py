"""Shared photos, and one real run of the main job that many tests look at."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from beam_pipeline.samples import write_samples
from tests import cloud

SMALL = ("--width", 240, "--seconds", 0.5, "--fps", 30)  # fifteen frames that draw in half a second
RUN_TIMEOUT = 420  # seconds; Beam's local runner has no recovery, a killed worker would hang the tests


def command(*arguments, timeout=RUN_TIMEOUT, environment=None, **options):
    """Runs the public command line as a user would, with more environment; returns the CompletedProcess with its texts."""
    return subprocess.run(
        [sys.executable, "-m", "beam_pipeline", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=os.environ | (environment or {}),
        **options,
    )


@pytest.fixture(scope="session")
def cli():
    return command


@pytest.fixture(scope="session")
def samples(tmp_path_factory):
    """The sample library: real photos with a capture time."""
    folder = tmp_path_factory.mktemp("samples")
    write_samples(folder)
    return folder


@pytest.fixture(scope="session")
def library(samples, tmp_path_factory):
    """A small library as people have them: three good photos in folders, and five files that are none."""
    root = tmp_path_factory.mktemp("library")
    (root / "2014" / "trip to [KSC]").mkdir(parents=True)
    astronaut = (samples / "astronaut.jpg").read_bytes()
    (root / "2014" / "ASTRONAUT.JPG").write_bytes(astronaut)
    (root / "2014" / "trip to [KSC]" / "cat.jpeg").write_bytes((samples / "cat.jpg").read_bytes())
    Image.fromarray(data.coffee()).save(root / "coffee.png")
    (root / "cut.jpg").write_bytes(astronaut[: len(astronaut) // 2])
    (root / "empty.jpg").touch()
    (root / "letter.jpg").write_text("Dear reader, this is no photo.\n" * 50)
    Image.fromarray(data.chelsea()).resize((90, 60)).save(root / "thumbnail.jpg")
    frames = [Image.fromarray(data.chelsea()).resize((320, 260)), Image.fromarray(data.coffee()).resize((320, 260))]
    frames[0].save(root / "moving.gif", save_all=True, append_images=frames[1:])
    (root / "notes.txt").write_text("not looked at: a folder gives its photos alone")
    return root


@pytest.fixture(scope="session")
def finished(library, tmp_path_factory):
    """(output folder, CompletedProcess) of a run over `library`, at a size that takes seconds."""
    output = tmp_path_factory.mktemp("output")
    done = command("run", "--input", library, "--output", output, *SMALL)
    assert done.returncode == 0, done.stderr
    return Path(output), done


@pytest.fixture(scope="session")
def storage_emulator(tmp_path_factory):
    """A tests.cloud.Emulator: gs:// in memory, for this session alone."""
    with cloud.emulated_storage(tmp_path_factory.mktemp("gcloud")) as emulator:
        yield emulator
