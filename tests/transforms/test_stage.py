"""The rail: what a stage does with results, rejections, failures and programming errors."""

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
    (result,) = StageDoFn("half", function, options.get("open_handle"), options.get("elsewhere"), still).process(element)
    return result


def halve(_, __, value):
    if value % 2:
        raise Rejected(RejectReason.ARTIFACTS, f"{value} is odd.", score=9.0)
    if value == 0:
        raise Failed(FailReason.UNREADABLE, "Nothing to halve.")
    return value // 2


def test_a_result_flies_on_with_its_costs():
    assert one(halve) == InFlight(REF, "fingerprint", 10, (("before", 1.0), ("half", 0.0)))


def test_a_rejection_becomes_a_record_with_reason_score_and_costs():
    assert one(halve, InFlight(REF, "fingerprint", 3)) == Rejection(
        REF.photo_id, "a.jpg", "1", None, "fingerprint", "half", "artifacts", "3 is odd.", 9.0, {"half": 0.0}
    )


def test_a_failure_becomes_a_record_with_stage_and_reason():
    assert one(halve, InFlight(REF, "fingerprint", 0)) == Failure(
        REF.photo_id, "a.jpg", "1", None, "fingerprint", "half", "unreadable", "Nothing to halve.", {"half": 0.0}
    )


def test_what_has_ended_passes_untouched():
    ended = Failure("0", "b.jpg", "1", None, "f", "decode", "missing", "Gone.", {})
    assert one(lambda *_: pytest.fail("called"), ended) is ended


def test_a_programming_error_is_raised():
    with pytest.raises(ZeroDivisionError):
        one(lambda *_: 1 / 0)


def test_seconds_spent_elsewhere_are_added():
    spent = iter((3.0, 4.0))
    assert one(halve, elsewhere=lambda handle: next(spent)).cpu_seconds[-1] == ("half", 1.0)


def test_in_a_pipeline_nothing_is_lost_and_each_end_is_counted():
    with beam.Pipeline("FnApiRunner", options=PipelineOptions([])) as pipeline:
        results = pipeline | beam.Create([InFlight(REF, "f", value) for value in (0, 1, 2, 3, 4)]) | Stage("half", halve)
        kinds = results | beam.Map(lambda element: type(element).__name__)
        assert_that(kinds, equal_to(["Failure", "Rejection", "InFlight", "Rejection", "InFlight"]))
    counters = {c.key.metric.name: c.committed for c in pipeline.result.metrics().query()["counters"]}
    assert (counters["half_passed"], counters["half_rejected"], counters["half_failed"]) == (2, 2, 1)
