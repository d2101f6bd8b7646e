"""A shot to a clip: the studio draws and encodes what is prepared here."""

import functools

from renderer import encode
from renderer.child import ChildCrashed, ChildTimeout
from renderer.studio import Reel, Studio
from renderer.texture import resized, texture_size
from transforms.elements import Clip, Failed, FailReason, Shot
from transforms.stage import Stage, shared_handle


def reel_of(shot, fps, format="mp4"):
    """The Reel of a Shot: every layer's picture at the size that the clip shows it, in the video's colours."""
    share = shot.window.width / (2 * shot.scene.lens.half_width)
    layers = []
    for layer in shot.scene.layers:
        height, width = layer.rgb.shape[:2]
        picture = resized(layer.rgb, texture_size(width, height, share, shot.width))
        layers.append((layer.mesh, encode.to_ycbcr(picture)))
    return Reel(tuple(layers), shot.window, shot.path, shot.width, shot.height, fps, shot.scene.capture_time, format)


def render(studio: Studio, shot: Shot, fps: int, format: str = "mp4") -> Clip:
    """Draws and encodes a Shot in a `renderer.studio.Studio`.

    Returns:
      Clip, its poster the frame nearest to the photo.

    Raises:
      Failed: the driver died over it, it took longer than the studio allows, or it left a pixel of a frame without surface, which
        `renderer.coverage` rules out and drivers have been seen to do for slivers: no clip with a hole leaves the house, and no
        other photo suffers for it.
    """
    try:
        film = studio.film(reel_of(shot, fps, format))
    except ChildCrashed as error:
        raise Failed(FailReason.CRASHED, str(error)) from error
    except ChildTimeout as error:
        raise Failed(FailReason.TIMEOUT, str(error)) from error
    if film.uncovered:
        raise Failed(FailReason.UNCOVERED, f"{film.uncovered} pixels of the clip show no surface.")
    return Clip(
        video=film.video,
        poster=film.poster,
        width=shot.width,
        height=shot.height,
        frames=len(shot.path),
        capture_time=shot.scene.capture_time,
        measures=shot.measures,
    )


class Render(Stage):
    """Shot to Clip, in a Studio of the worker's own."""

    def __init__(self, fps, format="mp4", renderer="auto", seconds=None):
        super().__init__(
            "render",
            lambda studio, _, shot: render(studio, shot, fps, format),
            open_handle=shared_handle(functools.partial(Studio, renderer, seconds)),
            in_child=True,
        )
