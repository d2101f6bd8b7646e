"""Measures the built-in network beside any other on the development sets, in one run.

    python -m models.evaluate --data DATA --output REPORT [--predictions NAME=FOLDER ...] [--head-labels DIR]

DATA holds the sets (DEPTH_SETS, PEOPLE_SETS and so on below name them and say how their truth is stored); a set that is not
there is left out and said so. FOLDER holds `<set>/<stem>.depth.png`, `.regions.png`, `.saliency.png` and `.object.png`, or the
same below the photo's own path, as `cinematic-photos perceive` writes them; each may hold a part only, and the report says of how
many photos. Of sets that training reads, the held-out photos are taken (`models.corpus.is_held_out`); the built-in weights
began with a run that had not held them out yet, so that the sets that no run has read (UNSEEN_SETS) say most. REPORT
receives `report.md`, `scores.json` with every photo's scores, and sheets of pictures, the worst and the best.
"""

import argparse
import dataclasses
import json
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from models import corpus, measures, outlines, registry

GRID = 512  # long side at which depth repair works, as in the pipeline
NYU_METRES = 9.9955 / 255  # a grey level of nyu_v2_labeled
MILLIMETRES = 1e-3
SHEET_ROWS, SHEET_HEIGHT, CAPTION_HEIGHT = 8, 180, 18
TIMED_PASSES = 20

DEPTH_SETS = ("nyu_v2_labeled", "middlebury_stereo", "phone_depth_eval", "person_rgbd_uva", "person_rgbd_tang2019")
METRIC_SETS = {"nyu_v2_labeled", "person_rgbd_uva", "person_rgbd_tang2019"}
PERSON_ONLY_SET = (
    "person_rgbd_tang2019"  # has depth on one person only: for depth it is shown, not averaged; its mask is the person
)
SCENE_SETS = set(DEPTH_SETS) - {PERSON_ONLY_SET}
EDGE_SETS = {"nyu_v2_labeled", "middlebury_stereo", "phone_depth_eval"}  # dense truth, no holes beside outlines
PEOPLE_SETS = ("human_seg_290", "ccp_people", "cfc_groups", "coco256")
ONE_LABELLED = {"ccp_people"}  # bystanders have no mask there
UNSEEN_SETS = ("middlebury_stereo", "phone_depth_eval", "person_rgbd_uva", "person_rgbd_tang2019")
SALIENCY_SETS = ("osie_saliency", "ecssd_saliency")

HIGHER_IS_BETTER = {
    "d<1.25",
    "edge F1",
    "edge F1, repaired",
    "person IoU",
    "boundary F1",
    "head IoU",
    "CC",
    "SIM",
    "F",
    "object F",
}
COLUMNS = {
    "Depth": ("rmse/std", "d<1.25", "ordinal error", "edge F1", "edge F1, repaired", "misordering", "misordering, repaired"),
    "People": ("person IoU", "boundary F1", "head IoU", "false alarm"),
    "Saliency": ("CC", "SIM", "F", "object F", "MAE", "object MAE"),
}


@dataclasses.dataclass(frozen=True)
class Truth:
    """One development photo and what is known about it, (h, w) arrays alike; what is not known is None.

    Attributes:
      disparity: float64, inverse depth (1/metres where the set is metric) with `valid` bool.
      person: bool mask; one_labelled: other people may be there without a mask.
      heads: uint8: 2 head, 255 unknown.
      fixation: float64 density; object: bool mask.
    """

    folder: str
    stem: str
    photo: Path
    disparity: np.ndarray | None = None
    valid: np.ndarray | None = None
    person: np.ndarray | None = None
    one_labelled: bool = False
    heads: np.ndarray | None = None
    fixation: np.ndarray | None = None
    object: np.ndarray | None = None


def _grey(path):
    values = np.asarray(Image.open(path))
    return (values if values.ndim == 2 else values[..., 0]).astype(np.float64)


def _photo(folder, stem):
    return next((p for e in (".jpg", ".jpeg", ".png") for p in [folder / f"{stem}{e}"] if p.exists()), None)


def _depth_truths(data, name):
    root = data / name
    if name == "phone_depth_eval":
        for path in sorted([*root.glob("*_disp.png"), *root.glob("*_gdepth.png")]):
            stem = path.stem.rpartition("_")[0]
            disparity = _grey(path) if path.stem.endswith("_disp") else 255.0 - _grey(path)
            matte = root / f"{stem}_matte.png"
            person = _resized(_grey(matte), disparity.shape) > 127 if matte.exists() else None
            yield Truth(name, stem, _photo(root, stem), disparity, np.ones(disparity.shape, bool), person)
        return
    depth, photos, masks = {
        "nyu_v2_labeled": ("depth", "rgb", "person_mask"),
        "middlebury_stereo": ("disp", "rgb", None),
        "person_rgbd_uva": ("depth", "rgb", "mask"),
        "person_rgbd_tang2019": ("depth", "rgb", None),
    }[name]
    for path in sorted((root / depth).glob("*.png")):
        if name == corpus.NYU and not corpus.is_held_out(name, path.stem):
            continue
        raw = _grey(path)
        valid = raw > 0
        metres = raw * (NYU_METRES if name == "nyu_v2_labeled" else MILLIMETRES)
        disparity = raw if name == "middlebury_stereo" else np.where(valid, 1.0 / np.maximum(metres, 1e-6), 0.0)
        mask = root / masks / path.name if masks else None
        person = _grey(mask) > 127 if mask is not None and mask.exists() else None
        if name == PERSON_ONLY_SET:
            person = valid
        yield Truth(name, path.stem, _photo(root / photos, path.stem), disparity, valid, person)


def _people_truths(data, name, head_labels):
    for path in sorted((data / name / "masks").glob("*.png")):
        if corpus.is_held_out(name, path.stem):
            heads = head_labels / name / path.name if head_labels else None
            heads = np.asarray(Image.open(heads)) if heads and heads.exists() else None
            if heads is not None and heads.shape != _grey(path).shape:
                raise ValueError(f"{head_labels / name / path.name} has shape {heads.shape}, its mask {_grey(path).shape}")
            photo = _photo(data / name / "images", path.stem)
            yield Truth(name, path.stem, photo, person=_grey(path) > 127, one_labelled=name in ONE_LABELLED, heads=heads)


def _saliency_truths(data, name):
    for path in sorted((data / name / "masks").glob("*.png")):
        if corpus.is_held_out(name, path.stem):
            values = _grey(path)
            known = {"fixation": values} if name == "osie_saliency" else {"object": values > 127}
            yield Truth(name, path.stem, _photo(data / name / "images", path.stem), **known)


def read_truths(data, head_labels=None):
    """All development photos below `data`, in a fixed order. Returns (list of Truth, names of sets that are not there)."""
    truths, absent = [], []
    for sets, read in (
        (DEPTH_SETS, lambda name: _depth_truths(data, name)),
        (PEOPLE_SETS, lambda name: _people_truths(data, name, head_labels)),
        (SALIENCY_SETS, lambda name: _saliency_truths(data, name)),
    ):
        for name in sets:
            found = [truth for truth in read(name) if truth.photo]
            truths += found
            absent += [] if found else [name]
    return truths, absent


def _resized(values, shape, nearest=False):
    if values.shape[:2] == shape:
        return values
    shrinks = values.shape[0] > shape[0]
    how = cv2.INTER_NEAREST if nearest else cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(values, shape[::-1], interpolation=how)


def repaired(depth, regions, rgb):
    """A network's depth after depth repair, on the grid that the pipeline repairs on: (h, w) float32 in [0, 1]."""
    scale = GRID / max(rgb.shape[:2])
    shape = tuple(round(s * scale) for s in rgb.shape[:2])
    small = cv2.resize(rgb, shape[::-1], interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    person = outlines.mask_on(small, _resized((regions > 0).astype(np.float32), shape)) > 0.5
    return outlines.mend(outlines.normalise(_resized(depth.astype(np.float32), shape)), small, person)


class BuiltinPredictor:
    """The built-in network as a source of predictions."""

    def __init__(self, weights=registry.BUILTIN_WEIGHTS):
        self.networks, self.last = registry.Builtin(registry.ROLES, weights), None

    def __call__(self, truth, rgb):
        (maps,) = self.networks([rgb])
        self.last = rgb
        people = maps["people"]
        person, head = people[..., 1:].sum(-1), people[..., 2]
        return {
            "depth": maps["depth"],
            "regions": np.where(person > 0.5, np.where(head > 0.5 * person, 2, 1), 0).astype(np.uint8),
            "saliency": maps["saliency"] * 255.0,
            "object": maps["object"] * 255.0,
        }

    def milliseconds(self):
        """Median of some passes over the last photo, whose input size is warm by then, at one thread."""
        seconds = []
        for _ in range(TIMED_PASSES):
            start = time.perf_counter()
            self.networks([self.last])
            seconds.append(time.perf_counter() - start)
        return 1000 * float(np.median(seconds))


class FolderPredictor:
    """Predictions that somebody wrote into a folder, for photos below `data`; what is not there is left out."""

    def __init__(self, folder, data):
        self.folder, self.data, self.found = Path(folder), Path(data), 0

    def __call__(self, truth, rgb):
        maps = {}
        for name in ("depth", "regions", "saliency", "object"):
            for place in (self.folder / truth.folder, self.folder / truth.photo.parent.relative_to(self.data)):
                path = place / f"{truth.stem}.{name}.png"
                if path.exists():
                    maps[name] = _grey(path)
                    self.found += 1
                    break
        return maps

    def milliseconds(self):
        return None


def score(truth, maps, rgb):
    """Every score of COLUMNS that the truth and the maps allow. Returns (scores, (precision, recall) a named map)."""
    scores, curves = {}, {}
    if truth.disparity is not None and "depth" in maps:
        metric, shape = truth.folder in METRIC_SETS, truth.disparity.shape
        predicted, mended = _resized(maps["depth"].astype(np.float64), shape), None
        if "regions" in maps:
            mended = _resized(repaired(maps["depth"], maps["regions"], rgb).astype(np.float64), shape)
        scores["rmse/std"] = measures.relative_error(predicted, truth.disparity, truth.valid)
        scores["ordinal error"] = measures.ordinal_error(predicted, truth.disparity, truth.valid, metric)
        if metric:
            scores["d<1.25"] = measures.within_quarter(predicted, truth.disparity, truth.valid)
        if truth.folder in EDGE_SETS:
            scores["edge F1"] = measures.edge_f1(predicted, truth.disparity, truth.valid)
            if mended is not None:
                scores["edge F1, repaired"] = measures.edge_f1(mended, truth.disparity, truth.valid)
        if truth.person is not None and truth.folder in SCENE_SETS and (truth.person & truth.valid).sum() >= 200:
            given = (truth.disparity, truth.valid, truth.person, metric)
            scores["misordering"] = measures.outline_misordering(predicted, *given)
            if mended is not None:
                scores["misordering, repaired"] = measures.outline_misordering(mended, *given)
    if truth.person is not None and "regions" in maps:
        scores |= _person_scores(truth, _resized(maps["regions"].astype(np.uint8), truth.person.shape, nearest=True))
    for name, prefix in (("saliency", ""), ("object", "object ")):
        if name not in maps:
            continue
        if truth.fixation is not None and name == "saliency":
            predicted = _resized(maps[name].astype(np.float64), truth.fixation.shape)
            scores["CC"] = measures.correlation(predicted, truth.fixation)
            scores["SIM"] = measures.similarity(predicted, truth.fixation)
        if truth.object is not None:
            predicted = _resized(maps[name].astype(np.float64), truth.object.shape)
            curves[f"{prefix}F"] = measures.precision_recall(predicted, truth.object)
            scores[f"{prefix}MAE"] = float(np.abs(predicted / 255.0 - truth.object).mean())
    return scores, curves


def _person_scores(truth, regions):
    predicted = regions > 0
    if truth.person.mean() <= 0.001:
        return {"false alarm": float(predicted.mean() > 0.01)} if not truth.person.any() and not truth.one_labelled else {}
    if truth.one_labelled:  # pieces that touch no labelled person may be bystanders
        _, pieces = cv2.connectedComponents(predicted.astype(np.uint8))
        predicted &= np.isin(pieces, np.unique(pieces[predicted & truth.person]))
    scores = {"person IoU": measures.intersection_over_union(predicted, truth.person)}
    if not truth.folder.startswith("person_rgbd"):  # masks of depth sensors lie beside the outline of the photo
        scores["boundary F1"] = measures.boundary_f1(predicted, truth.person)
    if truth.heads is not None and (truth.heads == 2).any():
        known = truth.heads != corpus.IGNORE
        scores["head IoU"] = measures.intersection_over_union((regions == 2) & predicted & known, (truth.heads == 2) & known)
    return scores


def averaged(rows):
    """Means of a list of (set, scores), by set and then over sets. Returns {set: {score: mean}} with the key 'mean'."""
    by_set = defaultdict(lambda: defaultdict(list))
    for name, scores in rows:
        for key, value in scores.items():
            if np.isfinite(value):
                by_set[name][key].append(value)
    means = {name: {key: float(np.mean(values)) for key, values in scores.items()} for name, scores in by_set.items()}
    over = defaultdict(list)
    for name, scores in means.items():
        for key, value in scores.items():
            if name in SCENE_SETS or key not in ("rmse/std", "d<1.25", "ordinal error"):
                over[key].append(value)
    return means | {"mean": {key: float(np.mean(values)) for key, values in over.items()}}


def evaluate(truths, predictors):
    """Scores every predictor on every photo.

    Args:
      truths: list of Truth.
      predictors: {name: function of (Truth, photo (h, w, 3) uint8) to maps}.

    Returns:
      ({predictor: {set: {score: mean}}}, list of (predictor, Truth, scores)).
    """
    photos, rows, curves = [], defaultdict(list), defaultdict(lambda: defaultdict(list))
    for truth in truths:
        rgb = np.asarray(ImageOps.exif_transpose(Image.open(truth.photo)).convert("RGB"))
        for name, predict in predictors.items():
            scores, found = score(truth, predict(truth, rgb), rgb)
            if scores:
                photos.append((name, truth, scores))
                rows[name].append((truth.folder, scores))
            for key, curve in found.items():
                curves[name][key].append(curve)
    means = {name: averaged(rows[name]) for name in predictors}
    for name, found in curves.items():
        for key, curve in found.items():
            precision, recall = np.mean(curve, axis=0)
            means[name]["mean"][key] = measures.best_f(precision, recall)
    return means, photos


def _palette(values, colour_map):
    low, high = np.percentile(values, (1, 99))
    grey = np.clip((values - low) / max(high - low, 1e-9), 0, 1)
    return cv2.applyColorMap((255 * grey).astype(np.uint8), colour_map)


def draw_row(rgb, maps, caption):
    """Photo, depth, regions and saliency side by side, (SHEET_HEIGHT, w, 3) uint8 BGR."""
    width = round(rgb.shape[1] * SHEET_HEIGHT / rgb.shape[0])
    photo = cv2.cvtColor(cv2.resize(rgb, (width, SHEET_HEIGHT), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR)
    tiles = [photo]
    if "depth" in maps:
        tiles.append(_palette(maps["depth"].astype(np.float32), cv2.COLORMAP_INFERNO))
    if "regions" in maps:
        colours = np.array([[40, 40, 40], [80, 200, 80], [60, 60, 230]], np.uint8)[maps["regions"].astype(int)]
        tiles.append(colours)
    if "saliency" in maps:
        tiles.append(_palette(maps["saliency"].astype(np.float32), cv2.COLORMAP_VIRIDIS))
    row = np.hstack([cv2.resize(tile, (width, SHEET_HEIGHT), interpolation=cv2.INTER_NEAREST) for tile in tiles])
    strip = np.full((CAPTION_HEIGHT, row.shape[1], 3), 255, np.uint8)
    return np.vstack([row, cv2.putText(strip, caption, (4, CAPTION_HEIGHT - 5), 0, 0.45, (0, 0, 0), 1, cv2.LINE_AA)])


def _sheet(path, entries, predictors):
    rows = []
    for name, truth, text in entries:
        rgb = np.asarray(ImageOps.exif_transpose(Image.open(truth.photo)).convert("RGB"))
        rows.append(draw_row(rgb, predictors[name](truth, rgb), f"{truth.folder}/{truth.stem} {text}"))
    width = max(row.shape[1] for row in rows)
    cv2.imwrite(str(path), np.vstack([np.pad(row, ((0, 4), (0, width - row.shape[1]), (0, 0))) for row in rows]))


def write_sheets(output, photos, predictors, name):
    """For three scores, the photos where the network called `name` does worst and best. Returns the file names."""
    written = []
    for column, sign in (("rmse/std", 1), ("person IoU", -1), ("CC", -1)):
        found = [(sign * scores[column], truth) for who, truth, scores in photos if who == name and column in scores]
        found.sort(key=lambda entry: -entry[0])
        for kind, part in (("worst", found[:SHEET_ROWS]), ("best", found[::-1][:SHEET_ROWS])):
            if part:
                file = f"{kind}_{column.split('/')[0].replace(' ', '_')}.jpg"
                _sheet(output / file, [(name, truth, f"{column} {sign * value:.2f}") for value, truth in part], predictors)
                written.append(file)
    return written


def table(means, columns, names):
    """Markdown: a row a name, a column a score; what was not measured is a dash, the best is bold where there are several."""
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    best = {}
    for column in columns:
        values = [means[name][column] for name in names if column in means[name]]
        if len(values) > 1:
            best[column] = max(values) if column in HIGHER_IS_BETTER else min(values)
    for name in (name for name in names if any(column in means[name] for column in columns)):
        cells = []
        for column in columns:
            value = means[name].get(column)
            text = "-" if value is None else f"{value:.3f}"
            cells.append(f"**{text}**" if value is not None and value == best.get(column) else text)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _counted(counts, folder, columns):
    """How many photos of a set have any of some scores; of each network where they differ."""
    found = {name: max((counts.get((name, folder, c), 0) for c in columns), default=0) for name in {key[0] for key in counts}}
    found = {name: n for name, n in sorted(found.items()) if n}
    if len(set(found.values())) <= 1:
        return f"{next(iter(found.values()), 0)} photos"
    return "photos " + ", ".join(f"{name} {n}" for name, n in found.items())


def report(means, absent, counts, milliseconds, sheets, command):
    """The report in Markdown."""
    names, lines = list(means), ["# The networks, measured", "", f"`{command}`", ""]
    lines += [
        f"No training run has read {', '.join(UNSEEN_SETS)}; the first run had read photos of the others that are held out now.",
        "",
    ]
    over = {name: means[name]["mean"] for name in names}
    for title, columns in COLUMNS.items():
        columns = [c for c in columns if any(c in over[name] for name in names)]
        if columns:
            lines += [f"## {title}", "", "Mean over the sets:", "", table(over, columns, names), ""]
            for folder in dict.fromkeys(f for name in names for f in means[name] if f != "mean"):
                here = {name: means[name].get(folder, {}) for name in names}
                own = [c for c in columns if any(c in here[name] for name in names)]
                if own:
                    lines += [f"{folder}, {_counted(counts, folder, own)}:", "", table(here, own, names), ""]
    lines += ["## Cost", ""] + [
        f"- {name}: {ms:.0f} ms a photo, all heads, one CPU thread" for name, ms in milliseconds.items() if ms
    ]
    lines += ["", "## Pictures", "", "Photo, depth, regions, saliency of the built-in network.", ""]
    lines += [f"![{sheet}]({sheet})" for sheet in sheets]
    if absent:
        lines += ["", f"Not there, hence not measured: {', '.join(absent)}."]
    return "\n".join(lines) + "\n"


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m models.evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the development sets")
    parser.add_argument("--output", type=Path, required=True, help="folder for the report")
    parser.add_argument(
        "--predictions", action="append", default=[], metavar="NAME=FOLDER", help="other networks; may be repeated"
    )
    parser.add_argument("--weights", type=Path, default=registry.BUILTIN_WEIGHTS, help="of the built-in network")
    parser.add_argument("--head-labels", type=Path, help="<set>/<stem>.png with 2 = head, 255 = unknown")
    args = parser.parse_args(argv)
    truths, absent = read_truths(args.data, args.head_labels)
    if not truths:
        parser.error(f"{args.data} holds none of the development sets: {', '.join(DEPTH_SETS + PEOPLE_SETS + SALIENCY_SETS)}")
    predictors = {"built-in": BuiltinPredictor(args.weights)}
    for entry in args.predictions:
        name, separator, folder = entry.partition("=")
        if not separator or not Path(folder).is_dir():
            parser.error(f"--predictions {entry}: give NAME=FOLDER of a folder that is there")
        if name in predictors:
            parser.error(f"--predictions {entry}: there are two called {name}")
        predictors[name] = FolderPredictor(folder, args.data)
    means, photos = evaluate(truths, predictors)
    args.output.mkdir(parents=True, exist_ok=True)
    milliseconds = {name: predictor.milliseconds() for name, predictor in predictors.items()}
    counts = Counter((name, truth.folder, column) for name, truth, scores in photos for column in scores)
    for name, predictor in predictors.items():
        if isinstance(predictor, FolderPredictor) and not predictor.found:
            parser.error(
                f"--predictions {name}={predictor.folder}: holds no map of any photo, see --help for the names it should have"
            )
    sheets = write_sheets(args.output, photos, predictors, "built-in")
    command = "python -m models.evaluate " + " ".join(argv if argv is not None else sys.argv[1:])
    text = report(means, absent, counts, milliseconds, sheets, command)
    (args.output / "report.md").write_text(text)
    rows = [{"network": name, "set": t.folder, "photo": t.stem} | scores for name, t, scores in photos]
    (args.output / "scores.json").write_text(json.dumps({"means": means, "photos": rows}, indent=1).replace("NaN", "null"))
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
