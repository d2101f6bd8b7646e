"""A job is checked once, before anything runs."""

import pytest

from beam_pipeline.options import Job
from transforms.settings import Settings


def test_photos_are_named_from_what_the_patterns_have_in_common(tmp_path):
    for year in ("2023", "2024"):
        (tmp_path / "photos" / year).mkdir(parents=True)
    job = Job.of([str(tmp_path / "photos" / year) for year in ("2023", "2024")], "out", Settings())
    assert job.root == str(tmp_path / "photos")


def test_a_library_root_of_the_users_own_must_hold_every_pattern(tmp_path):
    assert Job.of([str(tmp_path / "a" / "*.jpg")], "out", Settings(), root=str(tmp_path)).root == str(tmp_path)
    with pytest.raises(ValueError, match="--library-root"):
        Job.of(["/photos/*.jpg"], "out", Settings(), root=str(tmp_path))


def test_the_fingerprint_follows_the_settings(tmp_path):
    one, same, other = (Job.of([str(tmp_path)], "out", Settings(aspect=a)).fingerprint for a in ("3:4", "3:4", "1:1"))
    assert one == same != other


def test_the_summary_of_a_job_names_no_place_on_this_machine(tmp_path):
    model = tmp_path / "secret" / "model.tflite"
    model.parent.mkdir()
    model.write_bytes(b"")
    job = Job.of([str(tmp_path)], str(tmp_path / "out"), Settings(depth_model=str(model)))
    assert str(tmp_path) not in str(job.about())
    assert job.about()["settings"]["depth_model"] == "model.tflite"


@pytest.mark.parametrize("output", ["photos", "."])
def test_results_do_not_go_where_they_would_hide_the_photos(tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    with pytest.raises(ValueError, match="--output"):
        Job.of(["photos"], output, Settings())
    assert Job.of(["photos"], "photos/clips", Settings()).output == str(tmp_path / "photos" / "clips")
