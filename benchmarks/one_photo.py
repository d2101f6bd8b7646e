"""What one photo costs, stage by stage, and how that grows: `make bench`, and `make bench-docs` for docs/performance.md.

The photo is scikit-image's astronaut enlarged to 12 megapixels (a real photo's content at a phone's size), the clip is
1080x1440 with 90 frames. Every stage runs once to warm up, then `--rounds` times; the tables show the least. CPU seconds are of
all threads and of the drawing process; they do not depend on how busy the machine is, much.
"""

import argparse
import dataclasses
import io
import platform
import re
import statistics
import time
from datetime import date
from pathlib import Path

import av
import cv2
import matplotlib
import numpy as np
from PIL import Image
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from benchmarks import page
from models.registry import BUILTIN, ROLES, Networks
from renderer import canvas, encode
from renderer.mesh import extrude, grid_shape
from renderer.studio import Studio
from transforms import infer, mesh, picture, render, repair, trajectory
from transforms.decode import guard, guarded
from transforms.settings import Settings

KINDS = ("cpu", "gl")
WIDTHS, SECONDS, GRIDS = (540, 720, 1080, 1440, 2160), (1, 2, 3, 5, 8), (128, 256, 384, 512, 768)


def phone_photo():
    """A 12-megapixel portrait as JPEG bytes."""
    buffer = io.BytesIO()
    square = Image.fromarray(data.astronaut())
    square.crop((64, 0, 448, 512)).resize((3024, 4032), Image.LANCZOS).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def peak_memory(process="self"):
    """MB that a process held at most since it was started (Linux)."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def drawing_alone(reel, kind):
    """CPU seconds of drawing all frames of a Reel, without encoding them."""
    start = time.process_time()
    with canvas.open_canvas(kind, reel.width, reel.height) as opened:
        for _ in opened.frames(reel.layers, reel.window, reel.path):
            pass
    return time.process_time() - start


def luma_psnr(reel, kind):
    """dB of the clip's luma against the frames that went into the encoder."""
    kept = []

    def frames(opened):
        for planes, _ in opened.frames(reel.layers, reel.window, reel.path):
            kept.append(planes[: reel.height].copy())
            yield planes

    with canvas.open_canvas(kind, reel.width, reel.height) as opened:
        video = encode.video(frames(opened), reel.width, reel.height, reel.fps, count=len(reel.path))
    with av.open(io.BytesIO(video)) as container:
        shown = [frame.to_ndarray()[: reel.height] for frame in container.decode(video=0)]
    return statistics.mean(peak_signal_noise_ratio(a, b, data_range=255) for a, b in zip(kept, shown, strict=True))


def stages(networks, studio, settings, rounds):
    """({stage: least CPU seconds}, those of decoding without a child, the last Shot and its Clip)."""
    seconds, photo_bytes, decoder = {}, phone_photo(), guard(settings.max_megapixels)

    def clocks():
        return time.process_time() + decoder.cpu_seconds + studio.cpu_seconds

    def stage(name, function, *arguments):
        start = clocks()
        result = function(*arguments)
        seconds.setdefault(name, []).append(clocks() - start)
        return result

    for _ in range(rounds + 1):
        photo = stage("decode", guarded, decoder, picture.decode, photo_bytes, settings.max_megapixels, settings.min_side)
        stage("unguarded", picture.decode, photo_bytes, settings.max_megapixels, settings.min_side)
        (perception,) = stage("infer", infer.infer, networks, [photo])
        perception = stage("repair", repair.repair, perception)
        scene = stage("mesh", mesh.build_scene, perception)
        shot = stage("trajectory", trajectory.shoot, scene, settings)
        clip = stage("render", render.render, studio, shot, settings.fps)
    least = {name: min(values[1:]) for name, values in seconds.items()}
    return least, least.pop("unguarded"), shot, clip


def spent(studio, reel):
    """CPU seconds that the drawing process takes for a Reel."""
    before = studio.cpu_seconds
    studio.film(reel)
    return studio.cpu_seconds - before


def film(kind, shot, fps, rounds=2):
    """(least CPU seconds, of these drawing alone, peak MB of the drawing process) of a Shot, in a fresh drawing process."""
    studio, reel = Studio(kind), render.reel_of(shot, fps)
    studio.film(dataclasses.replace(reel, path=reel.path.part(2)))  # warms up
    seconds = min(spent(studio, reel) for _ in range(rounds))
    memory = peak_memory(studio.process.pid)  # before anything of this module is loaded there
    drawing = min(studio.ask(drawing_alone, reel, kind) for _ in range(rounds))
    studio.close()
    return seconds, drawing, memory


def alike(shot, fps):
    """dB of luma between the first, a middle and the last frame as both kinds draw them, the least."""
    reel, drawn = render.reel_of(shot, fps), []
    reel = dataclasses.replace(reel, path=reel.path.part(3))
    for kind in KINDS:
        studio = Studio(kind)
        drawn.append([encode.to_ycbcr(frame)[..., 0] for frame in studio.stills(reel)])
        studio.close()
    return min(peak_signal_noise_ratio(a, b, data_range=255) for a, b in zip(*drawn, strict=True))


def resized(shot, width):
    return dataclasses.replace(shot, width=width, height=round(width * shot.height / shot.width / 4) * 4)


def with_grid(shot, cells):
    """The Shot with a mesh of so many cells along its long side."""
    (layer,) = shot.scene.layers
    height, width = layer.rgb.shape[:2]
    depth = cv2.resize(layer.inverse_depth, grid_shape(width, height, cells)[::-1], interpolation=cv2.INTER_NEAREST)
    layer = dataclasses.replace(layer, mesh=extrude(depth.astype(float), shot.scene.lens), inverse_depth=depth)
    return dataclasses.replace(shot, scene=dataclasses.replace(shot.scene, layers=(layer,)))


def sweeps(scene, shot, settings):
    """{what grows: {kind: [(value, CPU seconds, drawing alone, MB)]}}."""
    grown = {"width": {}, "frames": {}, "triangles": {}}
    for kind in KINDS:
        grown["width"][kind] = [(w, *film(kind, resized(shot, w), settings.fps, 1)) for w in WIDTHS]
        longer = [trajectory.shoot(scene, dataclasses.replace(settings, seconds=s)) for s in SECONDS]
        grown["frames"][kind] = [(len(one.path), *film(kind, one, settings.fps, 1)) for one in longer]
        meshes = [with_grid(shot, cells) for cells in GRIDS]
        counts = [len(one.scene.layers[0].mesh.triangles) for one in meshes]
        grown["triangles"][kind] = [(n, *film(kind, one, settings.fps, 1)) for n, one in zip(counts, meshes, strict=True)]
    return grown


def plot(grown, path):
    """A panel for each thing that grows: CPU seconds of drawing and encoding."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(grown), figsize=(11, 3.4), layout="constrained")
    for panel, (what, kinds) in zip(panels, grown.items(), strict=True):
        for kind, colour in zip(KINDS, ("tab:orange", "tab:blue"), strict=True):
            values, seconds, drawing, _ = np.array(kinds[kind], float).T
            values = values / 1000 if what == "triangles" else values
            panel.plot(values, seconds, "o-", color=colour, label=f"{kind}, drawn and encoded")
            panel.plot(values, drawing, "o:", color=colour, label=f"{kind}, drawing alone")
        panel.set(xlabel="thousand triangles" if what == "triangles" else what, ylabel="CPU s", ylim=(0, None), xlim=(0, None))
        panel.grid(alpha=0.3)
    panels[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)


def report(seconds, unguarded, clip, shot, films, psnr, same, memory, drivers, rounds):
    """Lines of Markdown."""
    lines = [
        f"12-megapixel JPEG to {clip.width}x{clip.height}, {clip.frames} frames, least of {rounds} rounds, "
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {date.today()}.",
        "",
        "| stage | CPU s | share |",
        "|---|---|---|",
    ]
    total = sum(seconds.values())
    lines += [f"| {name} | {value:.3f} | {value / total:.0%} |" for name, value in seconds.items()]
    without = total - seconds["infer"]
    lines += [
        f"| all | {total:.2f} | |",
        f"| all but inference | {without:.2f} | |",
        "",
        f"Decoding without a process of its own takes {unguarded:.3f}.",
        "",
        "| drawn by | CPU s, drawn and encoded | drawing alone | ms a frame | peak MB of the drawing process |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {kind}: {drivers[kind]} | {all_:.2f} | {drawing:.2f} | {1000 * drawing / clip.frames:.1f} | {peak:.0f} |"
        for kind, (all_, drawing, peak) in films.items()
    ]
    lines += [
        "",
        f"Both draw the same picture but for {same:.1f} dB of luma.",
        "",
        f"The clip has {len(clip.video) / 1e6:.2f} MB and {psnr:.1f} dB of luma after encoding; the mesh has "
        f"{len(shot.scene.layers[0].mesh.triangles)} triangles. The process with the networks held {memory:.0f} MB at most.",
    ]
    return lines


def growth(grown):
    """Lines of Markdown."""
    lines = []
    for what, kinds in grown.items():
        lines += ["", f"| {what} | " + " | ".join(f"{kind}: CPU s | drawing | MB" for kind in KINDS) + " |"]
        lines += ["|---" * (1 + 3 * len(KINDS)) + "|"]
        for rows in zip(*kinds.values(), strict=True):
            lines += [f"| {rows[0][0]} | " + " | ".join(f"{s:.2f} | {d:.2f} | {m:.0f}" for _, s, d, m in rows) + " |"]
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--docs", type=Path, metavar="DIR", help="measures growth too, writes DIR/performance.md and its plot")
    args = parser.parse_args()
    settings, networks, studio = Settings(), Networks(dict.fromkeys(ROLES, BUILTIN)), Studio("cpu")
    seconds, unguarded, shot, clip = stages(networks, studio, settings, args.rounds)
    memory = peak_memory()
    studio.close()
    films, drivers, psnr = {}, {}, None
    for kind in KINDS:
        films[kind] = film(kind, shot, settings.fps, args.rounds)
        other = Studio(kind)
        drivers[kind] = other.check()
        if kind == "cpu":
            psnr = other.ask(luma_psnr, render.reel_of(shot, settings.fps), kind)
        other.close()
    lines = report(seconds, unguarded, clip, shot, films, psnr, alike(shot, settings.fps), memory, drivers, args.rounds)
    if args.docs:
        grown = sweeps(shot.scene, shot, settings)
        lines += ["", "![CPU seconds against width, frames and triangles](performance.png)", *growth(grown)]
        plot(grown, args.docs / "performance.png")
        page.write(args.docs / "performance.md", "one photo", lines)
    print("\n".join(lines))


if __name__ == "__main__":
    from benchmarks import one_photo  # as `__main__` its functions could not be sent to the studio

    one_photo.main()
