"""The whole flow on one page.

    patterns -> PhotoRef -> Photo -> Perception -> Scene -> Shot -> Clip -> Candidate
                           decode   infer, repair  mesh   trajectory  render  write
                                                          + framing, score

Everything from decode to write is one fused stage: a pixel never crosses a shuffle, only names and records do. A photo
that ends early, as a Rejection or a Failure, rides along to the same sinks.
"""

import dataclasses
import functools
import time

import apache_beam as beam
from apache_beam.utils.shared import Shared

from beam_pipeline import progress, sinks, sources
from models.registry import Networks
from renderer.studio import Studio
from transforms import decode, infer, mesh, render, repair, score, trajectory
from transforms.elements import Outcome
from transforms.stage import InFlight, StageDoFn


def shared_handle(make):
    """A function that makes a handle once a process, however many threads work in it, and then hands out the same one."""
    return functools.partial(Shared().acquire, make)


def animate(settings, fingerprint, models, output):
    """(name, function, options) of each stage, in order; functions take (handle, ref, value)."""

    def read_and_decode(_, ref, __):
        return decode.decode(sources.read_bytes(ref.uri), settings.max_megapixels, settings.min_side)

    return (
        ("decode", read_and_decode, {}),
        (
            "infer",
            lambda networks, _, photo: infer.infer(networks, photo),
            # The process' clock: TensorFlow computes on threads of its own.
            {"open_handle": shared_handle(functools.partial(Networks, models)), "clock": time.process_time},
        ),
        ("repair", lambda _, __, perception: repair.repair(perception), {}),
        ("mesh", lambda _, __, perception: mesh.build_scene(perception), {}),
        ("trajectory", lambda _, __, scene: trajectory.shoot(scene, settings), {}),
        ("score", lambda _, __, shot: score.accept(shot, settings.max_artifact_score), {}),
        (
            "render",
            lambda studio, _, shot: render.render(studio, shot, settings.fps),
            {"open_handle": shared_handle(Studio), "elsewhere": lambda clip: clip.cpu_seconds},
        ),
        ("write", lambda _, ref, clip: sinks.write_clip(output, fingerprint, settings.fps, ref, clip), {}),
    )


class Animate(beam.PTransform):
    """PhotoRefs to Outcomes: one chain of ParDos that runners fuse into one stage."""

    def __init__(self, settings, fingerprint, models, output, journal=None):
        super().__init__()
        self.settings, self.fingerprint, self.models, self.output, self.journal = settings, fingerprint, models, output, journal

    def expand(self, refs):
        flow = refs | "depart" >> beam.Map(lambda ref: InFlight(ref, None))
        for name, function, options in animate(self.settings, self.fingerprint, self.models, self.output):
            flow = flow | name >> beam.ParDo(StageDoFn(name, function, self.fingerprint, **options))
        return flow | "arrive" >> beam.Map(arrive, self.journal).with_output_types(Outcome)


def arrive(element, journal):
    """The Outcome of an element at the end of the rail, with its costs; noted for the progress display where there is one."""
    outcome = element
    if isinstance(element, InFlight):
        outcome = dataclasses.replace(element.value, cpu_seconds=dict(element.cpu_seconds))
    if journal:
        progress.note(journal, type(outcome).__name__)
    return outcome


def build(pipeline, job, journal=None):
    """Adds the main job to a Beam pipeline.

    Args:
      pipeline: beam.Pipeline.
      job: options.Job.
      journal: path of the progress journal, local runs only.
    """
    outcomes = (
        pipeline
        | "ListPhotos" >> sources.ListPhotos(job.patterns, job.root, job.output)
        | "Animate" >> Animate(job.settings, job.fingerprint, job.models, job.output, journal)
    )
    outcomes | "WriteRecords" >> sinks.WriteRecords(job.output, job.record_shards)
    outcomes | "WriteSummary" >> sinks.WriteSummary(job.output, job.about())
