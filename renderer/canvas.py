"""What draws: a GPU through GL, or the CPU without it. Both are context managers of one size with the same two methods.

    frames(layers, window, path)          planes of the video, and pixels without surface, a frame
    stretch(layers, window, path, lens)   how much the photo is drawn out, and labels, a frame

Layers are pairs of a `mesh.Mesh` and its picture, near to far.
"""

from renderer import gl, raster

RENDERERS = ("auto", "gl", "cpu")


def choose(renderer):
    """`gl` or `cpu` for one of RENDERERS: auto takes GL where a GPU draws. Raises GLUnavailable where GL is asked for in vain."""
    if renderer == "gl":
        gl.check()
    return renderer if renderer != "auto" else "gl" if gl.has_gpu() else "cpu"


def open_canvas(kind, width, height):
    """The context manager of a kind that `choose` returned."""
    return gl.Context(width, height) if kind == "gl" else raster.Canvas(width, height)


def name(kind):
    """What draws, for people: the GL driver's name, or the CPU."""
    return gl.check() if kind == "gl" else "CPU"
