"""Which photos deserve a network's look: cheap measures of a small copy, before anything dear.

Measured on 704 photos of five sets (cameras' samples, people, COCO, OSIE, ImageNet) and on pages, plots, screenshots and
blurred, dark and washed-out copies; what stands behind each threshold says where they lay.
"""

import dataclasses

import cv2
import numpy as np
from skimage.measure import blur_effect

from transforms.elements import Rejected, RejectReason
from transforms.stage import Stage

SIDE = 512  # pixels, of the small copy's long side: blur that is not seen at this size is not seen in a clip
PAPER_VALUE, PAPER_SATURATION = 190, 40  # of 255: brighter and greyer than this is paper
SCREEN_BLUR = 0.33  # drawn edges are sharper than any lens's: 0.11 to 0.32 on screens, products on flat white reach 0.34 to 0.43
# Text: sharper, with more edges and fewer colours (steps of 8 levels) than any of the photos with as much paper.
TEXT_BLUR, TEXT_EDGES, TEXT_COLOURS = 0.22, 0.1, 200
EDGE_THRESHOLDS = 80, 160  # Canny's


@dataclasses.dataclass(frozen=True)
class Look:
    """What a small copy tells.

    Attributes:
      elongation: long side to short side.
      highlight, shadow: 95th and 5th percentile of luma, of 255.
      blur: perceptual blur in [0, 1] (Crete-Roffet et al. 2007), 0 sharp.
      flat: share of pixels that are their right and their lower neighbour's equal.
      paper: share of what is bright and grey.
      edges: share of edge pixels.
      colours: number of colours, in steps of 8 levels.
    """

    elongation: float
    highlight: float
    shadow: float
    blur: float
    flat: float
    paper: float
    edges: float
    colours: int

    @staticmethod
    def at(rgb):
        """Look at a photo (h, w, 3) uint8 sRGB."""
        height, width = rgb.shape[:2]
        scale = min(SIDE / max(height, width), 1.0)
        size = max(round(width * scale), 2), max(round(height * scale), 2)
        small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        luma, hsv = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), cv2.cvtColor(small, cv2.COLOR_RGB2HSV)
        shadow, highlight = np.percentile(luma, (5, 95))
        equal = (luma[:-1, :-1] == luma[:-1, 1:]) & (luma[:-1, :-1] == luma[1:, :-1])
        steps = (small >> 3).reshape(-1, 3).astype(np.int32) @ np.array([1, 32, 1024], np.int32)
        return Look(
            elongation=max(height, width) / min(height, width),
            highlight=float(highlight),
            shadow=float(shadow),
            blur=float(blur_effect(luma)) if luma.min() < luma.max() else 1.0,  # of nothing at all it is not defined
            flat=float(equal.mean()),
            paper=float(((hsv[..., 2] >= PAPER_VALUE) & (hsv[..., 1] <= PAPER_SATURATION)).mean()),
            edges=float((cv2.Canny(luma, *EDGE_THRESHOLDS) > 0).mean()),
            colours=len(np.unique(steps)),
        )


def assess(photo, settings):
    """Returns the Photo where it deserves more.

    Raises:
      Rejected: panorama, dark, blown_out, document, screenshot or blurred, the first of these that it is.
    """
    look = Look.at(photo.rgb)
    text = look.blur <= TEXT_BLUR and look.edges >= TEXT_EDGES and look.colours <= TEXT_COLOURS
    drawn = look.blur <= SCREEN_BLUR and not photo.from_camera
    reasons = (
        (RejectReason.PANORAMA, "long side to short side", look.elongation, ">", settings.max_elongation, True),
        (RejectReason.DARK, "95th percentile of luma", look.highlight, "<", settings.min_highlight, True),
        (RejectReason.BLOWN_OUT, "5th percentile of luma", look.shadow, ">", settings.max_shadow, True),
        (RejectReason.DOCUMENT, "share of paper, with text", look.paper, ">", settings.max_paper, text),
        (RejectReason.SCREENSHOT, "share of flat colour, from no camera", look.flat, ">", settings.max_flat, drawn),
        (RejectReason.BLURRED, "blur", look.blur, ">", settings.max_blur, True),
    )
    for reason, what, value, sign, limit, applies in reasons:
        if applies and (value > limit if sign == ">" else value < limit):
            side = "above" if sign == ">" else "below"
            raise Rejected(reason, f"The {what} is {value:.2f}, {side} {limit:g}.")
    return photo


class Assess(Stage):
    """Photo to the same Photo, where it deserves a network's look."""

    def __init__(self, settings):
        super().__init__("assess", lambda _, __, photo: assess(photo, settings))
