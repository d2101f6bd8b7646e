"""The rail: what a stage does with results, rejections, failures and programming errors."""

import dataclasses

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to

from transforms.elements import Failed, FailReason, Failure, PhotoRef, Rejected, Rejection, RejectReason
from transforms.stage import InFlight, Stage, StageDoFn

REF = PhotoRef(photo_id="0123456789abcdef", path="a.jpg", uri="/library/a.jpg", version="1")
FLIGHT = InFlight(REF, "fingerprint", 20, (("before", 1.0),))


def still():
    """A clock that stands, so that records can be compared."""
    return 0.0


def one(function, element=FLIGHT, **options):
    stage = StageDoFn("half", function, options.get("open_handle"), options.get("in_child"), still)
    stage.setup()
    (result,) = stage.process(element)
    return result


def plain(outcome):
    """Without the memory of this very process."""
    assert all(megabytes > 10 for megabytes in dict(outcome.peak_mb).values())
    return dataclasses.replace(outcome, peak_mb=type(outcome.peak_mb)())


def halve(_, __, value):
    if value % 2:
        raise Rejected(RejectReason.ARTIFACTS, f"{value} is odd.", score=9.0)
    if value == 0:
        raise Failed(FailReason.UNREADABLE, "Nothing to halve.")
    return value // 2


def test_a_result_flies_on_with_its_costs():
    assert plain(one(halve)) == InFlight(REF, "fingerprint", 10, (("before", 1.0), ("half", 0.0)))


def test_a_rejection_becomes_a_record_with_reason_score_and_costs():
    assert plain(one(halve, InFlight(REF, "fingerprint", 3))) == Rejection(
        REF.photo_id, "a.jpg", "1", None, "fingerprint", "half", "artifacts", "3 is odd.", 9.0, {"half": 0.0}
    )


def test_a_failure_becomes_a_record_with_stage_and_reason():
    assert plain(one(halve, InFlight(REF, "fingerprint", 0))) == Failure(
        REF.photo_id, "a.jpg", "1", None, "fingerprint", "half", "unreadable", "Nothing to halve.", {"half": 0.0}
    )


def test_what_has_ended_passes_untouched():
    ended = Failure("0", "b.jpg", "1", None, "f", "decode", "missing", "Gone.", {})
    assert one(lambda *_: pytest.fail("called"), ended) is ended


def test_a_programming_error_is_raised():
    with pytest.raises(ZeroDivisionError):
        one(lambda *_: 1 / 0)


def test_what_a_child_spends_is_counted():
    class Child:
        peak_mb, spent = 300.0, 0.0

        @property
        def cpu_seconds(self):
            self.spent += 1.0
            return self.spent

    flown = one(halve, open_handle=Child, in_child=True)
    assert flown.cpu_seconds[-1] == ("half", 1.0)
    assert flown.peak_mb[-1] == ("half", 300.0)


def test_in_a_pipeline_nothing_is_lost_and_each_end_is_counted():
    with beam.Pipeline("FnApiRunner", options=PipelineOptions([])) as pipeline:
        results = pipeline | beam.Create([InFlight(REF, "f", value) for value in (0, 1, 2, 3, 4)]) | Stage("half", halve)
        kinds = results | beam.Map(lambda element: type(element).__name__)
        assert_that(kinds, equal_to(["Failure", "Rejection", "InFlight", "Rejection", "InFlight"]))
    counters = {c.key.metric.name: c.committed for c in pipeline.result.metrics().query()["counters"]}
    assert (counters["half_passed"], counters["half_rejected"], counters["half_failed"]) == (2, 2, 1)
