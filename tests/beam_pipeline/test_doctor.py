"""The doctor says what is there, what is missing, and what to do."""

import argparse
import json

import pytest

from beam_pipeline import console
from beam_pipeline.commands import doctor
from beam_pipeline.commands.doctor import BAD, GOOD, OPTIONAL, Finding


def run(monkeypatch, *looks, as_json=False):
    monkeypatch.setattr(doctor, "LOOKS", looks)
    return doctor.run(argparse.Namespace(json=as_json), [])


def fine():
    return Finding("air", GOOD, "fresh")


def poor():
    return Finding("gold", OPTIONAL, "none", "Dig.")


def ill():
    return Finding("heart", BAD, "stopped", "Hurry.")


def broken():
    raise OSError("no such nerve")


def several():
    yield fine()
    yield poor()


def test_all_good_or_optional_is_a_healthy_machine(monkeypatch, capsys):
    assert run(monkeypatch, fine, several) == 0
    told = capsys.readouterr().out
    assert "good     air: fresh" in told
    assert "optional gold: none\n         Dig." in told


@pytest.mark.parametrize("look", [ill, broken])
def test_what_is_bad_or_breaks_the_look_itself_is_an_exit_code(monkeypatch, capsys, look):
    assert run(monkeypatch, fine, look) == 2
    assert "bad" in capsys.readouterr().out


def test_scripts_get_json(monkeypatch, capsys):
    run(monkeypatch, several, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told[1] == {"what": "gold", "state": "optional", "told": "none", "advice": "Dig."}


def test_this_machine_can_animate_photos():
    """But for networks, Beam and credentials, which take long and have tests of their own."""
    for look in (doctor.python, doctor.packages, doctor.memory):
        assert look().state in (GOOD, OPTIONAL)
    states = {finding.what: finding.state for look in (doctor.drawing, doctor.codecs) for finding in look()}
    assert states["drawing by the CPU"] == states["mp4 clips"] == states["gif clips"] == GOOD


def test_little_disk_is_told_with_what_to_do(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: argparse.Namespace(free=1e8))
    assert doctor.disk().state == BAD
    assert "TMPDIR" in doctor.disk().advice


class Terminal:
    def __init__(self, terminal):
        self.terminal = terminal

    def isatty(self):
        return self.terminal


def test_colour_is_for_terminals_that_want_it(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert console.coloured("bad", "red", 5, Terminal(True)) == "\033[31mbad  \033[0m"
    assert console.coloured("bad", "red", 5, Terminal(False)) == "bad  "
    monkeypatch.setenv("NO_COLOR", "1")
    assert console.coloured("bad", "red", 0, Terminal(True)) == "bad"
