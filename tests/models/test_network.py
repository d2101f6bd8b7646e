"""The built-in network: its shapes, its heads, its weights on disk."""

import cv2
import numpy as np
import pytest
from skimage import data

from models import network
from models.registry import BUILTIN_WEIGHTS, Builtin


@pytest.fixture(scope="module")
def net():
    return network.build_network()


def test_heads_answer_at_half_the_input(net):
    outputs = net(np.zeros((1, 64, 96, 3), np.float32), training=False)
    assert {name: tuple(value.shape) for name, value in outputs.items()} == {
        "inverse_depth": (1, 32, 48, 1),
        "regions": (1, 32, 48, 3),
        "saliency": (1, 32, 48, 2),
    }


def test_a_head_that_is_not_asked_for_is_not_built(net):
    alone = network.build_network(["inverse_depth"])
    assert list(alone.output) == ["inverse_depth"]
    assert alone.count_params() < 0.95 * net.count_params()


def test_an_unknown_head_is_named():
    with pytest.raises(ValueError, match="normals"):
        network.build_network(["normals"])


def test_weights_come_back_as_they_were_but_for_half_precision(net, tmp_path):
    network.save_weights(net, tmp_path / "w.npz")
    other = network.build_network()
    network.load_weights(other, tmp_path / "w.npz")
    for ours, theirs in zip(net.weights, other.weights, strict=True):
        np.testing.assert_allclose(np.asarray(theirs), np.asarray(ours), rtol=1e-3, atol=1e-6)


def test_one_head_loads_from_the_weights_of_all(tmp_path, net):
    network.save_weights(net, tmp_path / "w.npz")
    network.load_weights(network.build_network(["saliency"]), tmp_path / "w.npz")


def test_weights_of_another_network_are_refused_by_name(tmp_path):
    np.savez(tmp_path / "w.npz", other=np.zeros(3))
    with pytest.raises(ValueError, match="another network"):
        network.load_weights(network.build_network(["saliency"]), tmp_path / "w.npz")


def test_the_built_in_weights_are_small_and_whole(net):
    assert BUILTIN_WEIGHTS.stat().st_size < 12e6
    network.load_weights(net, BUILTIN_WEIGHTS)
    assert all(np.isfinite(np.asarray(w)).all() for w in net.weights)


def test_folding_the_batch_norms_changes_no_answer(net):
    small = network.build_network(folded=True)
    for model in (net, small):
        network.load_weights(model, BUILTIN_WEIGHTS)
    assert not [layer for layer in small.layers if "_bn" in layer.name]
    photo = cv2.resize(data.astronaut(), (96, 64))[None].astype(np.float32)
    answers, expected = small(photo, training=False), net(photo, training=False)
    for name in network.HEADS:
        np.testing.assert_allclose(answers[name], expected[name], atol=1e-3)


def test_the_built_in_network_takes_any_aspect():
    run = Builtin(["depth", "people", "saliency"])
    for height, width in ((300, 400), (400, 300), (250, 1000)):
        (maps,) = run([np.full((height, width, 3), 127, np.uint8)])
        assert maps["people"].shape[:2] == maps["depth"].shape == maps["saliency"].shape
        assert maps["people"].sum(-1) == pytest.approx(1, abs=1e-4)
        assert 0 <= maps["saliency"].min() and maps["saliency"].max() <= 1
