"""Google Cloud on this machine: a storage emulator, a metadata server that signs everybody in, a stand-in for Dataflow.

Each has a free port of its own and an end: nothing here outlives the tests, and two runs at once do not meet.
"""

import contextlib
import copy
import json
import subprocess
import sys
import threading
import urllib.parse
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

PROJECT = "a-project"
START_SECONDS, END_SECONDS = 60, 10

# Serves until its standard input ends, hence no longer than its parent lives, however that ends.
EMULATOR = """
import sys
from gcp_storage_emulator.server import create_server
server = create_server("127.0.0.1", 0, in_memory=True)
server.start()
print(server._api._httpd.server_port, flush=True)
sys.stdin.read()
server.stop()
"""


class Answers(BaseHTTPRequestHandler):
    """An HTTP handler without a log, which answers in JSON or in text."""

    def log_message(self, *_):
        pass

    def body(self):
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, content, status=200):
        text = content if isinstance(content, str) else json.dumps(content)
        self.send_response(status)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Type", "application/text" if isinstance(content, str) else "application/json")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


@contextlib.contextmanager
def served(handler):
    """The port of a server that runs while the `with` block does."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(END_SECONDS)


class Metadata(Answers):
    """What a machine of Compute Engine asks who it is. Without it every client looks for credentials for 20 seconds."""

    def do_GET(self):
        path = urllib.parse.urlparse(self.path).path.rstrip("/")
        if path.endswith("/token"):
            self.answer({"access_token": "none", "expires_in": 3600, "token_type": "Bearer"})
        elif "/service-accounts/" in path:
            self.answer({"email": "nobody@example.com", "aliases": ["default"], "scopes": []})
        elif path.endswith("/project-id"):
            self.answer(PROJECT)
        elif path.endswith("/universe-domain"):
            self.answer("googleapis.com")
        else:
            self.answer("")


@contextlib.contextmanager
def signed_in(folder):
    """Environment of a child process that finds credentials at once, and never those of who runs the tests."""
    with served(Metadata) as port:
        yield {
            "GCE_METADATA_HOST": f"127.0.0.1:{port}",
            "GCE_METADATA_IP": f"127.0.0.1:{port}",
            "GOOGLE_APPLICATION_CREDENTIALS": "",
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "CLOUDSDK_CONFIG": str(folder),
            "NO_PROXY": "127.0.0.1,localhost",
        }


@dataclass(frozen=True)
class Emulator:
    """A storage emulator: the environment of child processes that shall use it, and a client."""

    environment: dict
    client: storage.Client

    def files(self, bucket, prefix=""):
        """{name: bytes} of the objects below a prefix."""
        return {blob.name: blob.download_as_bytes() for blob in self.client.list_blobs(bucket, prefix=prefix)}

    def put(self, bucket, prefix, folder):
        """Uploads the files below a local folder."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                name = f"{prefix}/{path.relative_to(folder).as_posix()}"
                self.client.bucket(bucket).blob(name).upload_from_filename(str(path))


@contextlib.contextmanager
def emulated_storage(folder):
    """An Emulator, in memory, while the `with` block runs. `folder` is an empty one."""
    process = subprocess.Popen(
        [sys.executable, "-c", EMULATOR], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        late = threading.Timer(START_SECONDS, process.kill)
        late.start()
        line = process.stdout.readline()
        late.cancel()
        if not line:
            raise RuntimeError("the storage emulator did not start")
        endpoint = f"http://127.0.0.1:{int(line)}"
        client = storage.Client(PROJECT, AnonymousCredentials(), client_options={"api_endpoint": endpoint})
        with signed_in(folder) as environment:
            yield Emulator(environment | {"STORAGE_EMULATOR_HOST": endpoint}, client)
    finally:
        process.stdin.close()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(END_SECONDS)


class Dataflow:
    """What the Dataflow service says to those who submit: a job is made, or one of its name is active already.

    Attributes:
      jobs: those that were made, as JSON.
    """

    def __init__(self):
        self.jobs = []

    def create(self, job):
        """The answer to a submission: the job itself, or the active one of that name, whose request id is another."""
        for other in self.jobs:
            if other["name"] == job["name"] and other["currentState"] == "JOB_STATE_RUNNING":
                return other
        self.jobs.append(copy.deepcopy(job) | {"id": f"job-{len(self.jobs)}", "currentState": "JOB_STATE_RUNNING"})
        return self.jobs[-1]

    def finish(self):
        for job in self.jobs:
            job["currentState"] = "JOB_STATE_DONE"

    def handler(self):
        service = self

        class Handler(Answers):
            def do_POST(self):
                created = service.create(self.body())
                # The client knows no numbers in the place of these, and reads none of them.
                self.answer({key: created[key] for key in ("id", "name", "clientRequestId", "currentState")})

            def do_GET(self):
                name = urllib.parse.urlparse(self.path).path.rsplit("/", 1)[-1]
                found = [job for job in service.jobs if job["id"] == name]
                self.answer(found[0] if found else {}, 200 if found else 404)

        return Handler


@contextlib.contextmanager
def dataflow_service():
    """(Dataflow, endpoint) while the `with` block runs. The word localhost lets Beam speak REST where it would speak gRPC."""
    service = Dataflow()
    with served(service.handler()) as port:
        yield service, f"http://localhost:{port}"
