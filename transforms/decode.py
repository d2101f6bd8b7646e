"""A photo's bytes to pixels, in a child process: what crashes, hangs or eats memory on hostile bytes costs that photo alone."""

import functools

from renderer.child import Child, ChildCrashed, ChildTimeout
from transforms import picture
from transforms.elements import Failed, FailReason
from transforms.stage import Stage

# What decoding may take. Measured: 27 bytes a pixel of a 32-bit TIFF, 25 of RGBA, 18 of JPEG, with the file itself.
BYTES_PER_PIXEL = 32
BYTES_ANYWAY = 1 << 30  # for a file of 512 MiB that is a photo in disguise (choice)


@functools.cache
def guard(max_megapixels, seconds=None):
    """The Child that reads photos for this process, all threads and stages alike. `seconds` that a photo may take."""
    return Child("decoding", seconds, BYTES_ANYWAY + round(BYTES_PER_PIXEL * max_megapixels * 1e6))


def guarded(child, function, *arguments):
    """What a function of `transforms.picture` returns or raises in the child; Failed as well where the child came to harm."""
    try:
        return child.ask(function, *arguments)
    except ChildCrashed as error:
        raise Failed(FailReason.CRASHED, str(error)) from error
    except ChildTimeout as error:
        raise Failed(FailReason.TIMEOUT, str(error)) from error
    except MemoryError as error:
        raise Failed(FailReason.TOO_LARGE, f"Decoding wants more than {child.memory / 1e9:.1f} GB of memory.") from error


class Decode(Stage):
    """A file's bytes to a Photo. `seconds` that it may take by the clock."""

    def __init__(self, max_megapixels, min_side, seconds=None):
        super().__init__(
            "decode",
            lambda child, _, data: guarded(child, picture.decode, data, max_megapixels, min_side),
            open_handle=functools.partial(guard, max_megapixels, seconds),
            in_child=True,
        )
