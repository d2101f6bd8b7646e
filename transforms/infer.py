"""One pass of the networks over a photo."""

import functools
import time

from models.registry import Networks
from transforms.elements import Perception
from transforms.stage import Stage, shared_handle


def infer(networks, photo):
    """Runs the networks (a `models.registry.Networks`, or any callable alike) on a Photo.

    Returns:
      Perception with the networks' own maps, each at its own size, depth still of free scale and shift.
    """
    maps = networks(photo.rgb)
    people = maps["people"]
    return Perception(
        photo=photo,
        inverse_depth=maps["depth"],
        person=people[..., 1] + people[..., 2],
        head=people[..., 2],
        saliency=maps["saliency"],
    )


class Infer(Stage):
    """Photo to Perception, by the networks of a {role: model}, loaded once a process."""

    def __init__(self, models):
        super().__init__(
            "infer",
            lambda networks, _, photo: infer(networks, photo),
            open_handle=shared_handle(functools.partial(Networks, models)),
            clock=time.process_time,  # TensorFlow computes on threads of its own
        )
