"""The library's filter: a shot that tears too much is not drawn."""

import dataclasses

from transforms.elements import Rejected, RejectReason, Scored, Shot
from transforms.stage import Stage


def accept(shot: Shot, max_artifact_score: float) -> Shot:
    """Returns the Shot, or raises Rejected with its score."""
    score = shot.measures.artifact_score
    if score > max_artifact_score:
        raise Rejected(RejectReason.ARTIFACTS, f"Artifact score {score:.2f} is above {max_artifact_score:g}.", score)
    return shot


class Accept(Stage):
    """Shot to the same Shot, where its score allows it."""

    def __init__(self, max_artifact_score):
        super().__init__("score", lambda _, __, shot: accept(shot, max_artifact_score))


def scored(ref, fingerprint, shot):
    """Scored record of a Shot of a photo, still without costs."""
    return Scored(
        photo_id=ref.photo_id,
        path=ref.path,
        version=ref.version,
        digest=ref.digest,
        fingerprint=fingerprint,
        **dataclasses.asdict(shot.measures),
        cpu_seconds={},
    )


class Score(Stage):
    """Shot to Scored: where a dry run ends."""

    def __init__(self, fingerprint):
        super().__init__("score", lambda _, ref, shot: scored(ref, fingerprint, shot))
