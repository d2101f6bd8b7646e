"""Where the camera sees things, what stays in place while it moves, and how softly it starts and stops."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from renderer.camera import FAR, NEAR, Lens, distance, ease, looking_at, project, revolution, swing, unproject

LENS = Lens.of_photo(400, 300)
AT_REST = np.zeros(3), np.eye(3)
STEP = 1e-3  # of the unit interval, for differences of `ease`

shares = st.floats(0, 1)
pivots = st.builds(lambda x, y, d: unproject(np.array([x, y]), d, LENS), shares, shares, shares)
travels = st.builds(lambda x, y: np.array([x, y]), st.floats(-0.6, 0.6), st.floats(-0.6, 0.6))
dollies = st.floats(-0.8, 0.8)  # short of NEAR, where the camera would stand in the nearest surface
phases = st.lists(st.floats(-1, 1), min_size=1, max_size=5)


def arc(phases, travel, dolly, pivot):
    """Poses along a straight way through the photo's viewpoint."""
    return looking_at(np.outer(phases, [*travel, -dolly]), pivot)


def on_axis(away):
    """World points on the optical axis at the given distances."""
    return np.array([[0.0, 0.0, -z] for z in away])


def test_inverse_depth_spans_near_to_far():
    assert distance(1.0) == pytest.approx(NEAR)
    assert distance(0.0) == pytest.approx(FAR)


def test_more_inverse_depth_is_nearer():
    assert (np.diff(distance(np.linspace(0, 1, 100))) < 0).all()


@pytest.mark.parametrize(("width", "height"), [(400, 300), (300, 400)])
def test_the_long_side_spans_the_field_of_view(width, height):
    lens = Lens.of_photo(width, height, fov=math.radians(70))
    assert 2 * math.atan(max(lens.half_width, lens.half_height)) == pytest.approx(math.radians(70))
    assert lens.half_width / lens.half_height == pytest.approx(width / height)


@pytest.mark.parametrize("fov", [0.0, -1.0, math.pi, math.nan])
def test_an_impossible_field_of_view_is_refused(fov):
    with pytest.raises(ValueError, match="fov"):
        Lens.of_photo(4, 3, fov)


@given(arrays(float, (7, 2), elements=shares), arrays(float, 7, elements=shares))
def test_the_photos_own_camera_sees_every_point_where_the_photo_shows_it(xy, inverse_depth):
    seen, depth = project(unproject(xy, inverse_depth, LENS), *AT_REST)
    assert seen == pytest.approx((2 * xy - 1) * [LENS.half_width, -LENS.half_height], abs=1e-12)
    assert depth == pytest.approx(distance(inverse_depth))


@given(pivots, travels, dollies, phases)
def test_the_pivot_stays_where_the_photo_shows_it(pivot, travel, dolly, phases):
    path = arc(phases, travel, dolly, pivot)
    seen = [project(pivot[None], p, r)[0][0] for p, r in zip(path.positions, path.rotations, strict=True)]
    assert np.array(seen) == pytest.approx(np.tile(pivot[:2] / -pivot[2], (len(path), 1)), abs=1e-9)


@given(pivots, travels, dollies, phases)
def test_rotations_are_rotations(pivot, travel, dolly, phases):
    for rotation in arc(phases, travel, dolly, pivot).rotations:
        assert rotation @ rotation.T == pytest.approx(np.eye(3), abs=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)


@given(pivots, travels, dollies)
def test_the_camera_does_not_roll_about_its_line_of_sight(pivot, travel, dolly):
    rotation = arc([1.0], travel, dolly, pivot).rotations[0]
    turn = rotation - rotation.T
    axis = np.array([turn[2, 1], turn[0, 2], turn[1, 0]])
    assert axis @ pivot == pytest.approx(0, abs=1e-9)


@given(travels, dollies, shares)
def test_a_level_horizon_stays_level_to_first_order(travel, dolly, inverse_depth):
    """Roll about the optical axis, for a pivot anywhere on it."""
    rotation = arc([1.0], travel, dolly, on_axis([distance(inverse_depth)])[0]).rotations[0]
    assert rotation[0, 1] - rotation[1, 0] == pytest.approx(0, abs=1e-12)


def test_an_arc_runs_through_the_photos_viewpoint():
    path = arc([-1, 0, 1], np.array([0.3, -0.2]), 0.1, on_axis([2])[0])
    assert path.positions == pytest.approx(np.array([[-0.3, 0.2, 0.1], [0, 0, 0], [0.3, -0.2, -0.1]]))
    assert path.rotations[1] == pytest.approx(np.eye(3))


@pytest.mark.parametrize("travel", [(0.2, 0.0), (-0.2, 0.0), (0.0, 0.2), (0.1, -0.1)])
def test_near_things_move_against_the_camera_the_nearer_the_more(travel):
    path = arc([1.0], np.array(travel), 0.0, on_axis([FAR])[0])
    seen, _ = project(on_axis([1, 2, 3, 4, 5]), path.positions[0], path.rotations[0])
    along = seen @ travel
    assert (along < 0).all()
    assert (np.diff(along) > 0).all()


def test_what_lies_behind_the_pivot_moves_with_the_camera():
    path = arc([1.0], np.array([0.2, 0.0]), 0.0, on_axis([NEAR])[0])
    seen, _ = project(on_axis([2, FAR]), path.positions[0], path.rotations[0])
    assert 0 < seen[0, 0] < seen[1, 0]


@given(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1))
def test_what_lies_at_the_pivots_depth_near_the_axis_hardly_moves(x, y):
    path = arc([1.0], np.array([0.1, 0.0]), 0.0, on_axis([2])[0])
    beside, nearer = np.array([[2 * x, 2 * y, -2.0]]), np.array([[x, y, -1.0]])
    shifts = [np.linalg.norm(project(p, path.positions[0], path.rotations[0])[0] - [x, y]) for p in (beside, nearer)]
    assert shifts[0] < 0.05 * shifts[1]


def test_ease_runs_from_0_to_1_and_never_back():
    t = np.linspace(0, 1, 1001)
    assert ease(0.0) == 0
    assert ease(1.0) == 1
    assert (np.diff(ease(t)) > 0).all()


@pytest.mark.parametrize(("order", "peak"), [(1, 1.875), (2, 5.77)])
def test_ease_starts_and_stops_without_speed_and_without_acceleration(order, peak):
    """`peak` is the largest derivative in between: what the ends are small against."""
    derivative = np.diff(ease(np.arange(0, 1 + STEP / 2, STEP)), order) / STEP**order
    assert np.abs(derivative).max() == pytest.approx(peak, rel=0.01)
    assert np.abs(derivative[[0, -1]]).max() < 0.02 * peak


def test_ease_has_a_bounded_jerk():
    assert np.abs(np.diff(ease(np.arange(0, 1 + STEP / 2, STEP)), 3)).max() / STEP**3 <= 60 + 1e-3  # rounding: 1e-16 / STEP^3


FRAMES, SECONDS = 90, 3.0


def jerk(places, loop):
    """Largest third derivative of places (n,) over a clip, as differences between its frames, in units a second cubed."""
    step = SECONDS / (len(places) if loop else len(places) - 1)
    if loop:
        places = np.concatenate([places, places[:3]])
    return np.abs(np.diff(places, 3)).max() / step**3


@pytest.mark.parametrize("loop", [False, True])
def test_a_swing_has_no_jerk_to_speak_of(loop):
    """Of a way of length 2: 60 / T^3 for the eased, (2 pi / T)^3 / 2 for the sine, times that length."""
    bound = 2 * max(60, (2 * math.pi) ** 3 / 2) / SECONDS**3
    assert jerk(swing(FRAMES, loop), loop) <= 1.05 * bound


def test_a_swing_runs_from_end_to_end_and_never_back():
    phases = swing(FRAMES)
    assert (phases[0], phases[-1]) == (-1, 1)
    assert (np.diff(phases) > 0).all()


def test_a_loop_of_a_swing_runs_there_and_back():
    phases = swing(FRAMES, loop=True)
    assert phases.min() == -1
    assert phases.max() == pytest.approx(1)
    assert phases[1:] == pytest.approx(phases[:0:-1])  # as it went


@pytest.mark.parametrize("motion", [swing, lambda *a: np.cos(revolution(*a)), lambda *a: np.sin(revolution(*a))])
def test_a_loop_repeats_without_a_jump(motion):
    """From the last frame to the first is a step like those beside it: no stop, and no frame shown twice."""
    places = motion(FRAMES, True)
    steps = np.diff(np.concatenate([places[-3:], places[:3]]))
    assert np.abs(np.diff(steps)).max() < 0.006


def test_a_revolution_is_a_full_turn_that_starts_and_stops_softly():
    angles = revolution(FRAMES)
    assert (angles[0], angles[-1]) == pytest.approx((0, 2 * math.pi))
    assert np.diff(angles)[[0, -1]].max() < 0.01 * np.diff(angles).max()


def test_a_part_of_a_path_keeps_its_ends():
    path = arc(np.linspace(-1, 1, 9), np.array([0.1, 0.0]), 0.0, on_axis([2])[0])
    part = path.part(4)
    assert len(part) == 4
    assert (part.positions[0] == path.positions[0]).all() and (part.positions[-1] == path.positions[-1]).all()
    assert len(path.part(50)) == 9
