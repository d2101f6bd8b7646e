"""Every role can be played by a network from elsewhere, behind an adapter; files are made here."""

import numpy as np
import pytest

from models import registry
from models.registry import BUILTIN, ModelError, Networks

PHOTO = np.zeros((120, 160, 3), np.uint8)
PHOTO[:, 80:] = 255  # the right half is bright, hence near, a person and salient to the networks below


@pytest.fixture(scope="module")
def brightness():
    """A Keras network that answers with brightness 0..1, once with one channel and once as (dark, bright) classes."""
    import keras

    image = keras.Input((64, 64, 3), batch_size=1, name="image")
    grey = keras.ops.mean(image, axis=-1, keepdims=True)
    return {
        "map": keras.Model(image, grey),
        "classes": keras.Model(image, keras.ops.concatenate([1 - grey, grey], axis=-1)),
    }


@pytest.fixture(scope="module")
def saved_model(brightness, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "brightness"
    brightness["map"].export(path, verbose=False)
    return str(path)


@pytest.fixture(scope="module")
def tflite(brightness, tmp_path_factory):
    import tensorflow as tf

    path = tmp_path_factory.mktemp("lite") / "brightness.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(brightness["map"]).convert())
    return str(path)


def halves(values):
    """Mean of the left and the right third."""
    third = values.shape[1] // 3
    return values[:, :third].mean(), values[:, -third:].mean()


@pytest.mark.parametrize("kind", ["saved_model", "tflite"])
def test_depth_from_elsewhere(kind, request):
    maps = Networks({"depth": request.getfixturevalue(kind)})(PHOTO)
    assert halves(maps["depth"]) == pytest.approx((0, 1), abs=1e-3)


def test_a_network_of_distances_is_turned_into_inverse_depth(saved_model):
    left, right = halves(Networks({"depth": f"{saved_model}#distance"})(PHOTO)["depth"])
    assert left > right


def test_people_from_elsewhere_become_background_body_and_head(tflite):
    people = Networks({"people": tflite})(PHOTO)["people"]
    assert people.shape[-1] == 3
    assert halves(people[..., 1]) == pytest.approx((0, 1), abs=1e-3)
    assert people.sum(-1) == pytest.approx(1, abs=1e-4)


def test_saliency_from_elsewhere(saved_model):
    assert halves(Networks({"saliency": saved_model})(PHOTO)["saliency"]) == pytest.approx((0, 1), abs=1e-3)


def test_a_replaced_role_leaves_the_others_built_in(tflite):
    networks = Networks({"depth": tflite, "people": BUILTIN, "saliency": BUILTIN})
    assert networks.builtin.roles == ["people", "saliency"]
    assert set(networks(PHOTO)) == {"depth", "people", "saliency", "object"}


def test_photos_of_several_shapes_share_a_batch_and_keep_their_order():
    networks = Networks({"depth": BUILTIN})
    photos = [PHOTO, np.ascontiguousarray(PHOTO.transpose(1, 0, 2)), PHOTO[:, ::-1].copy()]
    together = networks.batch(photos)
    for maps, photo in zip(together, photos, strict=True):
        assert maps["depth"] == pytest.approx(networks(photo)["depth"], abs=1e-3)


def test_mirror_averaging_sees_photo_and_mirror_image_alike(saved_model):
    networks = Networks({"depth": BUILTIN, "people": saved_model}, mirror=True)
    maps, mirrored = networks.batch([PHOTO, PHOTO[:, ::-1].copy()])
    for name in maps:
        assert maps[name] == pytest.approx(mirrored[name][:, ::-1], abs=1e-3)


@pytest.mark.parametrize(
    "model, says",
    [
        ("nowhere/model.tflite", "is not there"),
        ("builtin#midas_v21_small", "takes no adapter"),
        (f"{__file__}#nonsense", "unknown adapter"),
    ],
)
def test_a_model_that_cannot_be_meant_is_refused_at_once(model, says):
    with pytest.raises(ModelError, match=says):
        registry.parse("depth", model)


def test_a_file_that_is_no_model_is_named(tmp_path):
    (tmp_path / "broken.tflite").write_bytes(b"no model")
    with pytest.raises(ModelError, match="broken.tflite"):
        Networks({"depth": str(tmp_path / "broken.tflite")})


def test_an_adapter_of_another_size_says_which_is_wanted(tflite):
    with pytest.raises(ModelError, match="wants input of shape"):
        Networks({"depth": f"{tflite}#midas_v21_small_lite"})(PHOTO)


def test_the_digest_follows_the_files_contents(tmp_path):
    path = tmp_path / "model.tflite"
    models = {"depth": str(path), "people": BUILTIN, "saliency": BUILTIN}
    path.write_bytes(b"one")
    first = registry.digest(models)
    path.write_bytes(b"two")
    assert registry.digest(models) != first
    path.write_bytes(b"one")
    assert registry.digest(models) == first
