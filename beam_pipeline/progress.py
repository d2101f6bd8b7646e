"""What a terminal sees of a local run: workers note each photo's end in a journal, the launcher counts its lines.

Beam's local runner tells its metrics only when all is over. A line of a few bytes, appended, arrives whole on every
local file system, whichever process writes it. Repeated bundles count twice: it is a display, never a record.
"""

import os
import sys
import tempfile
import threading
import time

KINDS = {"Candidate": "clips", "Rejection": "rejected", "Failure": "failed"}
PERIOD = 1.0  # seconds between two looks


def note(journal, kind):
    """Appends one photo's end to the journal."""
    handle = os.open(journal, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(handle, f"{kind}\n".encode())
    finally:
        os.close(handle)


class Display:
    """Shows a line that follows the journal while the `with` block runs.

    If not `wanted`, nothing is shown and `journal` stays None.
    """

    def __init__(self, wanted, stream=sys.stderr):
        self.wanted, self.stream, self.journal, self.start = wanted, stream, None, time.monotonic()

    def __enter__(self):
        if self.wanted:
            handle, self.journal = tempfile.mkstemp(prefix="cinematic-progress-")
            os.close(handle)
            self.over = threading.Event()
            self.thread = threading.Thread(target=self._follow, daemon=True)
            self.thread.start()
        return self

    def __exit__(self, *_):
        if self.wanted:
            self.over.set()
            self.thread.join()
            self.stream.write("\n")
            os.unlink(self.journal)

    def line(self):
        """The text shown now."""
        with open(self.journal) as file:
            kinds = file.read().split()
        if not kinds:
            return "starting the workers, which load the networks ..."
        minutes = (time.monotonic() - self.start) / 60
        counts = ", ".join(f"{kinds.count(kind)} {word}" for kind, word in KINDS.items())
        return f"{len(kinds)} photos: {counts}; {len(kinds) / max(minutes, 1e-6):.1f} photos a minute"

    def _follow(self):
        while True:
            ended = self.over.wait(PERIOD)
            self.stream.write(f"\r\x1b[K{self.line()}")
            self.stream.flush()
            if ended:
                return
