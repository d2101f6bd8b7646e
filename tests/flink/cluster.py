"""A real Flink cluster on the loopback interface: its jars, its processes, and what it tells over REST.

The runner is Beam's own, `beam-runners-flink-2.2-job-server`, where the package index serves it. Where it serves Beam's harness
library but no runner, the small one in `engine/` stands in: same cluster, same workers, same command.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import apache_beam

from tests.processes import started, wait_until, worker_pool

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cinematic-photos-flink"
FETCH_SECONDS = 600
NOT_SERVED = (subprocess.CalledProcessError, subprocess.TimeoutExpired)
RUNNER = "org.apache.beam:beam-runners-flink-2.2-job-server"
# dependency:copy of the plugin that Maven brings may be too old to know -Dartifact.
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
COPY_ALL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
# What Flink's own start scripts give Java 17.
OPENS = ("lang", "net", "io", "nio", "lang.reflect", "text", "time", "util", "util.concurrent", "util.concurrent.atomic")
LOGGING = """rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
appender.console.name = console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss,SSS} %-5p %c{1} %m%n
"""
MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
WORKER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"


class Unavailable(Exception):
    """What this machine lacks, in a sentence."""


@dataclasses.dataclass(frozen=True)
class Jars:
    """
    Attributes:
      runner: the jar that `--flink_job_server_jar` names.
      classpath: of the cluster's processes.
      official: whether the runner is Beam's own.
    """

    runner: Path
    classpath: str
    official: bool


def _kept(name, fill):
    """The folder CACHE/name, made by `fill(folder)` where it is not there; whole or not there, whoever else makes it at once."""
    kept = CACHE / name
    if not kept.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=CACHE))
        try:
            fill(fresh)
            with contextlib.suppress(OSError):  # another run was first
                fresh.rename(kept)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return kept


def _call(*command):
    """Output of a command. Raises CalledProcessError."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=FETCH_SECONDS
    )
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
    return done.stdout


def _fetch_flink(folder):
    requirements = HERE / "requirements.txt"
    try:
        _call(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder, "-r", requirements)
    except NOT_SERVED as error:
        raise Unavailable(f"The package index does not serve {requirements.read_text().split()[-1]}.") from error


def _fetch_harness(folder):
    try:
        _call("mvn", "-B", "-q", "-f", HERE / "engine" / "pom.xml", COPY_ALL, f"-DoutputDirectory={folder}")
    except NOT_SERVED as error:
        said = " ".join(re.findall(r"Could not [^\[\n]*", str(error.stdout))[:1])
        raise Unavailable(f"Maven Central serves neither {RUNNER} nor Beam's harness library. {said}") from error


def _fetch_runner(folder):
    _call("mvn", "-B", "-q", COPY, f"-Dartifact={RUNNER}:{apache_beam.__version__}", f"-DoutputDirectory={folder}")


def jars():
    """The Jars, fetched and kept the first time. Raises Unavailable where java, mvn or a package index is missing."""
    for tool in ("java", "javac", "jar", "mvn"):
        if not shutil.which(tool):
            raise Unavailable(f"{tool} is not installed.")
    pinned = (HERE / "requirements.txt").read_text().split()[-1]
    flink = _kept(pinned.replace("==", "-"), _fetch_flink) / "pyflink" / "lib"
    try:
        runner = next(_kept(f"runner-{apache_beam.__version__}", _fetch_runner).glob("*.jar"))
        return Jars(runner, f"{flink}/*", official=True)
    except NOT_SERVED:
        pass
    sources = sorted((HERE / "engine").iterdir())
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    harness = _kept(f"harness-{hashlib.sha256((HERE / 'engine' / 'pom.xml').read_bytes()).hexdigest()[:12]}", _fetch_harness)

    def build(folder):
        code = [source for source in sources if source.suffix == ".java"]
        _call("javac", "-nowarn", "-d", folder / "classes", "-cp", f"{flink}/*:{harness}/*", *code)
        _call("jar", "--create", "--file", folder / "engine.jar", "-C", folder / "classes", ".")

    engine = _kept(f"engine-{digest}", build) / "engine.jar"
    # On the class path as well, and looked up there first: workers outlive the class loader of a job's single task.
    return Jars(engine, f"{flink}/*:{engine}:{harness}/*", official=False)


def free_port():
    """A port that is free now: Flink's processes have to be told one that they all know."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@dataclasses.dataclass
class Cluster:
    """
    Attributes:
      address: of the job manager's REST interface, without http://.
      workers, pool: address and process of the pool of Python workers.
      managers: {name: Popen} of the task managers.
      jars: what runs.
      folder: of logs.
    """

    address: str
    workers: str
    pool: subprocess.Popen
    managers: dict
    jars: Jars
    folder: Path

    def ask(self, path):
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=10) as answer:
            return json.loads(answer.read())

    def options(self, parallelism):
        """Options of Beam that send a job here."""
        return (
            "--runner=FlinkRunner",
            f"--flink_master={self.address}",
            "--flink_submit_uber_jar",
            f"--flink_job_server_jar={self.jars.runner}",
            f"--parallelism={parallelism}",
            "--environment_type=EXTERNAL",
            f"--environment_config={self.workers}",
        )

    def jobs(self):
        """What Flink tells of each job: `jid`, `state`, `start-time`, `duration` in ms."""
        return self.ask("/jobs/overview")["jobs"]

    def kill(self, name):
        """Ends a task manager as a machine that is switched off would."""
        process = self.managers.pop(name)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


def _settings(folder, rpc, rest):
    """Flink's configuration. Small memory, since the work is done by Python; a dead task manager is noticed in seconds."""
    return {
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.rpc.port": rpc,
        "jobmanager.bind-host": "127.0.0.1",
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.port": rest,
        "taskmanager.host": "127.0.0.1",
        "taskmanager.bind-host": "127.0.0.1",
        "taskmanager.rpc.port": 0,
        "taskmanager.data.port": 0,
        "taskmanager.numberOfTaskSlots": 1,  # Python workers take a core each
        "taskmanager.cpu.cores": 1,
        "taskmanager.memory.framework.heap.size": "128m",
        "taskmanager.memory.framework.off-heap.size": "128m",
        "taskmanager.memory.jvm-metaspace.size": "256m",
        "taskmanager.memory.jvm-overhead.min": "128m",
        "taskmanager.memory.jvm-overhead.max": "128m",
        "taskmanager.memory.task.heap.size": "1024m",
        "taskmanager.memory.task.off-heap.size": "128m",
        "taskmanager.memory.managed.size": "64m",
        "taskmanager.memory.network.min": "256m",
        "taskmanager.memory.network.max": "256m",
        "taskmanager.network.sort-shuffle.min-buffers": 32,  # a stage has up to five results, each would hold 16 MB
        "io.tmp.dirs": folder / "tmp",
        "web.tmpdir": folder / "web",
        "blob.storage.directory": folder / "blobs",
        "heartbeat.interval": "1 s",
        "heartbeat.timeout": "8 s",
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": 20,
        "restart-strategy.fixed-delay.delay": "1 s",
        "execution.checkpointing.interval": "5 s",  # as clusters have it; what becomes of it in batch is tested
        "classloader.resolve-order": "parent-first",
        "execution.batch.adaptive.auto-parallelism.enabled": False,
    }


@contextlib.contextmanager
def cluster(folder, jars, task_managers):
    """A Cluster of one job manager and as many task managers, with logs and all that it writes below `folder`."""
    for name in ("conf", "tmp", "web", "blobs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rest = free_port()
    lines = [f"{key}: {str(value).lower() if isinstance(value, bool) else value}" for key, value in
             _settings(folder, free_port(), rest).items()]  # fmt: skip
    (folder / "conf" / "config.yaml").write_text("\n".join(lines) + "\n")
    (folder / "conf" / "log4j.properties").write_text(LOGGING)
    java = ["java", f"-Dlog4j.configurationFile={folder / 'conf' / 'log4j.properties'}"]
    java += ["-Xmx2g", "-XX:MaxDirectMemorySize=1g", "-XX:TieredStopAtLevel=1"]
    java += [f"--add-opens=java.base/java.{package}=ALL-UNNAMED" for package in OPENS] + ["-cp", jars.classpath]
    configured = ["--configDir", folder / "conf"]
    with contextlib.ExitStack() as stack:
        workers, pool = stack.enter_context(worker_pool(folder))
        stack.enter_context(started([*java, MANAGER, *configured], folder / "job-manager.log"))
        managers = {}
        for number in range(1, task_managers + 1):
            name = f"tm{number}"
            command = [*java, WORKER, *configured, "-D", f"taskmanager.resource-id={name}"]
            managers[name] = stack.enter_context(started(command, folder / f"{name}.log"))
        found = Cluster(f"127.0.0.1:{rest}", workers, pool, managers, jars, folder)

        def complete():
            with contextlib.suppress(OSError):
                return len(found.ask("/taskmanagers")["taskmanagers"]) == task_managers

        wait_until(complete, "Flink cluster", folder / "job-manager.log")
        yield found
