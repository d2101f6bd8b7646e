"""The README's moving picture: sample photos animated side by side, `make showcase`."""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from beam_pipeline.samples import write_samples
from transforms.animate import Animator
from transforms.render import reel_of
from transforms.settings import Settings

NAMES = ("astronaut", "cat", "coffee", "rocket")  # of the samples
SETTINGS = Settings(width=300, seconds=3, fps=20, loop=True)
GAP = 8  # pixels, white
QUALITY = 72  # of WebP


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/showcase.webp"))
    args = parser.parse_args()
    samples = args.output.parent / "samples"
    write_samples(samples)
    films = []
    with Animator(SETTINGS) as animator:
        for name in NAMES:
            shot = animator.shoot(animator.build(animator.decode((samples / f"{name}.jpg").read_bytes())))
            films.append(animator.studio.stills(reel_of(shot, SETTINGS.fps)))
    for path in samples.iterdir():
        path.unlink()
    samples.rmdir()
    gap = np.full((films[0][0].shape[0], GAP, 3), 255, np.uint8)
    rows = [np.hstack([part for still in stills for part in (gap, still)][1:]) for stills in zip(*films, strict=True)]
    first, *others = map(Image.fromarray, rows)
    options = {"duration": round(1000 / SETTINGS.fps), "loop": 0, "quality": QUALITY, "method": 6}
    first.save(args.output, save_all=True, append_images=others, **options)
    print(f"{args.output}: {args.output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
