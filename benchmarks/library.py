"""A library through the public command, on one and on two processes, and what it costs: `make bench-library`.

`--photos` photos are made of scikit-image's: other crops, light and colours, an hour apart, so that none is another's duplicate.
They are animated at a size that lets the rest of the pipeline weigh as much as drawing does. Printed are photos a minute, CPU
seconds of each stage, the peak memory of each process and how flat it stays, what a night without news costs, the join of
`benchmarks.backfill`, and a model of the price against the library's size.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import date, datetime, timedelta
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import ExifTags, Image
from skimage import data

from beam_pipeline.options import CORE_HOUR_PRICE
from benchmarks import backfill, page

SEED = 6
PHOTO_SIDE = 1200  # pixels
CLIPS = ("--width", "360", "--seconds", "1")
WARM_UP = 0.3  # of a run, before memory must be flat
PERIOD = 0.5  # seconds between two looks at the processes
FULL_PHOTOS, FULL_SIDE = 12, 4000  # of the run that tells what a photo from a phone costs
LOOKS = ("glimpse", "read", "decode", "assess")  # what a photo costs that ends before the networks
CLIPS_OF_NEW = 0.4  # of new photos: bursts, screenshots and what tears take the rest (assumed; a dry run tells it of a library)
NEW_A_NIGHT = 0.001  # of a library (assumed: three photos a day to three thousand)


def make_library(folder, count, side=PHOTO_SIDE):
    """Writes `count` JPEG files with EXIF."""
    sources = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket(), data.stereo_motorcycle()[0]]
    chance, start = np.random.default_rng(SEED), datetime(2020, 1, 1)
    for number in range(count):
        photo = sources[number % len(sources)]
        height, width = photo.shape[:2]
        share = chance.uniform(0.6, 0.95)
        h, w = int(share * height), int(share * width)
        top, left = chance.integers(0, height - h + 1), chance.integers(0, width - w + 1)
        scale = side / max(h, w)
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
        if "sh" in words[0].split("/")[-1]:
            continue  # a shell that waits for its worker
        own = words[words.index("renderer.child") + 1] if "renderer.child" in words else None
        kind = own or ("worker" if any("sdk_worker" in word for word in words) else "main")
        found[int(folder.name)] = kind, pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return found


def run(library, output, processes, clips=CLIPS):
    """(seconds, summary, {process: (kind, [(seconds, MB)])}) of a run."""
    command = [sys.executable, "-m", "beam_pipeline", "run", "--input", library, "--output", output, *clips, "--quiet"]
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


def growth_of(seconds, seen):
    """[(what the process is, peak MB, growth after the warm-up as a share)]."""
    found = []
    for kind, noted in sorted(seen.values(), key=lambda value: value[0]):
        later = [megabytes for at, megabytes in noted if at > WARM_UP * seconds]
        if len(later) > 4:
            first = np.median(later[: len(later) // 4 + 1])
            found.append((kind, max(megabytes for _, megabytes in noted), max(later) / first - 1))
    return found


def told(processes, seconds, summary, seen):
    """Lines of Markdown on a run."""
    count = summary["photos"]
    spent = ", ".join(f"{stage} {cost / count:.3f}" for stage, cost in summary["cpu_seconds"].items())
    ends = ", ".join(f"{summary[key]} {key}" for key in ("candidates", "rejected", "failures"))
    lines = [
        f"**{processes} process{'es' if processes > 1 else ''}**: {count} photos in {seconds:.0f} s, "
        f"{count / seconds * 60:.0f} a minute ({ends}). CPU s a photo: {spent}.",
        "",
        "| process | peak MB | grows after the warm-up by at most |",
        "|---|---|---|",
    ]
    return lines + [f"| {kind} | {peak:.0f} | {share:+.1%} |" for kind, peak, share in growth_of(seconds, seen)] + [""]


def full_size(folder):
    """CPU seconds of a 12-megapixel photo before the networks, and of one that becomes a clip of 1080 pixels."""
    (folder / "full").mkdir()
    make_library(folder / "full", FULL_PHOTOS, FULL_SIDE)
    _, summary, _ = run(folder / "full", folder / "out-full", 1, clips=())
    spent = summary["cpu_seconds"]
    return sum(spent[stage] for stage in LOOKS) / summary["photos"], spent["total"] / summary["candidates"]


def cost_model(per_name, per_look, per_clip, busy):
    """{scenario: CPU s a photo of the library}: a photo is a name; some are new; of these some become clips."""
    new_photo = per_look + CLIPS_OF_NEW * (per_clip - per_look)
    return {
        f"first run, {CLIPS_OF_NEW:.0%} become clips": (per_name + new_photo) / busy,
        f"a night, {NEW_A_NIGHT:.1%} are new": (per_name + NEW_A_NIGHT * new_photo) / busy,
        "a night without news": per_name / busy,
    }


def priced(model, price):
    """Lines of Markdown."""
    lines = ["| library | " + " | ".join(model) + " |", "|---" * (1 + len(model)) + "|"]
    for size, name in ((1e6, "a million photos"), (1e9, "a billion photos")):
        cells = [f"{size * cost / 3600:,.1f} core hours, {size * cost / 3600 * price:,.2f}" for cost in model.values()]
        lines += [f"| {name} | " + " | ".join(cells) + " |"]
    return lines


def plot(runs, joins, model, price, path):
    """Memory of the processes over time, the join against its size, the price of a night against the library's size."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (memory, join, cost) = pyplot.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
    seconds, _, seen = runs[2]
    for kind, noted in sorted(seen.values(), key=lambda value: value[0]):
        memory.plot(*np.array(noted).T, label=kind)
    memory.set(xlabel="s, two processes", ylabel="resident MB", ylim=(0, None), xlim=(0, seconds))
    names = [found["names"] for found in joins]
    join.loglog(names, [found["cpu_seconds"] for found in joins], "o-", label="CPU s")
    join.loglog(names, [found["peak_mb"] / 1000 for found in joins], "o:", label="peak GB")
    join.set(xlabel="names joined with records, local runner")
    library = np.logspace(3, 9)
    for name, each in model.items():
        cost.loglog(library, library * each / 3600 * price, label=name)
    cost.set(xlabel="photos of the library", ylabel=f"price at {price:g} a core hour")
    for panel in (memory, join, cost):
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7)
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--names", type=int, default=1_000_000)
    parser.add_argument("--docs", type=Path, metavar="DIR", help="writes DIR/performance.md and its plot")
    args = parser.parse_args()
    lines = [f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {date.today()}.", ""]
    with tempfile.TemporaryDirectory(prefix="cinematic-bench-") as folder:
        folder, runs = Path(folder), {}
        (folder / "library").mkdir()
        make_library(folder / "library", args.photos)
        for processes in (1, 2):
            runs[processes] = run(folder / "library", folder / f"out{processes}", processes)
            lines += told(processes, *runs[processes])
        night, summary, _ = run(folder / "library", folder / "out2", 1)
        seconds, work, _ = runs[2]
        busy = work["cpu_seconds"]["total"] / (2 * seconds)
        spent = summary["cpu_seconds"]["total"]
        lines += [
            f"Two processes do {runs[1][0] / runs[2][0]:.2f} times the photos of one. "
            f"Of their cores' time {busy:.0%} went into photos, the rest into starting, waiting for the last photo, and Beam.",
            f"A night without news: {night:.0f} s, {summary['skipped']} skipped, {spent:.1f} CPU s on photos.",
            "",
        ]
        per_look, per_clip = full_size(folder)
    joins = [backfill.measure(count) for count in backfill.sizes(args.names)]
    lines += [*backfill.HEAD, *map(backfill.table_row, joins), ""]
    per_name = joins[-1]["cpu_seconds"] / joins[-1]["names"]
    model = cost_model(per_name, per_look, per_clip, busy)
    lines += [
        f"What it costs: a name {1e6 * per_name:.0f} us, a 12-megapixel photo that ends before the networks "
        f"{per_look:.2f} CPU s, one that becomes a clip of 1080 pixels {per_clip:.2f}; cores are busy {busy:.0%} of the time.",
        "",
        *priced(model, CORE_HOUR_PRICE),
    ]
    if args.docs:
        plot(runs, joins, model, CORE_HOUR_PRICE, args.docs / "library.png")
        lines += ["", "![memory over time, the join, the price](library.png)"]
        page.write(args.docs / "performance.md", "library", lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
