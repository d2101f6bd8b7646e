"""Which photos need work tonight, given what earlier nights left."""

import dataclasses

import apache_beam as beam
import pytest
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that, equal_to

from beam_pipeline import manifest, sinks
from beam_pipeline.manifest import Rules, stands, triage
from tests.beam_pipeline.test_sinks import CANDIDATE, FAILURE, REJECTION
from transforms.elements import Failed, FailReason, PhotoRef

RULES = Rules(fingerprint="f00", max_artifact_score=1.0)
FILES = [(CANDIDATE.photo_id, CANDIDATE.clip), (CANDIDATE.photo_id, CANDIDATE.poster)]


def listed(record, **changes):
    """The PhotoRef of a record's photo, as it is listed tonight."""
    return dataclasses.replace(PhotoRef(record.photo_id, record.path, f"/library/{record.path}", record.version), **changes)


def stands_today(record, **changes):
    return stands(dataclasses.replace(record, **changes), listed(record), RULES.fingerprint, RULES.max_artifact_score)


@pytest.mark.parametrize("record", [CANDIDATE, REJECTION, FAILURE], ids=lambda record: type(record).__name__)
def test_a_record_stands_for_the_same_version_and_configuration(record):
    assert stands_today(record) == record
    assert stands_today(record, fingerprint="f01") is None
    assert stands_today(record, version="older") is None


@pytest.mark.parametrize("reason", list(FailReason))
def test_a_failure_is_tried_again_where_it_may_have_passed(reason):
    passing = {FailReason.MISSING, FailReason.NO_ACCESS, FailReason.UNWRITABLE, FailReason.CRASHED, FailReason.TIMEOUT}
    assert (stands_today(FAILURE, reason=str(reason)) is None) == (reason in passing)


def test_a_clip_above_todays_threshold_becomes_a_rejection():
    told = stands_today(CANDIDATE, artifact_score=1.5)
    assert (told.reason, told.artifact_score, told.photo_id) == ("artifacts", 1.5, CANDIDATE.photo_id)


@pytest.mark.parametrize(
    ("reason", "score", "still"), [("artifacts", 9.0, True), ("artifacts", 0.5, False), ("too_flat", None, True)]
)
def test_a_rejection_by_a_threshold_that_has_moved_is_reconsidered(reason, score, still):
    assert (stands_today(REJECTION, reason=reason, artifact_score=score) is not None) == still


def parted(photos, records, rules=RULES):
    """{tag: what `triage` yields}; "work" for the photos."""
    found = {}
    for value in triage(("00ff", {"photos": photos, "records": records}), rules):
        tag, value = (value.tag, value.value) if isinstance(value, beam.pvalue.TaggedOutput) else ("work", value)
        found.setdefault(tag, []).append(value)
    return found


def test_a_new_photo_needs_work_once_however_often_it_is_listed():
    ref = listed(CANDIDATE)
    assert parted([ref, ref], []) == {"work": [ref]}


def test_a_known_photo_needs_none():
    assert parted([listed(CANDIDATE)], [CANDIDATE]) == {"kept": [CANDIDATE], "files": FILES}


def test_a_changed_photo_is_redone_and_its_files_are_named_for_deletion():
    ref = listed(CANDIDATE, version="10-2.5")
    assert parted([ref], [CANDIDATE]) == {"work": [ref], "files": FILES}


def test_a_photo_that_was_touched_and_is_as_long_as_before_is_compared_first():
    ref = listed(CANDIDATE, version="9-2.5")
    renewed = dataclasses.replace(CANDIDATE, version="9-2.5")
    assert parted([ref], [CANDIDATE]) == {"touched": [(ref, renewed)], "files": FILES}
    assert "touched" not in parted([ref], [dataclasses.replace(CANDIDATE, digest=None)])
    assert "touched" not in parted([ref], [dataclasses.replace(CANDIDATE, fingerprint="f01")])


def test_the_record_of_a_touched_photo_stands_where_its_bytes_are_the_same():
    touched = [(listed(record, version="9-2"), record) for record in (CANDIDATE, REJECTION, FAILURE)]
    bytes_now = {CANDIDATE.path: CANDIDATE.digest, REJECTION.path: "other"}

    def read(ref):
        if ref.path not in bytes_now:
            raise Failed(FailReason.MISSING, "Gone.")
        return bytes_now[ref.path]

    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        parts = pipeline | beam.Create(touched) | manifest.Compare(read, lambda data: data)
        assert_that(parts.kept, equal_to([CANDIDATE]), "kept")
        assert_that(parts.work, equal_to([touched[1][0], touched[2][0]]), "work")


def test_redo_lets_no_record_stand():
    ref = listed(CANDIDATE)
    assert parted([ref], [CANDIDATE], dataclasses.replace(RULES, redo=True)) == {"work": [ref], "files": FILES}


def test_what_is_not_listed_stays_unless_it_is_pruned():
    assert parted([], [CANDIDATE]) == {"unlisted": [CANDIDATE], "files": FILES}
    assert parted([], [CANDIDATE], dataclasses.replace(RULES, prune=True)) == {"files": FILES}


def test_of_two_records_of_a_photo_one_is_left():
    """A run that was killed while it put its records in place leaves such."""
    other = dataclasses.replace(REJECTION, photo_id=CANDIDATE.photo_id, version=CANDIDATE.version, fingerprint="old")
    found = parted([listed(CANDIDATE)], [other, CANDIDATE])
    assert found["kept"] == [CANDIDATE]
    assert len(parted([], [other, CANDIDATE])["unlisted"]) == 1


def test_records_are_read_as_they_were_written(tmp_path):
    outcomes = [CANDIDATE, REJECTION, FAILURE]
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        pipeline | beam.Create(outcomes) | sinks.WriteRecords(str(tmp_path), 2)
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        assert_that(pipeline | manifest.ReadRecords(str(tmp_path)), equal_to(outcomes))


def test_where_nothing_was_written_there_is_no_record(tmp_path):
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        assert_that(pipeline | manifest.ReadRecords(str(tmp_path / "nowhere")), equal_to([]))


def test_a_record_of_an_earlier_program_that_lacks_a_column_is_none():
    row = sinks.row(CANDIDATE)
    assert manifest.record_of(type(CANDIDATE), row) == CANDIDATE
    del row["version"]
    assert manifest.record_of(type(CANDIDATE), row) is None
