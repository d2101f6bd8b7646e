"""Which engine runs the job, and which of its options it listens to."""

import argparse
import difflib
import os
import sys

from beam_pipeline.commands import DONE, REFUSED, UserError

LOCAL_RUNNERS = ("FnApiRunner", "DirectRunner")
# {group of Beam's options: the runners that read it}; other groups are read everywhere.
READERS = {
    "DirectOptions": LOCAL_RUNNERS,
    "FlinkRunnerOptions": ("FlinkRunner", "PortableRunner"),
    "GoogleCloudOptions": ("DataflowRunner",),
    "JobServerOptions": ("FlinkRunner", "SparkRunner", "PrismRunner", "PortableRunner"),
    "KafkaStreamsRunnerOptions": ("KafkaStreamsRunner", "PortableRunner"),
    "PortableOptions": ("FlinkRunner", "SparkRunner", "PrismRunner", "PortableRunner"),
    "PrismRunnerOptions": ("PrismRunner",),
    "SparkRunnerOptions": ("SparkRunner", "PortableRunner"),
    "WorkerOptions": ("DataflowRunner",),
}
# Of Dataflow's groups, what reading and writing gs:// or a worker's image asks for on any runner.
READ_EVERYWHERE = {
    "--gcp_oauth_scope", "--gcp_oauth_scopes", "--gcs_custom_audit_entries", "--gcs_custom_audit_entry",
    "--impersonate_service_account", "--job_name", "--no_auth", "--project", "--sdk_container_image", "--temp_location",
}  # fmt: skip


def beam_options(flags, ours):
    """The engine that flags ask for, and its options.

    Args:
      flags: of the command line, those that are not ours.
      ours: names of those that are, to guess what an unknown one means.

    Returns:
      (PipelineOptions with our choices for local runs, the runner's name). Warns of options that the runner ignores.

    Raises UserError for unknown ones.
    """
    from apache_beam.options.pipeline_options import (
        DirectOptions,
        GoogleCloudOptions,
        PipelineOptions,
        SetupOptions,
        StandardOptions,
    )

    known, groups = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False), {}
    for group in PipelineOptions.__subclasses__():
        group._add_argparse_args(known)
        groups = dict.fromkeys(known._option_string_actions, group.__name__) | groups
    try:
        _, unknown = known.parse_known_args(flags)
    except argparse.ArgumentError as error:
        raise UserError(str(error)) from error
    options = PipelineOptions(flags)
    standard = options.view_as(StandardOptions)
    runner = (standard.runner or "FnApiRunner").split(".")[-1]
    local = runner in LOCAL_RUNNERS
    if "dask" in runner.lower():
        raise UserError(
            "The Dask runner drops tagged outputs and reports success; use FnApiRunner, DataflowRunner or FlinkRunner."
        )
    # Dataflow would take a mistyped option in silence, and a template's launcher may give what this Beam does not know.
    submitted = runner == "DataflowRunner" and not options.view_as(GoogleCloudOptions).template_location
    if unknown and (local or submitted):
        name = unknown[0].split("=")[0]
        near = difflib.get_close_matches(name, [*ours, *known._option_string_actions], 1)
        raise UserError(
            f"unknown option {name}" + (f", did you mean {near[0]}?" if near else ", see cinematic-photos run --help")
        )
    given = {flag.split("=")[0] for flag in flags}
    for flag in sorted(given - READ_EVERYWHERE):
        readers = READERS.get(groups.get(flag))
        if readers and runner not in readers:
            print(f"cinematic-photos: {runner} ignores {flag}, which is for {', '.join(readers)}", file=sys.stderr)
    if local:
        standard.runner = "FnApiRunner"  # by name: `DirectRunner` first tries to download another runner
        direct = options.view_as(DirectOptions)
        if "--direct_num_workers" not in given:
            direct.direct_num_workers = len(os.sched_getaffinity(0))  # the cores that this process may use
        if "--direct_running_mode" not in given and direct.direct_num_workers != 1:
            direct.direct_running_mode = "multi_processing"
    options.view_as(SetupOptions).save_main_session = False
    return options, runner


def _check_buckets(uris):
    """Raises UserError for a bucket that is not there: Beam tries for minutes to stage there, and workers fail photo by photo."""
    from beam_pipeline import storage

    for uri in filter(storage.in_bucket, filter(None, uris)):
        try:
            next(storage.walk(uri), None)
        except FileNotFoundError as error:
            raise UserError(f"There is no bucket {uri.removeprefix(storage.BUCKET).partition('/')[0]}.") from error
        except PermissionError:  # who may write objects need not see the bucket
            continue


def submit(built, options, output, fingerprint):
    """Hands the job to Dataflow. Returns the exit code; an active job of the same name is left alone."""
    from apache_beam.options.pipeline_options import GoogleCloudOptions, TestOptions
    from apache_beam.runners.dataflow.internal.apiclient import DataflowJobAlreadyExistsError
    from google.api_core.exceptions import GoogleAPICallError

    cloud, dry = options.view_as(GoogleCloudOptions), options.view_as(TestOptions).dry_run
    try:
        if not dry:
            _check_buckets([cloud.staging_location or cloud.temp_location, output])
        built.run()
    except DataflowJobAlreadyExistsError:
        print(f"cinematic-photos: nothing submitted, job {cloud.job_name} is active already", file=sys.stderr)
        return REFUSED
    except (GoogleAPICallError, OSError) as error:
        raise UserError(f"The job was not taken: {error}") from error
    if dry:
        print("the graph is whole; nothing submitted")
    elif cloud.template_location:
        print(f"written to {cloud.template_location}")
    else:
        print(f"submitted; records and summary.json will be in {output} ({fingerprint})")
    return DONE
