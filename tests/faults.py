"""A bucket that misbehaves: a proxy before a storage emulator, which answers some requests with trouble."""

import contextlib
import dataclasses
import http.client
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler

from tests.cloud import served

HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length", "host"}


@dataclasses.dataclass
class Fault:
    """Trouble with the requests that it fits.

    Attributes:
      method: GET, POST, DELETE.
      holds: text that the path and query hold.
      status: of the answer in place of the emulator's; None for the emulator's own.
      times: how often.
      seconds: before the answer.
      after: whether the emulator works for it before: the work is done, and nobody hears of it.
    """

    method: str
    holds: str
    status: int | None = None
    times: int = 1
    seconds: float = 0.0
    after: bool = False

    def fits(self, method, path):
        if self.times and method == self.method and self.holds in urllib.parse.unquote(path):
            self.times -= 1
            return True
        return False


class Faults:
    """The proxy's orders and its memory.

    Attributes:
      orders: Faults still to come.
      seen: (method, path) of the requests so far.
    """

    def __init__(self, endpoint, client):
        self.endpoint, self.client = endpoint.removeprefix("http://"), client
        self.orders, self.seen = [], []

    def unmet(self, path, body):
        """Whether a request's condition on the generation is not met: then a bucket answers 412, as this emulator does not."""
        parts = urllib.parse.urlparse(path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        if "ifGenerationMatch" not in query:
            return False
        bucket, _, name = parts.path.split("/b/")[1].partition("/o")
        # An upload tells the name in its query, or, of several parts, in the first of them.
        name = urllib.parse.unquote(name.lstrip("/")) or query.get("name") or body.split(b'"name": "')[1].split(b'"')[0].decode()
        blob = self.client.bucket(bucket).get_blob(name)
        return (blob.generation if blob else 0) != int(query["ifGenerationMatch"])

    def handler(self):
        faults = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def forward(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                faults.seen.append((self.command, urllib.parse.unquote(self.path)))
                fault = next((order for order in faults.orders if order.fits(self.command, self.path)), None)
                if fault:
                    time.sleep(fault.seconds)
                if fault and fault.status and not fault.after:
                    self.reply(fault.status, [], b"{}")
                elif faults.unmet(self.path, body):
                    self.reply(412, [], b"{}")
                else:
                    connection = http.client.HTTPConnection(faults.endpoint, timeout=60)
                    headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
                    connection.request(self.command, self.path, body, headers)
                    answer = connection.getresponse()
                    content = answer.read()
                    if fault and fault.after:
                        self.reply(fault.status, [], b"{}")
                    else:
                        self.reply(answer.status, answer.getheaders(), content)
                    connection.close()

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward

            def reply(self, status, headers, content):
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # a client that has given up
                    self.send_response(status)
                    for name, value in headers:
                        if name.lower() not in HOP_BY_HOP:
                            self.send_header(name, value)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

        return Handler


@contextlib.contextmanager
def faulty(emulator):
    """(Faults, endpoint) before an Emulator while the `with` block runs."""
    faults = Faults(emulator.environment["STORAGE_EMULATOR_HOST"], emulator.client)
    with served(faults.handler()) as port:
        yield faults, f"http://127.0.0.1:{port}"
