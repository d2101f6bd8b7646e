"""What a drawing process holds on to: nothing, however many films it makes."""

import gc
import os
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from renderer import encode
from renderer.camera import Lens, Window, looking_at
from renderer.mesh import extrude
from renderer.studio import Reel, Studio, draw

FILMS, WARM_UP = 300, 60
FLAT = 1.05  # of the memory after the warm-up


def held():
    """(resident MB, open files, threads) of this process, as Linux tells them."""
    gc.collect()
    status = Path("/proc/self/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return int(fields["VmRSS"].split()[0]) / 1024, len(os.listdir("/proc/self/fd")), int(fields["Threads"])


def films(kind, count):
    """Draws so many films of differing sizes in this process; what it held after each tenth."""
    depth = np.tile(np.linspace(0.1, 0.9, 41), (33, 1)).astype(float)
    mesh, path = extrude(depth, Lens.of_photo(5, 4)), looking_at(np.outer([-1, 0, 1], [0.02, 0, 0]), np.array([0, 0, -2.0]))
    picture, noted = encode.to_ycbcr(data.astronaut()), []
    for number in range(count):
        width = 96 + 16 * (number % 7)
        draw(Reel(((mesh, picture),), Window(-0.2, 0.2, -0.2, 0.2), path, width, width, 30, None), kind)
        if number % 10 == 9:
            noted.append(held())
    return noted


@pytest.mark.parametrize("kind", ["cpu", "gl"])
def test_three_hundred_films_leave_nothing_behind(kind):
    studio = Studio(kind)
    noted = studio.ask(films, kind, FILMS)
    studio.close()
    warm, later = noted[WARM_UP // 10 - 1], noted[WARM_UP // 10 :]
    assert max(memory for memory, _, _ in later) < FLAT * warm[0]
    assert {(files, threads) for _, files, threads in later} == {warm[1:]}
