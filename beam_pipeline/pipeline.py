"""The whole flow on one page.

    patterns -> PhotoRef -> bytes -> Photo -> Perception -> Scene -> Shot -> Clip -> Candidate
             list, triage, read    decode  infer, repair  mesh   trajectory  render  write
             keep best                                           + framing, score

Triage joins the listing with the records of earlier runs and lets through what needs work; what was touched is read, and compared
with what it was; of near-duplicates the best is kept;
decoded photos are assessed before any network runs. Everything from read to write is one fused stage: a pixel never crosses a
shuffle, only names and records do. A photo that ends early, as a Rejection or a Failure, rides along to the same sinks.
"""

import dataclasses

import apache_beam as beam

from beam_pipeline import manifest, progress, sinks, sources
from transforms import bursts
from transforms.decode import Decode
from transforms.elements import Candidate, Outcome, Scored
from transforms.infer import Infer
from transforms.merit import Assess
from transforms.mesh import BuildScene
from transforms.render import Render
from transforms.repair import Repair
from transforms.score import Accept, Score
from transforms.stage import InFlight
from transforms.trajectory import Shoot


class Animate(beam.PTransform):
    """PhotoRefs to Outcomes: one chain of ParDos that runners fuse into one stage."""

    def __init__(self, job):
        super().__init__()
        self.job = job

    def expand(self, refs):
        job, settings, fingerprint = self.job, self.job.settings, self.job.fingerprint
        shots = (
            refs
            | "Depart" >> beam.Map(depart, fingerprint)
            | sources.Read()
            | "Digest" >> beam.Map(sources.with_digest)
            | Decode(settings.max_megapixels, settings.min_side, job.photo_seconds)
            | Assess(settings)
            | Infer(settings.models, settings.mirror_average, job.inference_batch)
            | Repair()
            | BuildScene()
            | Shoot(settings)
        )
        if job.dry_run:
            ended = shots | Score(fingerprint)
        else:
            ended = (
                shots
                | Accept(settings.max_artifact_score)
                | Render(settings.fps, settings.format, settings.renderer, job.photo_seconds)
                | sinks.WriteClip(job.output, fingerprint, settings.fps, settings.format)
            )
        return ended | "Arrive" >> beam.Map(arrive).with_output_types(Outcome)


def depart(ref, fingerprint):
    """A photo at the start of the rail, with what its glimpse has cost."""
    return InFlight(ref, fingerprint, None, (("glimpse", ref.glimpse.cpu_seconds),) if ref.glimpse else ())


def arrive(element):
    """The Outcome of an element at the end of the rail, with its costs."""
    outcome = element
    if isinstance(element, InFlight):
        outcome = dataclasses.replace(element.value, cpu_seconds=dict(element.cpu_seconds), peak_mb=dict(element.peak_mb))
    return outcome


def build(pipeline, job, journal=None):
    """Adds the main job to a Beam pipeline.

    Args:
      pipeline: beam.Pipeline.
      job: options.Job.
      journal: path of the progress journal, local runs only.
    """
    listing = sources.Listing(job.root, job.output, job.part, strict=job.prune)
    photos = pipeline | "ListPhotos" >> sources.ListPhotos(job.patterns, listing)
    earlier = pipeline | "ReadRecords" >> (beam.Create([]) if job.dry_run else manifest.ReadRecords(job.output))
    known = (photos, earlier) | "Triage" >> manifest.Triage(job.rules)
    touched = known.touched | "Compare" >> manifest.Compare(sources.read_photo, sources.digest)
    kept = (known.kept, touched.kept) | "Kept" >> beam.Flatten()
    work, duplicates = (known.work, touched.work) | "Work" >> beam.Flatten(), ()
    if job.duplicate_distance >= 0:
        candidates = kept | "Clips" >> beam.Filter(lambda outcome: isinstance(outcome, Candidate))
        best = (work, candidates) | "KeepBest" >> bursts.KeepBest(
            sources.read_photo,
            sources.digest,
            job.settings.max_megapixels,
            job.duplicate_distance,
            job.fingerprint,
            job.photo_seconds,
        )
        work, duplicates = best["kept"], (best[bursts.DUPLICATES],)
    new = (work | "Animate" >> Animate(job), *duplicates) | "New" >> beam.Flatten()
    new = new | "Tell" >> beam.Map(progress.tell, journal, job.log_photos).with_output_types(Outcome)
    outcomes = (new, kept, known.unlisted) | "AllRecords" >> beam.Flatten()
    folders = manifest.FOLDERS | ({Scored: "scored"} if job.dry_run else {})
    written = outcomes | "WriteRecords" >> sinks.WriteRecords(job.output, job.record_shards, folders)
    (known.files, outcomes, written) | "DeleteSuperseded" >> manifest.DeleteSuperseded(job.output)
    (new, kept) | "WriteSummary" >> sinks.WriteSummary(job.output, job.about())
