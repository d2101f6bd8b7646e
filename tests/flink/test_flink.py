"""Sixty photos on a real Flink cluster that loses a task manager in the middle: nothing is lost, nothing is done twice."""

import json

import pytest

from benchmarks.library import make_library
from tests.beam_pipeline.test_run import files
from tests.flink import cluster, job

pytestmark = pytest.mark.flink

PHOTOS = 64
PARALLELISM = 4  # more than there are slots, so that a task that is lost is a part of the work
KILL_AFTER = 20  # clips
BYTES_A_PHOTO = 20_000  # records are some hundred bytes; one photo of this library is 4 MB decoded, 60 KB at 144 x 144


@pytest.fixture(scope="module")
def jars():
    try:
        return cluster.jars()
    except cluster.Unavailable as lack:
        pytest.skip(str(lack))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    make_library(folder, PHOTOS)
    (folder / "letter.jpg").write_text("Dear reader, this is no photo.\n" * 50)
    return folder


@pytest.fixture(scope="module")
def undisturbed(photos, cli, tmp_path_factory):
    """Output folder of the local run, and what it said."""
    output = tmp_path_factory.mktemp("local")
    done = cli("run", "--input", photos, "--output", output, *job.CLIPS, "--direct_num_workers=2")
    assert done.returncode == 0, done.stderr
    return output, done.stdout.replace(str(output), "")


@pytest.fixture(scope="module")
def recovered(jars, photos, tmp_path_factory):
    """(output folder, Run) on two task managers, of which one is killed."""
    output = tmp_path_factory.mktemp("flink")
    with cluster.cluster(tmp_path_factory.mktemp("cluster"), jars, task_managers=2) as flink:
        return output, job.run(flink, photos, output, PARALLELISM, kill="tm1", after=KILL_AFTER)


def test_the_job_comes_through_the_loss_of_a_task_manager(recovered, undisturbed):
    output, run = recovered
    assert run.status == 0, run.log[-3000:]
    assert run.job["state"] == "FINISHED"
    assert run.said.replace(str(output), "") == undisturbed[1]


def test_flink_noticed_the_loss_and_ran_tasks_again(recovered):
    _, run = recovered
    assert run.troubles
    assert all(at >= run.killed - 1 for at, _, _ in run.troubles)
    assert run.again and run.caught_up > 0


def test_python_workers_end_with_their_task_manager(recovered):
    _, run = recovered
    assert run.workers <= 1  # the survivor's lingers, until it has had nothing to do for a while


def test_recovery_is_by_running_tasks_again_for_flink_takes_no_checkpoints_of_a_batch_job(recovered):
    _, run = recovered
    assert run.checkpoints == 0


def test_every_photo_has_one_record_and_it_is_the_local_runs(recovered, undisturbed):
    ours, theirs = job.rows(recovered[0]), job.rows(undisturbed[0])
    assert sum(map(len, ours.values())) == PHOTOS + 1
    assert len(ours["candidates"]) >= 60
    for kind in job.KINDS:
        assert ours[kind] == theirs[kind], kind


def test_clips_and_posters_are_the_local_runs_byte_for_byte(recovered, undisturbed):
    ours, theirs = files(recovered[0]), files(undisturbed[0])
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name] != theirs[name]] == []


def test_no_temporary_file_is_left(recovered, undisturbed):
    ours, theirs = ({str(p.relative_to(o)) for p in o.rglob("*")} for o in (recovered[0], undisturbed[0]))
    assert ours == theirs


def test_the_summary_counts_each_photo_once(recovered):
    summary = json.loads((recovered[0] / "summary.json").read_text())
    assert summary["photos"] == PHOTOS + 1
    assert summary["failures_by_reason"] == {"unsupported": 1}


def test_names_and_records_cross_shuffles_and_no_pixel_does(recovered):
    _, run = recovered
    assert 0 < run.shuffled < BYTES_A_PHOTO * PHOTOS
