"""A library through the public command, on one and on two processes: `make bench-library`.

`--photos` photos are made of scikit-image's: other crops, light and colours, an hour apart, so that none is another's duplicate.
They are animated at a size that lets the rest of the pipeline weigh as much as drawing does. Printed are photos a minute, CPU
seconds of each stage, the peak memory of each process and how flat it stays, and what a night without news costs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image
from skimage import data

SEED = 6
PHOTO_SIDE = 1200  # pixels
CLIPS = ("--width", "360", "--seconds", "1")
WARM_UP = 0.3  # of a run, before memory must be flat
PERIOD = 0.5  # seconds between two looks at the processes


def make_library(folder, count):
    """Writes `count` JPEG files with EXIF."""
    sources = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket(), data.stereo_motorcycle()[0]]
    chance, start = np.random.default_rng(SEED), datetime(2020, 1, 1)
    for number in range(count):
        photo = sources[number % len(sources)]
        height, width = photo.shape[:2]
        share = chance.uniform(0.6, 0.95)
        h, w = int(share * height), int(share * width)
        top, left = chance.integers(0, height - h + 1), chance.integers(0, width - w + 1)
        scale = PHOTO_SIDE / max(h, w)
        photo = cv2.resize(photo[top : top + h, left : left + w], None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        if chance.random() < 0.5:
            photo = photo[:, ::-1]
        photo = np.clip(photo * chance.uniform(0.8, 1.2, 3), 0, 255).astype(np.uint8)
        exif = Image.Exif()
        exif[ExifTags.Base.Make] = "Bench"
        taken = start + timedelta(hours=number)
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken.strftime("%Y:%m:%d %H:%M:%S")
        place = folder / f"{number // 500:03d}"
        place.mkdir(exist_ok=True)
        Image.fromarray(photo).save(place / f"{number:05d}.jpg", quality=90, exif=exif)


def resident(group):
    """{process: (what it is, resident MB)} of a process group (Linux)."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(folder.name)) != group:
                continue
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            pages = int((folder / "statm").read_text().split()[1])
        except (OSError, ValueError):
            continue
        kind = "drawing" if "renderer.studio" in words else "worker" if any("sdk_worker" in word for word in words) else "main"
        found[int(folder.name)] = kind, pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return found


def run(library, output, processes):
    """(seconds, summary, {process: (kind, [(seconds, MB)])}) of a run."""
    command = [sys.executable, "-m", "beam_pipeline", "run", "--input", library, "--output", output, *CLIPS, "--quiet"]
    command += [f"--direct_num_workers={processes}"]
    start, seen = time.monotonic(), {}
    child = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, start_new_session=True)
    while child.poll() is None:
        for process, (kind, megabytes) in resident(child.pid).items():
            seen.setdefault(process, (kind, []))[1].append((time.monotonic() - start, megabytes))
        time.sleep(PERIOD)
    if child.returncode:
        raise SystemExit(f"The run ended with exit status {child.returncode}.")
    return time.monotonic() - start, json.loads((output / "summary.json").read_text()), seen


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=2000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cinematic-bench-") as folder:
        folder, rates = Path(folder), {}
        (folder / "library").mkdir()
        make_library(folder / "library", args.photos)
        for processes in (1, 2):
            seconds, summary, seen = run(folder / "library", folder / f"out{processes}", processes)
            rates[processes] = summary["photos"] / seconds * 60
            counts = ", ".join(f"{summary[key]} {key}" for key in ("candidates", "rejected", "failures"))
            print(f"{processes} process(es): {summary['photos']} photos in {seconds:.0f} s, {rates[processes]:.1f} a minute")
            print(f"  {counts}")
            spent = {stage: cost / summary["photos"] for stage, cost in summary["cpu_seconds"].items()}
            print("  CPU s a photo: " + ", ".join(f"{stage} {cost:.3f}" for stage, cost in spent.items()))
            for kind, noted in sorted(seen.values(), key=lambda value: value[0]):
                later = [megabytes for at, megabytes in noted if at > WARM_UP * seconds]
                if len(later) > 4:
                    first, peak = np.median(later[: len(later) // 4 + 1]), max(megabytes for _, megabytes in noted)
                    print(f"  {kind:8} peak {peak:6.0f} MB, after the warm-up at most {max(later) / first - 1:+.1%}")
        print(f"two processes do {rates[2] / rates[1]:.2f} times the photos of one")
        seconds, summary, _ = run(folder / "library", folder / "out2", 1)
        spent = summary["cpu_seconds"]["total"]
        print(f"a night without news: {seconds:.0f} s, {summary['skipped']} skipped, {spent:.1f} CPU s on photos")


if __name__ == "__main__":
    main()
