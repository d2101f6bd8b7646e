"""The process that draws and encodes, apart from TensorFlow's.

Mesa's llvmpipe and TensorFlow each bring an LLVM of their own and resolve each other's symbols: in one process whichever
comes second crashes (seen with Mesa 22.3.6 and TensorFlow 2.21, either order). So the caller keeps a child: `Studio`
sends a `Reel` down its standard input and reads a `Film` from its standard output. The child ends when its input does,
hence with its parent, however that ends; a crash of the driver costs one photo.
"""

import dataclasses
import os
import pickle
import struct
import subprocess
import sys
import threading
import time
from datetime import datetime

import numpy as np

from renderer import canvas, encode
from renderer.camera import Path, Window
from renderer.mesh import Mesh

PATIENCE = 600.0  # seconds for a film: a hundred times what one takes on a core of its own, so only what hangs is cut off
BURIAL_SECONDS = 5  # a child that broke the pipe is ending; a core dump may take a moment
LENGTH = struct.Struct("<Q")  # messages are a length and a pickle


class StudioCrashed(RuntimeError):
    """The child died over a reel, which a driver may do; the next reel gets a new child."""


class StudioTimeout(RuntimeError):
    """The child was ended because a reel took too long; the next reel gets a new one."""


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
    """What came of it: bytes of the video, a JPEG of the frame nearest to the photo, pixels without surface, CPU seconds."""

    video: bytes
    poster: bytes
    uncovered: int
    cpu_seconds: float


def draw(reel, kind):
    """Draws and encodes a Reel in this process, one frame in memory at a time; `kind` as of `renderer.canvas`."""
    start, poster, uncovered = time.process_time(), b"", 0
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
    return Film(video, poster, uncovered, time.process_time() - start)


def stills(reel, kind):
    """The frames of a Reel, (height, width, 3) uint8 sRGB each, neither encoded nor let go: for a few poses."""
    with canvas.open_canvas(kind, reel.width, reel.height) as opened:
        return [encode.to_rgb(encode.yuv444(planes)) for planes, _ in opened.frames(reel.layers, reel.window, reel.path)]


def stretches(layers, window, path, lens, width, height, kind):
    """List of what a canvas' `stretch` yields, for a few poses; `layers` are pairs of Mesh and labels."""
    with canvas.open_canvas(kind, width, height) as opened:
        return [(stretch.copy(), labels.copy()) for stretch, labels in opened.stretch(layers, window, path, lens)]


class Studio:
    """A handle on the child. Thread-safe; `close` ends the child, and so does the end of this process.

    Args:
      renderer: one of `renderer.canvas.RENDERERS`.
      seconds: that an answer may take by the clock; none for ever.
    """

    def __init__(self, renderer="auto", seconds=None):
        self.lock, self.child = threading.Lock(), None
        self.renderer, self.chosen, self.seconds = renderer, None, seconds

    @property
    def kind(self):
        """What draws, `gl` or `cpu`: chosen by the child, once. Raises GLUnavailable where GL is asked for in vain."""
        if self.chosen is None:
            self.chosen = self.ask(canvas.choose, self.renderer)
        return self.chosen

    def film(self, reel):
        """Film of a Reel.

        Raises GLUnavailable where the machine cannot draw, StudioCrashed where the driver died, StudioTimeout where it took
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

    def close(self):
        with self.lock:
            self._end()

    def _bury(self):
        """Exit status of a child that has broken the pipe."""
        try:
            return self.child.wait(BURIAL_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            return self.child.wait()

    def _end(self):
        if self.child:
            self.child.stdin.close()
            self.child.stdout.close()
            self.child.wait()
            self.child = None

    def ask(self, function, *arguments):
        """What a module's function returns when the child calls it; raises what it raises, and as `film` does."""
        with self.lock:
            if self.child is None:
                environment = dict(os.environ, PYTHONPATH=os.pathsep.join(p or os.getcwd() for p in sys.path))
                command = [sys.executable, "-m", "renderer.studio"]
                self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
            late = threading.Event()

            def give_up(child=self.child):
                late.set()
                child.kill()

            timer = threading.Timer(self.seconds or 0, give_up)
            if self.seconds:
                timer.start()
            try:
                _send(self.child.stdin, (function, arguments))
                value, error = _receive(self.child.stdout)
            except (EOFError, BrokenPipeError) as broken:
                code = self._bury()
                self.child = None
                if late.is_set():
                    raise StudioTimeout(f"Drawing took longer than {self.seconds:g} seconds.") from broken
                raise StudioCrashed(f"The drawing process died with exit status {code}.") from broken
            finally:
                timer.cancel()
        if error is not None:
            raise error
        return value


def _send(stream, message):
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    stream.write(LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def _receive(stream):
    header = stream.read(LENGTH.size)
    if len(header) < LENGTH.size:
        raise EOFError("the other side has ended")
    (length,) = LENGTH.unpack(header)
    data = stream.read(length)
    if len(data) < length:
        raise EOFError("the other side ended in the middle of a message")
    return pickle.loads(data)


def _portable(error):
    """The error itself where it survives a pickle, else one that says the same: GL's own carry pointers."""
    try:
        if type(pickle.loads(pickle.dumps(error))) is type(error):
            return error
    except Exception:
        pass
    return RuntimeError(f"{type(error).__name__}: {error}")


def _serve():
    """The child's life: answer until the input ends. Whatever libraries print goes to the standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests = sys.stdin.buffer
    while True:
        try:
            function, arguments = _receive(requests)
        except EOFError:
            return
        try:
            answer = function(*arguments), None
        except Exception as error:  # raised again in the parent, which knows what it means
            answer = None, _portable(error)
        _send(answers, answer)


if __name__ == "__main__":
    # As `__main__` this module's classes would be other than the parent's: serve from the imported one.
    from renderer import studio

    studio._serve()
