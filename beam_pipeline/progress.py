"""What a run says while it goes on: a line of JSON for each photo, and on a terminal how many there were.

The terminal's line follows a journal in which workers note each photo's end and the launcher counts lines.

Beam's local runner tells its metrics only when all is over. A line of a few bytes, appended, arrives whole on every
local file system, whichever process writes it. Repeated bundles count twice: it is a display, never a record.
"""

import json
import logging
import os
import sys
import tempfile
import threading
import time

from transforms.elements import Failure, Rejection

LOG = logging.getLogger("cinematic_photos")
KINDS = {"Candidate": "clips", "Rejection": "rejected", "Failure": "failed"}
PERIOD = 1.0  # seconds between two looks


def note(journal, kind):
    """Appends one photo's end to the journal."""
    handle = os.open(journal, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(handle, f"{kind}\n".encode())
    finally:
        os.close(handle)


def line(outcome):
    """A photo's end as a line of JSON. Of its path nothing: records tell it to those who may know."""
    told = {"photo_id": outcome.photo_id, "result": type(outcome).__name__.lower()}
    if isinstance(outcome, Rejection | Failure):
        told |= {"stage": outcome.stage, "reason": outcome.reason, "detail": outcome.detail}
    return json.dumps(told | {"cpu_seconds": round(sum(outcome.cpu_seconds.values()), 3)})


def tell(outcome, journal=None, on_stderr=False):
    """An Outcome as it is, told: to the log (failures as warnings) or, of a local run that is asked to, on the standard error."""
    if journal:
        note(journal, type(outcome).__name__)
    if on_stderr:
        os.write(sys.stderr.fileno(), f"{line(outcome)}\n".encode())  # at once: lines of several processes do not mix
    else:
        LOG.log(logging.WARNING if isinstance(outcome, Failure) else logging.INFO, line(outcome))
    return outcome


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
