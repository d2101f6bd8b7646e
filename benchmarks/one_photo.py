"""CPU seconds of each stage for one photo: `make bench`.

The photo is scikit-image's astronaut enlarged to 12 megapixels (a real photo's content at a phone's size), the clip is
1080x1440 with 90 frames. Every stage runs once to warm up, then `--rounds` times; the table shows minimum and median.
CPU seconds are of all threads and of the drawing process; they do not depend on how busy the machine is, much.
"""

import argparse
import io
import re
import statistics
import time
from pathlib import Path

import av
from PIL import Image
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from models.registry import BUILTIN, ROLES, Networks
from renderer import encode, gl
from renderer.studio import Studio
from transforms import decode, infer, mesh, render, repair, trajectory
from transforms.settings import Settings


def phone_photo():
    """A 12-megapixel portrait as JPEG bytes."""
    buffer = io.BytesIO()
    square = Image.fromarray(data.astronaut())
    square.crop((64, 0, 448, 512)).resize((3024, 4032), Image.LANCZOS).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def peak_memory():
    """MB that this process held at most since it was started (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def luma_psnr(reel):
    """dB of the clip's luma against the frames that went into the encoder. Runs where no TensorFlow is: in the studio."""
    kept = []

    def frames(context):
        for frame in context.frames(reel.layers, reel.window, reel.path):
            kept.append(frame[..., 0].copy())
            yield frame

    with gl.Context(reel.width, reel.height) as context:
        mp4 = encode.mp4(frames(context), reel.width, reel.height, reel.fps, count=len(reel.path))
    with av.open(io.BytesIO(mp4)) as container:
        shown = [frame.to_ndarray()[: reel.height] for frame in container.decode(video=0)]
    return statistics.mean(peak_signal_noise_ratio(a, b, data_range=255) for a, b in zip(kept, shown, strict=True))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    settings, photo_bytes = Settings(), phone_photo()
    networks, studio = Networks(dict.fromkeys(ROLES, BUILTIN)), Studio()
    seconds = {}

    def stage(name, function, *arguments, elsewhere=lambda result: 0.0):
        start = time.process_time()
        result = function(*arguments)
        seconds.setdefault(name, []).append(time.process_time() - start + elsewhere(result))
        return result

    for _ in range(args.rounds + 1):
        photo = stage("decode", decode.decode, photo_bytes, settings.max_megapixels, settings.min_side)
        (perception,) = stage("infer", infer.infer, networks, [photo])
        perception = stage("repair", repair.repair, perception)
        scene = stage("mesh", mesh.build_scene, perception)
        shot = stage("trajectory", trajectory.shoot, scene, settings)
        clip = stage("render", render.render, studio, shot, settings.fps, elsewhere=lambda clip: clip.cpu_seconds)
    warm = {name: values[1:] for name, values in seconds.items()}
    print(f"12-megapixel JPEG to {clip.width}x{clip.height}, {clip.frames} frames, {args.rounds} rounds, {studio.check()}")
    print(f"{'stage':12}{'min CPU s':>12}{'median':>10}{'share':>8}")
    total = sum(map(min, warm.values()))
    for name, values in warm.items():
        print(f"{name:12}{min(values):12.3f}{statistics.median(values):10.3f}{min(values) / total:8.0%}")
    totals = [sum(values) for values in zip(*warm.values(), strict=True)]
    print(f"{'all':12}{total:12.3f}{statistics.median(totals):10.3f}")
    memory = [peak_memory(), studio.ask(peak_memory)]
    studio.close()
    other = Studio()  # after the memory was read: it keeps all frames
    psnr = other.ask(luma_psnr, render.reel_of(shot, settings.fps))
    other.close()
    print(
        f"clip {len(clip.mp4) / 1e6:.2f} MB, luma {psnr:.1f} dB after encoding, {len(scene.layers[0].mesh.triangles)} triangles"
    )
    print(f"peak memory {memory[0]:.0f} MB with the networks, {memory[1]:.0f} MB in the drawing process")


if __name__ == "__main__":
    from benchmarks import one_photo  # as `__main__` its functions could not be sent to the studio

    one_photo.main()
