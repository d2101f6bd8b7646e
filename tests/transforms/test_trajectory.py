"""The camera that each photo gets: its subject, the move that is chosen, and the shot."""

import math

import numpy as np
import pytest

from renderer import camera
from renderer.mesh import grid_points
from renderer.stretch import stretch_map
from tests.transforms.scenes import FAR, NEAR, SHAPE, box, disc, scene_of, soft_subject, standing_out
from transforms.artifacts import ArtifactMeter
from transforms.elements import Rejected, RejectReason
from transforms.moves import MAX_APPROACH, presets
from transforms.settings import Settings
from transforms.trajectory import BUDGET_TOLERANCE, MAX_HEAD, Search, View, find_subject, lower, pose_path, shoot

ANY_LOSS = 1e6  # a budget that nothing exceeds, the largest that the settings take
SHORT = {"width": 240, "seconds": 0.3}  # nine frames


@pytest.fixture(scope="module")
def soft():
    return soft_subject()


@pytest.fixture(scope="module")
def sharp():
    return standing_out(disc(), saliency=disc())


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


def search_of(scene, motion="auto", budget=ANY_LOSS):
    return Search(View.of(scene, Settings(**SHORT)), motion, budget)


@pytest.mark.parametrize("near", LAYOUTS.values(), ids=LAYOUTS)
def test_the_chosen_move_tears_no_more_than_any_preset(near):
    search = search_of(standing_out(near, saliency=near))
    move = search.best(0.02, 0.005)
    cost, _ = search.judge(search.fine, move, 0.02)
    assert all(cost <= search.judge(search.fine, preset, 0.02)[0] + 1e-9 for preset in presets(search.view.gauge, 0.02))


@pytest.mark.parametrize("motion", ["arc", "push", "orbit"])
def test_the_search_keeps_to_the_asked_motion(sharp, motion):
    assert search_of(sharp, motion).best(0.02, 0.005).motion == motion


def test_arcs_pass_along_what_stands_and_what_lies():
    standing, lying = (
        search_of(standing_out(near, saliency=near), "arc").best(0.03, 0.03) for near in (LAYOUTS["standing"], LAYOUTS["lying"])
    )
    assert abs(math.sin(lying.direction)) < math.sin(math.radians(30))
    assert abs(math.sin(standing.direction)) > math.sin(math.radians(45))


def test_a_push_goes_to_the_subject(sharp):
    """Anywhere else, the side of the subject that is turned away from it is torn open."""
    move = search_of(sharp, "push").best(0.02, 0.005)
    target = move.reach[:2] / -move.reach[2]
    inside = 0.2 * 2 * sharp.lens.half_width  # the disc's radius
    assert np.linalg.norm(target - [(2 * 0.45 - 1) * sharp.lens.half_width, (1 - 2 * 0.35) * sharp.lens.half_height]) < inside


def test_where_nothing_tears_the_camera_moves_on_the_level(soft):
    move = search_of(soft).best(0.02, 0.005)
    assert math.sin(move.direction) == pytest.approx(0, abs=1e-9)
    assert move.climb == pytest.approx(0, abs=1e-9)


def level(view):
    """Paths of a level arc, by their amplitude."""
    return lambda amplitude: pose_path(presets(view.gauge, 0.01)[0], amplitude, view.pivot, Settings(**SHORT))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_the_amplitude_is_lowered_to_the_budget_and_no_further(sharp, share):
    view = View.of(sharp, Settings(**SHORT))
    meter = ArtifactMeter(sharp, view.first)
    full = meter.along(level(view)(0.05)).loss
    amplitude, tears = lower(meter, level(view), 0.05, 0.005, share * full)
    assert 0.005 < amplitude < 0.05
    assert tears.loss <= share * full
    assert tears.loss > (1 - BUDGET_TOLERANCE) * share * full or meter.along(level(view)(1.5 * amplitude)).loss > share * full


def test_the_amplitude_is_never_lowered_below_the_least(sharp):
    view = View.of(sharp, Settings(**SHORT))
    assert lower(ArtifactMeter(sharp, view.first), level(view), 0.05, 0.02, 0.0)[0] == 0.02


def test_the_amplitude_is_lowered_for_a_torn_head_whatever_the_budget():
    scene = standing_out(disc(radius=0.12), person=disc(radius=0.12), head=disc(radius=0.12), saliency=disc(radius=0.12))
    view = View.of(scene, Settings(**SHORT))
    meter = ArtifactMeter(scene, view.first)
    assert meter.along(level(view)(0.05)).largest_head > MAX_HEAD
    assert lower(meter, level(view), 0.05, 0.001, ANY_LOSS)[1].largest_head <= MAX_HEAD


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
        stretch_map(points, np.zeros(cells, np.uint8), np.ones((*cells, 1)), p, r, lens, (rows, columns))[0]
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
    """Subject and background on one line of sight at first; how far apart the ends of the path show them, over the subject."""
    shot = shoot(soft, Settings(aspect=aspect, parallax=parallax, motion="arc", artifact_budget=ANY_LOSS, **SHORT))
    subject = find_subject(soft.layers[-1].inverse_depth[:-1, :-1], soft.saliency, soft.regions)
    corners = np.array([(x, y) for x in (-1, 1) for y in (-1, 1)])
    places = subject.pivot + corners * np.sqrt(subject.variance)
    depths = subject.inverse_depth, subject.inverse_depth - subject.spread
    points = [camera.unproject(places, np.full(4, d), soft.lens) for d in depths]
    near, far = (camera.project(p, shot.path.positions[[0, -1]], shot.path.rotations[[0, -1]])[0] for p in points)
    apart = np.diff(near - far, axis=0) / shot.window.width
    apart = np.sqrt(np.square(apart).sum(-1).mean())
    assert shot.measures.relative_parallax == pytest.approx(apart, rel=0.1 if parallax <= 0.04 else 0.2)  # to first order


@pytest.mark.parametrize("parallax", [0.02, 0.04, 0.08])
def test_a_photo_that_does_not_tear_gets_the_asked_parallax(soft, parallax):
    shot = shoot(soft, Settings(parallax=parallax, **SHORT))
    assert shot.measures.relative_parallax == pytest.approx(parallax, rel=0.05)


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
    shot = shoot(soft, Settings(width=240, seconds=2, fps=30, motion="arc"))
    assert len(shot.path) == 60
    speeds = np.linalg.norm(np.diff(shot.path.positions, axis=0), axis=1)
    assert speeds[[0, -1]].max() < 0.01 * speeds.max()


def test_the_pivot_lies_on_the_subject(soft):
    x, y, depth = shoot(soft, Settings(**SHORT)).pivot
    assert (x, y) == pytest.approx((0.45, 0.35), abs=0.05)
    assert depth > 0.6  # the bump's top is 0.8


def test_the_measures_are_shares(sharp):
    measures = shoot(sharp, Settings(**SHORT)).measures
    assert 0 <= measures.largest_component <= 1
    assert 0 <= measures.stretched_share <= 1
    assert measures.largest_head_component == 0
    assert 0.9 < measures.saliency_kept <= 1
    assert Settings().min_window <= measures.window_share <= 1
    assert measures.people == 0


def test_people_are_told_as_their_share_of_the_frame():
    person = disc(radius=0.2)
    shot = shoot(standing_out(person, person=person, saliency=person), Settings(**SHORT))
    frame = shot.window.width * shot.window.height / (4 * shot.scene.lens.half_width * shot.scene.lens.half_height)
    assert shot.measures.people == pytest.approx((shot.scene.regions > 0).mean() / frame, rel=0.05)


def test_the_same_scene_gives_the_same_shot(sharp):
    first, second = (shoot(sharp, Settings(**SHORT)) for _ in range(2))
    assert first.measures == second.measures
    assert first.window == second.window
    assert (first.path.positions == second.path.positions).all()


def test_a_push_that_cannot_reach_the_asked_parallax_does_what_it_can():
    small = standing_out(disc(radius=0.06), saliency=disc(radius=0.06))
    shot = shoot(small, Settings(motion="push", parallax=0.2, min_window=0.1, artifact_budget=ANY_LOSS, **SHORT))
    assert shot.measures.motion == "push"
    assert 0.012 <= shot.measures.relative_parallax < 0.2
    assert -shot.path.positions[:, 2].min() <= MAX_APPROACH + 1e-9


def test_a_loop_ends_where_it_began(sharp):
    shot = shoot(sharp, Settings(loop=True, motion="arc", width=240, seconds=1, fps=30))
    steps = np.linalg.norm(np.diff(shot.path.positions, axis=0, append=shot.path.positions[:1]), axis=1)
    assert steps.max() < 1.6 * np.median(steps)


HEADS = disc(0.2, 0.2, 0.08) | disc(0.8, 0.2, 0.08)


def test_heads_are_whole_in_every_frame_or_there_is_no_clip():
    scene = standing_out(HEADS, person=HEADS, head=HEADS, saliency=HEADS)
    shot = shoot(scene, Settings(**SHORT))
    heads = View.of(scene, Settings(**SHORT)).heads.points
    for position, rotation in zip(shot.path.positions, shot.path.rotations, strict=True):
        x, y = camera.project(heads, position, rotation)[0].T
        assert shot.window.left <= x.min() and x.max() <= shot.window.right
        assert shot.window.bottom <= y.min() and y.max() <= shot.window.top
    with pytest.raises(Rejected, match="heads do not fit"):
        shoot(scene, Settings(aspect="9:16", **SHORT))
