"""The command line: what it says when something is wrong, and the commands for one photo."""

import json
import os

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from beam_pipeline import engines
from transforms.trajectory import NEGLIGIBLE

pytestmark = pytest.mark.command

SMALL = ("--width", 240, "--seconds", 0.5)


@pytest.mark.parametrize(
    "options, says",
    [
        (("--aspect", "3x4"), "--aspect"),
        (("--width", "1079"), "--width"),
        (("--seconds", "0"), "--seconds"),
        (("--aspekt", "1:1"), "did you mean --aspect"),
        (("--runner=DaskRunner",), "Dask"),
        (("--depth-model", "nowhere.tflite"), "nowhere.tflite is not there"),
        (("--depth-model", "builtin#midas"), "takes no adapter"),
        (("--record-shards", "0"), "--record-shards"),
        (("--inference-batch", "0"), "--inference-batch"),
        (("--library-root", "/elsewhere"), "--library-root"),
    ],
)
def test_a_bad_option_ends_in_one_sentence_and_exit_code_2(cli, samples, tmp_path, options, says):
    done = cli("run", "--input", samples, "--output", tmp_path / "out", *options)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options, ignored",
    [
        (["--runner=FlinkRunner", "--direct_num_workers=2"], {"--direct_num_workers"}),
        (["--flink_master", "localhost:8081", "--machine_type=n2-standard-8"], {"--flink_master", "--machine_type"}),
        (["--runner=DataflowRunner", "--environment_type=PROCESS", "--parallelism=4"], {"--environment_type", "--parallelism"}),
        (["--runner=PortableRunner", "--job_endpoint=localhost:1", "--parallelism=4", "--environment_type=EXTERNAL"], set()),
        (["--runner=DirectRunner", "--direct_num_workers=1", "--project=p", "--temp_location=gs://b/tmp"], set()),
    ],
)
def test_options_that_the_runner_ignores_are_warned_about_in_a_sentence_each(options, ignored, capsys):
    engines.beam_options(options, ())
    told = capsys.readouterr().err.splitlines()
    assert {line.split(" ignores ")[1].split(",")[0] for line in told} == ignored


@pytest.mark.parametrize("command", ["run", "perceive"])
def test_a_broken_network_stops_the_command_before_it_begins(cli, samples, tmp_path, command):
    (tmp_path / "broken.tflite").write_bytes(b"no model")
    done = cli(command, "--input", samples, "--output", tmp_path / "out", "--depth-model", tmp_path / "broken.tflite")
    assert done.returncode == 2
    assert "broken.tflite cannot be loaded" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["run", "render", "perceive"])
def test_help_names_every_option_with_its_meaning(cli, command):
    done = cli(command, "--help")
    assert done.returncode == 0
    assert "--output" in done.stdout
    assert "default" in done.stdout


def test_a_pattern_that_matches_nothing_says_so_and_exits_1(cli, tmp_path):
    done = cli("run", "--input", tmp_path / "*.jpg", "--output", tmp_path / "out")
    assert done.returncode == 1
    assert "no photo matches" in done.stderr


def test_one_empty_pattern_among_others_is_a_word_of_warning(cli, samples, tmp_path):
    one = samples / "coffee.jpg"
    done = cli("run", "--input", one, "--input", samples / "*.webp", "--output", tmp_path, *SMALL, "--direct_num_workers=1")
    assert done.returncode == 0, done.stderr
    assert "no photo matches" in done.stderr


def test_an_output_that_cannot_be_written_stops_at_once(cli, samples, tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = cli("run", "--input", samples, "--output", tmp_path / "file" / "out")
    assert done.returncode == 2
    assert "--output" in done.stderr
    assert "Traceback" not in done.stderr


# An EGL that finds no driver is what a slim container has.
NO_GL = {"LIBGL_DRIVERS_PATH": "/nowhere", "__EGL_VENDOR_LIBRARY_FILENAMES": "/nowhere"}


def test_a_machine_without_gl_is_told_what_to_install_where_gl_is_asked_for(cli, samples, tmp_path):
    done = cli("run", "--input", samples, "--output", tmp_path, "--renderer", "gl", environment=NO_GL)
    assert done.returncode == 2
    assert "apt-get install libegl1 libgl1-mesa-dri libopengl0" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_machine_without_gl_draws_all_the_same(cli, samples, tmp_path):
    done = cli("render", "--photo", samples / "cat.jpg", "--output", tmp_path / "a.mp4", *SMALL, environment=NO_GL)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.mp4").stat().st_size > 1000


@pytest.mark.parametrize(("name", "begins"), [("a.webm", b"\x1aE\xdf\xa3"), ("a.GIF", b"GIF89a")])
def test_render_writes_the_format_that_the_outputs_name_says(cli, samples, tmp_path, name, begins):
    done = cli("render", "--photo", samples / "cat.jpg", "--output", tmp_path / name, *SMALL)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / name).read_bytes().startswith(begins)


@pytest.fixture(scope="module")
def perceived(cli, samples, tmp_path_factory):
    output = tmp_path_factory.mktemp("maps")
    done = cli("perceive", "--input", samples / "*t.jpg", "--output", output)
    assert done.returncode == 0, done.stderr
    return output


def test_perceive_writes_what_each_head_sees(perceived):
    for stem in ("astronaut", "cat", "rocket"):
        depth = cv2.imread(str(perceived / f"{stem}.depth.png"), cv2.IMREAD_UNCHANGED)
        assert depth.dtype == np.uint16 and depth.min() == 0 and depth.max() == 65535
        assert set(np.unique(cv2.imread(str(perceived / f"{stem}.regions.png"), cv2.IMREAD_UNCHANGED))) <= {0, 1, 2}
        for name in ("saliency", "object"):
            assert cv2.imread(str(perceived / f"{stem}.{name}.png"), cv2.IMREAD_UNCHANGED).dtype == np.uint8


def test_mirror_averaging_sees_nearly_the_same(cli, samples, perceived, tmp_path):
    done = cli("perceive", "--input", samples / "astronaut.jpg", "--output", tmp_path, "--mirror-average")
    assert done.returncode == 0, done.stderr
    plain, averaged = (cv2.imread(str(folder / "astronaut.depth.png"), cv2.IMREAD_UNCHANGED) for folder in (perceived, tmp_path))
    assert (plain != averaged).any()
    assert np.corrcoef(plain.ravel(), averaged.ravel())[0, 1] > 0.95


def test_the_built_in_network_sees_the_astronaut_before_her_background(perceived):
    depth = cv2.imread(str(perceived / "astronaut.depth.png"), cv2.IMREAD_UNCHANGED) / 65535
    regions = cv2.imread(str(perceived / "astronaut.regions.png"), cv2.IMREAD_UNCHANGED)
    rows, columns = (np.arange(depth.shape[i]) / depth.shape[i] for i in (0, 1))
    face = np.ix_((rows > 0.15) & (rows < 0.3), (columns > 0.38) & (columns < 0.5))
    wall = np.ix_((rows > 0.05) & (rows < 0.3), (columns > 0.62) & (columns < 0.68))  # between hair and rocket
    assert depth[face].mean() > depth[wall].mean() + 0.3
    assert (regions[face] == 2).mean() > 0.8
    assert (regions[wall] > 0).mean() < 0.05


def test_the_built_in_network_sees_the_cat_before_the_room_and_no_person(perceived):
    depth = cv2.imread(str(perceived / "cat.depth.png"), cv2.IMREAD_UNCHANGED) / 65535
    regions = cv2.imread(str(perceived / "cat.regions.png"), cv2.IMREAD_UNCHANGED)
    h, w = depth.shape
    nose, corner = depth[int(0.8 * h), int(0.58 * w)], depth[: h // 5, int(0.9 * w) :].mean()
    assert nose > corner + 0.3
    assert (regions > 0).mean() < 0.01


def test_render_animates_one_photo_and_reports_its_numbers(cli, samples, tmp_path):
    done = cli(
        "render", "--photo", samples / "cat.jpg", "--output", tmp_path / "cat.mp4", "--report", tmp_path / "cat.json", *SMALL
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "cat.json").read_text())
    assert report["result"] == "candidate"
    assert report["coverage"] == 1.0
    assert 0 < report["relative_parallax"] < 0.06
    assert (tmp_path / "cat.mp4").stat().st_size > 1000


def test_the_report_sets_the_shot_beside_presets_of_the_same_parallax(cli, samples, tmp_path):
    done = cli(
        "render", "--photo", samples / "coffee.jpg", "--output", tmp_path / "a.mp4", "--report", tmp_path / "a.json", *SMALL
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "a.json").read_text())
    assert report["artifact_score"] == pytest.approx(sum(report[f"{r}_loss"] for r in ("background", "body", "head")))
    assert report["evaluations"] > 100
    assert report["search_ms"] > 0
    assert set(report["baselines"]) == {"swing", "circle", "dolly", "grid"}
    told = [other for other in report["baselines"].values() if other]
    assert len(told) >= 2
    for other in told:
        assert other["relative_parallax"] == pytest.approx(report["relative_parallax"], rel=0.05)
        assert max(other["artifact_score"], NEGLIGIBLE) >= 0.99 * report["artifact_score"]
        assert set(other) <= set(report)


def test_explain_writes_pictures_even_of_a_shot_that_is_rejected(cli, samples, tmp_path):
    depth = np.zeros((60, 80), np.uint8)
    depth[20:40, 30:50] = 255
    cv2.imwrite(str(tmp_path / "depth.png"), depth)
    done = cli(
        "render", "--photo", samples / "cat.jpg", "--depth", tmp_path / "depth.png", "--output", tmp_path / "a.mp4",
        "--explain", tmp_path / "why", "--motion", "arc", "--max-artifact-score", 0, *SMALL,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "rejected, artifacts" in done.stderr
    assert sorted(os.listdir(tmp_path / "why")) == ["artifacts-first.png", "artifacts-last.png", "path.png", "saliency.png"]
    assert not (tmp_path / "a.mp4").exists()


def test_render_takes_maps_of_the_users_own_and_then_needs_no_network(cli, samples, tmp_path):
    """The sample's left half is put in front; it must then move against the right half."""
    h, w = 60, 80
    depth = np.zeros((h, w), np.uint16)
    depth[:, : w // 2] = 65535
    for name, values in (
        ("depth", depth),
        ("regions", np.zeros((h, w), np.uint8)),
        ("saliency", np.where(depth > 0, 255, 0).astype(np.uint8)),
    ):
        cv2.imwrite(str(tmp_path / f"{name}.png"), values)
    maps = [part for name in ("depth", "regions", "saliency") for part in (f"--{name}", tmp_path / f"{name}.png")]
    done = cli(
        "render", "--photo", samples / "coffee.jpg", *maps, "--output", tmp_path / "a.mp4", "--report", tmp_path / "a.json",
        "--aspect", "original", *SMALL, "--max-artifact-score", 100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "a.json").read_text())["relative_parallax"] > 0.005


@pytest.mark.parametrize(
    "option, picture, says",
    [
        ("--regions", np.full((20, 20), 7, np.uint8), "0, 1 and 2"),
        ("--depth", np.zeros((0,)), "cannot be read"),
    ],
)
def test_a_map_that_is_none_is_refused_in_one_sentence(cli, samples, tmp_path, option, picture, says):
    path = tmp_path / "map.png"
    if picture.size:
        cv2.imwrite(str(path), picture)
    else:
        path.write_text("no picture")
    done = cli("render", "--photo", samples / "cat.jpg", option, path, "--output", tmp_path / "a.mp4", *SMALL)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_flat_photo_is_rejected_with_exit_code_1_and_a_report(cli, tmp_path):
    Image.fromarray(data.brick()).convert("RGB").save(tmp_path / "wall.png")
    cv2.imwrite(str(tmp_path / "flat.png"), np.full((50, 50), 128, np.uint8))
    done = cli(
        "render", "--photo", tmp_path / "wall.png", "--depth", tmp_path / "flat.png", "--output", tmp_path / "a.mp4",
        "--report", tmp_path / "a.json", *SMALL,
    )  # fmt: skip
    assert done.returncode == 1
    assert json.loads((tmp_path / "a.json").read_text())["reason"] == "too_flat"
    assert not (tmp_path / "a.mp4").exists()


def test_a_missing_photo_is_a_failure_not_a_stack_trace(cli, tmp_path):
    done = cli("render", "--photo", tmp_path / "gone.jpg", "--output", tmp_path / "a.mp4", *SMALL)
    assert done.returncode == 1
    assert "missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_config_file_stands_in_for_options_and_is_printed_as_it_is_read(cli, samples, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(f'[render]\nphoto = "{samples / "cat.jpg"}"\nwidth = 128\nseconds = 0.2\n')
    printed = cli("render", "--config", file, "--output", tmp_path / "a.mp4", "--print-config")
    assert printed.returncode == 0, printed.stderr
    assert "width = 128" in printed.stdout and 'aspect = "3:4"' in printed.stdout
    file.write_text(printed.stdout)
    done = cli("render", "--config", file)
    assert done.returncode == 0, done.stderr
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].width == 128


def test_a_mistake_in_a_config_file_is_one_sentence(cli, tmp_path):
    (tmp_path / "a.toml").write_text("[run]\ncolour = 1\n")
    done = cli("run", "--config", tmp_path / "a.toml", "--input", tmp_path, "--output", tmp_path / "out")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "'colour'" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_shells_get_what_completes_the_options(cli, shell):
    done = cli("completion", shell)
    assert done.returncode == 0
    assert "max-artifact-score" in done.stdout


def test_models_are_kept_under_names(cli, tmp_path):
    shelf = {"CINEMATIC_PHOTOS_MODELS": str(tmp_path)}
    assert "builtin" in cli("models", "list", environment=shelf).stdout
    assert json.loads(cli("models", "list", "--json", environment=shelf).stdout) == []
    assert cli("models", "verify", environment=shelf).returncode == 0
    refused = cli("models", "add", "depth", "nowhere.tflite", "--name", "mine", environment=shelf)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


def test_the_doctor_finds_this_machine_healthy(cli):
    done = cli("doctor", "--json")
    states = {finding["what"]: finding["state"] for finding in json.loads(done.stdout)}
    assert done.returncode == 0, states
    assert states["built-in network"] == states["Beam's local runner"] == states["drawing by the CPU"] == "good"
