"""Processes that tests and benchmarks start: each leads a group of its own, is ended by that id, and within a bounded time."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 60  # seconds for a process to say where it listens
GRACE = 10  # seconds between asking a process to end and ending it

# Beam's own main program of a worker pool cannot say which port it was given.
POOL = """
import os, sys, threading
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer
address, server = BeamFnExternalWorkerPoolServicer.start(use_process=True)
with open(sys.argv[1] + ".new", "w") as file:
    file.write(address)
os.rename(sys.argv[1] + ".new", sys.argv[1])
threading.Event().wait()
"""


def end(process):
    """Ends a process and all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)


@contextlib.contextmanager
def started(command, log, **options):
    """The Popen of a command whose output goes to the file `log`; ended when the block is left."""
    with open(log, "ab") as sink:
        settings = {"stdin": subprocess.DEVNULL, "stdout": sink, "stderr": subprocess.STDOUT, "start_new_session": True}
        process = subprocess.Popen([str(part) for part in command], **settings | options)
    try:
        yield process
    finally:
        end(process)


def wait_until(told, what, log=None, patience=PATIENCE):
    """What `told()` gives once it is true. Raises TimeoutError that ends with the last of `log`."""
    over = time.monotonic() + patience
    while time.monotonic() < over:
        value = told()
        if value:
            return value
        time.sleep(0.1)
    raise TimeoutError(f"no {what} within {patience} s\n" + (Path(log).read_text(errors="replace")[-3000:] if log else ""))


@contextlib.contextmanager
def job_server(folder):
    """Address of Beam's own job server, which runs jobs in one process and sends work to whatever workers they name."""
    said, log = folder / "job-port", folder / "job-server.log"
    module = "apache_beam.runners.portability.local_job_service_main"
    with started([sys.executable, "-m", module, "--port", 0, "--port_file", said, "--staging_dir", folder / "staging"], log):
        port = wait_until(lambda: said.exists() and said.read_text(), "job server", log)
        yield f"localhost:{port}"


@contextlib.contextmanager
def worker_pool(folder):
    """(address, Popen) of a pool that starts Python workers, in its own group, as engines ask for them."""
    said, log = folder / "pool-address", folder / "pool.log"
    here = Path(sys.executable).parent  # the pool starts plain `python`, which must be the one that has the packages
    with started([sys.executable, "-c", POOL, said], log, env=os.environ | {"PATH": f"{here}:{os.environ['PATH']}"}) as pool:
        yield wait_until(lambda: said.exists() and said.read_text(), "worker pool", log), pool


def python_workers(pool):
    """Ids of the workers of a pool that live (Linux)."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getpgid(int(folder.name)) == pool.pid and b"SdkHarness(" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found
