"""What the script submits: the job, what it stages, and how the service's answers end. Nothing leaves this machine."""

import json
import os
import re
import subprocess
import sys
import tarfile
from io import BytesIO

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2 as beam_api
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

from tests import cloud
from tests.beam_pipeline.test_pipeline import STAGES
from tests.dataflow.conftest import ROOT
from tests.dataflow.test_packaging import contents, locked

BUCKET = "a-bucket"
IMAGE = "europe-west4-docker.pkg.dev/a-project/images/cinematic-photos:1"
WHERE = ("--project", cloud.PROJECT, "--region", "europe-west4", "--bucket", BUCKET)
LIBRARY = ("--input", f"gs://{BUCKET}/photos/", "--output", f"gs://{BUCKET}/clips")
VARIANTS = {
    "image": ("--image", IMAGE),
    "setup_file": (),
    "gpu": ("--image", IMAGE, "--gpu", "on"),
    "backfill": ("--image", IMAGE, "--backfill"),
}
PATH = re.compile(r"(?<![\w.:/-])/(?:[\w.@-]+/)+[\w.@-]*")  # absolute and local: no part of a URI


@pytest.fixture(scope="module")
def staging(storage_emulator):
    """The emulator, with a library of one photo."""
    storage_emulator.client.create_bucket(BUCKET).blob("photos/a.jpg").upload_from_string(b"")
    return storage_emulator


@pytest.fixture(scope="module")
def jobs(submit, staging):
    """{variant: (job as JSON, {name: bytes} of what it staged)}, as a template that nobody runs."""
    result = {}
    for variant, options in VARIANTS.items():
        done = submit(*WHERE, *LIBRARY, *options, f"--template_location=gs://{BUCKET}/{variant}.json")
        assert done.returncode == 0, done.stderr
        job = json.loads(staging.client.bucket(BUCKET).blob(f"{variant}.json").download_as_text())
        folder = job["environment"]["sdkPipelineOptions"]["options"]["staging_location"].removeprefix(f"gs://{BUCKET}/")
        result[variant] = job, {name.rpartition("/")[2]: data for name, data in staging.files(BUCKET, f"{folder}/").items()}
    return result


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request, jobs):
    """(name, job, staged files) of each variant."""
    return request.param, *jobs[request.param]


def pipeline_of(staged):
    return beam_api.Pipeline.FromString(staged["pipeline.pb"])


def golden(job):
    """What of a job is ours to decide and the same on every day and with every version of Beam."""
    environment = job["environment"]
    (pool,) = environment["workerPools"]
    defaults = PipelineOptions([]).get_all_options()
    asked = environment["sdkPipelineOptions"]["options"]
    kept = {
        "name": job["name"],
        "type": job["type"],
        "flexResourceSchedulingGoal": environment.get("flexResourceSchedulingGoal"),
        "experiments": environment["experiments"],
        "serviceOptions": environment.get("serviceOptions", []),
        "tempStoragePrefix": environment["tempStoragePrefix"],
        "workerPool": {
            key: value for key, value in pool.items() if key not in ("taskrunnerSettings", "sdkHarnessContainerImages")
        },
        "containers": [
            {key: image[key] for key in ("containerImage", "useSingleCorePerContainer")}
            for image in pool["sdkHarnessContainerImages"]
        ],
        "options": {
            key: value
            for key, value in sorted(asked.items())
            if value != defaults.get(key) and key not in ("beam_plugins", "pipelineProtoHash", "experiments", "pickle_library")
        },
    }
    text = json.dumps(kept, indent=2)
    text = text.replace(f"beam_python{sys.version_info[0]}.{sys.version_info[1]}_sdk:{locked('apache-beam')}", "beam_sdk:VERSION")
    return re.sub(rf"{job['name']}\.\d+\.\d+", f"{job['name']}.TIME", text) + "\n"


def test_the_job_is_the_one_that_is_kept_beside_this_test(variant):
    """Set UPDATE_GOLDEN to keep today's job, and read the difference before you commit it."""
    name, job, _ = variant
    kept = ROOT / "tests/dataflow/jobs" / f"{name}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(golden(job))
    assert golden(job) == kept.read_text()


def test_the_job_holds_no_secret_no_user_and_no_path_of_the_machine_it_came_from(variant, checkout):
    _, job, staged = variant
    text = json.dumps(job)
    assert "canary" not in text.lower()
    assert not PATH.findall(text)
    for name, data in staged.items():
        assert b"canary" not in data.lower(), name
    for private in (str(ROOT), str(checkout), sys.prefix, os.path.expanduser("~/")):
        assert private not in text


def test_every_container_holds_one_process_a_core(variant):
    _, job, _ = variant
    (pool,) = job["environment"]["workerPools"]
    assert "use_multiple_sdk_containers" in job["environment"]["experiments"]
    assert [image["useSingleCorePerContainer"] for image in pool["sdkHarnessContainerImages"]] == [True]


def test_with_an_image_the_graph_alone_is_staged(jobs):
    assert set(jobs["image"][1]) == {"pipeline.pb"}


def test_without_an_image_the_package_and_its_pins_are_staged(jobs, sdist, tmp_path):
    staged = jobs["setup_file"][1]
    assert set(staged) == {"pipeline.pb", "workflow.tar.gz", "requirements.txt"}
    assert staged["requirements.txt"] == (ROOT / "requirements.lock").read_bytes()
    (tmp_path / "workflow.tar.gz").write_bytes(staged["workflow.tar.gz"])
    assert contents(tmp_path / "workflow.tar.gz") == contents(sdist)


def test_the_graph_runs_in_one_environment_which_is_the_image(variant):
    name, job, staged = variant
    (environment,) = pipeline_of(staged).components.environments.values()
    image = beam_api.DockerPayload.FromString(environment.payload).container_image
    assert image == (IMAGE if name != "setup_file" else job["environment"]["workerPools"][0]["workerHarnessContainerImage"])
    roles = [beam_api.ArtifactStagingToRolePayload.FromString(d.role_payload).staged_name for d in environment.dependencies]
    assert sorted(roles) == sorted(set(staged) - {"pipeline.pb"})


def test_on_dataflow_as_well_everything_from_decode_to_write_is_one_stage(variant):
    _, _, staged = variant
    pipeline = pipeline_of(staged)
    assert not any(environment.resource_hints for environment in pipeline.components.environments.values())
    _, stages = FnApiRunner().create_stages(pipeline)
    named = [[transform.unique_name for transform in stage.transforms] for stage in stages]
    (fused,) = [names for names in named if any("Animate/Decode" in name for name in names)]
    for step in (*STAGES, "Arrive"):
        assert any(f"Animate/{step}" in name for name in fused), f"{step} is not in the stage of Decode"


def test_the_staged_package_holds_no_secret_of_the_checkout(jobs):
    with tarfile.open(fileobj=BytesIO(jobs["setup_file"][1]["workflow.tar.gz"])) as archive:
        for member in archive:
            if member.isfile():
                assert b"CANARY" not in archive.extractfile(member).read(), member.name


# What the service answers


@pytest.fixture
def service(submit, staging):
    """(the stand-in for the service, a function that submits to it)."""
    with cloud.dataflow_service() as (stand_in, endpoint):
        yield stand_in, lambda *options: submit(*WHERE, *LIBRARY, "--image", IMAGE, f"--dataflow_endpoint={endpoint}", *options)


def test_a_second_job_into_the_same_output_is_not_made_while_the_first_is_active(service):
    stand_in, submit = service
    done = submit()
    assert done.returncode == 0, done.stderr
    assert f"will be in gs://{BUCKET}/clips" in done.stdout
    again = submit("--backfill")
    assert again.returncode == 1
    (job,) = stand_in.jobs
    assert again.stderr.strip() == f"cinematic-photos: nothing submitted, job {job['name']} is active already"


def test_what_the_service_refuses_ends_in_one_sentence(service):
    stand_in, submit = service
    stand_in.refusal = 403
    done = submit()
    assert done.returncode == 2
    assert "The job was not taken: 403" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bucket_that_is_not_there_ends_in_one_sentence(service):
    stand_in, submit = service
    done = submit("--bucket", "no-such-bucket")
    assert done.returncode == 2
    assert "There is no bucket no-such-bucket" in done.stderr
    assert "Traceback" not in done.stderr
    assert stand_in.jobs == []


def test_a_dry_run_checks_the_graph_and_reaches_nothing(service, staging):
    stand_in, submit = service
    before = staging.files(BUCKET).keys()
    done = submit("--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "the graph is whole; nothing submitted"
    assert stand_in.jobs == []
    assert staging.files(BUCKET).keys() == before


def test_a_mistyped_option_is_refused_where_dataflow_would_ignore_it(service):
    stand_in, submit = service
    done = submit("--max_num_worker=5")
    assert done.returncode == 2
    assert "did you mean --max_num_workers" in done.stderr
    assert stand_in.jobs == []


def test_a_flex_template_submits_the_same_job(checkout, staging, jobs):
    """As the launcher of templates starts it: parameters with underscores, the job written to where the service looks for it."""
    given = {
        "input": f"gs://{BUCKET}/photos/",
        "output": f"gs://{BUCKET}/clips",
        "record_shards": "100",
        "prune": "false",
        "since": "",
        "runner": "DataflowRunner",
        "project": cloud.PROJECT,
        "region": "europe-west4",
        "job_name": jobs["image"][0]["name"],
        "temp_location": f"gs://{BUCKET}/cinematic-photos/tmp",
        "staging_location": f"gs://{BUCKET}/cinematic-photos/staging",
        "experiments": "disable_logging_submission_environment",
        "sdk_container_image": IMAGE,
        "template_location": f"gs://{BUCKET}/flex.json",
        "an_option_of_tomorrow": "1",
    }
    command = [sys.executable, checkout / "flex_template.py", *(f"--{name}={value}" for name, value in given.items())]
    environment = dict(os.environ, **staging.environment)
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    job = json.loads(staging.client.bucket(BUCKET).blob("flex.json").download_as_text())
    (ours,), (theirs,) = job["environment"]["workerPools"], jobs["image"][0]["environment"]["workerPools"]
    assert job["name"] == jobs["image"][0]["name"]
    assert ours["workerHarnessContainerImage"] == theirs["workerHarnessContainerImage"]
    assert job["environment"]["experiments"] == jobs["image"][0]["environment"]["experiments"]
