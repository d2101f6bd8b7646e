"""The camera that each photo gets: what tears, what that costs, and the shot that is chosen for it."""

import math

import cv2
import numpy as np
import pytest
from skimage import data

from renderer import camera
from renderer.mesh import grid_points
from renderer.stretch import stretch_map
from transforms.elements import Perception, Photo, Rejected, RejectReason
from transforms.framing import photo_window
from transforms.mesh import build_scene
from transforms.settings import Settings
from transforms.trajectory import ArtifactMeter, find_subject, padded_regions, search, shoot

SHAPE = (512, 384)  # cells, as a portrait photo's grid has
FAR, NEAR = 0.2, 0.9
AHEAD = np.array([0.0, 0.0, -2.0])  # a pivot
SIDEWAYS, UPWARDS = np.array([0.1, 0.0]), np.array([0.0, 0.1])
ANY_LOSS = 1e6  # a budget that nothing exceeds, the largest that the settings take
SHORT = {"width": 240, "seconds": 0.3}  # nine frames


def disc(x=0.45, y=0.35, radius=0.2):
    """(512, 384) bool; x, y in [0, 1], radius as share of the width."""
    rows, columns = np.indices(SHAPE) + 0.5
    return np.hypot(columns - x * SHAPE[1], rows - y * SHAPE[0]) <= radius * SHAPE[1]


def box(top, bottom, left, right):
    out = np.zeros(SHAPE, bool)
    out[top:bottom, left:right] = True
    return out


def scene_of(depth, person=None, head=None, saliency=None):
    """The astronaut with the given maps; those left out are empty."""
    photo = cv2.resize(data.astronaut()[:, 64:448], SHAPE[::-1])
    maps = (np.zeros(SHAPE) if m is None else m for m in (depth, person, head, saliency))
    return build_scene(Perception(Photo(photo, camera.DEFAULT_FOV, None), *(np.asarray(m, np.float32) for m in maps)))


def standing_out(near, **maps):
    """Scene of something near, with sharp outlines, in front of a wall."""
    return scene_of(np.where(near, NEAR, FAR), **maps)


def soft_subject():
    """Scene of a smooth bump in front of a wall: it moves without a tear."""
    rows, columns = np.indices(SHAPE) / np.array(SHAPE)[:, None, None]
    bump = np.exp(-((columns - 0.45) ** 2 + (rows - 0.35) ** 2) / 0.05)
    return scene_of(FAR + 0.6 * bump, saliency=bump)


def meter_of(scene):
    return ArtifactMeter(scene, photo_window(scene.lens))


@pytest.fixture(scope="module")
def soft():
    return soft_subject()


@pytest.fixture(scope="module")
def sharp():
    return standing_out(disc(), saliency=disc())


# What tears, and what it costs


def test_nothing_tears_without_steps_of_depth(soft):
    assert meter_of(soft).path(SIDEWAYS, 0.0, AHEAD).loss == 0


def test_one_large_tear_costs_more_than_more_area_in_pieces():
    whole = box(80, 320, 150, 210)
    pieces = np.any([box(top, top + 60, 150, 210) for top in (30, 150, 270, 390)], axis=0)
    whole, pieces = (meter_of(standing_out(near)).path(SIDEWAYS / 2, 0.0, AHEAD) for near in (whole, pieces))
    assert whole.largest > 2 * pieces.largest
    assert whole.share <= pieces.share
    assert whole.loss > 1.2 * pieces.loss


def test_loss_grows_faster_than_the_area():
    small, large = (meter_of(standing_out(box(80, bottom, 150, 210))).path(SIDEWAYS, 0.0, AHEAD) for bottom in (200, 320))
    assert large.share > 1.5 * small.share
    assert large.loss / large.share > 1.2 * small.loss / small.share


def test_the_same_tear_costs_more_on_a_body_and_most_on_a_head():
    near = disc()
    scenes = standing_out(near), standing_out(near, person=near), standing_out(near, person=near, head=near)
    background, body, head = (meter_of(scene).path(SIDEWAYS, 0.0, AHEAD) for scene in scenes)
    assert background.share == body.share == head.share
    assert background.loss < body.loss < head.loss
    assert background.largest_head == body.largest_head == 0 < head.largest_head


def test_a_tear_outside_the_frame_costs_nothing(sharp):
    lens = sharp.lens
    lower_half = camera.Window(-lens.half_width, lens.half_width, -lens.half_height, -0.1 * lens.half_height)
    assert ArtifactMeter(sharp, lower_half).path(SIDEWAYS, 0.0, AHEAD).loss == 0


@pytest.mark.parametrize("direction", [0.0, 0.8, math.pi / 2, 2.5])
@pytest.mark.parametrize("dolly", [-0.5, 0.0, 0.5])
def test_more_parallax_never_costs_less(sharp, direction, dolly):
    meter = meter_of(sharp)
    unit = np.array([math.cos(direction), math.sin(direction)])
    losses = [meter.path(size * unit, size * dolly, AHEAD).loss for size in (0.0, 0.03, 0.06, 0.09, 0.12)]
    assert losses[0] == 0
    assert (np.diff(losses) >= 0).all()


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


# The subject


@pytest.mark.parametrize("label", [1, 2], ids=["body", "head"])
def test_people_are_the_subject_though_something_larger_is_more_salient(label):
    person, lamp = disc(0.3, 0.4, 0.15), disc(0.8, 0.8, 0.2)
    depth = np.where(person, 0.6, np.where(lamp, NEAR, FAR))
    subject = find_subject(depth, np.where(lamp, 1.0, np.where(person, 0.8, 0.0)), np.where(person, label, 0))
    assert subject.inverse_depth == pytest.approx(0.6)
    assert math.dist(subject.pivot, (0.3, 0.4)) < math.dist(subject.pivot, (0.8, 0.8))


def test_without_people_the_most_salient_is_the_subject():
    subject = find_subject(np.where(disc(0.7, 0.3), NEAR, FAR), disc(0.7, 0.3).astype(float), np.zeros(SHAPE, np.uint8))
    assert subject.inverse_depth == pytest.approx(NEAR)
    assert subject.spread == pytest.approx(NEAR - FAR)
    assert subject.pivot == pytest.approx((0.7, 0.3), abs=0.01)


def test_a_photo_that_interests_nowhere_still_has_a_subject():
    subject = find_subject(np.full(SHAPE, 0.5), np.zeros(SHAPE), np.zeros(SHAPE, np.uint8))
    assert (subject.inverse_depth, subject.spread) == (0.5, 0)
    assert subject.pivot == pytest.approx((0.5, 0.5))


# The search

LAYOUTS = {
    "disc": disc(),
    "standing": box(100, 450, 150, 210),
    "lying": box(240, 290, 40, 340),
    "corner": box(300, 512, 0, 150),
    "two": disc(0.25, 0.3, 0.1) | box(200, 512, 230, 330),
}


@pytest.mark.parametrize("near", LAYOUTS.values(), ids=LAYOUTS)
def test_the_chosen_path_tears_no_more_than_the_level_one(near):
    meter = meter_of(standing_out(near))
    direction, dolly, amplitude, tears = search(meter, 0.1, 0.02, ANY_LOSS, AHEAD)
    assert amplitude == 0.1
    assert tears.loss <= meter.path(SIDEWAYS, 0.0, AHEAD).loss
    assert tears == meter.path(amplitude * np.array([math.cos(direction), math.sin(direction)]), amplitude * dolly, AHEAD)


def test_the_camera_passes_along_what_stands_and_what_lies():
    meters = meter_of(standing_out(LAYOUTS["standing"])), meter_of(standing_out(LAYOUTS["lying"]))
    standing, lying = (abs(math.sin(search(meter, 0.1, 0.02, ANY_LOSS, AHEAD)[0])) for meter in meters)
    assert standing > math.sin(math.radians(60))
    assert lying < math.sin(math.radians(30))


def test_where_nothing_tears_the_camera_moves_on_the_level(soft):
    direction, dolly, _, _ = search(meter_of(soft), 0.1, 0.02, ANY_LOSS, AHEAD)
    assert math.sin(direction) == pytest.approx(0, abs=1e-9)
    assert dolly == 0


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_the_amplitude_is_lowered_to_the_budget_and_no_further(sharp, share):
    meter = meter_of(sharp)
    full = search(meter, 0.1, 0.02, ANY_LOSS, AHEAD)[-1].loss
    _, _, amplitude, tears = search(meter, 0.1, 0.02, share * full, AHEAD)
    assert 0.02 <= amplitude < 0.1
    assert tears.loss <= share * full
    assert tears.loss > 0.8 * share * full


def test_the_amplitude_is_never_lowered_below_the_least(sharp):
    assert search(meter_of(sharp), 0.1, 0.02, 0.0, AHEAD)[2] == 0.02


# The shot


def uncovered(shot):
    """Pixels of the window that show no surface, over all frames."""
    layer, lens = shot.scene.layers[-1], shot.scene.lens
    points, cells = grid_points(layer.inverse_depth, lens), tuple(s - 1 for s in layer.inverse_depth.shape)
    rows, columns = 256, 192
    x = (2 * (np.arange(columns) + 0.5) / columns - 1) * lens.half_width
    y = (1 - 2 * (np.arange(rows) + 0.5) / rows) * lens.half_height
    window = shot.window
    inside = ((y >= window.bottom) & (y <= window.top))[:, None] & ((x >= window.left) & (x <= window.right))
    maps = [
        stretch_map(points, np.zeros(cells, np.uint8), np.ones(cells), p, r, lens, (rows, columns))[0]
        for p, r in zip(shot.path.positions, shot.path.rotations, strict=True)
    ]
    return sum(np.count_nonzero(inside & (stretch == 0)) for stretch in maps)


@pytest.mark.parametrize("parallax", [0.02, 0.04, 0.1])
@pytest.mark.parametrize("aspect", ["3:4", "16:9"])
def test_every_frame_is_covered(soft, sharp, aspect, parallax):
    for scene in (soft, sharp):
        assert uncovered(shoot(scene, Settings(aspect=aspect, parallax=parallax, **SHORT))) == 0


@pytest.mark.parametrize("parallax", [0.02, 0.04, 0.08])
@pytest.mark.parametrize("aspect", ["3:4", "9:16", "16:9"])
def test_the_measured_parallax_is_what_a_viewer_sees(soft, aspect, parallax):
    """Subject and background on one line of sight at first; how far apart the ends of the path show them."""
    shot = shoot(soft, Settings(aspect=aspect, parallax=parallax, artifact_budget=ANY_LOSS, **SHORT))
    subject = find_subject(soft.layers[-1].inverse_depth[:-1, :-1], soft.saliency, soft.regions)
    depths = np.array([subject.inverse_depth, subject.inverse_depth - subject.spread])
    points = camera.unproject(np.tile(subject.pivot, (2, 1)), depths, soft.lens)
    first, last = (camera.project(points, shot.path.positions[i], shot.path.rotations[i])[0] for i in (0, -1))
    apart = np.linalg.norm((last - first)[1] - (last - first)[0]) / shot.window.width
    assert shot.measures.relative_parallax == pytest.approx(apart, rel=0.1)


@pytest.mark.parametrize("parallax", [0.02, 0.04, 0.08])
def test_a_photo_that_does_not_tear_gets_the_asked_parallax(soft, parallax):
    shot = shoot(soft, Settings(parallax=parallax, **SHORT))
    assert shot.measures.relative_parallax == pytest.approx(parallax, rel=0.15)  # the frame shrinks a little afterwards


def test_a_budget_lowers_parallax_and_score_but_keeps_the_least_parallax(sharp):
    free = shoot(sharp, Settings(artifact_budget=ANY_LOSS, **SHORT)).measures
    bound = shoot(sharp, Settings(artifact_budget=free.artifact_score / 2, **SHORT)).measures
    assert Settings().min_parallax <= bound.relative_parallax < free.relative_parallax
    assert bound.artifact_score < free.artifact_score


def test_a_photo_that_can_meet_the_budget_scores_below_it(sharp):
    wanted = {"parallax": 0.08, "min_parallax": 0.001}
    budget = 0.7 * shoot(sharp, Settings(artifact_budget=ANY_LOSS, **wanted, **SHORT)).measures.artifact_score
    assert shoot(sharp, Settings(artifact_budget=budget, **wanted, **SHORT)).measures.artifact_score <= budget


FLAT = {"far": np.zeros(SHAPE), "near": np.full(SHAPE, 0.7), "relief": np.where(disc(), 0.25, 0.2)}


@pytest.mark.parametrize("depth", FLAT.values(), ids=FLAT)
def test_flat_depth_is_rejected(depth):
    with pytest.raises(Rejected) as rejected:
        shoot(scene_of(depth, saliency=disc()), Settings(**SHORT))
    assert rejected.value.reason is RejectReason.TOO_FLAT


def test_a_frame_that_would_shrink_too_far_is_rejected(soft):
    with pytest.raises(Rejected) as rejected:
        shoot(soft, Settings(parallax=0.1, min_window=0.99, **SHORT))
    assert rejected.value.reason is RejectReason.FRAMING


@pytest.mark.parametrize(
    "aspect, height", [("3:4", 320), ("9:16", 428), ("1:1", 240), ("16:9", 136), ("2:1", 120), ("original", 320)]
)
def test_clip_and_window_have_the_asked_aspect(soft, aspect, height):
    """As near as heights of whole fours allow: the window follows the clip, so that pixels are square."""
    shot = shoot(soft, Settings(aspect=aspect, **SHORT))
    assert (shot.width, shot.height) == (240, height)
    assert shot.window.width / shot.window.height == pytest.approx(240 / height)


def test_the_path_has_a_pose_a_frame_and_starts_and_stops_softly(soft):
    shot = shoot(soft, Settings(width=240, seconds=2, fps=30))
    assert len(shot.path) == 60
    speeds = np.linalg.norm(np.diff(shot.path.positions, axis=0), axis=1)
    assert speeds[[0, -1]].max() < 0.01 * speeds.max()
    assert shot.path.positions[0] == pytest.approx(-shot.path.positions[-1])


def test_the_pivot_lies_on_the_subject(soft):
    assert shoot(soft, Settings(**SHORT)).pivot == pytest.approx((0.45, 0.35), abs=0.05)


def test_the_measures_are_shares(sharp):
    measures = shoot(sharp, Settings(**SHORT)).measures
    assert 0 < measures.largest_component <= measures.stretched_share * 2 <= 1  # the largest of both ends, the mean of both
    assert measures.largest_head_component == 0
    assert 0.9 < measures.saliency_kept <= 1
    assert Settings().min_window <= measures.window_share <= 1


def test_the_same_scene_gives_the_same_shot(sharp):
    first, second = (shoot(sharp, Settings(**SHORT)) for _ in range(2))
    assert first.measures == second.measures
    assert first.window == second.window
    assert (first.path.positions == second.path.positions).all()
