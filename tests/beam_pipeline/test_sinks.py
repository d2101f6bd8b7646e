"""What a run leaves behind can be read back, is whole or absent, and adds up."""

import dataclasses
import itertools
import json
import types
import typing
from datetime import datetime, timedelta, timezone

import apache_beam as beam
import pyarrow
import pyarrow.parquet
import pytest
from apache_beam.testing import test_pipeline
from hypothesis import given
from hypothesis import strategies as st

from beam_pipeline import sinks
from transforms.elements import Candidate, Clip, Failed, FailReason, Failure, Glimpse, Measures, PhotoRef, Rejection

GLIMPSE = Glimpse("00ff00ff00ff00ff", 0.75, "2014-09-07T05:00", 0.01)
MEASURES = Measures(
    artifact_score=0.25,
    relative_parallax=0.04,
    motion="arc",
    direction=1.5,
    climb=-0.3,
    largest_component=0.01,
    largest_head_component=0.0,
    stretched_share=0.02,
    stretched_share_max=0.03,
    background_loss=0.15,
    body_loss=0.1,
    head_loss=0.0,
    saliency_kept=0.9,
    window_share=0.8,
    people=0.3,
    evaluations=120,
)
CANDIDATE = Candidate(
    photo_id="00ff",
    path="2014/été.jpg",
    version="9-1.5",
    digest="d0",
    fingerprint="f00",
    clip="clips/00/00ff-f00.mp4",
    poster="clips/00/00ff-f00.jpg",
    width=1080,
    height=1440,
    frames=90,
    fps=30,
    capture_time="2014-09-07T05:00:00+02:00",
    phash="00ff00ff00ff00ff",
    sharpness=0.75,
    **dataclasses.asdict(MEASURES),
    cpu_seconds={"decode": 0.25, "render": 4.5},
    peak_mb={"decode": 300.0, "render": 370.0},
)
REJECTION = Rejection("01ff", "b.jpg", "2-1.5", "d2", "f00", "score", "artifacts", "Artifact score 9.", 9.0, {"decode": 0.5})
FAILURE = Failure("02ff", "c.jpg", "3-1.5", None, "f00", "decode", "unreadable", "The file is empty.", {"decode": 0.125})
OUTCOMES = [
    CANDIDATE,
    dataclasses.replace(CANDIDATE, photo_id="10ff", capture_time=None),
    REJECTION,
    dataclasses.replace(REJECTION, photo_id="11ff", stage="decode", reason="too_small", artifact_score=None),
    dataclasses.replace(REJECTION, photo_id="21ff", cpu_seconds={}),
    FAILURE,
]


def record(kind, row):
    """The record that a row read from Parquet was made of."""
    return kind(**row | {name: dict(row[name]) for name in ("cpu_seconds", "peak_mb")})


# Schemas


@pytest.mark.parametrize("kind", sinks.SCHEMAS)
def test_the_columns_are_the_fields_of_the_record_in_order(kind):
    assert sinks.SCHEMAS[kind].names == [field.name for field in dataclasses.fields(kind)]


@pytest.mark.parametrize("kind", sinks.SCHEMAS)
def test_a_column_may_be_null_where_its_field_may_be_none(kind):
    hints = typing.get_type_hints(kind)
    may_be_none = {name: types.NoneType in typing.get_args(hints[name]) for name in hints}
    assert {field.name: field.nullable for field in sinks.SCHEMAS[kind]} == may_be_none


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: outcome.photo_id)
def test_a_row_gives_its_record_back(outcome):
    table = pyarrow.Table.from_pylist([sinks.row(outcome)], schema=sinks.SCHEMAS[type(outcome)])
    table.validate(full=True)
    assert [record(type(outcome), row) for row in table.to_pylist()] == [outcome]


def names_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


# Clips

REF = PhotoRef("00ff", "2014/été.jpg", "/home/ann/photos/2014/été.jpg", "9-1.5", GLIMPSE, "d0")
TIME = datetime(2014, 9, 7, 5, tzinfo=timezone(timedelta(hours=2)))
CLIP = Clip(b"film", b"poster", 1080, 1440, 90, TIME, MEASURES)


def test_a_clip_is_on_disk_once_its_candidate_is_made(tmp_path):
    candidate = sinks.write_clip(str(tmp_path), "f00", 30, "mp4", REF, CLIP)
    assert candidate == dataclasses.replace(CANDIDATE, cpu_seconds={}, peak_mb={})
    assert (tmp_path / candidate.clip).read_bytes() == b"film"
    assert (tmp_path / candidate.poster).read_bytes() == b"poster"


def test_a_clip_written_again_leaves_the_same_files(tmp_path):
    assert sinks.write_clip(str(tmp_path), "f00", 30, "mp4", REF, CLIP) == sinks.write_clip(
        str(tmp_path), "f00", 30, "mp4", REF, CLIP
    )
    assert names_below(tmp_path) == [CANDIDATE.poster, CANDIDATE.clip]


def test_a_clip_that_cannot_be_written_fails_without_naming_the_folder(tmp_path):
    (tmp_path / "clips").touch()
    with pytest.raises(Failed) as failed:
        sinks.write_clip(str(tmp_path), "f00", 30, "mp4", REF, CLIP)
    assert failed.value.reason is FailReason.UNWRITABLE
    assert str(tmp_path) not in failed.value.detail


# Totals

COUNTS = st.integers(0, 10**6)
# Eighths of a second add up without rounding, so that sums may be compared exactly.
COSTS = st.dictionaries(st.sampled_from(["decode", "infer", "render"]), COUNTS.map(lambda eighths: eighths / 8))


def by_name(names, values):
    return st.dictionaries(st.sampled_from(names), values).map(lambda counts: tuple(sorted(counts.items())))


TOTALS = st.builds(
    sinks.Totals,
    candidates=COUNTS,
    rejected=by_name(["too_small", "artifacts"], COUNTS),
    failures=by_name(["missing", "unreadable"], COUNTS),
    skipped=COUNTS,
    cpu_seconds=COSTS.map(lambda costs: tuple(sorted(costs.items()))),
    peak_mb=COSTS.map(lambda costs: tuple(sorted(costs.items()))),
)


@given(TOTALS, TOTALS)
def test_totals_add_up_in_either_order(a, b):
    assert a.plus(b) == b.plus(a)


@given(TOTALS, TOTALS, TOTALS)
def test_totals_add_up_in_any_grouping(a, b, c):
    assert a.plus(b).plus(c) == a.plus(b.plus(c))


@given(TOTALS)
def test_empty_totals_add_nothing(a):
    assert a.plus(sinks.Totals()) == a == sinks.Totals().plus(a)


@given(TOTALS)
def test_the_photos_of_a_summary_are_the_sum_of_its_counts(totals):
    summary = totals.summary()
    assert summary["photos"] == sum(summary[count] for count in ("candidates", "rejected", "failures", "skipped"))
    assert summary["rejected"] == sum(summary["rejected_by_reason"].values())
    assert summary["failures"] == sum(summary["failures_by_reason"].values())


@pytest.mark.parametrize("outcome, count", [(CANDIDATE, "candidates"), (REJECTION, "rejected"), (FAILURE, "failures")])
def test_each_outcome_is_counted_as_what_it_is_with_its_costs(outcome, count):
    summary = sinks.Totals.of(outcome).summary()
    assert (summary["photos"], summary[count]) == (1, 1)
    assert summary["cpu_seconds"] == outcome.cpu_seconds | {"total": sum(outcome.cpu_seconds.values())}


# In a pipeline


ABOUT = {"fingerprint": "f00", "core_hour_price": 0.05, "versions": {"cinematic-photos": "1.0"}}


def run(output, outcomes, shards=1):
    with test_pipeline.TestPipeline("FnApiRunner") as pipeline:
        made = pipeline | beam.Create(outcomes)
        made | "WriteRecords" >> sinks.WriteRecords(str(output), shards)
        kept = pipeline | "Kept" >> beam.Create([])
        (made, kept) | "WriteSummary" >> sinks.WriteSummary(str(output), ABOUT)


def read_records(output):
    """All records below an output folder, by photo_id."""
    tables = {kind: pyarrow.parquet.read_table(output / folder) for kind, folder in sinks.FOLDERS.items()}
    found = [record(kind, row) for kind, table in tables.items() for row in table.to_pylist()]
    return sorted(found, key=lambda outcome: outcome.photo_id)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Output folder of a run that ended in `OUTCOMES`."""
    output = tmp_path_factory.mktemp("written")
    run(output, OUTCOMES)
    return output


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """Output folder of a run without any photo."""
    output = tmp_path_factory.mktemp("empty")
    run(output, [], shards=2)
    return output


def test_every_outcome_is_read_back_from_the_records(written):
    assert read_records(written) == sorted(OUTCOMES, key=lambda outcome: outcome.photo_id)


def test_records_have_the_schema_of_their_kind(written):
    for kind, folder in sinks.FOLDERS.items():
        assert pyarrow.parquet.read_schema(written / folder / "part-00000-of-00001.parquet").equals(sinks.SCHEMAS[kind])


def test_the_summary_counts_every_outcome(written):
    assert json.loads((written / "summary.json").read_text()) == {
        "photos": 6,
        "candidates": 2,
        "rejected": 3,
        "failures": 1,
        "skipped": 0,
        "rejected_by_reason": {"artifacts": 2, "too_small": 1},
        "failures_by_reason": {"unreadable": 1},
        "cpu_seconds": {"decode": 1.625, "render": 9.0, "total": 10.625},
        "peak_mb": {"decode": 300, "render": 370},
        **ABOUT,
    }


def test_the_summary_for_people_says_the_same(written):
    text = (written / "summary.md").read_text()
    for line in (
        "# 6 photos",
        "| candidates | 2 |",
        "| rejected: artifacts | 2 |",
        "| failures: unreadable | 1 |",
        "| render | 9.0 | 1.500 | 370 |",
    ):
        assert line in text
    assert f"cost {10.625 / 6 / 3600 * 0.05 * 1000:.3g} at 0.05 a core hour" in text


def test_a_run_leaves_records_and_summary_and_nothing_temporary(written):
    records = [f"{folder}/part-00000-of-00001.parquet" for folder in ("candidates", "failures", "rejected")]
    assert names_below(written) == [*records, "summary.json", "summary.md"]
    assert sorted(path.name for path in written.iterdir()) == ["candidates", "failures", "rejected", "summary.json", "summary.md"]


def test_without_any_photo_there_are_still_records_that_can_be_read(empty):
    assert read_records(empty) == []
    folders = itertools.product(sinks.FOLDERS.values(), ("part-00000-of-00002", "part-00001-of-00002"))
    assert [path for path in names_below(empty) if not path.startswith("summary")] == sorted(
        f"{a}/{b}.parquet" for a, b in folders
    )


def test_without_any_photo_there_is_still_a_summary(empty):
    summary = json.loads((empty / "summary.json").read_text())
    assert (summary["photos"], summary["rejected_by_reason"], summary["cpu_seconds"]) == (0, {}, {"total": 0})


@pytest.mark.parametrize("shards", [2, 1])
def test_a_second_run_replaces_the_first_ones_results(tmp_path, shards):
    run(tmp_path, OUTCOMES, shards=2)
    run(tmp_path, [FAILURE], shards=shards)
    assert len(names_below(tmp_path)) == 3 * shards + 2
    assert read_records(tmp_path) == [FAILURE]
    assert json.loads((tmp_path / "summary.json").read_text())["photos"] == 1
