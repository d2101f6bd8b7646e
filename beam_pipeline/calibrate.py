"""Marks to thresholds: what the page's `keep` and `drop` say of the numbers that records hold. `cinematic-photos calibrate`."""

import json
import math

import numpy as np

from beam_pipeline import storage
from beam_pipeline.review import CLIPS, THRESHOLDS, ReviewError, read_library, version_of

TEXT = "Turn the marks that were made on the review page into thresholds."
EPILOG = "  cinematic-photos calibrate clips marks.json"
KEEP, DROP, WRONG = "keep", "drop", "wrong"
FORMAT = 1  # of the file of marks
FEWEST = 20  # marks below which no threshold is suggested
FEWEST_EACH = 5  # of keep, and of drop
RESAMPLES = 500  # for how far a suggestion would lie elsewhere had other photos been marked
MAX_MARKS = 256 << 20  # bytes


def read_marks(path):
    """{photo id: (mark, version)} of a file that the page saved. Raises ReviewError."""
    from beam_pipeline import sources

    try:
        told = json.loads(storage.read(sources.absolute(path), MAX_MARKS))
    except (OSError, ValueError) as error:
        raise ReviewError(f"{path} cannot be read as marks ({type(error).__name__}).") from error
    marks = told.get("marks") if isinstance(told, dict) and told.get("format") == FORMAT else None
    if not isinstance(marks, dict):
        raise ReviewError(f"{path} is no file of marks: the review page saves one.")
    found = {}
    for photo_id, mark in marks.items():
        if not isinstance(mark, dict) or mark.get("mark") not in (KEEP, DROP, WRONG):
            raise ReviewError(f"{path}: the mark of {photo_id} is none of {KEEP}, {DROP}, {WRONG}.")
        found[photo_id] = mark["mark"], mark.get("of")
    return found


def interval(hits, of):
    """95 % Wilson interval of a share; (0, 1) where there is nothing."""
    if not of:
        return 0.0, 1.0
    z, p = 1.96, hits / of
    middle, half = p + z * z / (2 * of), z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    return max((middle - half) / (1 + z * z / of), 0.0), min((middle + half) / (1 + z * z / of), 1.0)


def quality(values, wanted, threshold, high_is_bad):
    """Precision and recall, with intervals, of keeping what a threshold lets through.

    Args:
      values: (n,) float; wanted: (n,) bool, marked keep.
    """
    kept = values <= threshold if high_is_bad else values >= threshold
    hits = int((kept & wanted).sum())
    told = {"threshold": float(threshold), "kept": int(kept.sum())}
    for name, of in (("precision", int(kept.sum())), ("recall", int(wanted.sum()))):
        told[name] = hits / of if of else None
        told[f"{name}_interval"] = interval(hits, of)
    return told


def best_threshold(values, wanted, high_is_bad, today=None):
    """The threshold with the highest F1 score of `wanted`; of equal ones the nearest to today's.

    It lies in the middle between two marked values, or at today's value where that is as good.
    """
    signed = values if high_is_bad else -values
    order = np.argsort(signed, kind="stable")
    ordered, hits = signed[order], np.cumsum(wanted[order])
    scores = 2 * hits / (np.arange(len(values)) + 1 + wanted.sum())
    scores[:-1][np.diff(ordered) == 0] = -1  # equal values stand or fall together
    best = np.flatnonzero(scores >= scores.max() - 1e-12)
    middles = np.append((ordered[:-1] + ordered[1:]) / 2, ordered[-1])
    places = middles[best]
    if today is None:
        return float(places[0] if high_is_bad else -places[0])
    aim = today if high_is_bad else -today
    for index in best:  # today's value is as good wherever it lies between the same two marks
        after = ordered[index + 1] if index + 1 < len(ordered) else math.inf
        if ordered[index] <= aim < after:
            return float(today)
    nearest = places[np.abs(places - aim).argmin()]
    return float(nearest if high_is_bad else -nearest)


def suggest(values, wanted, high_is_bad, today):
    """What marks say of one threshold, as a dict; `suggested` is None where they are too few."""
    keeps, drops = int(wanted.sum()), int((~wanted).sum())
    told = {"marks": len(values), "keep": keeps, "drop": drops, "today": today, "suggested": None}
    if today is not None and len(values):
        told["today_quality"] = quality(values, wanted, today, high_is_bad)
    if len(values) < FEWEST or min(keeps, drops) < FEWEST_EACH:
        told["note"] = f"Too few marks: {FEWEST} are needed, {FEWEST_EACH} of them keep and {FEWEST_EACH} drop."
        return told
    threshold = best_threshold(values, wanted, high_is_bad, today)
    random, again = np.random.default_rng(0), []
    for _ in range(RESAMPLES):
        picked = random.integers(len(values), size=len(values))
        if wanted[picked].any():
            again.append(best_threshold(values[picked], wanted[picked], high_is_bad, today))
    told["suggested"] = quality(values, wanted, threshold, high_is_bad)
    told["suggested"]["range"] = tuple(float(v) for v in np.percentile(again, (5, 95)))
    return told


def calibrate(library, marks):
    """What marks say of the thresholds and of each reason.

    Args:
      library: a `review.Library`; marks: {photo id: (mark, version)}.

    Returns:
      dict, as --json prints it.
    """
    rows = {row["photo_id"]: row for row in library.rows}
    current = {i: m for i, (m, of) in marks.items() if i in rows and of in (None, version_of(rows[i]))}
    told = {
        "marks": len(marks),
        "used": len(current),
        "outdated": sum(i in rows and i not in current for i in marks),
        "unknown": sum(i not in rows for i in marks),
        "thresholds": {},
        "reasons": {},
    }
    for setting, (column, high_is_bad) in THRESHOLDS.items():
        judged = [i for i, mark in current.items() if mark != WRONG and rows[i][column] is not None]
        values = np.array([rows[i][column] for i in judged], float)
        wanted = np.array([current[i] == KEEP for i in judged], bool)
        today = library.thresholds.get(setting)
        found = suggest(values, wanted, high_is_bad, today)
        everything = np.array([row[column] for row in library.rows if row[column] is not None], float)
        if found["suggested"]:
            threshold = found["suggested"]["threshold"]
            kept = everything <= threshold if high_is_bad else everything >= threshold
            found["suggested"]["keeps_of_all"] = [int(kept.sum()), len(everything)]
        if setting != "max_artifact_score":
            found["only_clips"] = "Records hold this number of clips alone: marks tell whether to tighten it, not to loosen it."
        told["thresholds"][setting] = found
    for i, mark in current.items():
        row = rows[i]
        if row["kind"] != CLIPS:
            reason = told["reasons"].setdefault(row["reason"], {"marks": 0, KEEP: 0, DROP: 0, WRONG: 0})
            reason["marks"] += 1
            reason[mark] += 1
    for reason in told["reasons"].values():
        reason["right"] = reason[DROP] / reason["marks"]
        reason["right_interval"] = interval(reason[DROP], reason["marks"])
    return told


def _percent(told, name):
    if told[name] is None:
        return f"{name} unknown"
    low, high = told[f"{name}_interval"]
    return f"{name} {told[name]:.0%} ({low:.0%} to {high:.0%})"


def readable(told):
    """Text of what `calibrate` found."""
    lines = [f"{told['used']} of {told['marks']} marks are of photos as they are now in the records"]
    if told["outdated"]:
        lines.append(f"  {told['outdated']} are of an earlier version or configuration, and left out")
    if told["unknown"]:
        lines.append(f"  {told['unknown']} are of photos without a record, and left out")
    for setting, found in told["thresholds"].items():
        option = f"--{setting.replace('_', '-')}"
        lines += ["", f"{option}: {found['keep']} keep, {found['drop']} drop"]
        if "today_quality" in found:
            now = found["today_quality"]
            lines.append(f"  today {found['today']:g}: {_percent(now, 'precision')}, {_percent(now, 'recall')}")
        if found["suggested"]:
            best = found["suggested"]
            low, high = best["range"]
            lines.append(f"  suggested {option} {best['threshold']:.3g}, of marks like these between {low:.3g} and {high:.3g}")
            lines.append(f"    {_percent(best, 'precision')}, {_percent(best, 'recall')}")
            lines.append("    keeps {} of {} photos that have this number".format(*best["keeps_of_all"]))
        else:
            lines.append(f"  {found['note']}")
        lines += [f"  {found['only_clips']}"] if "only_clips" in found else []
    for reason, found in sorted(told["reasons"].items()):
        lines += [""] if reason == min(told["reasons"]) else []
        low, high = found["right_interval"]
        counts = f"{found[DROP]} right, {found[KEEP]} should have a clip, {found[WRONG]} for another reason"
        lines.append(f"{reason}: {counts}; right {low:.0%} to {high:.0%}")
    lines += ["", "Shares are of the marked photos: they hold for the library as far as those were picked without preference."]
    return "\n".join(lines)


# The command


def add_arguments(parser):
    parser.add_argument("output", metavar="OUT", help="what `run` wrote, local or gs://")
    parser.add_argument("marks", metavar="MARKS", help="marks.json, which the review page saves")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args, flags):
    """Prints what the marks say; returns the exit code. Raises ReviewError."""
    from beam_pipeline import sources

    try:
        told = calibrate(read_library(sources.absolute(args.output).rstrip("/")), read_marks(args.marks))
    except ValueError as error:
        raise ReviewError(str(error)) from error
    except OSError as error:
        raise ReviewError(f"{args.output} cannot be read: {error.strerror or error}.") from error
    print(json.dumps(told, indent=2) if args.json else readable(told))
    return 0
