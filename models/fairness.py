"""Measures whether the networks see some people worse than others, and writes the model card.

    python -m models.fairness --data DATA --output REPORT [--records RUN] [--evaluation EVALUATION] [--card docs/model_card.md]

Photos with a person mask are taken from the development sets (see `models.evaluate`) and put into groups by what can be seen
in them; FEATURES says how. Each score is averaged over a group; the gap is that between the best and the worst one, with
a 95 % interval from bootstrapped photos. RUN is the output of `cinematic-photos run --library-root DATA` over the same photos:
its records bring artifact scores, kept saliency and rejections; EVALUATION a report of `models.evaluate`, whose tables the card
repeats.

What is estimated from pixels is an estimate: the tone is the individual typology angle of the face as it appears in the photo,
light and white balance included, and a face that the network misses has none.
"""

import argparse
import importlib.util
import json
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from models import evaluate

RESAMPLES, SEED, INTERVAL = 500, 0, (0.025, 0.975)
SMALLEST_GROUP = 5  # photos; of fewer no mean is told
# Individual typology angle in degrees (Chardon et al. 1991): its six classes in pairs, about Fitzpatrick I-II, III-IV, V-VI.
SKIN_TONES = ((41.0, "light"), (10.0, "medium"), (-np.inf, "dark"))
SKIN_YCRCB = ((0, 133, 77), (255, 173, 127))  # Chai and Ngan 1999: chroma of skin of all tones
FEWEST_SKIN_PIXELS, LEAST_SKIN = (
    40,
    0.4,
)  # of a face's pixels in a photo of 512, and of its area: else it is hair, a mask or a back
HAIR_LIGHTNESS = 22.0  # CIE L*: what is darker is hair or says nothing
LIT = 60  # percentile of the skin's lightness: what is above it is not in shade
HIGHLIGHT, MOST_GAIN = 0.95, 2.0  # where a well exposed photo has its highlights; darker photos are brightened up to this factor
# Where in a head's box the skin is, of its width and height: below hair and hat, above beard and collar. On the whole head, dark
# hair had made most light faces of the development sets "dark".
FACE = {"centre": (0.5, 0.58), "radii": (0.28, 0.24)}
BRIGHTNESS = ((0.6, "bright"), (0.35, "middling"), (-np.inf, "dark"))  # mean luma of the photo (choice)
SIZES = ((0.25, "large"), (0.05, "middling"), (-np.inf, "small"))  # the largest person's share of the photo (choice)
SMALLEST_PERSON, SMALLEST_HEAD = 0.003, 0.0005  # of the photo: smaller pieces of a mask are crumbs
FEATURES = {
    "apparent skin tone": "of the largest face, from the lit pixels in its middle: skin and light together",
    "scene brightness": "mean luma: dark below 0.35, bright from 0.6",
    "person size": "largest person's share of the photo: small below 5 %, large from 25 %",
    "people": "pieces of the person mask or predicted heads, whichever are more: people who touch share a piece",
}
RECORD_SCORES = {"saliency kept": "saliency_kept", "artifact score": "artifact_score"}  # and their columns
SCORES = ("person IoU", "head IoU", "misordering", "misordering, repaired", *RECORD_SCORES, "rejected")
LOWER_IS_BETTER = {"misordering", "misordering, repaired", "artifact score", "rejected"}


def _class(value, classes):
    return next(name for least, name in classes if value >= least)


def face_of(head):
    """The middle of the largest head of a mask (h, w) bool, where the skin is; alike, empty without a head."""
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(head.astype(np.uint8))
    if len(stats) < 2:
        return np.zeros(head.shape, bool)
    largest = 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA])
    left, top, width, height = stats[largest, :4]
    y, x = np.indices(head.shape)
    (cx, cy), (rx, ry) = FACE["centre"], FACE["radii"]
    inside = ((x + 0.5 - left) / width - cx) ** 2 / rx**2 + ((y + 0.5 - top) / height - cy) ** 2 / ry**2 <= 1
    return inside & (pieces == largest)


def typology_angle(rgb, face):
    """Individual typology angle of the skin inside a mask: degrees, larger = lighter; NaN where there is too little skin.

    Of the lit part of the skin, after the photo was exposed to its own highlights: a shadow or a dark photo are no tone.

    Args:
      rgb: (h, w, 3) uint8 sRGB.
      face: (h, w) bool.
    """
    gain = min(max(HIGHLIGHT * 255 / max(np.percentile(rgb.max(-1), 99), 1.0), 1.0), MOST_GAIN)
    exposed = np.clip(rgb * gain, 0, 255).astype(np.uint8)
    lab = cv2.cvtColor(exposed.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    skin = face & (cv2.inRange(cv2.cvtColor(exposed, cv2.COLOR_RGB2YCrCb), *SKIN_YCRCB) > 0) & (lab[..., 0] > HAIR_LIGHTNESS)
    if skin.sum() < max(FEWEST_SKIN_PIXELS, LEAST_SKIN * face.sum()):
        return float("nan")
    lit = lab[skin & (lab[..., 0] >= np.percentile(lab[..., 0][skin], LIT))]
    lightness, _, blue = np.median(lit, axis=0)
    return float(np.degrees(np.arctan2(lightness - 50.0, max(blue, 1e-3))))


def groups(rgb, person, head):
    """{feature: group} of one photo; 'unknown' where it cannot be told.

    Args:
      rgb: (h, w, 3) uint8; person: (h, w) bool, the truth; head: (h, w) bool, as predicted.
    """
    scale = min(1.0, 512 / max(rgb.shape[:2]))
    shape = tuple(round(s * scale) for s in rgb.shape[:2])
    rgb = cv2.resize(rgb, shape[::-1], interpolation=cv2.INTER_AREA)
    person, head = (cv2.resize(m.astype(np.uint8), shape[::-1], interpolation=cv2.INTER_NEAREST) for m in (person, head))
    angle = typology_angle(rgb, face_of(head))
    shares, heads = (cv2.connectedComponentsWithStats(m)[2][1:, cv2.CC_STAT_AREA] / person.size for m in (person, head))
    count = max(int((shares > SMALLEST_PERSON).sum()), int((heads > SMALLEST_HEAD).sum()))
    return {
        "apparent skin tone": "unknown" if np.isnan(angle) else _class(angle, SKIN_TONES),
        "scene brightness": _class(float(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).mean()) / 255.0, BRIGHTNESS),
        "person size": _class(float(shares.max(initial=0.0)), SIZES),
        "people": "one" if count <= 1 else "two" if count == 2 else "more",
    }


def read_records(folder):
    """{path of the photo below the library's root, without its ending: scores} of a run's candidates and rejections."""
    import pyarrow.parquet

    found = {}
    for kind in ("candidates", "rejected"):
        for path in sorted(Path(folder).glob(f"{kind}/*.parquet")):
            for row in pyarrow.parquet.read_table(path).to_pylist():
                scores = {name: row.get(column) for name, column in RECORD_SCORES.items()}
                known = {name: value for name, value in scores.items() if value is not None}
                found[str(Path(row["path"]).with_suffix(""))] = known | {"rejected": float(kind == "rejected")}
    return found


def measure(truths, predict, data, records=None):
    """Scores and groups of every photo below `data` that shows a person by its truth: a list of dictionaries, one a photo."""
    rows = []
    for truth in truths:
        if truth.person is None or truth.person.mean() <= 0.001:
            continue
        rgb = np.asarray(ImageOps.exif_transpose(Image.open(truth.photo)).convert("RGB"))
        maps = predict(truth, rgb)
        scores, _ = evaluate.score(truth, maps, rgb)
        scores |= (records or {}).get(str(truth.photo.relative_to(data).with_suffix("")), {})
        head = cv2.resize((maps["regions"] == 2).astype(np.uint8), rgb.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
        person = cv2.resize(truth.person.astype(np.uint8), rgb.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
        rows.append({"photo": f"{truth.folder}/{truth.stem}"} | groups(rgb, person, head) | scores)
    return rows


def compare(rows, feature, score):
    """Means of a score over the groups of a feature, and the gap between the best and the worst of them.

    Returns:
      {"groups": {group: (mean, low, high, photos)}, "gap": (gap, low, high)}; None where fewer than two groups are large enough.
    """
    from fairlearn.metrics import MetricFrame

    known = [row for row in rows if np.isfinite(row.get(score, np.nan)) and row[feature] != "unknown"]
    counts = {group: sum(row[feature] == group for row in known) for group in sorted({row[feature] for row in known})}
    known = [row for row in known if counts[row[feature]] >= SMALLEST_GROUP]
    if len({row[feature] for row in known}) < 2:
        return None
    values = np.array([row[score] for row in known])
    frame = MetricFrame(
        metrics={"mean": lambda _, values: float(np.mean(values))},
        y_true=values,
        y_pred=values,
        sensitive_features=[row[feature] for row in known],
        n_boot=RESAMPLES,
        ci_quantiles=list(INTERVAL),
        random_state=SEED,
    )
    low, high = frame.by_group_ci
    gap_low, gap_high = frame.difference_ci()
    return {
        "groups": {
            group: (float(mean), float(low["mean"][group]), float(high["mean"][group]), counts[group])
            for group, mean in frame.by_group["mean"].items()
        },
        "gap": (float(frame.difference()["mean"]), float(gap_low["mean"]), float(gap_high["mean"])),
    }


def tables(rows):
    """{feature: {score: comparison}} of all that can be compared."""
    found = {}
    for feature in FEATURES:
        compared = {score: compare(rows, feature, score) for score in SCORES}
        found[feature] = {score: result for score, result in compared.items() if result}
    return found


def markdown(found, rows):
    """The comparisons as Markdown, a table a feature."""
    lines = []
    for feature, about in FEATURES.items():
        lines += [f"### By {feature}", "", f"{about[0].upper()}{about[1:]}.", ""]
        unknown = sum(row[feature] == "unknown" for row in rows)
        if not found[feature]:
            lines += ["Fewer than two groups are large enough to compare.", ""]
            continue
        names = sorted({group for result in found[feature].values() for group in result["groups"]})
        lines += ["| | " + " | ".join(names) + " | gap | worst |", "|---" * (len(names) + 3) + "|"]
        for score, result in found[feature].items():
            cells = []
            for group in names:
                if group in result["groups"]:
                    mean, low, high, count = result["groups"][group]
                    cells.append(f"{mean:.3f} [{low:.3f}, {high:.3f}] n={count}")
                else:
                    cells.append("-")
            worst = (max if score in LOWER_IS_BETTER else min)(result["groups"], key=lambda g: result["groups"][g][0])
            gap, low, high = result["gap"]
            lines.append(f"| {score} | " + " | ".join(cells) + f" | {gap:.3f} [{low:.3f}, {high:.3f}] | {worst} |")
        lines += ["", f"{unknown} of {len(rows)} photos could not be put into a group." if unknown else "", ""]
    return "\n".join(lines)


CARD = Path(__file__).parent / "card.md"  # what numbers cannot say: purpose, data, licences, limits


def write_card(path, fairness, evaluation):
    """The model card: the words of `models/card.md`, then the measured tables."""
    measured = "Not measured: run `python -m models.evaluate` and give its report as --evaluation."
    if evaluation:
        lines = (Path(evaluation) / "report.md").read_text().splitlines()
        # The command's paths are the machine's of whoever ran it.
        given = "Printed by `python -m models.evaluate --data DATA --output REPORT --predictions NAME=FOLDER ...`."
        text = "\n".join(given if line.startswith("`python -m models.evaluate") else line for line in lines)
        measured = text.split("\n", 1)[1].split("## Pictures")[0].replace("\n## ", "\n### ").strip()
    card = CARD.read_text().replace("{{measured}}", measured).replace("{{fairness}}", fairness)
    Path(path).write_text(card.rstrip() + "\n")


def main(argv=None):
    parser = argparse.ArgumentParser(
        prog="python -m models.fairness", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the development sets")
    parser.add_argument("--output", type=Path, required=True, help="folder for fairness.md and fairness.json")
    parser.add_argument("--records", type=Path, help="output of `cinematic-photos run` over the same photos")
    parser.add_argument("--evaluation", type=Path, help="report folder of models.evaluate, for the card")
    parser.add_argument("--head-labels", type=Path, help="<set>/<stem>.png with 2 = head, 255 = unknown")
    parser.add_argument("--card", type=Path, help="write the model card here")
    args = parser.parse_args(argv)
    truths, _ = evaluate.read_truths(args.data, args.head_labels)
    if args.evaluation and not (args.evaluation / "report.md").exists():
        parser.error(f"--evaluation {args.evaluation} holds no report.md: name the --output of models.evaluate")
    if not importlib.util.find_spec("fairlearn"):
        parser.error("fairlearn is missing: pip install 'cinematic-photos[evaluate]'")
    records = read_records(args.records) if args.records else {}
    rows = measure(truths, evaluate.BuiltinPredictor(), args.data, records)
    if args.records and not any("rejected" in row for row in rows):
        parser.error(
            f"--records {args.records} knows none of the photos: it must be the output of a run with --library-root {args.data}"
        )
    if not rows:
        parser.error(f"{args.data} holds no photo with a person mask: {', '.join(evaluate.PEOPLE_SETS)}")
    found = tables(rows)
    text = markdown(found, rows)
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "fairness.md").write_text(text)
    (args.output / "fairness.json").write_text(json.dumps({"compared": found, "photos": rows}, indent=1))
    if args.card:
        write_card(args.card, text, args.evaluation)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
