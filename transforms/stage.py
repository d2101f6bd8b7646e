"""How a stage's pure function runs in a pipeline: one rail from a photo's reference to its outcome.

Elements are InFlight values or, once a photo has ended, its Outcome, which later stages pass on untouched. So the whole
way from decode to write is one chain of ParDos that every runner fuses, and nothing that enters it can get lost.
"""

import dataclasses
import functools
import time
from typing import Any

import apache_beam as beam
from apache_beam.utils.shared import Shared

from renderer.child import peak_mb
from transforms.elements import Failed, Failure, Outcome, PhotoRef, Rejected, Rejection


@dataclasses.dataclass(frozen=True)
class InFlight:
    """A photo on its way.

    Attributes:
      ref: which photo.
      fingerprint: of the configuration, for its record.
      value: the last stage's element, None at the start.
      cpu_seconds: (stage, seconds) of each stage behind it.
      peak_mb: (stage, MB) that the process which ran the stage has held at most so far.
    """

    ref: PhotoRef
    fingerprint: str
    value: Any = None
    cpu_seconds: tuple[tuple[str, float], ...] = ()
    peak_mb: tuple[tuple[str, float], ...] = ()

    def after(self, stage, value, seconds, megabytes):
        """The same photo after a stage."""
        costs = (*self.cpu_seconds, (stage, seconds)), (*self.peak_mb, (stage, megabytes))
        return dataclasses.replace(self, value=value, cpu_seconds=costs[0], peak_mb=costs[1])


def shared_handle(make):
    """A function that makes a handle once a process, however many threads work in it, and then hands out the same one."""
    return functools.partial(Shared().acquire, make)


def ended(element, stage, error):
    """The Rejection or Failure of an element that a stage has raised Rejected or Failed for."""
    kind, more = (Rejection, {"artifact_score": error.score}) if isinstance(error, Rejected) else (Failure, {})
    return kind(
        photo_id=element.ref.photo_id,
        path=element.ref.path,
        version=element.ref.version,
        digest=element.ref.digest,
        fingerprint=element.fingerprint,
        stage=stage,
        reason=str(error.reason),
        detail=error.detail,
        cpu_seconds=dict(element.cpu_seconds),
        peak_mb=dict(element.peak_mb),
        **more,
    )


class StageDoFn(beam.DoFn):
    """Runs a Stage's function on each photo in flight and turns Rejected and Failed into records. See Stage."""

    def __init__(self, name, function, open_handle, in_child, clock):
        self.name, self.function, self.open_handle, self.in_child, self.clock = name, function, open_handle, in_child, clock
        self.counters = {
            kind: beam.metrics.Metrics.counter("cinematic", f"{name}_{kind}") for kind in ("passed", "rejected", "failed")
        }
        self.cpu = beam.metrics.Metrics.distribution("cinematic", f"{name}_cpu_ms")
        self.handle = None

    def setup(self):
        if self.open_handle:
            self.handle = self.open_handle()

    def _clocks(self):
        return self.clock() + (self.handle.cpu_seconds if self.in_child else 0.0)

    def process(self, element):
        if isinstance(element, Outcome):
            yield element
            return
        start, refused, value = self._clocks(), None, None
        try:
            value = self.function(self.handle, element.ref, element.value)
        except (Rejected, Failed) as error:
            refused = error
        seconds = self._clocks() - start
        self.cpu.update(round(seconds * 1000))
        element = element.after(self.name, value, seconds, self.handle.peak_mb if self.in_child else peak_mb())
        if refused is None:
            self.counters["passed"].inc()
            yield element
            return
        self.counters["rejected" if isinstance(refused, Rejected) else "failed"].inc()
        yield ended(element, self.name, refused)


class Stage(beam.PTransform):
    """A stage of the rail: InFlight or Outcome in, the same out.

    Args:
      name: of the stage, in records and metrics.
      function: `function(handle, ref, value)`, pure but for its handle. Rejected and Failed end the photo; anything else it
        raises is a programming error and ends the bundle.
      open_handle: called once an instance; what it returns is `handle`. What is dear is shared, see `shared_handle`.
      in_child: whether the handle is a `renderer.child.Child` that does the work: its CPU seconds count, and its memory.
      clock: CPU seconds so far. A thread's own by default; inference counts the process, whose pool does the work.
    """

    def __init__(self, name, function, open_handle=None, in_child=False, clock=time.thread_time):
        super().__init__()
        self.do_fn = StageDoFn(name, function, open_handle, in_child, clock)

    def expand(self, flow):
        return flow | self.do_fn.name >> beam.ParDo(self.do_fn)
