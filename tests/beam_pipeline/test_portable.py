"""The same job through Beam's portable interface: a job server and workers that are processes of their own."""

import shutil

import pytest

from tests.beam_pipeline.test_crash import without_costs
from tests.beam_pipeline.test_run import SMALL, files
from tests.processes import job_server, worker_pool


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """Options that send a job to a job server and its work to a worker pool."""
    folder = tmp_path_factory.mktemp("engine")
    with job_server(folder) as jobs, worker_pool(folder) as (workers, _):
        yield (
            "--runner=PortableRunner",
            f"--job_endpoint={jobs}",
            "--environment_type=EXTERNAL",
            f"--environment_config={workers}",
        )


def test_a_portable_runner_gives_what_the_local_one_gives(engine, samples, cli, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("astronaut", "cat", "rocket"):
        shutil.copy(samples / f"{name}.jpg", tmp_path / "in")
    told = []
    for output, options in (("local", ("--direct_num_workers=1",)), ("portable", engine)):
        done = cli("run", "--input", tmp_path / "in", "--output", tmp_path / output, *SMALL, *options)
        assert done.returncode == 0, done.stderr
        assert done.stderr.strip() == ""
        told.append(done.stdout.replace(str(tmp_path / output), ""))
    assert told[0].startswith("3 photos: ")
    assert told[0] == told[1]
    assert len(files(tmp_path / "local")) >= 4
    assert files(tmp_path / "portable") == files(tmp_path / "local")
    assert without_costs(tmp_path / "portable") == without_costs(tmp_path / "local")
    assert not [p for p in (tmp_path / "portable").rglob("*") if "tmp" in p.name or "temp" in p.name]


def test_a_job_that_fails_elsewhere_ends_in_one_sentence_and_exit_code_2(engine, samples, cli, tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = cli("run", "--input", samples, "--output", tmp_path / "file" / "out", *SMALL, *engine)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("cinematic-photos: The run failed: ")  # after what the workers say
