"""Training repeats itself: from a configuration, two folders, and a state that it takes up."""

import csv
import textwrap

import cv2
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
        assert shape == (120, 160)  # as they are: enlarging them would bring no detail
        assert sample.depth.shape == sample.regions.shape == sample.fixation.shape == sample.object.shape == shape
        assert set(np.unique(sample.regions)) == {0, 1}


def test_a_label_that_is_not_there_is_none_and_weighs_nothing(sources):
    samples = corpus.read_source({"photos": "photos"}, sources / "data", sources / "labels")
    assert all(sample.depth is None and sample.object is None for sample in samples)
    _, labels = corpus.Crops(samples, (64, 64), 4, 1, seed=0)[0]
    assert not any(labels[f"has_{name}"].any() for name in ("depth", "regions", "fixation", "object"))


def test_a_large_photo_is_stored_no_larger_than_crops_need(sources):
    Image.fromarray(data.astronaut()).resize((900, 700)).save(sources / "data/photos/large.jpg")
    samples = corpus.read_source({"photos": "photos"}, sources / "data", sources / "labels")
    assert max(min(sample.photo.shape[:2]) for sample in samples) == corpus.STORED_SHORT_SIDE


@pytest.mark.parametrize(
    "label, entry", [("depth", ["labels:nowhere"]), ("person_masks", "nowhere"), ("object", "labels:nowhere")]
)
def test_labels_that_are_not_there_stop_the_training_before_it_begins(sources, label, entry):
    with pytest.raises(ValueError, match="photos names .*nowhere"):
        corpus.read_source({"photos": "photos", label: entry}, sources / "data", sources / "labels")


def test_photos_of_people_can_be_drawn_more_often(sources):
    Image.fromarray(np.zeros((120, 160), np.uint8)).save(sources / "data/masks/b.png")
    source = {"photos": "photos", "person_masks": "masks", "weight": 2.0, "people_weight": 5.0}
    samples = corpus.read_source(source, sources / "data", sources / "labels")
    assert sorted(sample.weight for sample in samples) == [2, 10, 10]


def test_an_empty_folder_is_named(sources):
    with pytest.raises(ValueError, match="masksss"):
        corpus.read_source({"photos": "masksss"}, sources / "data", sources / "labels")


def test_crops_depend_on_seed_epoch_and_index_alone(sources):
    samples = corpus.read_source(SOURCE, sources / "data", sources / "labels")
    first, again, other = (corpus.Crops(samples, (64, 96), 4, 2, seed=seed) for seed in (1, 1, 2))
    assert (first[1][0] == again[1][0]).all()
    assert not (first[1][0] == other[1][0]).all()
    again.epoch = 3
    assert not (first[1][0] == again[1][0]).all()


def test_photo_and_labels_are_cropped_and_mirrored_together(sources):
    """The depth label is the photo's brightness, the person mask the object's: whatever crop was drawn, they still are."""
    samples = corpus.read_source(SOURCE, sources / "data", sources / "labels")
    photos, labels = corpus.Crops(samples, (96, 128), 8, 1, seed=3)[0]
    for photo, depth, person, salient in zip(photos, labels["depth"], labels["regions"], labels["object"], strict=True):
        grey = cv2.resize(photo.mean(-1), depth.shape[::-1], interpolation=cv2.INTER_AREA)
        together, mirrored = (np.corrcoef(grey.ravel(), d.ravel())[0, 1] for d in (depth, depth[:, ::-1]))
        assert together > 0.6  # the label was sharpened
        assert together > mirrored + 0.2
        assert ((person > 0) == (salient > 0.5)).mean() > 0.97


def test_held_out_photos_are_never_read(sources, monkeypatch):
    monkeypatch.setattr(corpus, "is_held_out", lambda folder, stem: stem == "b")
    assert len(corpus.read_source(SOURCE, sources / "data", sources / "labels")) == 2


def test_the_second_teacher_brings_outlines_and_not_layout(sources):
    """A blurred map in the right order, and a sharp one whose left and right are at the same depth."""
    rows, columns = np.indices((200, 200))
    stripe = (columns // 20 % 2).astype(np.float32)
    coarse = cv2.GaussianBlur(columns / 20 + stripe, (0, 0), 6).astype(np.float32)
    joined = corpus._detailed(coarse, stripe + 0.05 * rows / 200)
    assert np.corrcoef(joined.ravel(), columns.ravel())[0, 1] > 0.9
    assert np.abs(np.diff(joined, axis=1)).max() > 3 * np.abs(np.diff(coarse, axis=1)).max()


def sample(name, depth, regions):
    photo = cv2.resize(getattr(data, name)(), (120, 90))
    return corpus.Sample(photo, depth.astype(np.float16), regions.astype(np.uint8), None, None, cut_out=True)


@pytest.mark.parametrize("seed", range(6))
def test_a_composed_person_stands_before_what_it_hides(seed):
    rows, columns = np.indices((90, 120))
    floor = sample("coffee", rows / 30.0 - 1.5, np.zeros((90, 120)))
    somebody = sample("astronaut", np.ones((90, 120)), ((np.abs(columns - 60) < 20) & (rows > 20)) * 1)
    composed = corpus.compose(floor, somebody, np.random.default_rng(seed))
    there = composed.regions == 1
    assert there.any()
    assert (composed.depth[there] > floor.depth[there]).all()
    assert (composed.depth[~there] == floor.depth[~there]).all()
    assert np.abs(composed.photo[there].astype(int) - floor.photo[there]).mean() > 10
    assert composed.fixation is None and composed.object is None


def test_composing_asks_for_people_and_for_rooms(sources):
    samples = corpus.read_source(SOURCE, sources / "data", sources / "labels")
    with pytest.raises(ValueError, match="cut_out"):
        corpus.Crops(samples, (64, 64), 4, 1, seed=0, composed=0.5)


def test_crumbs_and_pinholes_of_a_mask_are_gone():
    mask = np.zeros((200, 200), bool)
    mask[50:150, 50:150] = True
    dirty = mask.copy()
    dirty[100, 100], dirty[10, 10] = False, True
    assert (corpus._without_specks(dirty) == mask).all()


CONFIG = """
    class_weights = [1.0, 1.5, 3.0]
    [schedule]
    seed = 1
    composed = 0.0
    steps_per_epoch = 2
    phases = [{ crops = [[64, 64]], batch = 2, epochs = 1 }, { crops = [[64, 96], [96, 64]], batch = 2, epochs = 3 }]
    frozen = ["encoder_stem"]
    learning_rate = 1e-3
    warmup_steps = 1
    weight_decay = 0.0
    ema = 0.9
    [losses]
    depth = 1.0
    outline = 0.4
    regions = 1.0
    overlap = 0.3
    fixation = 0.2
    object = 0.3
    [[sources]]
    photos = "photos"
    depth = ["labels:depth/photos"]
    person_masks = "masks"
    object = "masks"
    """


@pytest.mark.slow
@pytest.mark.parametrize("last", [1, 2], ids=["between phases", "between sizes"])
def test_an_interrupted_training_ends_as_an_undisturbed_one(sources, monkeypatch, last):
    """Without the ImageNet weights, which are no dependency of the product."""
    monkeypatch.setattr(train, "find_imagenet_checkpoint", lambda: None)
    monkeypatch.setattr(train, "load_imagenet_weights", lambda net, path: None)
    (sources / "config.toml").write_text(textwrap.dedent(CONFIG))
    arguments = ["--config", "config.toml", "--data", "data", "--labels", "labels", "--output"]
    monkeypatch.chdir(sources)
    assert train.main([*arguments, "whole"]) == 0

    noted = train.Progress.on_epoch_end

    def note_and_stop(self, epoch, logs=None):
        noted(self, epoch, logs)
        if epoch + 1 == last:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(train.Progress, "on_epoch_end", note_and_stop)
        train.main([*arguments, "cut"])
    assert train.main([*arguments, "cut"]) == 0
    whole, cut = (list(csv.DictReader((sources / run / "losses.csv").open())) for run in ("whole", "cut"))
    assert [row["epoch"] for row in cut] == ["1", "2", "3", "4"]
    for one, other in zip(whole, cut, strict=True):
        assert {k: float(v) for k, v in one.items()} == pytest.approx({k: float(v) for k, v in other.items()}, rel=0.02)
    with np.load("whole/weights.npz") as ours, np.load("cut/weights.npz") as theirs:
        assert set(ours.files) == set(theirs.files)
        for key in ours.files:
            np.testing.assert_allclose(ours[key].astype(float), theirs[key].astype(float), rtol=0.02, atol=2e-3, err_msg=key)
    assert (sources / "cut" / "losses.png").exists()
