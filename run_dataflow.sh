#!/usr/bin/env bash
# Submits the main job to Dataflow.
#   ./run_dataflow.sh --project P --region R --bucket B --image IMAGE --input gs://B/photos --output gs://B/clips [more options]
set -euo pipefail

usage() {
    sed -n '2,3s/^# \{0,1\}//p' "$0"
    cat <<'TEXT'

  --project P     Google Cloud project that runs and pays
  --region R      region of the workers, the bucket's own
  --bucket B      bucket for staging and temporary files
  --image I       worker image, built from the Dockerfile and pushed; without it workers install the package from this folder
  --input G       gs:// folder or glob; may be repeated
  --output G      gs:// folder for clips and records
  --gpu on|off    workers with one T4 each (default off); wants an image built with --build-arg GPU=on
  --backfill      the nightly run: cheap workers that start within six hours (FlexRS); neither --redo nor --prune
  --dry-run       prints the job's name and the command, checks the graph, submits nothing
Any other option goes to `cinematic-photos run` and to Beam, say --max_num_workers=200 --aspect=9:16.

The job is named after its output, so that Dataflow refuses a second one into the same place while the first is active: the
same command twice is one job. Exit codes: 0 submitted, 1 nothing to do or already active, 2 the command is wrong.
docs/dataflow.md argues the workers and tells costs, schedules and troubles.
TEXT
}

wrong=0
complain() {
    echo "run_dataflow.sh: $1" >&2
    wrong=1
}

project= region= bucket= image= output= gpu=off backfill= dry=
inputs=() rest=()
while [ $# -gt 0 ]; do
    option=$1
    case "$option" in
        --project=*|--region=*|--bucket=*|--image=*|--input=*|--output=*|--gpu=*)
            set -- "${option%%=*}" "${option#*=}" "${@:2}"
            continue ;;
        --help|-h) usage; exit 0 ;;
        --backfill) backfill=yes ;;
        --dry-run) dry=yes ;;
        --project|--region|--bucket|--image|--input|--output|--gpu)
            [ $# -ge 2 ] || { echo "run_dataflow.sh: $option wants a value" >&2; exit 2; }
            case "$option" in
                --input) inputs+=("$2") ;;
                *) printf -v "${option#--}" '%s' "$2" ;;
            esac
            shift ;;
        *) rest+=("$option") ;;
    esac
    shift
done

for name in project region bucket output; do
    [ -n "${!name}" ] || complain "--$name is missing"
done
[ ${#inputs[@]} -gt 0 ] || complain "--input is missing"
bucket=${bucket#gs://} bucket=${bucket%/} output=${output%/}
matches() { [[ -z $1 || $1 =~ ^($2)$ ]]; }
matches "$project" '[a-z0-9][-a-z0-9.:]{4,}[a-z0-9]' || complain "--project $project is no project id, see gcloud projects list"
matches "$region" '[a-z]+-[a-z]+[0-9]+' || complain "--region $region is no region, which look like europe-west4 (a zone has a letter more)"
# Beam takes a bucket that it cannot name for none, and makes one of its own.
matches "$bucket" '[a-z0-9][-a-z0-9_.]{1,220}[a-z0-9]' || complain "--bucket $bucket is no bucket: give its name alone"
matches "$output" 'gs://[^/*?[]+(/[^*?[]*)?' || complain "--output $output must be a gs:// folder: workers share no disk"
for input in "${inputs[@]+"${inputs[@]}"}"; do
    matches "$input" 'gs://[^/]+/.*' || complain "--input $input must be a gs:// folder or glob: workers share no disk"
done
matches "$gpu" 'on|off' || complain "--gpu is on or off, got $gpu"
[ "$gpu" = off ] || [ -n "$image" ] || complain "--gpu on wants --image: what pip installs on a worker finds no GPU"
previous=
for option in "${rest[@]+"${rest[@]}"}"; do
    [ -z "$backfill" ] || case "$option" in
        --redo) complain "--backfill does what is new: run --redo without it" ;;
        --prune) complain "--backfill deletes nothing for what is gone, a listing may be short one night: run --prune without it" ;;
    esac
    model=
    case "$previous=$option" in --depth-model=*|--people-model=*|--saliency-model=*) model=$option ;; esac
    case "$option" in --depth-model=*|--people-model=*|--saliency-model=*) model=${option#*=} ;; esac
    case "$model" in
        ''|builtin|*://*) ;;
        *) [ -n "$image" ] || complain "workers do not see $model: put it into an image, or a SavedModel onto gs://" ;;
    esac
    previous=$option
done
[ $wrong = 0 ] || { echo "run_dataflow.sh: see ./run_dataflow.sh --help" >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
run=$(command -v cinematic-photos || echo "$here/.venv/bin/cinematic-photos")
[[ $run == /* ]] || run=$PWD/$run
[ -x "$run" ] || { echo "run_dataflow.sh: run make setup first" >&2; exit 2; }

# By output alone, without the day: tomorrow's run must not start while today's still writes there.
name=cinematic-photos-$(printf '%s' "$output" | sha256sum | cut -c1-10)
experiments=disable_logging_submission_environment  # that list names this machine's folders
if [ -n "$image" ]; then
    workers=(--sdk_container_image="$image" --sdk_location=container)
else
    # Relative, as the job tells its options to whoever may see it. The pins come first, so that setup.py's ranges are met by them.
    cd "$here"
    workers=(--setup_file=./setup.py --requirements_file=./requirements.lock --requirements_cache=skip)
fi
if [ "$gpu" = on ]; then
    # A process a core shares the card through MPS: one process for all would draw and encode one clip at a time.
    workers+=(--machine_type=n1-standard-8 --disk_size_gb=60
        "--dataflow_service_options=worker_accelerator=type:nvidia-tesla-t4;count:1;install-nvidia-driver;use_nvidia_mps")
else
    workers+=(--machine_type=n2-standard-4 --disk_size_gb=40)
fi
# One process a core, two threads each: one photo is drawn, which another process does, while the next is read and searched.
workers+=(--number_of_worker_harness_threads=2 --max_num_workers=50)
if [ -n "$backfill" ]; then
    if [ "$gpu" = on ]; then
        echo "run_dataflow.sh: FlexRS has no GPUs, this backfill runs on ordinary workers" >&2
    else
        workers+=(--flexrs_goal=COST_OPTIMIZED)
    fi
fi
patterns=()
for input in "${inputs[@]}"; do patterns+=(--input "$input"); done
command=("$run" run "${patterns[@]}" --output "$output" --record-shards 100
    --runner=DataflowRunner --project="$project" --region="$region" --job_name="$name"
    --temp_location="gs://$bucket/cinematic-photos/tmp" --staging_location="gs://$bucket/cinematic-photos/staging"
    --experiments="$experiments" "${workers[@]}" "${rest[@]+"${rest[@]}"}")
if [ -n "$dry" ]; then
    echo "job $name"
    printf '%q ' "${command[@]}"
    echo
    exec "${command[@]}" --dry_run=True
fi
exec "${command[@]}"
