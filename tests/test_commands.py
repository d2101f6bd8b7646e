"""Every command in the documents: it can be parsed, and where this machine is all that it needs, it is run."""

import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from PIL import Image
from skimage import data

from beam_pipeline import cli, engines
from tests.test_documents import PAGES, ROOT

BLOCK = re.compile(r"^```(?:sh|bash)\n(.*?)^```", re.M | re.S)
# What other machines and programs run; here it is read, for the shell's grammar.
ELSEWHERE = {
    "docker",
    "gcloud",
    "git",
    "source",
    "pip",
    "pre-commit",
    "java",
    "mvn",
    "flink",
    "kubectl",
    "bq",
    "python",
    "tar",
    "cd",
    "curl",
}
QUICK = {"run": ("--width", "128", "--seconds", "0.2"), "render": ("--width", "128", "--seconds", "0.2")}


def commands():
    """(page, line) of each command, continued lines joined, comments and variables' assignments left out."""
    found = {}
    for page in PAGES:
        for block in BLOCK.findall(page.read_text()):
            for line in block.replace("\\\n", " ").splitlines():
                line = line.split(" # ")[0].strip()
                if line and not line.startswith("#") and not re.fullmatch(r"\w+=\S*", line):
                    found.setdefault(line, page.relative_to(ROOT))
    return sorted((str(page), line) for line, page in found.items())


def words_of(line):
    """The words of a command without assignments before it."""
    words = shlex.split(re.split(r"\s[>|]\s|&&", line)[0])
    while words and re.fullmatch(r"\w+=.*", words[0]):
        words.pop(0)
    return words


def test_the_documents_have_commands():
    assert len(commands()) > 10


@pytest.mark.parametrize(("page", "line"), commands())
def test_each_command_can_be_parsed(page, line, monkeypatch):
    assert subprocess.run(["bash", "-n", "-c", line], capture_output=True).returncode == 0
    words = words_of(line)
    program = words[0].removeprefix("./").removeprefix(".venv/bin/")
    if program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
        assert {word for word in words[1:] if "=" not in word} <= set(targets)
    elif program == "cinematic-photos":
        monkeypatch.setattr(cli.config, "read", lambda path: {"run": {"input": ["photos"], "output": "clips"}})
        args, flags = cli._parse(words[1:])
        if args.command == "run":
            engines.beam_options(flags, ())
        else:
            assert not flags
    elif program == "run_dataflow.sh":
        assert (ROOT / program).exists()
    else:
        assert program in ELSEWHERE, f"{page} has a command of an unknown program"


def local(line):
    words = words_of(line)
    program = words[0].removeprefix(".venv/bin/")
    return program == "cinematic-photos" and "gs://" not in line and "--runner" not in line and "https://" not in line


def _classes(grey):
    """Brightness as the logit of each of 21 classes."""
    import keras

    return keras.ops.repeat(grey, 21, axis=-1)


@pytest.fixture(scope="module")
def home(samples, library, finished, tmp_path_factory):
    """A user's home, with the photos and files that the documents speak of, and the command as it is installed."""
    home = tmp_path_factory.mktemp("home")
    (home / "Pictures").mkdir()
    for photo in samples.glob("*.jpg"):
        (home / "Pictures" / photo.name).write_bytes(photo.read_bytes())
    Image.fromarray(data.chelsea()).save(home / "beach.jpg")
    Image.fromarray(data.chelsea()).convert("L").save(home / "beach-depth.png")
    for folder in ("PHOTOS", "DATA/set/images", "DATA/set/rgb", "DATA/set"):
        (home / folder).mkdir(parents=True, exist_ok=True)
        (home / folder / "cat.jpg").write_bytes((samples / "cat.jpg").read_bytes())
    from tests.models.test_registry import as_is, convert, keras_network

    networks = {"midas_v21_small": (256, as_is), "deeplabv3": (257, _classes)}
    for name, (side, answer) in networks.items():
        (home / name).mkdir()
        os.rename(convert(keras_network(side, side, answer), home / name), home / f"{name}.tflite")
    shutil.copytree(finished[0], home / "OUT")
    shutil.copytree(library, home / "LIBRARY")
    (home / "marks.json").write_text('{"format": 1, "marks": {}}')
    (home / "bin").mkdir()
    command = home / "bin" / "cinematic-photos"
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m beam_pipeline "$@"\n')
    command.chmod(0o755)
    return home


@pytest.mark.slow
def test_the_commands_for_this_machine_do_what_they_say_one_after_the_other(home):
    """In the order of the documents: some build on what others have left."""
    lines = [line for page in PAGES for name, line in commands() if name == str(page.relative_to(ROOT)) and local(line)]
    assert len(lines) > 5
    environment = os.environ | {
        "HOME": str(home),
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        "XDG_DATA_HOME": str(home / "data"),
    }
    for line in ordered(lines):
        quick = re.sub(r"(cinematic-photos (run|render))\b", lambda m: " ".join((m[1], *QUICK[m[2]])), line)
        done = subprocess.run(["bash", "-c", quick], capture_output=True, text=True, cwd=home, env=environment, timeout=300)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def ordered(lines):
    """What makes results goes before what looks at them."""
    rank = {"models": 0, "run": 1, "render": 1, "perceive": 1}
    return sorted(lines, key=lambda line: ("--config" in line, rank.get(words_of(line)[1], 2)))
