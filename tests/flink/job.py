"""The main job on a Flink cluster through its public command, and what is looked at while it runs and after."""

import contextlib
import dataclasses
import subprocess
import sys
import time
import urllib.error

import pyarrow.parquet as parquet

from tests.processes import python_workers, started, wait_until

CLIPS = ("--width", 240, "--seconds", 0.5, "--fps", 30)
KINDS = ("candidates", "rejected", "failures")
RUN_SECONDS = 500
FIRST_CLIPS = 240  # seconds until a cluster has written some


def rows(output):
    """{kind: records sorted by photo, without what they cost}: nothing is hidden that is there twice."""
    found = {}
    for kind in KINDS:
        records = parquet.read_table(output / kind).to_pylist()
        for record in records:
            record.pop("cpu_seconds")
            record.pop("peak_mb")
        found[kind] = sorted(records, key=lambda record: (record["photo_id"], record["path"]))
    return found


def clips(output):
    """Names of the clips that are there whole."""
    return {path.name for path in output.glob("clips/*/*.mp4")}


@dataclasses.dataclass(frozen=True)
class Run:
    """
    Attributes:
      status, said: exit code and standard output of the command.
      log: its standard error.
      job: what Flink tells of the job at its end.
      seconds: from the job's start to its end, as Flink tells.
      shuffled: bytes that left any task, over the network or to disk.
      workers: how many Python workers live at its end.
      checkpoints: how many Flink took.
      troubles: (time in seconds since 1970, task manager, first line) of each failure that Flink noted.
      killed: when the task manager was killed, in seconds since 1970; None where none was.
      begun: tasks that ran or had run when the task manager was killed.
      again: of these, how many had to run again.
      caught_up: seconds from the kill until the last of them ended.
    """

    status: int
    said: str
    log: str
    job: dict
    seconds: float
    shuffled: int
    workers: int
    checkpoints: int
    troubles: list
    killed: float | None
    begun: int
    again: int
    caught_up: float | None


def tasks(cluster, job):
    """{(vertex, subtask): what Flink tells of its latest attempt}."""
    found = {}
    for vertex in cluster.ask(f"/jobs/{job}")["vertices"]:
        for task in cluster.ask(f"/jobs/{job}/vertices/{vertex['id']}")["subtasks"]:
            found[vertex["id"], task["subtask"]] = task
    return found


def checkpoints(cluster, job):
    """How many checkpoints were begun; a job that takes none has no such page."""
    try:
        return cluster.ask(f"/jobs/{job}/checkpoints")["counts"]["total"]
    except urllib.error.HTTPError:
        return 0


def run(cluster, library, output, parallelism, kill=None, after=0):
    """A Run of the job; the task manager `kill` is killed once `after` clips are written."""
    log, said = cluster.folder / f"{output.name}.err", cluster.folder / f"{output.name}.out"
    command = [sys.executable, "-m", "beam_pipeline", "run", "--input", library, "--output", output, *CLIPS]
    killed, begun, before = None, (), {job["jid"] for job in cluster.jobs()}

    def mine():
        return next(job["jid"] for job in cluster.jobs() if job["jid"] not in before)

    with open(log, "wb") as errors, started([*command, *cluster.options(parallelism)], said, stderr=errors) as process:
        if kill:
            wait_until(lambda: len(clips(output)) >= after or process.poll() is not None, "clips", log, FIRST_CLIPS)
            begun = [name for name, task in tasks(cluster, mine()).items() if task["status"] in ("RUNNING", "FINISHED")]
            killed = time.time()
            cluster.kill(kill)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(RUN_SECONDS)
        status = process.poll()
    job = mine()
    told = cluster.ask(f"/jobs/{job}")
    noted = cluster.ask(f"/jobs/{job}/exceptions")["exceptionHistory"]["entries"]
    ended = tasks(cluster, job)
    again = [ended[name]["end-time"] / 1000 for name in begun if ended[name]["attempt"] > 0]
    return Run(
        status=status,
        said=said.read_text(),
        log=log.read_text(),
        job=told,
        seconds=told["duration"] / 1000,
        shuffled=sum(vertex["metrics"]["write-bytes"] for vertex in told["vertices"]),
        workers=len(python_workers(cluster.pool)),
        checkpoints=checkpoints(cluster, job),
        troubles=[(one["timestamp"] / 1000, one.get("taskManagerId"), one["stacktrace"].splitlines()[0]) for one in noted],
        killed=killed,
        begun=len(begun),
        again=len(again),
        caught_up=max(again) - killed if again else None,
    )
