"""What a machine has and lacks to animate photos, and what to do about it."""

import argparse
import dataclasses
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator

import numpy as np

from beam_pipeline import console
from beam_pipeline.commands import DONE, WRONG
from models import registry, shelf
from renderer import encode, gl
from renderer.child import ChildCrashed
from renderer.encode import FORMATS
from renderer.studio import Studio

TEXT = "Look at this machine: drawing, codecs, networks, Beam, credentials, disk, and what to do where something is missing."
EPILOG = "Exit code 2 where photos cannot be animated."
GOOD, OPTIONAL, BAD = "good", "optional", "bad"
COLOURS = {GOOD: "green", OPTIONAL: "yellow", BAD: "red"}
PROCESS_GB = 1.8  # a worker and its two children at 1080 pixels, by `make bench`
FREE_GB = 2.0  # that temporary files and a few thousand clips need at least (choice)
PYTHONS = ((3, 11), (3, 12))
PHOTO = np.zeros((64, 64, 3), np.uint8)


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one look told.

    Attributes:
      what: was looked at.
      state: good; optional: something is missing that most do without; bad: photos cannot be animated.
      told: what was found, one sentence or less.
      advice: what to do where it is not good.
    """

    what: str
    state: str
    told: str
    advice: str = ""


def python() -> Finding:
    good = sys.version_info[:2] in PYTHONS
    return Finding("Python", GOOD if good else BAD, platform.python_version(), "" if good else "Install Python 3.11 or 3.12.")


def packages() -> Finding:
    from beam_pipeline.options import versions

    found = versions()
    told = ", ".join(f"{name} {found[name]}" for name in ("apache-beam", "tensorflow", "keras", "av"))
    return Finding("packages", GOOD, told)


def drawing() -> Iterator[Finding]:
    for kind, name in (("cpu", "drawing by the CPU"), ("gl", "drawing by GL")):
        studio = Studio(kind, seconds=60)
        try:
            yield Finding(name, GOOD, studio.check())
        except (gl.GLUnavailable, ChildCrashed) as error:
            yield Finding(name, OPTIONAL if kind == "gl" else BAD, "not there", str(error))
        finally:
            studio.close()


def codecs() -> Iterator[Finding]:
    planes = np.full((96, 64), 128, np.uint8)  # grey, in planar 4:2:0
    for name in FORMATS:
        try:
            encode.video([planes, planes], 64, 64, 30, format=name)
            yield Finding(f"{name} clips", GOOD, "can be written")
        except Exception as error:  # whatever a library without that codec raises
            advice = "Install the `av` package from PyPI: its wheels bring the codecs."
            yield Finding(f"{name} clips", BAD if name == "mp4" else OPTIONAL, type(error).__name__, advice)


def networks() -> Iterator[Finding]:
    try:
        registry.Networks(dict.fromkeys(registry.ROLES, registry.BUILTIN))(PHOTO)
        yield Finding("built-in network", GOOD, f"answers ({registry.BUILTIN_WEIGHTS.stat().st_size / 1e6:.1f} MB)")
    except (registry.ModelError, OSError) as error:
        yield Finding("built-in network", BAD, type(error).__name__, "Install the package again: its weights are missing.")
    folder = shelf.default_folder()
    for card in shelf.cards(folder):
        try:
            shelf.verify(folder, card)
            yield Finding(f"model {card.name}", GOOD, f"{card.role}, as it was when it was added")
        except registry.ModelError as error:
            yield Finding(f"model {card.name}", OPTIONAL, "changed", str(error))


def beam() -> Finding:
    import apache_beam
    from apache_beam.options.pipeline_options import PipelineOptions

    with apache_beam.Pipeline("FnApiRunner", options=PipelineOptions([])) as pipeline:
        pipeline | apache_beam.Create([1, 2, 3]) | apache_beam.CombineGlobally(sum)
    return Finding("Beam's local runner", GOOD, "runs a pipeline")


def credentials() -> Finding:
    from beam_pipeline import storage

    advice = "For gs://: gcloud auth application-default login. Photos on disk need none."
    try:
        client = storage.client()
    except OSError:
        return Finding("Google credentials", OPTIONAL, "none", advice)
    return Finding("Google credentials", GOOD, type(client._credentials).__name__)


def disk() -> Finding:
    free = shutil.disk_usage(tempfile.gettempdir()).free / 1e9
    good = free >= FREE_GB
    advice = "" if good else f"Free some space, or let TMPDIR name another folder: {FREE_GB:g} GB are the least."
    return Finding("disk for temporary files", GOOD if good else BAD, f"{free:.0f} GB free", advice)


def memory() -> Finding:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    cores = len(os.sched_getaffinity(0))
    good = total >= PROCESS_GB * cores
    advice = "" if good else f"Run fewer processes: --direct_num_workers={max(1, int(total // PROCESS_GB))}."
    return Finding("memory", GOOD if good else OPTIONAL, f"{total:.0f} GB for {cores} processes of {PROCESS_GB:g}", advice)


Look = Callable[[], Finding | Iterator[Finding]]
LOOKS: tuple[Look, ...] = (python, packages, disk, memory, drawing, codecs, credentials, networks, beam)


def look() -> Iterator[Finding]:
    """Findings one by one, the quick ones first; a look that raises is a finding as well."""
    for one in LOOKS:
        try:
            found = one()
            yield from [found] if isinstance(found, Finding) else found
        except Exception as error:  # whatever a broken installation raises is what this is for
            yield Finding(one.__name__, BAD, f"{type(error).__name__}: {error}", "Install the package again: make setup.")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="a JSON list in place of the table")


def run(args: argparse.Namespace, flags: list[str]) -> int:
    """Prints what is found; returns 0 where photos can be animated, else 2."""
    findings = []
    for finding in look():
        findings.append(finding)
        if not args.json:
            print(f"{console.coloured(finding.state, COLOURS[finding.state], 8)} {finding.what}: {finding.told}", flush=True)
            if finding.advice:
                print(f"{'':9}{finding.advice}")
    if args.json:
        print(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    return WRONG if any(finding.state == BAD for finding in findings) else DONE
