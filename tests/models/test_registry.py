"""Every role can be played by a network from elsewhere, behind an adapter; files are made here."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from models import registry
from models.registry import BUILTIN, ModelError, Networks

PHOTO = np.zeros((120, 160, 3), np.uint8)
PHOTO[:, 80:] = 255  # the right half is bright, hence near, a person and salient to the networks below


def keras_network(height, width, answer, channels_first=False):
    """A Keras network that answers with `answer` of the photo's brightness (1, h, w, 1) in the input's own units."""
    import keras

    shape = (3, height, width) if channels_first else (height, width, 3)
    image = keras.Input(shape, batch_size=1, name="image")
    return keras.Model(image, answer(keras.ops.mean(image, axis=1 if channels_first else -1, keepdims=True)))


def as_is(grey):
    return grey


def save(model, folder):
    path = folder / "model"
    model.export(path, verbose=False)
    return str(path)


def convert(model, folder, photos=None):
    """A .tflite file, with integers inside and out where sample `photos` are given."""
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if photos is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([photo[None]] for photo in photos)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
    path = folder / "model.tflite"
    path.write_bytes(converter.convert())
    return str(path)


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory):
    return save(keras_network(64, 64, as_is), tmp_path_factory.mktemp("saved"))


@pytest.fixture(scope="module")
def tflite(tmp_path_factory):
    return convert(keras_network(64, 64, as_is), tmp_path_factory.mktemp("lite"))


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


def pascal(grey):
    """21 logits: where it is bright, class 15, else class 0. Brightness is -1..1."""
    import keras

    nothing = keras.ops.repeat(0 * grey, 21, axis=-1)
    person = keras.ops.one_hot(keras.ops.array([15]), 21)
    return nothing + 20 * keras.ops.relu(grey) * person


def test_midas_v21_small_as_a_saved_model(tmp_path):
    def squeezed(grey):
        return grey[:, 0]

    model = save(keras_network(256, 256, squeezed, channels_first=True), tmp_path)
    assert halves(Networks({"depth": f"{model}#midas_v21_small"})(PHOTO)["depth"]) == pytest.approx((0, 1), abs=1e-3)


def test_midas_v21_small_as_a_tflite_file(tmp_path):
    """It wants ImageNet's mean and deviation a channel; the network averages the three."""
    model = convert(keras_network(256, 256, as_is), tmp_path)
    left, right = halves(Networks({"depth": f"{model}#midas_v21_small_lite"})(PHOTO)["depth"])
    assert (left, right) == pytest.approx((-1.986, 2.439), abs=0.01)


def test_deeplabv3_of_pascal_classes(tmp_path):
    people = Networks({"people": f"{convert(keras_network(257, 257, pascal), tmp_path)}#deeplabv3_pascal"})(PHOTO)["people"]
    assert halves(people[..., 1]) == pytest.approx((1 / 21, 1), abs=0.01)
    assert not people[..., 2].any()


def test_deeplabv3_whose_answer_is_labels(tmp_path):
    import keras
    import tensorflow as tf

    image = keras.Input((513, 513, 3), batch_size=1, dtype="uint8", name="image")
    bright = keras.ops.cast(keras.ops.max(keras.ops.cast(image, "float32"), axis=-1) > 128, "int32")
    path = tmp_path / "labels.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(keras.Model(image, 15 * bright)).convert())
    people = Networks({"people": f"{path}#deeplabv3_pascal_labels"})(PHOTO)["people"]
    assert halves(people[..., 1]) == (0, 1)


def test_a_quantised_network_gets_and_gives_what_its_adapter_says(tmp_path):
    samples = [np.full((64, 64, 3), value, np.float32) for value in (0, 0.5, 1)]
    model = convert(keras_network(64, 64, as_is), tmp_path, samples)
    assert halves(Networks({"depth": model})(PHOTO)["depth"]) == pytest.approx((0, 1), abs=0.02)


def test_threads_may_share_a_tflite_network(tflite):
    networks = Networks({"depth": tflite})
    photos = [PHOTO, PHOTO[:, ::-1].copy()] * 100
    with ThreadPoolExecutor(4) as pool:
        lefts = [halves(maps["depth"])[0] for maps in pool.map(networks, photos)]
    assert lefts == pytest.approx([0, 1] * 100, abs=1e-3)


def two_classes(grey):
    import keras

    return keras.ops.concatenate([1 - grey, grey], axis=-1)


@pytest.mark.parametrize("role, says", [("people", "which is the person"), ("depth", "expects one map")])
def test_an_answer_of_several_classes_is_never_guessed_at(role, says, tmp_path):
    model = save(keras_network(64, 64, two_classes), tmp_path)
    with pytest.raises(ModelError, match=says):
        Networks({role: model})(PHOTO)


def test_an_answer_without_numbers_is_refused(tmp_path):
    model = save(keras_network(64, 64, lambda grey: grey / (0 * grey)), tmp_path)
    with pytest.raises(ModelError, match="no numbers"):
        Networks({"depth": model})(PHOTO)


def test_a_network_of_any_size_gets_a_bounded_one(tmp_path):
    model = save(keras_network(None, None, as_is), tmp_path)
    large = np.zeros((1500, 2000, 3), np.uint8)
    assert Networks({"depth": model})(large)["depth"].shape == registry.input_size(large)


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
