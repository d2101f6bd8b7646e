"""What a submission starts from: a checkout of its own, its sdist, and a Python that has the project from there alone."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("beam_pipeline", "transforms", "models", "renderer")
SETUP = ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "requirements.lock")
PROJECT = (*ROOMS, *SETUP, "run_dataflow.sh", "flex_template.py", "docs", "benchmarks")
# What is in people's checkouts and must never travel.
JUNK = {
    ".venv/lib/python3.11/site-packages/other.py": "",
    ".env": "TOKEN=CANARY",
    "service-account.json": '{"private_key": "CANARY"}',
    "out/demo/clips/1d/clip.mp4": "",
    "tests/data/photo.jpg": "",
    "tests/test_more.py": "",
    "models/__pycache__/network.cpython-311.pyc": "",
    "models/private/notes.txt": "",
    "photos/beach.jpg": "",
}
# Of who submits, for the job to keep to itself.
PRIVATE = {"USER": "canary-user", "LOGNAME": "canary-user", "API_TOKEN": "canary-token", "HF_TOKEN": "canary-token"}
SETUP_SECONDS = 120


@pytest.fixture(scope="session")
def checkout(tmp_path_factory):
    """A copy of the project with what collects in a checkout: setuptools and Beam build in place, and two may build at once."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in PROJECT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    for name, text in JUNK.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def run(command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=SETUP_SECONDS, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build_sdist(source, folder):
    """The sdist of a source tree, built as Beam builds it for --setup_file."""
    run([sys.executable, "setup.py", "-q", "sdist", "--dist-dir", folder], cwd=source)
    (built,) = folder.glob("*.tar.gz")
    return built


def clean_python(folder, package):
    """A Python in a virtual environment that has `package`, an sdist, and of this environment what others wrote.

    A .pth file lends the folder of installed packages; its own .pth files, which an editable install hooks in by, stay unread.
    """
    run([sys.executable, "-m", "venv", "--without-pip", folder])
    python = folder / "bin" / "python"
    (site,) = (folder / "lib").glob("python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = ["install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--force-reinstall", package]
    run([sys.executable, "-m", "pip", "--python", python, *install], cwd=folder)
    return python


@pytest.fixture(scope="session")
def sdist(checkout, tmp_path_factory):
    return build_sdist(checkout, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="session")
def submit(checkout, storage_emulator):
    """A function that runs the checkout's script against the emulator; gives the CompletedProcess."""
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    environment = dict(os.environ, PATH=path, **PRIVATE, **storage_emulator.environment)

    def run_script(*options):
        command = [checkout / "run_dataflow.sh", *options]
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment, timeout=SETUP_SECONDS)

    return run_script
