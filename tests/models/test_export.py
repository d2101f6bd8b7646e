"""The network leaves the house as a SavedModel that answers as it does inside."""

import cv2
import pytest
from skimage import data

from models import export
from models.registry import INPUT_SIZES, Builtin, Networks


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "cinematic"
    assert export.main(["--output", str(path)]) == 0
    return path


def test_every_input_size_has_a_signature_with_named_outputs(saved):
    import tensorflow as tf

    signatures = tf.saved_model.load(str(saved)).signatures
    assert set(signatures) == {"serving_default", *(f"serve_{h}x{w}" for h, w in INPUT_SIZES)}
    for signature in signatures.values():
        assert set(signature.structured_outputs) == {"inverse_depth", "person", "head", "fixation", "object", "saliency"}


@pytest.mark.parametrize("role", ["depth", "people", "saliency"])
def test_as_a_model_for_a_role_it_answers_like_the_built_in_one(saved, role):
    photo = cv2.resize(data.astronaut(), (448, 320))
    (expected,) = Builtin([role])([photo])
    answer = Networks({role: f"{saved}#exported_{role}"})(photo)
    # of people the background: the adapter knows no head
    ours, theirs = (maps[role][..., 0] if role == "people" else maps[role] for maps in (expected, answer))
    assert theirs == pytest.approx(ours, abs=1e-3)


def test_nothing_is_written_over(saved, capsys):
    with pytest.raises(SystemExit):
        export.main(["--output", str(saved)])
    assert "is there already" in capsys.readouterr().err
