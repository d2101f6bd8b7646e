"""How a stage's pure function runs in a pipeline: one rail from a photo's reference to its outcome.

Elements are InFlight values or, once a photo has ended, its Outcome, which later stages pass on untouched. So the whole
way from decode to encode is one chain of ParDos that every runner fuses, and nothing that enters it can get lost.
"""

import dataclasses
import time
from typing import Any

import apache_beam as beam

from transforms.elements import Failed, Failure, Outcome, PhotoRef, Rejected, Rejection


@dataclasses.dataclass(frozen=True)
class InFlight:
    """A photo on its way.

    Attributes:
      ref: which photo.
      value: the last stage's element.
      cpu_seconds: (stage, seconds) of each stage behind it.
    """

    ref: PhotoRef
    value: Any
    cpu_seconds: tuple[tuple[str, float], ...] = ()


class StageDoFn(beam.DoFn):
    """Runs `function(handle, ref, value)` on each photo in flight and turns Rejected and Failed into records.

    Args:
      name: of the stage, in records and metrics.
      function: pure; anything else it raises is a programming error and ends the bundle.
      open_handle: called once an instance; what it returns is `handle`. It shares what is dear among a worker's threads,
        and what it shares ends with the process.
      fingerprint: of the configuration, for the records.
      elsewhere: CPU seconds that a result cost in another process.
      clock: CPU seconds so far. A thread's own by default; inference counts the process, whose pool does the work.
    """

    def __init__(self, name, function, fingerprint, open_handle=None, elsewhere=None, clock=time.thread_time):
        self.name, self.function, self.fingerprint = name, function, fingerprint
        self.open_handle, self.elsewhere, self.clock = open_handle, elsewhere, clock
        self.ended = {
            kind: beam.metrics.Metrics.counter("cinematic", f"{name}_{kind}") for kind in ("passed", "rejected", "failed")
        }
        self.cpu = beam.metrics.Metrics.distribution("cinematic", f"{name}_cpu_ms")
        self.handle = None

    def setup(self):
        if self.open_handle:
            self.handle = self.open_handle()

    def process(self, element):
        if isinstance(element, Outcome):
            yield element
            return
        start, ref = self.clock(), element.ref
        record = {"photo_id": ref.photo_id, "path": ref.path, "fingerprint": self.fingerprint, "stage": self.name}
        try:
            value, ending = self.function(self.handle, ref, element.value), None
        except Rejected as rejected:
            kind = "rejected"
            ending = Rejection, {"reason": str(rejected.reason), "detail": rejected.detail, "artifact_score": rejected.score}
        except Failed as failed:
            kind = "failed"
            ending = Failure, {"reason": str(failed.reason), "detail": failed.detail}
        seconds = self.clock() - start
        if ending is None and self.elsewhere:
            seconds += self.elsewhere(value)
        costs = (*element.cpu_seconds, (self.name, seconds))
        self.cpu.update(round(seconds * 1000))
        if ending is None:
            self.ended["passed"].inc()
            yield InFlight(ref, value, costs)
        else:
            self.ended[kind].inc()
            make, fields = ending
            yield make(**record, **fields, cpu_seconds=dict(costs))
