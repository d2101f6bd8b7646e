"""The job on a Flink cluster of one and of two task managers, and of two of which one is killed: `make bench-flink`.

Printed are photos a minute, bytes that left a task, and how long the work of the killed one takes to be done again.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.library import make_library
from tests.flink import cluster, job


def animating(output):
    """Seconds from the first clip to the last: without the start of the workers and the writing of records."""
    times = [path.stat().st_mtime for path in output.glob("clips/*/*.mp4")]
    return max(times) - min(times)


def measure(name, folder, jars, args, managers, kill=None):
    """Runs the job and prints what it did; (seconds of the job, seconds of the clips)."""
    output = folder / "out"
    with cluster.cluster(folder / "cluster", jars, managers) as flink:
        run = job.run(flink, folder.parent / "library", output, args.parallelism, kill, after=args.photos // 3)
    if run.status or run.job["state"] != "FINISHED":
        raise SystemExit(f"{name} ended with exit status {run.status}, {run.job['state']}:\n{run.log[-3000:]}")
    clips, kilobytes = animating(output), run.shuffled / args.photos / 1e3
    print(f"{name}: job {run.seconds:.0f} s, {args.photos / run.seconds * 60:.1f} photos a minute; ", end="")
    print(f"clips {clips:.0f} s, {args.photos / clips * 60:.1f} a minute; {kilobytes:.1f} KB a photo left a task", flush=True)
    if kill:
        noticed = min(at for at, _, _ in run.troubles) - run.killed
        print(f"  noticed after {noticed:.1f} s, {len(run.troubles)} failures noted; ", end="")
        print(f"{run.again} of {run.begun} tasks ran again, the last of them ended {run.caught_up:.0f} s after the kill")
    return run.seconds, clips


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=120)
    parser.add_argument("--parallelism", type=int, default=4, help="parts that a stage's work is split into")
    parser.add_argument("--rounds", type=int, default=1, help="of which the best counts: for machines with other work")
    args = parser.parse_args()
    try:
        jars = cluster.jars()
    except cluster.Unavailable as lack:
        raise SystemExit(str(lack)) from lack
    runner = "Beam's runner" if jars.official else "the stand-in for Beam's runner"
    print(f"Flink with {runner}, {args.photos} photos, parallelism {args.parallelism}")
    with tempfile.TemporaryDirectory(prefix="cinematic-bench-") as folder:
        folder = Path(folder)
        (folder / "library").mkdir()
        make_library(folder / "library", args.photos)
        best = {}
        for number in range(args.rounds):
            for managers in (1, 2):
                place = folder / f"{managers}-{number}"
                spent = measure(f"{managers} task manager(s)", place, jars, args, managers)
                best[managers] = tuple(map(min, spent, best.get(managers, spent)))
        measure("2 task managers, one is killed", folder / "killed", jars, args, 2, kill="tm1")
        whole, clips = (one / two for one, two in zip(best[1], best[2], strict=True))
        print(f"two task managers do {whole:.2f} times the photos of one, {clips:.2f} times once the workers are up")


if __name__ == "__main__":
    main()
