"""Real stereo pairs: what the renderer makes of the left photo and its measured disparity, against the right photo.

`make bench-stereo PHOTOS=folder` takes pairs as Middlebury names them (`X_view1.png`, `X_view5.png`, `X_disp1.png`, or
`X_im2.png`, `X_im6.png`, `X_disp2.png`) and scikit-image's motorcycle in any case.
"""

import argparse
import dataclasses
from pathlib import Path

import cv2
import numpy as np
from skimage import data
from skimage.metrics import structural_similarity

from renderer import camera, encode
from renderer.camera import Lens, Window
from renderer.mesh import Mesh, extrude, grid_shape
from renderer.stretch import ARTIFACT_STRETCH
from renderer.studio import Reel, Studio

GRID = 512  # vertices along the long side, as the product's meshes have them
EDGE = 2  # pixels beside what is unseen or unmeasured: the disparity itself is not sharper


@dataclasses.dataclass(frozen=True)
class Pair:
    """A rectified stereo pair.

    Attributes:
      left, right: (h, w, 3) uint8 sRGB.
      disparity: (h, w) float, pixels: what the left photo shows at x, the right one shows at x - disparity; NaN where
        not measured.
    """

    left: np.ndarray
    right: np.ndarray
    disparity: np.ndarray


def motorcycle():
    """The Pair that scikit-image brings along (Middlebury 2014)."""
    left, right, disparity = data.stereo_motorcycle()
    return Pair(left, right, np.where(np.isfinite(disparity), disparity, np.nan).astype(float))


@dataclasses.dataclass(frozen=True)
class View:
    """The right camera of a Pair, in the renderer's terms: a Mesh of the left photo, a Window and a Path of one pose."""

    mesh: Mesh
    window: Window
    path: camera.Path
    lens: Lens


def right_camera(pair):
    """View of a Pair.

    The measured range of disparities becomes all of the relative inverse depth, the baseline follows from it, and a shift of the
    frame takes what is left: both cameras look straight ahead.
    """
    height, width = pair.disparity.shape
    lens = Lens.of_photo(width, height)
    measured = np.isfinite(pair.disparity)
    low, high = pair.disparity[measured].min(), pair.disparity[measured].max()
    filled = np.where(measured, pair.disparity, low).astype(np.float32)
    holes = np.uint8(~measured)
    if holes.any():  # from the left neighbour, or the right one at the border: any choice will do, these pixels are not scored
        last = np.maximum.accumulate(np.where(measured, np.arange(width), 0), axis=1)
        filled = np.take_along_axis(filled, last, axis=1)
    inverse_depth = (filled - low) / (high - low)
    rows, columns = grid_shape(width, height, GRID)
    # The outermost vertices lie on the photo's border, half a pixel outside of its first pixel's middle.
    x, y = np.linspace(-0.5, width - 0.5, columns), np.linspace(-0.5, height - 0.5, rows)
    places = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    depth = cv2.remap(inverse_depth, *places, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE).astype(float)
    pixel = 2 * lens.half_width / width
    baseline = (high - low) * pixel / (1 / camera.NEAR - 1 / camera.FAR)
    shift = low * pixel - baseline / camera.FAR  # of all that is seen, to the left
    window = Window(-lens.half_width + shift, lens.half_width + shift, -lens.half_height, lens.half_height)
    path = camera.Path(np.array([[baseline, 0.0, 0.0]]), np.eye(3)[None])
    return View(extrude(depth, lens), window, path, lens)


def score(pair, studio):
    """How well a Studio draws a Pair's right photo.

    Returns:
      (dict, drawn): PSNR in dB and SSIM of luma over pixels that the left photo shows as well; share and PSNR of those that it
      does not, which are stretched or left open; drawn: (h, w, 3) uint8 sRGB.
    """
    height, width = (side // 4 * 4 for side in pair.right.shape[:2])
    cut = Pair(*(values[:height, :width] for values in (pair.left, pair.right, pair.disparity)))
    view = right_camera(cut)
    reel = Reel(((view.mesh, encode.to_ycbcr(cut.left)),), view.window, view.path, width, height, 1, None)
    (drawn,) = studio.stills(reel)
    measured = np.uint8(np.isfinite(cut.disparity)) * 100
    ((stretch, known),) = studio.stretches([(view.mesh, measured)], view.window, view.path, view.lens, width, height)
    left_open = known == 255
    seen = (stretch < ARTIFACT_STRETCH) & ~left_open & (known == 100)
    kernel = np.ones((2 * EDGE + 1,) * 2, np.uint8)
    seen = cv2.erode(np.uint8(seen), kernel).astype(bool)
    unseen = (stretch >= ARTIFACT_STRETCH) & ~left_open
    one, other = (encode.to_ycbcr(picture)[..., 0].astype(float) for picture in (drawn, cut.right))
    # Cameras' exposures differ by a little: their means over what both see are made equal.
    one += other[seen].mean() - one[seen].mean()
    _, similar = structural_similarity(one, other, data_range=255, full=True)

    def psnr(mask):
        return 10 * np.log10(255**2 / max(np.square(one - other)[mask].mean(), 1e-9)) if mask.any() else None

    told = {
        "seen": seen.mean(),
        "psnr": psnr(seen),
        "ssim": similar[seen].mean(),
        "unseen": unseen.mean(),
        "open": left_open.mean(),
    }
    return told | {"unseen psnr": psnr(unseen)}, drawn


def read(path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def pairs(folder):
    """{name: Pair} of a folder with Middlebury's names."""
    found = {}
    for disparities, left, right in (("_disp1.png", "_view1.png", "_view5.png"), ("_disp2.png", "_im2.png", "_im6.png")):
        for path in sorted(Path(folder).glob(f"*{disparities}")):
            stem = str(path)[: -len(disparities)]
            levels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(float)
            one, other = read(stem + left), read(stem + right)
            # The files hold a multiple of the disparity: three times at a third of the size, four times at a quarter.
            scale = 4.0 if disparities == "_disp2.png" else 3.0
            found[Path(stem).name] = Pair(one, other, np.where(levels > 0, levels / scale, np.nan))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", help="of further pairs")
    args = parser.parse_args()
    everything = {"motorcycle": motorcycle()} | (pairs(args.folder) if args.folder else {})
    print(f"{'pair':14}{'draws':>6}{'seen':>7}{'dB':>7}{'SSIM':>7}{'unseen':>8}{'dB':>7}{'open':>7}")
    for kind in ("cpu", "gl"):
        studio = Studio(kind)
        for name, pair in everything.items():
            told, _ = score(pair, studio)
            print(
                f"{name:14}{kind:>6}{told['seen']:7.1%}{told['psnr']:7.2f}{told['ssim']:7.3f}"
                f"{told['unseen']:8.1%}{told['unseen psnr'] or 0:7.2f}{told['open']:7.1%}"
            )
        studio.close()


if __name__ == "__main__":
    main()
