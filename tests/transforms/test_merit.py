"""What deserves no network's look: what no memory is, and what shows nothing."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from transforms.elements import Photo, Rejected
from transforms.merit import Look, assess
from transforms.settings import Settings

PHOTOS = {
    "astronaut": data.astronaut(),
    "cat": data.chelsea(),
    "coffee": data.coffee(),
    "rocket": data.rocket(),
    "grey": cv2.cvtColor(data.camera(), cv2.COLOR_GRAY2RGB),
    "motorcycle": data.stereo_motorcycle()[0],
    "wall": cv2.cvtColor(data.brick(), cv2.COLOR_GRAY2RGB),
}
WORDS = "It is a truth universally acknowledged that a photo of a receipt is in want of a bin".split()


def lines_of_text(width, height, paper, ink, size=24):
    """A page or a screen full of words."""
    image = Image.new("RGB", (width, height), paper)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=size)
    for row, y in enumerate(range(size, height - 2 * size, round(1.5 * size))):
        text = " ".join(WORDS[(row * 5 + i) % len(WORDS)] for i in range(width // (3 * size)))
        draw.text((size, y), text, fill=ink, font=font)
    return np.asarray(image)


def scanned(page):
    """A photo of a page: unevenly lit, with a sensor's noise, as JPEG leaves it."""
    light = np.linspace(1.0, 0.8, page.shape[1])[None, :, None]
    noisy = page * light + np.random.default_rng(0).normal(0, 3, page.shape)
    picture = cv2.imencode(".jpg", np.clip(noisy, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return cv2.imdecode(picture, cv2.IMREAD_COLOR)


def application():
    """A screen with a bar, rows, and a photo."""
    screen = Image.fromarray(lines_of_text(720, 1280, (255, 255, 255), (60, 60, 60), 40)[::1].copy())
    ImageDraw.Draw(screen).rectangle((0, 0, 720, 120), fill=(25, 118, 210))
    ImageDraw.Draw(screen).rectangle((0, 700, 720, 1280), fill=(245, 245, 245))
    screen.paste(Image.fromarray(data.coffee()[:300, :400]), (160, 200))
    return np.asarray(screen)


def blurred(rgb, share):
    return cv2.GaussianBlur(rgb, (0, 0), share * max(rgb.shape))


def shaken(rgb, share):
    length = round(share * rgb.shape[1])
    kernel = np.zeros((length, length))
    kernel[length // 2] = 1 / length
    return cv2.filter2D(rgb, -1, kernel)


WORTHLESS = {
    "page": ("document", lines_of_text(1240, 1754, (255, 255, 255), (0, 0, 0))),
    "scan": ("document", scanned(lines_of_text(1240, 1754, (245, 243, 238), (30, 30, 30)))),
    "old page": ("document", cv2.cvtColor(data.page(), cv2.COLOR_GRAY2RGB)),
    "dark screen": ("screenshot", lines_of_text(1170, 2000, (20, 20, 24), (220, 220, 220))),
    "application": ("screenshot", application()),
    "out of focus": ("blurred", blurred(data.coffee(), 0.01)),
    "shaken": ("blurred", shaken(data.astronaut(), 0.06)),
    "lens cap": ("dark", (data.chelsea() * 0.06).astype(np.uint8)),
    "one colour": ("blurred", np.full((300, 400, 3), 120, np.uint8)),
    "against the sun": ("blown_out", np.clip(data.coffee() * 0.3 + 225, 0, 255).astype(np.uint8)),
    "panorama": ("panorama", cv2.resize(data.coffee(), (1800, 400))),
}


def reason_of(rgb, from_camera=False, **settings):
    try:
        assess(Photo(rgb, 1.0, None, from_camera), Settings(**settings))
    except Rejected as rejected:
        assert any(character.isdigit() for character in rejected.detail)
        return str(rejected.reason)


@pytest.mark.parametrize("rgb", PHOTOS.values(), ids=PHOTOS)
@pytest.mark.parametrize("size", [None, 3000])
def test_photos_pass_at_any_size(rgb, size):
    if size:
        rgb = cv2.resize(rgb, (size, round(size * rgb.shape[0] / rgb.shape[1])), interpolation=cv2.INTER_CUBIC)
    assert reason_of(rgb) is None


@pytest.mark.parametrize(("reason", "rgb"), WORTHLESS.values(), ids=WORTHLESS)
def test_what_is_no_memory_is_rejected_by_its_name(reason, rgb):
    assert reason_of(rgb) == reason


def test_what_a_camera_took_is_no_screenshot():
    assert reason_of(application(), from_camera=True) is None


@pytest.mark.parametrize(
    ("name", "free"),
    [
        ("page", {"max_paper": 1, "max_flat": 1}),
        ("application", {"max_flat": 1}),
        ("out of focus", {"max_blur": 1}),
        ("lens cap", {"min_highlight": 0, "max_flat": 1}),
        ("against the sun", {"max_shadow": 255}),
        ("panorama", {"max_elongation": 10}),
    ],
)
def test_every_threshold_can_be_set_so_that_nothing_is_rejected_by_it(name, free):
    assert reason_of(WORTHLESS[name][1], **free) is None


def test_a_look_is_of_shares():
    look = Look.at(data.astronaut())
    assert all(0 <= share <= 1 for share in (look.blur, look.flat, look.paper, look.edges))
    assert look.elongation == 1
    assert 0 <= look.shadow < look.highlight <= 255
