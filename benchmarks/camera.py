"""What the camera search is worth on photos of yours: `make bench-camera PHOTOS="FOLDER_OR_GLOB ..."`.

For every photo: the path that the search chooses, and at the same relative parallax the presets of `transforms.baselines`.
Printed are distributions over all photos, and the share of photos that meet each target; `camera.json` has every photo's
numbers. On every `--every`-th photo all paths are also drawn at full resolution by GL, the clip's every frame is counted for
pixels without surface, and the search's low-resolution losses are held against those of the drawing.
"""

import argparse
import collections
import json
import os
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from beam_pipeline import sources
from models.registry import BUILTIN, ROLES, Networks
from renderer import canvas
from renderer.camera import AT_REST
from renderer.stretch import ARTIFACT_STRETCH
from renderer.studio import Studio
from transforms import baselines, infer, mesh, picture, repair, trajectory
from transforms.artifacts import FRAMES, ArtifactMeter, mean_tears, padded_regions, region_areas, tears_of
from transforms.elements import Failed, Rejected
from transforms.framing import cells_of
from transforms.settings import Settings

LOWER, BOTH_NEGLIGIBLE = 0.7, trajectory.NEGLIGIBLE
FULL_SIZE = (1080, 1440)


def drawn_tears(studio, scene, takes, width, height):
    """Tears of paths, drawn at full resolution.

    Args:
      studio: a Studio; scene: the Scene; takes: list of (Window, Path); width, height: of the frames.
    """
    labels, found = padded_regions(scene.regions), []
    surfaces = [(layer.mesh, labels) for layer in scene.layers]
    for window, path in takes:
        rows, columns = cells_of(window, scene.lens, labels.shape)
        areas = region_areas(cv2.resize(labels[rows, columns], (width, height), interpolation=cv2.INTER_NEAREST))
        drawn = studio.stretches(surfaces, window, path.part(FRAMES), scene.lens, width, height)
        found.append(mean_tears([tears_of((s >= ARTIFACT_STRETCH).astype(np.float32), region, areas) for s, region in drawn]))
    return found


def uncovered(scene, window, path, width, height, kind):
    """Pixels without surface, over all frames of a path."""
    surfaces = [(layer.mesh, np.zeros((2, 2, 3), np.uint8)) for layer in scene.layers]
    with canvas.open_canvas(kind, width, height) as opened:
        return sum(left_open for _, left_open in opened.frames(surfaces, window, path))


def percentiles(values, digits=3):
    low, median, high = np.percentile(values, (10, 50, 90))
    return f"median {median:.{digits}f}, best decile {low:.{digits}f}, worst {high:.{digits}f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", metavar="PHOTOS", help="folders or globs")
    parser.add_argument("--every", type=int, default=4, metavar="N", help="draw every N-th photo at full resolution (default 4)")
    parser.add_argument("--output", type=Path, default=Path("out/camera"), help="folder for camera.json")
    args = parser.parse_args()
    settings = Settings()
    networks, studio = Networks(dict.fromkeys(ROLES, BUILTIN)), Studio("gl")
    rows, pairs, refused, counted = [], [], collections.Counter(), 0
    uris = sorted({file.uri for pattern in args.photos for file in sources.list_photos(pattern)})
    for number, uri in enumerate(uris):
        try:
            photo = picture.decode(sources.read_bytes(uri), settings.max_megapixels, settings.min_side)
            (perception,) = infer.infer(networks, [photo])
            scene = mesh.build_scene(repair.repair(perception))
            start = time.process_time()
            shot = trajectory.shoot(scene, settings)
            milliseconds = 1000 * (time.process_time() - start)
        except (Rejected, Failed) as error:
            refused[f"{error.reason}"] += 1
            continue
        if shot.measures.artifact_score > settings.max_artifact_score:
            refused["artifacts"] += 1
            continue
        view, meter = trajectory.View.of(scene, settings), ArtifactMeter(scene, shot.window)
        others = baselines.compare(view, meter, shot.measures.relative_parallax, settings)
        losses = {name: other.tears.loss for name, other in others.items()}
        row = {
            "photo": os.path.basename(uri),
            "ms": milliseconds,
            "baselines": losses,
            "best baseline": min(losses.values(), default=None),
        }
        at_rest = view.saliency_kept(AT_REST, view.first)
        rows.append(row | vars(shot.measures) | {"kept at rest": at_rest})
        if number % args.every == 0:
            takes = [(shot.window, shot.path), *((other.window, other.path) for other in others.values())]
            drawn = drawn_tears(studio, scene, takes, *FULL_SIZE)
            own = [shot.measures.artifact_score, *losses.values()]
            pairs += [(ours, theirs.loss) for ours, theirs in zip(own, drawn, strict=True)]
            rows[-1]["drawn head"] = drawn[0].largest_head
            shown = scene, shot.window, shot.path, *FULL_SIZE
            rows[-1]["uncovered"] = sum(studio.ask(uncovered, *shown, kind) for kind in ("gl", "cpu"))
            counted += 2 * len(shot.path)
        print(f"\r{number + 1}/{len(uris)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    studio.close()
    if not rows:
        raise SystemExit(f"None of {len(uris)} photos was accepted: {dict(refused)}")
    report(rows, pairs, refused, counted, len(uris))
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "camera.json").write_text(json.dumps({"photos": rows, "pairs": pairs}, indent=1))


def report(rows, pairs, refused, counted, photos):
    """Prints the distributions and the shares that meet the targets."""
    print(f"{photos} photos, {len(rows)} accepted, refused: {dict(refused)}")
    motions = collections.Counter(row["motion"] for row in rows)
    print(f"motion          {dict(motions)}")
    for name, key, digits in (
        ("loss", "artifact_score", 3), ("parallax", "relative_parallax", 4), ("largest on head", "largest_head_component", 5),
        ("saliency kept", "saliency_kept", 3), ("search CPU ms", "ms", 0), ("evaluations", "evaluations", 0),
    ):  # fmt: skip
        print(f"{name:16}{percentiles([row[key] for row in rows], digits)}")
    for name in baselines.NAMES:
        losses = [row["baselines"][name] for row in rows if name in row["baselines"]]
        if losses:
            print(f"loss of {name:8}{percentiles(losses)} ({len(losses)} photos)")
    compared = [(row["artifact_score"], row["best baseline"]) for row in rows if row["best baseline"] is not None]
    ours, best = np.array(compared).T
    nothing = (ours <= BOTH_NEGLIGIBLE) & (best <= BOTH_NEGLIGIBLE)
    seen = ~nothing
    print(f"nothing is seen of the tears of either ({BOTH_NEGLIGIBLE}): {nothing.mean():.1%} of photos; of the others:")
    print(f"  never worse than the best baseline          {(ours <= best)[seen].mean():.1%}")
    print(f"  worse by more than a tenth                  {(ours > 1.1 * best)[seen].mean():.1%}")
    print(f"  at least 30 % lower than the best baseline  {(ours <= LOWER * best)[seen].mean():.1%}")
    heads = np.array([row["drawn head"] for row in rows if "drawn head" in row])
    print(f"largest drawn piece on a head at most 0.1 % of the frame: {(heads <= 0.001).mean():.1%} of {len(heads)} photos")
    kept = [row["saliency_kept"] for row in rows]
    print(f"saliency kept: median {np.median(kept):.3f}, 5th percentile {np.percentile(kept, 5):.3f}")
    rest = np.array([row["kept at rest"] for row in rows])
    print(f"  by the frame at rest: median {np.median(rest):.3f}, 5th percentile {np.percentile(rest, 5):.3f};", end=" ")
    print(f"of that by the moving one: median {np.median(kept / rest):.3f}, 5th percentile {np.percentile(kept / rest, 5):.3f}")
    print(f"search and framing: {np.mean([row['ms'] for row in rows]):.0f} CPU ms a photo on average")
    evaluations, milliseconds = (np.array([row[key] for row in rows], float) for key in ("evaluations", "ms"))
    slope, start = np.polyfit(evaluations, milliseconds, 1)
    fit = np.corrcoef(evaluations, milliseconds)[0, 1]
    print(f"  {start:.0f} ms and {slope:.2f} ms for each pose measured, correlation {fit:.2f}")
    left_open = sum(row.get("uncovered", 0) for row in rows)
    print(f"pixels without surface in {counted} frames drawn at full size, by GL and by the CPU: {left_open}")
    if len(pairs) > 2:
        low, full = np.array(pairs).T
        print(f"low resolution against GL, {len(pairs)} paths: correlation {np.corrcoef(low, full)[0, 1]:.3f},", end=" ")
        ranks = [np.argsort(np.argsort(values)) for values in (low, full)]
        print(f"of ranks {np.corrcoef(*ranks)[0, 1]:.3f}, loss {np.mean(low) / max(np.mean(full), 1e-9):.2f} times that of GL")


if __name__ == "__main__":
    from benchmarks import camera  # as `__main__` its functions could not be sent to the studio

    camera.main()
