"""What terminals see: colour where one looks, none in files and pipes."""

import os
import sys
from typing import TextIO

CODES = {"red": 31, "green": 32, "yellow": 33}


def coloured(text: str, colour: str, width: int = 0, stream: TextIO | None = None) -> str:
    """A text in colour where the stream (standard output by default) is a terminal and NO_COLOR is not set; padded to a width."""
    stream = stream or sys.stdout
    padded = text.ljust(width)
    if os.environ.get("NO_COLOR") or not stream.isatty():
        return padded
    return f"\033[{CODES[colour]}m{padded}\033[0m"
