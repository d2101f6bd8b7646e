"""Ways of the camera: equally far for the subject, wherever they go."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderer.camera import FAR, NEAR, Lens, Path, looking_at, project, unproject
from transforms.framing import photo_window
from transforms.moves import MAX_APPROACH, Gauge, Move, candidates, neighbours, presets
from transforms.trajectory import Subject

LENS = Lens.of_photo(300, 400)
WHOLE = photo_window(LENS)
FRAMES = 30
AMPLITUDE = 0.03

places = st.floats(0.1, 0.9)
subjects = st.builds(
    lambda near, spread, x, y, vx, vy: Subject(near, spread, (x, y), (vx, vy)),
    st.floats(0.5, 1.0), st.floats(0.1, 0.5), places, places, st.floats(0.001, 0.05), st.floats(0.001, 0.05),
)  # fmt: skip


def gauge_of(x=0.5, y=0.5, variance=0.02, spread=0.5):
    return Gauge.of(Subject(0.9, spread, (x, y), (variance, variance)), LENS)


def path_of(move, amplitude=AMPLITUDE, loop=False):
    return looking_at(move.positions(amplitude, FRAMES, loop), np.array([0.0, 0.0, -2.0]))


@given(subjects, st.sampled_from(["arc", "push", "orbit"]), st.booleans())
def test_every_candidate_shifts_the_subject_equally_far(subject, motion, loop):
    gauge = Gauge.of(subject, LENS)
    for move in candidates(gauge, motion, (0.1, -0.1), WHOLE):
        # a loop's frames lie beside the end of the way, hence not quite as far apart
        assert gauge.of_path(path_of(move, loop=loop)) == pytest.approx(
            AMPLITUDE, rel=0.02 if motion == "orbit" or loop else 1e-6
        )


@given(subjects, st.floats(0, math.tau), st.floats(-0.7, 0.7))
def test_the_shift_is_what_a_viewer_sees(subject, direction, climb):
    """Points of the subject, and others behind them on the same lines of sight, from where a short way ends."""
    way = 0.01 * np.array([math.cos(direction), math.sin(direction), -climb])
    rng = np.random.default_rng(0)
    offsets = rng.standard_normal((400, 2))
    offsets = (offsets - offsets.mean(0)) / offsets.std(0) * np.sqrt(subject.variance)
    xy = np.array(subject.pivot) + offsets
    near, behind = (unproject(xy, np.full(400, d), LENS) for d in (subject.inverse_depth, subject.inverse_depth - subject.spread))
    apart = project(near, way, np.eye(3))[0] - project(behind, way, np.eye(3))[0]
    seen = float(np.sqrt(np.square(apart).sum(1).mean()))
    assert Gauge.of(subject, LENS).shift(way) == pytest.approx(seen, rel=0.05)


def test_an_arc_from_the_middle_passes_the_viewpoint_and_one_from_the_end_starts_there():
    through, onward = (path_of(Move.line(gauge_of(), 0.3, 0.1, start)).positions for start in (0.0, 1.0))
    assert through[0] == pytest.approx(-through[-1])
    assert onward[0] == pytest.approx(np.zeros(3), abs=1e-12)


@pytest.mark.parametrize("target", [(0.0, 0.0), (0.2, -0.3), (-0.4, 0.1)])
def test_a_push_goes_to_what_the_photo_shows_there(target):
    """What is there stays in place for a camera that does not turn, at any depth."""
    positions = path_of(Move.toward(gauge_of(0.3, 0.3), target)).positions
    assert (np.diff(positions[:, 2]) < 0).all()
    seen = project(np.array([[*target, -1.0]]) * np.array([[NEAR], [FAR]]), positions[-1], np.eye(3))[0]
    assert seen == pytest.approx(np.array([target, target]), abs=1e-9)


def test_an_orbit_goes_round_and_comes_back():
    once, again = (path_of(Move.ellipse(gauge_of(), 0.0, 1.0), loop=loop).positions for loop in (False, True))
    radius = np.linalg.norm(once[0])
    for positions in (once, again):
        assert np.linalg.norm(positions, axis=1) == pytest.approx(np.full(FRAMES, radius))
    assert once[0] == pytest.approx(once[-1])
    assert again.mean(0) == pytest.approx(np.zeros(3), abs=1e-9)


@pytest.mark.parametrize("motion", ["arc", "push", "orbit"])
def test_auto_and_each_motion_offer_what_they_say(motion):
    assert {move.motion for move in candidates(gauge_of(), motion, (0, 0), WHOLE)} == {motion}
    assert {move.motion for move in candidates(gauge_of(), "auto", (0, 0), WHOLE)} == {"arc", "push"}


@given(st.floats(0, math.tau), st.floats(-0.7, 0.7), st.sampled_from([0.0, 1.0]))
def test_directions_are_told_as_they_were_asked(direction, climb, start):
    move = Move.line(gauge_of(), direction, climb, start)
    assert math.cos(move.direction - direction) == pytest.approx(1)
    assert move.climb == pytest.approx(climb)


@pytest.mark.parametrize(
    "move", [Move.line(gauge_of(), 0.3, 0.2), Move.toward(gauge_of(), (0.1, 0.1)), Move.ellipse(gauge_of(), 0.5, 0.5)]
)
def test_neighbours_are_of_the_same_kind_and_a_little_aside(move):
    around = neighbours(gauge_of(), move, 0.1)
    assert {other.motion for other in around} == {move.motion}
    aside = [other for other in around if other.start == move.start]
    assert aside
    for other in aside:
        cosine = other.reach @ move.reach / np.linalg.norm(other.reach) / np.linalg.norm(move.reach)
        assert 0.005 < math.acos(min(cosine, 1.0)) <= 0.15


@pytest.mark.parametrize("start", [0.0, 0.5, 1.0])
def test_an_arc_has_neighbours_that_start_elsewhere(start):
    move = Move.line(gauge_of(), 0.3, 0.2, start)
    others = [other.start for other in neighbours(gauge_of(), move, math.pi / 24) if other.start != start]
    assert others == pytest.approx([s for s in (start - 0.5, start + 0.5) if -1 <= s <= 1])


def test_a_circle_has_no_neighbours():
    assert neighbours(gauge_of(), Move.ellipse(gauge_of(), 0.0, 1.0), 0.1) == []


def test_the_limit_is_where_the_camera_has_come_near_enough():
    for move in candidates(gauge_of(), "auto", (0.1, 0.1), WHOLE):
        if move.limit < math.inf:
            assert -path_of(move, move.limit).positions[:, 2].min() == pytest.approx(MAX_APPROACH)
        else:
            assert path_of(move).positions[:, 2].min() >= -1e-12


def test_a_preset_that_would_walk_into_the_scene_is_left_out():
    small = gauge_of(variance=1e-4)  # straight ahead, hardly anything of a small subject shifts
    assert {move.motion for move in presets(small, AMPLITUDE)} == {"arc", "orbit"}
    large = gauge_of(variance=0.05, spread=0.9)
    assert {move.motion for move in presets(large, 0.02)} == {"arc", "orbit", "push"}
    assert all(move.limit >= 0.02 for move in presets(large, 0.02))


def test_the_shift_of_a_path_is_between_the_frames_farthest_apart():
    gauge = gauge_of()
    path = Path(np.array([[0.0, 0, 0], [0.1, 0, 0], [-0.05, 0, 0]]), np.eye(3)[None].repeat(3, 0))
    assert gauge.of_path(path) == pytest.approx(gauge.shift(np.array([0.15, 0, 0])))
