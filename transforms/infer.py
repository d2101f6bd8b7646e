"""One pass of the networks over a photo."""

from transforms.elements import Perception


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
