"""The training losses mean what their papers say."""

import numpy as np
import pytest

from models import losses


@pytest.fixture
def depth():
    """(2, 16, 20) float32: a ramp with a box in front of it, and its mirror image."""
    one = np.tile(np.linspace(0, 1, 20, dtype=np.float32), (16, 1))
    one[4:12, 6:14] += 1.0
    return np.stack([one, one[:, ::-1]])


def ssi(predicted, truth):
    return np.asarray(losses.scale_shift_invariant(losses.standardised(predicted), losses.standardised(truth)))


def test_depth_loss_knows_neither_scale_nor_shift(depth):
    assert ssi(3.0 * depth + 7.0, depth) == pytest.approx([0, 0], abs=1e-4)


def test_depth_loss_punishes_the_reverse_order(depth):
    assert (ssi(-depth, depth) > 0.5).all()


def test_what_is_wrong_on_a_tenth_of_the_pixels_is_trimmed(depth):
    wild = depth.copy()
    wild[:, :, :2] += 1.5
    untrimmed = np.abs(np.asarray(losses.standardised(wild)) - np.asarray(losses.standardised(depth))).mean(axis=(1, 2))
    assert (ssi(wild, depth) < 0.6 * untrimmed).all()


def test_gradient_loss_sees_a_blurred_outline_that_means_do_not(depth):
    import cv2

    blurred = np.stack([cv2.GaussianBlur(d, (0, 0), 2.0) for d in depth])
    gradient = np.asarray(losses.multi_scale_gradient(blurred, depth))
    shifted = np.asarray(losses.multi_scale_gradient(depth + np.abs(blurred - depth).mean(), depth))
    assert (gradient > 0.05).all()
    assert shifted == pytest.approx([0, 0], abs=1e-5)  # as far off on average, and no outline is
    assert np.asarray(losses.multi_scale_gradient(depth, depth)) == pytest.approx([0, 0])


def test_unknown_pixels_do_not_count_in_the_cross_entropy():
    logits = np.zeros((1, 4, 4, 3), np.float32)
    logits[..., 0] = 9.0
    labels = np.zeros((1, 4, 4), np.float32)
    right = float(np.asarray(losses.region_cross_entropy(logits, labels, [1, 1, 1]))[0])
    labels[0, 0] = 1
    wrong = float(np.asarray(losses.region_cross_entropy(logits, labels, [1, 1, 1]))[0])
    labels[0, 0] = 255
    ignored = float(np.asarray(losses.region_cross_entropy(logits, labels, [1, 1, 1]))[0])
    assert right == pytest.approx(0, abs=1e-3) and ignored == pytest.approx(0, abs=1e-3)
    assert wrong > 1.0


def test_fixation_loss_vanishes_for_the_density_itself_and_grows_with_distance():
    y, x = np.mgrid[:20, :20]

    def density(cx):
        return np.exp(-((x - cx) ** 2 + (y - 10) ** 2) / 8.0)[None].astype(np.float32)

    def loss(cx):
        return float(np.asarray(losses.fixation(np.log(density(cx) + 1e-9), density(6)))[0])

    assert loss(6) == pytest.approx(0, abs=1e-2)
    assert loss(6) < loss(8) < loss(14)


def test_salient_object_loss_prefers_the_object():
    mask = np.zeros((1, 8, 8), np.float32)
    mask[0, 2:6, 2:6] = 1
    logits = 20 * mask - 10
    assert float(np.asarray(losses.salient_object(logits, mask))[0]) < 0.05
    assert float(np.asarray(losses.salient_object(-logits, mask))[0]) > 5


def people_logits(labels, certainty=20.0):
    return np.eye(3, dtype=np.float32)[labels] * certainty


def test_overlap_is_lost_only_where_masks_differ():
    labels = np.zeros((2, 20, 20), int)
    labels[0, 5:15, 5:15], labels[0, 5:9, 8:12] = 1, 2  # a person with a head; nobody in the second
    right = np.asarray(losses.region_overlap(people_logits(labels), labels))
    assert right == pytest.approx([0, 0], abs=0.05)
    missed = np.asarray(losses.region_overlap(people_logits(0 * labels), labels))
    assert missed == pytest.approx([1, 0], abs=0.05)


def test_a_small_person_counts_as_much_as_a_large_one():
    labels = np.zeros((2, 64, 64), int)
    labels[0, :, :40], labels[1, 10:18, 10:18] = 1, 1
    half = labels.copy()
    half[0, :, 20:], half[1, :, 14:] = 0, 0
    large, small = np.asarray(losses.region_overlap(people_logits(half), labels))
    assert large == pytest.approx(small, abs=0.05)


def test_overlap_leaves_unknown_pixels_out():
    labels = np.zeros((1, 20, 20), int)
    labels[0, :, :10] = 1
    predicted = people_logits(labels)
    labels[0, :, 5:10] = 255
    assert np.asarray(losses.region_overlap(predicted, labels)) == pytest.approx([0], abs=0.05)
