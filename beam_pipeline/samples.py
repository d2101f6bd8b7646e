"""A library to try things on: photos that scikit-image ships, written out as a camera would have left them.

python -m beam_pipeline.samples DIR
"""

import sys
from pathlib import Path

from PIL import ExifTags, Image
from skimage import data

# name: (how to get it, capture time)
SAMPLES = {
    "astronaut": (data.astronaut, "1999:06:21 10:00:00"),
    "cat": (data.chelsea, "2012:08:04 17:20:00"),
    "coffee": (data.coffee, "2013:02:11 08:45:00"),
    "motorcycle": (lambda: data.stereo_motorcycle()[0], "2014:09:02 12:00:00"),
    "rocket": (data.rocket, "2014:09:07 05:00:00"),
}


def write_samples(folder):
    """Writes the sample photos as JPEG with a capture time; returns their paths. The same files each time."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, (load, time) in SAMPLES.items():
        exif = Image.Exif()
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = time
        path = folder / f"{name}.jpg"
        Image.fromarray(load()).save(path, quality=95, exif=exif)
        paths.append(path)
    return paths


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m beam_pipeline.samples DIR")
    for written in write_samples(sys.argv[1]):
        print(written)
