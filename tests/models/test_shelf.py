"""Networks of other roles on a shelf: what is put there is what is found there, or it is said that it is not."""

import pytest

from models import shelf
from models.registry import ModelError, parse
from tests.models.test_registry import as_is, convert, keras_network, save


@pytest.fixture(scope="module")
def tflite(tmp_path_factory):
    return convert(keras_network(64, 64, as_is), tmp_path_factory.mktemp("lite"))


@pytest.fixture(scope="module")
def filled(tflite, tmp_path_factory):
    """(shelf, card of a depth network in a file, card of a saliency network in a folder)."""
    folder = tmp_path_factory.mktemp("shelf") / "models"
    saved = save(keras_network(64, 64, as_is), tmp_path_factory.mktemp("saved"))
    return folder, shelf.add(folder, "depth", f"{tflite}#distance", "far-off"), shelf.add(folder, "saliency", saved, "bright")


def test_what_was_added_is_listed_with_its_checksum_and_answers(filled):
    folder, depth, saliency = filled
    assert shelf.cards(folder) == [saliency, depth]
    assert (depth.adapter, saliency.adapter) == ("distance", "saliency")
    for card in (depth, saliency):
        assert len(card.sha256) == 64
        assert "/" not in card.source
        shelf.verify(folder, card)


def test_a_name_on_the_shelf_is_a_model_of_its_role_with_its_adapter(filled):
    folder, *_ = filled
    assert shelf.resolve(folder, "depth", "far-off") == f"{folder / 'far-off' / 'model.tflite'}#distance"
    assert parse("saliency", shelf.resolve(folder, "saliency", "bright"))[0] == str(folder / "bright" / "saved_model")
    for other in ("builtin", "nowhere.tflite", "https://tfhub.dev/x/1", "gs://bucket/model#midas_v21_small"):
        assert shelf.resolve(folder, "depth", other) == other
    with pytest.raises(ModelError, match="for saliency"):
        shelf.resolve(folder, "depth", "bright")


@pytest.mark.parametrize("harm", ["changed", "gone"])
def test_a_model_that_is_not_what_it_was_is_told(tflite, tmp_path, harm):
    card = shelf.add(tmp_path, "depth", tflite, "near")
    file = tmp_path / "near" / "model.tflite"
    file.unlink() if harm == "gone" else file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(ModelError, match="add it again"):
        shelf.verify(tmp_path, card)


@pytest.mark.parametrize(
    ("role", "name", "said"),
    [
        ("beauty", "a", "role"),
        ("depth", "../a", "name"),
        ("depth", "builtin", "name"),
        ("depth", "", "name"),
        ("depth", "A b", "name"),
    ],
)
def test_odd_roles_and_names_are_refused(tflite, tmp_path, role, name, said):
    with pytest.raises(ModelError, match=said):
        shelf.add(tmp_path / "shelf", role, tflite, name)
    assert not (tmp_path / "shelf").exists()


def test_what_is_no_model_leaves_the_shelf_as_it_was(tmp_path):
    (tmp_path / "letter.tflite").write_text("Dear reader")
    with pytest.raises(ModelError):
        shelf.add(tmp_path / "shelf", "depth", str(tmp_path / "letter.tflite"), "letter")
    assert shelf.cards(tmp_path / "shelf") == []


def test_a_name_is_given_once(filled, tflite):
    folder, *_ = filled
    with pytest.raises(ModelError, match="already"):
        shelf.add(folder, "depth", tflite, "far-off")


def test_the_shelf_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert shelf.default_folder() == tmp_path / "cinematic-photos" / "models"
    monkeypatch.setenv("CINEMATIC_PHOTOS_MODELS", str(tmp_path / "mine"))
    assert shelf.default_folder() == tmp_path / "mine"
