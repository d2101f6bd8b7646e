"""The process that draws and encodes, apart from TensorFlow's.

Mesa's llvmpipe and TensorFlow each bring an LLVM of their own and resolve each other's symbols: in one process whichever
comes second crashes (seen with Mesa 22.3.6 and TensorFlow 2.21, either order). So the caller keeps a child: `Studio`
sends it a `Reel` and gets a `Film`; a crash of the driver costs one photo.
"""

import dataclasses
from datetime import datetime

import numpy as np

from renderer import canvas, encode
from renderer.camera import Path, Window
from renderer.child import Child
from renderer.mesh import Mesh

PATIENCE = 600.0  # seconds for a film: a hundred times what one takes on a core of its own, so only what hangs is cut off


@dataclasses.dataclass(frozen=True)
class Reel:
    """What is to be filmed.

    Attributes:
      layers: pairs of Mesh and its picture (h, w, 3) uint8, BT.709 limited-range YCbCr, near to far.
      window: the Window that every frame shows.
      path: the Path, one pose a frame.
      width, height: of the frames, pixels.
      fps: frames a second.
      capture_time: goes into the clip.
      format: one of `renderer.encode.FORMATS`.
    """

    layers: tuple[tuple[Mesh, np.ndarray], ...]
    window: Window
    path: Path
    width: int
    height: int
    fps: int
    capture_time: datetime | None
    format: str = "mp4"


@dataclasses.dataclass(frozen=True)
class Film:
    """What came of it: bytes of the video, a JPEG of the frame nearest to the photo, pixels without surface."""

    video: bytes
    poster: bytes
    uncovered: int


def draw(reel, kind):
    """Draws and encodes a Reel in this process, one frame in memory at a time; `kind` as of `renderer.canvas`."""
    poster, uncovered = b"", 0
    nearest = np.linalg.norm(reel.path.positions, axis=1).argmin()

    def frames(opened):
        nonlocal poster, uncovered
        for index, (planes, left_open) in enumerate(opened.frames(reel.layers, reel.window, reel.path)):
            uncovered += left_open
            if index == nearest:
                poster = encode.jpeg(planes)
            yield planes

    with canvas.open_canvas(kind, reel.width, reel.height) as opened:
        video = encode.video(frames(opened), reel.width, reel.height, reel.fps, reel.capture_time, len(reel.path), reel.format)
    return Film(video, poster, uncovered)


def stills(reel, kind):
    """The frames of a Reel, (height, width, 3) uint8 sRGB each, neither encoded nor let go: for a few poses."""
    with canvas.open_canvas(kind, reel.width, reel.height) as opened:
        return [encode.to_rgb(encode.yuv444(planes)) for planes, _ in opened.frames(reel.layers, reel.window, reel.path)]


def stretches(layers, window, path, lens, width, height, kind):
    """List of what a canvas' `stretch` yields, for a few poses; `layers` are pairs of Mesh and labels."""
    with canvas.open_canvas(kind, width, height) as opened:
        return [(stretch.copy(), labels.copy()) for stretch, labels in opened.stretch(layers, window, path, lens)]


class Studio(Child):
    """A handle on the child, see `renderer.child`.

    Args:
      renderer: one of `renderer.canvas.RENDERERS`.
      seconds: that an answer may take by the clock; none for ever.
    """

    def __init__(self, renderer="auto", seconds=None):
        super().__init__("drawing", seconds)
        self.renderer, self.chosen = renderer, None

    @property
    def kind(self):
        """What draws, `gl` or `cpu`: chosen by the child, once. Raises GLUnavailable where GL is asked for in vain."""
        if self.chosen is None:
            self.chosen = self.ask(canvas.choose, self.renderer)
        return self.chosen

    def film(self, reel):
        """Film of a Reel.

        Raises GLUnavailable where the machine cannot draw, ChildCrashed where the driver died, ChildTimeout where it took
        too long.
        """
        return self.ask(draw, reel, self.kind)

    def stills(self, reel):
        """See `stills`; raises as `film` does."""
        return self.ask(stills, reel, self.kind)

    def stretches(self, layers, window, path, lens, width, height):
        """See `stretches`; raises as `film` does."""
        return self.ask(stretches, layers, window, path, lens, width, height, self.kind)

    def check(self):
        """What draws, for people. Raises as `film` does."""
        return self.ask(canvas.name, self.kind)
