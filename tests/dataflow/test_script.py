"""The script: what it asks for, what it refuses, and the command that it runs."""

import json
import os
import re
import subprocess

import pytest

from tests.dataflow.conftest import ROOT

SCRIPT = ROOT / "run_dataflow.sh"
WHOLE = {
    "--project": "a-project",
    "--region": "europe-west4",
    "--bucket": "a-bucket",
    "--input": "gs://a-bucket/photos",
    "--output": "gs://a-bucket/clips",
}
IMAGE = {"--image": "europe-west4-docker.pkg.dev/a-project/images/cinematic-photos:1"}


@pytest.fixture
def script(tmp_path):
    """A function that runs the script with a stand-in for the console script, which prints its arguments."""
    stand_in = tmp_path / "cinematic-photos"
    stand_in.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    stand_in.chmod(0o755)
    environment = dict(os.environ, PATH=f"{tmp_path}:{os.environ['PATH']}")

    def run(options, *more):
        arguments = [part for option in options.items() for part in option] + list(more)
        return subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=30)

    return run


@pytest.fixture
def arguments(script):
    """A function that gives the arguments of the command that the script runs."""

    def run(options, *more):
        done = script(options, *more)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


def value(arguments, option):
    (found,) = [part.partition("=")[2] for part in arguments if part.startswith(f"{option}=")]
    return found


def test_all_that_is_missing_is_named_at_once(script):
    done = script({})
    assert done.returncode == 2
    for option in WHOLE:
        assert f"{option} is missing" in done.stderr


@pytest.mark.parametrize("missing", WHOLE)
def test_each_missing_option_is_named(script, missing):
    done = script({key: value for key, value in WHOLE.items() if key != missing})
    assert done.returncode == 2
    assert f"{missing} is missing" in done.stderr
    assert done.stderr.count("missing") == 1


@pytest.mark.parametrize(
    "option, given, says",
    [
        ("--project", "My Project", "no project id"),
        ("--region", "europe-west4-a", "a zone has a letter more"),
        ("--bucket", "a-bucket/folder", "give its name alone"),
        ("--bucket", "B", "give its name alone"),
        ("--output", "/home/me/clips", "must be a gs:// folder"),
        ("--output", "gs://a-bucket/clips/*", "must be a gs:// folder"),
        ("--input", "/home/me/photos", "must be a gs:// folder or glob"),
        ("--gpu", "t4", "--gpu is on or off"),
        ("--gpu", "on", "--gpu on wants --image"),
        ("--depth-model", "midas.tflite", "workers do not see midas.tflite"),
    ],
)
def test_what_cannot_work_is_refused_with_its_reason(script, option, given, says):
    done = script(WHOLE | {option: given})
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stdout == ""


def test_an_option_without_its_value_is_refused(script):
    done = script(WHOLE, "--image")
    assert done.returncode == 2
    assert "--image wants a value" in done.stderr


@pytest.mark.parametrize("option", ["--redo", "--prune"])
def test_a_backfill_neither_redoes_nor_prunes(script, option):
    done = script(WHOLE, "--backfill", option)
    assert done.returncode == 2
    assert f"run {option} without it" in done.stderr


def test_the_command_is_the_main_job_on_dataflow(arguments):
    given = arguments(WHOLE | IMAGE, "--aspect", "9:16", "--max_num_workers=200")
    assert given[:5] == ["run", "--input", "gs://a-bucket/photos", "--output", "gs://a-bucket/clips"]
    assert value(given, "--runner") == "DataflowRunner"
    assert (value(given, "--project"), value(given, "--region")) == ("a-project", "europe-west4")
    assert value(given, "--temp_location").startswith("gs://a-bucket/")
    assert value(given, "--staging_location").startswith("gs://a-bucket/")
    assert given[-3:] == ["--aspect", "9:16", "--max_num_workers=200"]  # last, so that they win


def test_values_may_follow_an_equals_sign_and_the_bucket_may_be_a_uri(arguments):
    spaced = arguments(WHOLE | IMAGE)
    joined = WHOLE | IMAGE | {"--bucket": "gs://a-bucket/", "--output": "gs://a-bucket/clips/"}
    assert arguments({}, *(f"{option}={given}" for option, given in joined.items())) == spaced


def test_several_inputs_are_all_looked_at(arguments):
    given = arguments(WHOLE | IMAGE, "--input", "gs://a-bucket/more photos/*.jpg")
    assert [given[i + 1] for i, part in enumerate(given) if part == "--input"] == [
        "gs://a-bucket/photos",
        "gs://a-bucket/more photos/*.jpg",
    ]


def test_with_an_image_workers_run_it_and_install_nothing(arguments):
    given = arguments(WHOLE | IMAGE)
    assert value(given, "--sdk_container_image") == IMAGE["--image"]
    assert not any("setup_file" in part or "requirements" in part for part in given)


def test_without_an_image_workers_install_the_package_and_its_pins(arguments):
    given = arguments(WHOLE)
    assert value(given, "--setup_file") == "./setup.py"
    assert value(given, "--requirements_file") == "./requirements.lock"
    assert not any("sdk_container_image" in part for part in given)


def test_a_gpu_pool_is_one_pool_whose_processes_share_the_card(arguments):
    given = arguments(WHOLE | IMAGE | {"--gpu": "on"})
    assert value(given, "--dataflow_service_options") == (
        "worker_accelerator=type:nvidia-tesla-t4;count:1;install-nvidia-driver;use_nvidia_mps"
    )
    assert value(given, "--machine_type").startswith("n1-")  # the only ones that a T4 goes into
    assert not any("no_use_multiple_sdk_containers" in part for part in given)  # which forbids MPS


def test_without_a_gpu_none_is_asked_for(arguments):
    assert not any("accelerator" in part for part in arguments(WHOLE | IMAGE | {"--gpu": "off"}))


def test_a_backfill_runs_on_cheap_workers(arguments):
    assert value(arguments(WHOLE | IMAGE, "--backfill"), "--flexrs_goal") == "COST_OPTIMIZED"
    assert not any("flexrs" in part for part in arguments(WHOLE | IMAGE))


def test_a_backfill_on_gpus_says_that_it_has_no_cheap_workers(script):
    done = script(WHOLE | IMAGE | {"--gpu": "on"}, "--backfill")
    assert done.returncode == 0
    assert "FlexRS has no GPUs" in done.stderr
    assert "flexrs" not in done.stdout


def test_the_job_is_named_after_its_output_on_any_day_and_with_any_options(arguments):
    name = value(arguments(WHOLE), "--job_name")
    assert name == value(arguments(WHOLE | IMAGE, "--backfill", "--shard", "1/4"), "--job_name")
    assert name == value(arguments(WHOLE | {"--output": WHOLE["--output"] + "/"}), "--job_name")
    assert name != value(arguments(WHOLE | {"--output": "gs://a-bucket/other"}), "--job_name")


def test_a_dry_run_prints_name_and_command_and_submits_nothing(script, arguments):
    done = script(WHOLE, "--dry-run")
    first, command, *given = done.stdout.splitlines()
    assert first == f"job {value(given, '--job_name')}"
    assert given == [*arguments(WHOLE), "--dry_run=True"]
    assert command.split()[1:] == arguments(WHOLE)


def test_the_schedule_in_the_docs_asks_for_the_same_workers(arguments):
    """And for parameters that the template has."""
    (block,) = re.findall(r"```json\n(.+?)```", (ROOT / "docs/dataflow.md").read_text(), re.DOTALL)
    launch = json.loads(block)["launchParameter"]
    ours, environment = arguments(WHOLE | IMAGE, "--backfill"), launch["environment"]
    assert environment["machineType"] == value(ours, "--machine_type")
    assert environment["diskSizeGb"] == int(value(ours, "--disk_size_gb"))
    assert environment["maxWorkers"] == int(value(ours, "--max_num_workers"))
    assert environment["flexrsGoal"] == f"FLEXRS_{value(ours, '--flexrs_goal')}"
    assert environment["additionalExperiments"] == [value(ours, "--experiments")]
    parameters = launch["parameters"]
    assert parameters["number_of_worker_harness_threads"] == value(ours, "--number_of_worker_harness_threads")
    assert parameters["record_shards"] == ours[ours.index("--record-shards") + 1]
    known = {known["name"]: known for known in json.loads((ROOT / "flex_template.json").read_text())["parameters"]}
    assert parameters.keys() <= known.keys()
    for name, given in parameters.items():
        for regex in known[name].get("regexes", []):
            assert re.search(regex, given), name


def test_help_names_every_option(script):
    done = script({}, "--help")
    assert done.returncode == 0
    for option in (*WHOLE, *IMAGE, "--gpu", "--backfill", "--dry-run"):
        assert option in done.stdout
