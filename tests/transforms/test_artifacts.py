"""What tears, how it is counted, and what it costs."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renderer import camera
from tests.transforms.scenes import SHAPE, box, disc, soft_subject, standing_out
from transforms.artifacts import COARSE_STEP, ArtifactMeter, components, padded_regions
from transforms.framing import photo_window

AHEAD = np.array([0.0, 0.0, -2.0])  # a pivot


def both_ways(way):
    """A path to both ends of a way (3,)."""
    return camera.looking_at(np.outer([-1.0, 1.0], way), AHEAD)


SIDEWAYS = np.array([0.1, 0.0, 0.0])


def meter_of(scene):
    return ArtifactMeter(scene, photo_window(scene.lens))


@pytest.fixture(scope="module")
def sharp():
    return standing_out(disc(), saliency=disc())


# Pieces


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.7))
@settings(deadline=None)
def test_pieces_are_those_that_opencv_finds(seed, density):
    rng = np.random.default_rng(seed)
    torn, region = rng.random((40, 53)) < density, rng.integers(0, 3, (40, 53)).astype(np.uint8)
    areas, regions = components(torn.astype(np.float32), region)
    for label in range(3):
        mask = (torn & (region == label)).astype(np.uint8)
        expected = cv2.connectedComponentsWithStats(mask, connectivity=8)[2][1:, cv2.CC_STAT_AREA]
        assert sorted(areas[regions == label]) == sorted(expected)


def test_without_tears_there_are_no_pieces():
    areas, regions = components(np.zeros((5, 7), np.float32), np.zeros((5, 7), np.uint8))
    assert len(areas) == len(regions) == 0


def test_pixels_count_as_far_as_they_are_torn():
    torn = np.zeros((5, 7), np.float32)
    torn[1, 2:5] = 0.25, 1.0, 0.5
    areas, _ = components(torn, np.zeros((5, 7), np.uint8))
    assert areas == pytest.approx([1.75])


# What tears, and what it costs


def test_nothing_tears_without_steps_of_depth():
    assert meter_of(soft_subject()).along(both_ways(SIDEWAYS)).loss == 0


def test_the_photos_own_viewpoint_tears_nothing_and_costs_no_measurement(sharp):
    meter = meter_of(sharp)
    assert meter.along(camera.AT_REST).loss == 0
    assert meter.evaluations == 0


def test_one_large_tear_costs_more_than_more_area_in_pieces():
    whole = box(80, 320, 150, 210)
    pieces = np.any([box(top, top + 60, 150, 210) for top in (30, 150, 270, 390)], axis=0)
    whole, pieces = (meter_of(standing_out(near)).along(both_ways(SIDEWAYS / 2)) for near in (whole, pieces))
    assert whole.largest > 2 * pieces.largest
    assert whole.share <= pieces.share
    assert whole.loss > 1.2 * pieces.loss


def test_loss_grows_faster_than_the_area():
    small, large = (meter_of(standing_out(box(80, bottom, 150, 210))).along(both_ways(SIDEWAYS)) for bottom in (200, 320))
    assert large.share > 1.5 * small.share
    assert large.loss / large.share > 1.2 * small.loss / small.share


def test_the_same_tear_costs_more_on_a_body_and_most_on_a_head():
    near = disc()
    scenes = standing_out(near), standing_out(near, person=near), standing_out(near, person=near, head=near)
    background, body, head = (meter_of(scene).along(both_ways(SIDEWAYS)) for scene in scenes)
    assert background.share == body.share == head.share
    assert background.loss < body.loss < head.loss
    assert background.largest_head == body.largest_head == 0 < head.largest_head
    assert [np.argmax(tears.by_region) for tears in (background, body, head)] == [0, 1, 2]


def test_a_tear_outside_the_frame_costs_nothing(sharp):
    lens = sharp.lens
    lower_half = camera.Window(-lens.half_width, lens.half_width, -lens.half_height, -0.1 * lens.half_height)
    meter = meter_of(sharp)
    assert meter.along(both_ways(SIDEWAYS)).loss > 0
    meter.frame(lower_half)
    assert meter.along(both_ways(SIDEWAYS)).loss == 0


@pytest.mark.parametrize("direction", [0.0, 0.8, np.pi / 2, 2.5])
@pytest.mark.parametrize("climb", [-0.5, 0.0, 0.5])
def test_more_way_never_costs_less(sharp, direction, climb):
    meter, way = meter_of(sharp), np.array([np.cos(direction), np.sin(direction), -climb])
    losses = [meter.along(both_ways(size * way)).loss for size in (0.0, 0.03, 0.06, 0.09, 0.12)]
    assert losses[0] == 0
    assert (np.diff(losses) >= 0).all()


@pytest.mark.parametrize("way", [(0.1, 0, 0), (0, 0.1, 0), (0.06, 0.06, -0.05)])
def test_a_coarse_copy_measures_about_as_much(sharp, way):
    meters = ArtifactMeter(sharp, photo_window(sharp.lens)), ArtifactMeter(sharp, photo_window(sharp.lens), COARSE_STEP)
    fine, coarse = (meter.along(both_ways(np.array(way))) for meter in meters)
    assert coarse.loss == pytest.approx(fine.loss, rel=0.25)


def test_a_share_scales_the_means_alone(sharp):
    meter = meter_of(sharp)
    whole, half = (meter.mean(both_ways(SIDEWAYS), share) for share in (1.0, 0.5))
    assert (half.loss, half.share) == pytest.approx((whole.loss / 2, whole.share / 2))
    assert (half.largest, half.largest_share) == (whole.largest, whole.largest_share)


# Regions


def test_heads_lie_over_bodies_and_both_reach_over_their_outlines():
    regions = np.zeros(SHAPE, np.uint8)
    body, head = disc(0.5, 0.6, 0.2), disc(0.5, 0.3, 0.1)
    regions[body], regions[head] = 1, 2
    padded = padded_regions(regions)
    assert (padded[head] == 2).all()
    assert (padded[body] >= 1).all()
    for label in (1, 2):
        assert (padded >= label).sum() > (regions >= label).sum()


def test_without_people_there_is_nothing_to_pad():
    assert not padded_regions(np.zeros(SHAPE, np.uint8)).any()
