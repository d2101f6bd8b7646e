"""Training repeats itself: from a configuration, two folders, and a state that it takes up."""

import csv
import textwrap

import numpy as np
import pytest
from PIL import Image
from skimage import data

from models import corpus, train


@pytest.fixture
def sources(tmp_path):
    """Three real photos with made-up labels: brightness as depth, a disc as person and object."""
    for folder in ("data/photos", "data/masks", "labels/depth/photos", "labels/fix/photos"):
        (tmp_path / folder).mkdir(parents=True)
    for name, rgb in (("a", data.astronaut()), ("b", data.chelsea()), ("c", data.coffee())):
        image = Image.fromarray(rgb).resize((160, 120))
        image.save(tmp_path / f"data/photos/{name}.jpg")
        grey = np.asarray(image.convert("L"))
        Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / f"labels/depth/photos/{name}.depth.png")
        y, x = np.mgrid[:120, :160]
        disc = Image.fromarray(np.where((x - 80) ** 2 + (y - 60) ** 2 < 900, 255, 0).astype(np.uint8))
        disc.save(tmp_path / f"data/masks/{name}.png")
        disc.save(tmp_path / f"labels/fix/photos/{name}.saliency.png")
    return tmp_path


SOURCE = {
    "photos": "photos",
    "depth": ["labels:depth/photos"],
    "person_masks": "masks",
    "fixation": "labels:fix/photos",
    "object": "masks",
}


def test_a_source_brings_every_label_to_the_photos_size(sources):
    samples = corpus.read_source(SOURCE, sources / "data", sources / "labels")
    assert len(samples) == 3
    for sample in samples:
        shape = sample.photo.shape[:2]
        assert min(shape) == corpus.STORED_SHORT_SIDE
        assert sample.depth.shape == sample.regions.shape == sample.fixation.shape == sample.object.shape == shape
        assert set(np.unique(sample.regions)) == {0, 1}


def test_a_label_that_is_not_there_is_none_and_weighs_nothing(sources):
    samples = corpus.read_source({"photos": "photos"}, sources / "data", sources / "labels")
    assert all(sample.depth is None and sample.object is None for sample in samples)
    _, labels = corpus.Crops(samples, 64, 4, 1, seed=0)[0]
    assert not any(labels[f"has_{name}"].any() for name in ("depth", "regions", "fixation", "object"))


def test_an_empty_folder_is_named(sources):
    with pytest.raises(ValueError, match="masksss"):
        corpus.read_source({"photos": "masksss"}, sources / "data", sources / "labels")


def test_crops_depend_on_seed_epoch_and_index_alone(sources):
    samples = corpus.read_source(SOURCE, sources / "data", sources / "labels")
    first, again, other = (corpus.Crops(samples, 64, 4, 2, seed=seed) for seed in (1, 1, 2))
    assert (first[1][0] == again[1][0]).all()
    assert not (first[1][0] == other[1][0]).all()
    again.epoch = 3
    assert not (first[1][0] == again[1][0]).all()


def test_photo_and_labels_are_cropped_and_mirrored_together(sources):
    """The disc is where the mask is, whatever crop was drawn: photo brightness and depth label go together."""
    samples = corpus.read_source(SOURCE, sources / "data", sources / "labels")
    _, labels = corpus.Crops(samples, 96, 8, 1, seed=3)[0]
    for person, salient in zip(labels["regions"], labels["object"], strict=True):
        assert ((person > 0) == (salient > 0.5)).mean() > 0.97


@pytest.mark.slow
def test_an_interrupted_training_is_taken_up_where_it_was(sources, monkeypatch):
    """Without the ImageNet weights, which are no dependency of the product."""
    pytest.importorskip("tensorflow")
    monkeypatch.setattr(train, "find_imagenet_checkpoint", lambda: None)
    monkeypatch.setattr(train, "load_imagenet_weights", lambda net, path: None)
    config = """
        class_weights = [1.0, 1.5, 3.0]
        [schedule]
        seed = 1
        batch = 2
        steps_per_epoch = 2
        phases = [{{ crop = 64, epochs = {epochs} }}]
        frozen = ["encoder_stem"]
        learning_rate = 1e-3
        warmup_steps = 1
        weight_decay = 0.0
        ema = 0.9
        [losses]
        depth = 1.0
        outline = 0.4
        regions = 1.0
        fixation = 0.2
        object = 0.3
        [[sources]]
        photos = "photos"
        depth = ["labels:depth/photos"]
        person_masks = "masks"
        object = "masks"
        """
    arguments = ["--data", str(sources / "data"), "--labels", str(sources / "labels"), "--output", str(sources / "run")]
    for epochs in (1, 3):
        path = sources / "config.toml"
        path.write_text(textwrap.dedent(config.format(epochs=epochs)))
        assert train.main(["--config", str(path), *arguments]) == 0
    rows = list(csv.DictReader((sources / "run" / "losses.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert (sources / "run" / "losses.png").exists()
    assert (sources / "run" / "weights.npz").stat().st_size > 1e6
