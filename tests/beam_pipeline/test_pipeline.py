"""The shape of the graph: what is fused, what crosses a shuffle."""

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

from beam_pipeline import options, pipeline
from transforms.settings import Settings

STAGES = ("Read", "Decode", "Assess", "Infer", "Repair", "BuildScene", "Shoot", "Accept", "Render", "WriteClip")


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    folder = tmp_path_factory.mktemp("job")
    return options.Job.of([str(folder)], str(folder / "out"), Settings())


@pytest.fixture(scope="module")
def stages(job):
    """The optimised stages that the local runner would execute."""
    built = beam.Pipeline(options=PipelineOptions([]))
    pipeline.build(built, job)
    _, stages = FnApiRunner().create_stages(built.to_runner_api())
    return stages


def names(stage):
    return [transform.unique_name for transform in stage.transforms]


def test_everything_from_read_to_write_is_one_stage(stages):
    (fused,) = [stage for stage in stages if any("Animate/Decode" in name for name in names(stage))]
    for name in STAGES:
        assert any(f"Animate/{name}" in n for n in names(fused)), f"{name} is not in the stage of Decode"


def test_the_same_stage_turns_what_is_left_into_records_so_that_no_pixel_is_shuffled(stages):
    (fused,) = [stage for stage in stages if any("Animate/Decode" in name for name in names(stage))]
    assert any("Animate/Arrive" in name for name in names(fused))


def test_no_stage_asks_for_resources_which_would_break_the_fusion(job):
    built = beam.Pipeline(options=PipelineOptions([]))
    pipeline.build(built, job)
    environments = built.to_runner_api().components.environments.values()
    assert not any(environment.resource_hints for environment in environments)
