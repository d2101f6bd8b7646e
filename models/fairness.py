"""Measures whether the networks see some people worse than others, and writes the model card.

    python -m models.fairness --data DATA --output REPORT [--records RUN] [--evaluation EVALUATION] [--card docs/model_card.md]

Photos with a person mask are taken from the development sets (see `models.evaluate`) and put into groups by what can be seen
in them; FEATURES says how. Each score is averaged over a group; the gap is that between the best and the worst one, with
a 95 % interval from bootstrapped photos. RUN is the output of `cinematic-photos run --input DATA`, whose records bring
artifact scores and kept saliency; EVALUATION a report of `models.evaluate`, whose tables the card repeats.

What is estimated from pixels is an estimate: skin tone is the individual typology angle of the face's pixels as they are in the
photo, light and white balance included, and a face that the network misses has none.
"""

import argparse
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
FEWEST_SKIN_PIXELS = 60  # of a face, in a photo of 512 pixels
BRIGHTNESS = ((0.6, "bright"), (0.35, "middling"), (-np.inf, "dark"))  # mean luma of the photo (choice)
SIZES = ((0.25, "large"), (0.05, "middling"), (-np.inf, "small"))  # the largest person's share of the photo (choice)
SMALLEST_PERSON = 0.003  # of the photo: smaller pieces of a mask are crumbs
FEATURES = {
    "skin tone": "of the face, estimated from its pixels",
    "scene brightness": "mean luma: dark below 0.35, bright from 0.6",
    "person size": "largest person's share of the photo: small below 5 %, large from 25 %",
    "people": "pieces of the person mask; people who touch count as one",
}
SCORES = ("person IoU", "head IoU", "misordering", "misordering, repaired", "saliency kept", "artifact score")
LOWER_IS_BETTER = {"misordering", "misordering, repaired", "artifact score"}


def _class(value, classes):
    return next(name for least, name in classes if value >= least)


def typology_angle(rgb, face):
    """Individual typology angle of the skin inside a mask: degrees, larger = lighter; NaN where there is too little skin.

    Args:
      rgb: (h, w, 3) uint8 sRGB.
      face: (h, w) bool.
    """
    chroma = cv2.inRange(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb), *SKIN_YCRCB) > 0
    skin = face & chroma
    if skin.sum() < FEWEST_SKIN_PIXELS:
        return float("nan")
    lightness, _, blue = np.median(cv2.cvtColor(rgb.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)[skin], axis=0)
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
    angle = typology_angle(rgb, cv2.erode(head, np.ones((3, 3), np.uint8)) > 0)
    _, _, stats, _ = cv2.connectedComponentsWithStats(person)
    shares = stats[1:, cv2.CC_STAT_AREA] / person.size
    count = int((shares > SMALLEST_PERSON).sum())
    return {
        "skin tone": "unknown" if np.isnan(angle) else _class(angle, SKIN_TONES),
        "scene brightness": _class(float(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).mean()) / 255.0, BRIGHTNESS),
        "person size": _class(float(shares.max(initial=0.0)), SIZES),
        "people": "one" if count <= 1 else "two" if count == 2 else "more",
    }


def read_records(folder):
    """{path of the photo without its ending: scores} of a run's candidates."""
    import pyarrow.parquet

    found = {}
    for path in sorted(Path(folder).glob("candidates/*.parquet")):
        for row in pyarrow.parquet.read_table(path).to_pylist():
            key = str(Path(row["path"]).with_suffix(""))
            found[key] = {"saliency kept": row["saliency_kept"], "artifact score": row["artifact_score"]}
    return found


def measure(truths, predict, records=None):
    """Scores and groups of every photo that shows a person by its truth. Returns a list of dictionaries, one a photo."""
    rows = []
    for truth in truths:
        if truth.person is None or truth.person.mean() <= 0.001:
            continue
        rgb = np.asarray(ImageOps.exif_transpose(Image.open(truth.photo)).convert("RGB"))
        maps = predict(truth, rgb)
        scores, _ = evaluate.score(truth, maps, rgb)
        name = str(truth.photo.with_suffix(""))
        scores |= next((found for path, found in (records or {}).items() if name.endswith(f"/{path}")), {})
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
    rows = measure(truths, evaluate.BuiltinPredictor(), read_records(args.records) if args.records else None)
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
