"""What earlier runs left, so that a night's run does what is new and nothing else.

The records of a run are its manifest: they say of which version of a photo, under which configuration, what came. A join by photo
id parts the photos that need work from those that need none; it shuffles names and records, and holds neither in memory.
"""

import dataclasses
import posixpath

import apache_beam as beam
from apache_beam.io import fileio

from beam_pipeline import storage
from transforms.elements import Candidate, Failed, FailReason, Failure, Rejection, RejectReason, Spent

FOLDERS = {Candidate: "candidates", Rejection: "rejected", Failure: "failures"}
COSTS = tuple(field.name for field in dataclasses.fields(Spent))  # columns that are maps by stage
# What may be otherwise the next time, although neither photo nor configuration has changed.
PASSING = {
    str(reason)
    for reason in (FailReason.MISSING, FailReason.NO_ACCESS, FailReason.UNWRITABLE, FailReason.CRASHED, FailReason.TIMEOUT)
}


def record_of(kind, row):
    """A record of a row of Parquet; None where an earlier version of the program wrote it without what a record holds today."""
    names = {field.name for field in dataclasses.fields(kind)}
    if not names <= row.keys():
        return None
    return kind(**{name: row[name] for name in names} | {name: dict(row[name]) for name in COSTS})


class ReadRecords(beam.PTransform):
    """The records of earlier runs into an output folder; none where there was no run."""

    def __init__(self, output):
        super().__init__()
        self.output = output

    def expand(self, pbegin):
        parts = []
        for kind, folder in FOLDERS.items():
            pattern = posixpath.join(self.output, folder, "part-*.parquet")
            parts.append(
                pbegin
                | f"Find {folder}" >> fileio.MatchFiles(pattern, fileio.EmptyMatchTreatment.ALLOW)
                | f"Paths of {folder}" >> beam.Map(lambda found: found.path)
                | f"Spread {folder}" >> beam.Reshuffle()
                | f"Read {folder}" >> beam.io.ReadAllFromParquet()
                | f"Records of {folder}" >> beam.Map(lambda row, kind=kind: record_of(kind, row))
                | f"Whole {folder}" >> beam.Filter(lambda record: record is not None)
            )
        return parts | beam.Flatten()


def stands(record, ref, fingerprint, max_artifact_score, keep_duplicates=False):
    """What an earlier record says today of a photo that is listed, or None where the photo needs work.

    Args:
      record: Outcome of an earlier run.
      ref: the PhotoRef.
      fingerprint: of today's configuration, without the threshold of the artifact score: that decides on what is known.
      max_artifact_score: today's threshold.
      keep_duplicates: whether near-duplicates are wanted today.
    """
    if (record.version, record.fingerprint) != (ref.version, fingerprint):
        return None
    if isinstance(record, Failure):
        return None if record.reason in PASSING else record
    if isinstance(record, Rejection):
        if record.reason == RejectReason.NEAR_DUPLICATE and keep_duplicates:
            return None
        may_pass = record.reason == RejectReason.ARTIFACTS and record.artifact_score <= max_artifact_score
        return None if may_pass else record
    if record.artifact_score <= max_artifact_score:
        return record
    return Rejection(
        photo_id=record.photo_id,
        path=record.path,
        version=record.version,
        digest=record.digest,
        fingerprint=record.fingerprint,
        stage="score",
        reason=str(RejectReason.ARTIFACTS),
        detail=f"Artifact score {record.artifact_score:.2f} is above {max_artifact_score:g}.",
        artifact_score=record.artifact_score,
        cpu_seconds=record.cpu_seconds,
        peak_mb=record.peak_mb,
    )


@dataclasses.dataclass(frozen=True)
class Rules:
    """How earlier records are judged.

    Attributes:
      fingerprint, max_artifact_score, keep_duplicates: see `stands`.
      redo: no record stands; prune: records of photos that are no longer listed are dropped.
    """

    fingerprint: str
    max_artifact_score: float
    redo: bool = False
    prune: bool = False
    keep_duplicates: bool = False


KEPT, TOUCHED, UNLISTED, FILES = "kept", "touched", "unlisted", "files"  # outputs of Triage beside the photos that need work


def triage(group, rules):
    """Parts what is known under one photo id.

    Args:
      group: (photo id, {"photos": PhotoRefs, "records": Outcomes}); a photo that several patterns match is there several times,
        and a run that was killed while it put its records in place may have left two of a photo.

    Yields:
      the PhotoRef, where it needs work, and tagged: the record that stands; one whose photo is not listed; (the PhotoRef, the
      record that would stand if the bytes were the same) where a photo was touched and is as long as before; and every file
      that earlier records name, as (photo id, path below the output folder).
    """
    photo_id, found = group
    photos = sorted(found["photos"], key=lambda ref: (ref.uri, ref.version))
    records = sorted(found["records"], key=lambda r: (type(r).__name__, r.fingerprint, r.version))
    for record in records:
        if isinstance(record, Candidate):
            yield beam.pvalue.TaggedOutput(FILES, (photo_id, record.clip))
            yield beam.pvalue.TaggedOutput(FILES, (photo_id, record.poster))
    if not photos:
        if records and not rules.prune:
            yield beam.pvalue.TaggedOutput(UNLISTED, records[0])
        return
    ref = photos[0]
    today = rules.fingerprint, rules.max_artifact_score, rules.keep_duplicates
    records = [] if rules.redo else records
    standing = [kept for record in records if (kept := stands(record, ref, *today))]
    if standing:
        yield beam.pvalue.TaggedOutput(KEPT, standing[0])
        return
    as_long = [r for r in records if r.digest and storage.size_of(r.version) == storage.size_of(ref.version)]
    renewed = (stands(dataclasses.replace(record, version=ref.version), ref, *today) for record in as_long)
    doubtful = [record for record in renewed if record]
    yield beam.pvalue.TaggedOutput(TOUCHED, (ref, doubtful[0])) if doubtful else ref


class Triage(beam.PTransform):
    """(PhotoRefs, earlier Outcomes) to what `triage` yields, by tag; what needs work is `work`."""

    def __init__(self, rules):
        super().__init__()
        self.rules = rules

    def expand(self, inputs):
        photos, records = inputs
        return (
            {
                "photos": photos | "Key photos" >> beam.Map(lambda ref: (ref.photo_id, ref)),
                "records": records | "Key records" >> beam.Map(lambda record: (record.photo_id, record)),
            }
            | beam.CoGroupByKey()
            | beam.FlatMap(triage, self.rules).with_outputs(KEPT, TOUCHED, UNLISTED, FILES, main="work")
        )


class Compare(beam.PTransform):
    """(PhotoRef, its record) of photos that were touched to the records that stand, `kept`, and the photos that need `work`.

    A copied or restored library has new times and generations and the old bytes: reading them costs a hundredth of a clip.
    `read(ref)` gives a photo's bytes or raises Failed; `digest(bytes)` is what records hold.
    """

    def __init__(self, read, digest):
        super().__init__()
        self.read, self.digest = read, digest

    def expand(self, touched):
        def compare(pair, read, digest):
            ref, record = pair
            try:
                same = digest(read(ref)) == record.digest
            except Failed:  # what reads it again says why it cannot
                same = False
            yield beam.pvalue.TaggedOutput(KEPT, record) if same else ref

        return touched | beam.FlatMap(compare, self.read, self.digest).with_outputs(KEPT, main="work")


def files_of(outcome):
    """Paths below the output folder that an Outcome names."""
    return (outcome.clip, outcome.poster) if isinstance(outcome, Candidate) else ()


class DeleteSuperseded(beam.PTransform):
    """(files of earlier records, today's Outcomes, what was written) to nothing: deletes the clips that no record names any more.

    Only once the records are in place, for which it waits: a killed run leaves files without a record, never the other way round.
    """

    def __init__(self, output):
        super().__init__()
        self.output = output

    def expand(self, inputs):
        earlier, outcomes, written = inputs

        def superseded(group):
            _, found = group
            yield from sorted(set(found["earlier"]) - set(found["today"]))

        def remove(path, output, _):
            storage.delete(posixpath.join(output, path))

        today = outcomes | "Files" >> beam.FlatMap(lambda o: [(o.photo_id, path) for path in files_of(o)])
        return (
            {"earlier": earlier, "today": today}
            | beam.CoGroupByKey()
            | "Superseded" >> beam.FlatMap(superseded)
            | "Delete" >> beam.Map(remove, self.output, beam.pvalue.AsIter(written))
        )
