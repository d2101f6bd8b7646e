"""A run that is killed in the middle, and the next one."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.beam_pipeline.test_run import KINDS, SMALL, files, records

KILLS = 10
SEED = 20261125


def begin(library, output):
    """A run in a process group of its own, as a terminal's or a scheduler's would be."""
    command = [sys.executable, "-m", "beam_pipeline", "run", "--input", library, "--output", output, *SMALL]
    return subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def kill_after(process, seconds):
    """Ends the whole group as a machine that is switched off would; False where the run was over before."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def without_costs(output):
    rows = {kind: records(output, kind) for kind in KINDS}
    for kind in rows.values():
        for row in kind.values():
            row.pop("cpu_seconds")
            row.pop("peak_mb")
    return rows


@pytest.mark.slow
def test_killed_at_ten_moments_a_rerun_ends_where_an_undisturbed_run_does(finished, library, cli, tmp_path):
    undisturbed, _ = finished
    output, moments = tmp_path / "out", random.Random(SEED)
    started = time.monotonic()
    assert begin(library, tmp_path / "timed").wait(300) == 0
    whole = time.monotonic() - started
    killed = tries = 0
    while killed < KILLS:
        tries += 1
        assert tries <= 3 * KILLS, "runs are too fast to be killed"
        started = time.monotonic()
        killed += kill_after(begin(library, output), moments.uniform(0.3, 1.0) * whole)
        if (output / "summary.json").exists():  # it came through: from the start again, or the rest would kill nothing
            shutil.rmtree(output)
            whole = min(whole, time.monotonic() - started)  # the machine has less else to do than when this was measured
    done = cli("run", "--input", library, "--output", output, *SMALL)
    assert done.returncode == 0, done.stderr
    assert files(output) == files(undisturbed)
    assert without_costs(output) == without_costs(undisturbed)
    summary = json.loads((output / "summary.json").read_text())
    assert summary["photos"] == sum(summary[key] for key in ("candidates", "rejected", "failures", "skipped")) == 8
    assert not [p for p in output.rglob("*") if "tmp" in p.name or "temp" in p.name]


def test_what_a_killed_run_left_half_written_is_gone_after_the_next(finished, library, cli, tmp_path):
    undisturbed, _ = finished
    shutil.copytree(undisturbed, tmp_path / "out")
    clip = next((tmp_path / "out" / "clips").rglob("*.mp4"))
    (clip.parent / f"{clip.name}.0123abcd.tmp").write_bytes(b"half a clip")
    (tmp_path / "out" / "candidates" / "beam-temp-part-0").mkdir()
    (tmp_path / "out" / "candidates" / "beam-temp-part-0" / "x.parquet").write_bytes(b"half a record")
    done = cli("run", "--input", library, "--output", tmp_path / "out", *SMALL, "--direct_num_workers=1")
    assert done.returncode == 0, done.stderr
    assert files(tmp_path / "out") == files(undisturbed)
    assert not [p for p in (tmp_path / "out").rglob("*") if "tmp" in p.name or "temp" in p.name]
