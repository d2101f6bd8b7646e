"""Photos in flight get what the networks see; everything else on the rail passes."""

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that

from models.network import OUTPUT_STRIDE
from models.registry import input_size
from transforms.elements import Photo, PhotoRef, Rejection
from transforms.infer import Infer, NetworksHandler
from transforms.stage import InFlight

MODELS = {"depth": "builtin", "people": "builtin", "saliency": "builtin"}


class Brightness:
    """Networks to which bright is near; counts its batches."""

    def __init__(self):
        self.batches = []

    def batch(self, photos):
        self.batches.append(len(photos))
        grey = [rgb.mean(-1) for rgb in photos]
        return [{"depth": g, "people": np.stack([g, g, g], -1), "saliency": g} for g in grey]


def in_flight(name, value):
    photo = Photo(np.full((8, 8, 3), value, np.uint8), 1.0, None)
    return InFlight(PhotoRef(name, f"{name}.jpg", f"/{name}.jpg", "1"), "f" * 12, photo, (("decode", 0.5),))


def rejection(name):
    return Rejection(name, f"{name}.jpg", "1", None, "f" * 12, "decode", "too_small", "", None, {})


def test_a_batch_is_seen_at_once_and_keeps_its_order():
    networks, batch = Brightness(), [in_flight("a", 10), rejection("b"), in_flight("c", 30)]
    first, second, third = NetworksHandler(MODELS, False, 4).run_inference(batch, networks)
    assert networks.batches == [2]
    assert (first.value.inverse_depth[0, 0], third.value.inverse_depth[0, 0]) == (10, 30)
    assert second is batch[1]


def test_costs_are_added_to_what_is_behind():
    (seen,) = NetworksHandler(MODELS, False, 1).run_inference([in_flight("a", 10)], Brightness())
    assert [stage for stage, _ in seen.cpu_seconds] == ["decode", "infer"]


def test_a_batch_without_photos_asks_nobody():
    batch = [rejection("a"), rejection("b")]
    assert list(NetworksHandler(MODELS, False, 4).run_inference(batch, Brightness())) == batch


@pytest.mark.parametrize("batch", [1, 3])
def test_through_beam_the_real_networks_see_every_photo_once(batch):
    answer = tuple(side // OUTPUT_STRIDE for side in input_size(np.zeros((8, 8, 3), np.uint8)))

    def all_seen(elements):
        assert sorted(e.ref.photo_id for e in elements if isinstance(e, InFlight)) == ["a", "b", "c", "d"]
        assert sum(isinstance(e, Rejection) for e in elements) == 1
        assert all(e.value.inverse_depth.shape == answer for e in elements if isinstance(e, InFlight))

    pipeline = beam.Pipeline(runner="FnApiRunner", options=PipelineOptions([]))
    elements = [in_flight(name, 10) for name in "abcd"] + [rejection("e")]
    seen = pipeline | beam.Create(elements) | Infer(MODELS, batch=batch)
    assert_that(seen, all_seen)
    result = pipeline.run()
    result.wait_until_finish()
    (counter,) = result.metrics().query(beam.metrics.MetricsFilter().with_name("infer_passed"))["counters"]
    assert counter.committed == 4
