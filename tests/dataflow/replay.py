"""Runs a staged graph as workers of Dataflow would: in processes that know of the job what was submitted, and nothing else.

PYTHON replay.py PIPELINE JOB WORKERS

PYTHON has what the job stages; PIPELINE is the staged graph, JOB the job as JSON, WORKERS the number of processes.
"""

import json
import os
import sys
import tempfile
import threading
from pathlib import Path

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import common_urns, python_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.runners.runner import PipelineState


def whole(value):
    """JSON whose whole numbers are whole again: the job's options have come through a type that knows floating point alone."""
    if isinstance(value, dict):
        return {key: whole(part) for key, part in value.items()}
    if isinstance(value, list):
        return [whole(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def main(pipeline, job, workers):
    graph = beam_runner_api_pb2.Pipeline.FromString(Path(pipeline).read_bytes())
    for environment in graph.components.environments.values():
        assert environment.urn == common_urns.environments.DOCKER.urn
        environment.urn = python_urns.SUBPROCESS_SDK
        environment.payload = f"exec {sys.executable} -m apache_beam.runners.worker.sdk_worker_main".encode()
        del environment.dependencies[:]  # this Python has them
    threading.excepthook = lambda failure: (sys.__excepthook__(*failure[:3]), os._exit(1))  # the runner waits for dead workers
    runner = FnApiRunner()
    runner._num_workers = int(workers)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as told:
        json.dump(whole(json.loads(Path(job).read_text())["environment"]["sdkPipelineOptions"]), told)
        told.flush()
        os.environ["PIPELINE_OPTIONS_FILE"] = told.name
        return 0 if runner.run_via_runner_api(graph, PipelineOptions([])).wait_until_finish() == PipelineState.DONE else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
