#!/usr/bin/env bash
# Runs the main job on Dataflow.
#   ./run_dataflow.sh --project P --region R --bucket B --image IMAGE --input gs://B/photos --output gs://B/clips [more options]
set -euo pipefail

usage() {
    sed -n '2,3s/^# \{0,1\}//p' "$0"
    cat <<'TEXT'

  --project P    Google Cloud project that runs and pays
  --region R     region of the workers, near the bucket
  --bucket B     bucket for staging and temporary files, without gs://
  --image I      worker image, built from the Dockerfile and pushed; without it workers install the package from this folder
  --input G      gs:// folder or glob; may be repeated
  --output G     gs:// folder for clips and records
Any other option goes to `cinematic-photos run` and to Beam, say --max_num_workers=200 --aspect=9:16.
TEXT
}

project= region= bucket= image= output=
inputs=() rest=()
while [ $# -gt 0 ]; do
    case "$1" in
        --help|-h) usage; exit 0 ;;
        --project|--region|--bucket|--image|--input|--output)
            [ $# -ge 2 ] || { echo "run_dataflow.sh: $1 wants a value" >&2; exit 2; }
            case "$1" in
                --input) inputs+=(--input "$2") ;;
                *) printf -v "${1#--}" '%s' "$2" ;;
            esac
            shift 2 ;;
        *) rest+=("$1"); shift ;;
    esac
done
for name in project region bucket output; do
    [ -n "${!name}" ] || { echo "run_dataflow.sh: --$name is missing, see ./run_dataflow.sh --help" >&2; exit 2; }
done
[ ${#inputs[@]} -gt 0 ] || { echo "run_dataflow.sh: --input is missing, see ./run_dataflow.sh --help" >&2; exit 2; }
[[ $output == gs://* ]] || { echo "run_dataflow.sh: --output must be a gs:// folder, workers share no disk" >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
run=$(command -v cinematic-photos || echo "$here/.venv/bin/cinematic-photos")
[ -x "$run" ] || { echo "run_dataflow.sh: run make setup first" >&2; exit 2; }
if [ -n "$image" ]; then
    workers=(--sdk_container_image="$image" --sdk_location=container)
else
    workers=(--setup_file="$here/setup.py")
fi
# One process a core with few threads: the work is CPU-bound and holds the interpreter's lock little.
exec "$run" run "${inputs[@]}" --output "$output" \
    --runner=DataflowRunner --project="$project" --region="$region" \
    --temp_location="gs://$bucket/cinematic-photos/tmp" --staging_location="gs://$bucket/cinematic-photos/staging" \
    --job_name="cinematic-photos-$(date -u +%Y%m%d-%H%M%S)" --number_of_worker_harness_threads=2 \
    --record-shards 100 "${workers[@]}" "${rest[@]+"${rest[@]}"}"
