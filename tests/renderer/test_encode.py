"""Frames to a clip that browsers play at once, in the right colours, and that says nothing it should not."""

import io
import time
from datetime import UTC, datetime, timedelta, timezone

import av
import numpy as np
import pytest
from PIL import Image
from skimage import data

from renderer import encode

WIDTH, HEIGHT, FPS = 128, 160, 25
BRANDS = {"major_brand", "minor_version", "compatible_brands"}  # every MP4 has these
NOON = datetime(2020, 7, 4, 12, tzinfo=UTC)
COLOURS = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "skin": (224, 172, 140),
    "sky": (110, 160, 220),
    "leaf": (40, 70, 20),
}


def panned_photo(count=7):
    """Planes of frames that slide over a photo."""
    photo = encode.to_ycbcr(data.astronaut())
    return [planes_of(photo[:HEIGHT, 130 + 2 * i : 130 + 2 * i + WIDTH]) for i in range(count)]


def planes_of(frame):
    height, width = frame.shape[:2]
    return encode.yuv420(frame, np.empty((height * 3 // 2, width), np.uint8))


def flat(rgb, side=32):
    return planes_of(encode.to_ycbcr(np.full((side, side, 3), rgb, np.uint8)))


def decoded(clip):
    """RGB frames as a player shows them: converted by FFmpeg, by BT.709."""
    with av.open(io.BytesIO(clip)) as container:
        frames = container.decode(video=0)
        return [f.reformat(format="rgb24", src_colorspace="ITU709", dst_colorspace="ITU709").to_ndarray() for f in frames]


def metadata(clip):
    with av.open(io.BytesIO(clip)) as container:
        return container.metadata


@pytest.fixture(scope="module")
def clip():
    return encode.video(panned_photo(), WIDTH, HEIGHT, FPS)


def test_the_clip_has_the_asked_size_rate_and_number_of_frames(clip):
    with av.open(io.BytesIO(clip)) as container:
        (stream,) = container.streams
        times = [frame.time for frame in container.decode(stream)]
        assert (stream.width, stream.height, stream.average_rate) == (WIDTH, HEIGHT, FPS)
    assert times == pytest.approx([i / FPS for i in range(7)])


def test_the_clip_is_h264_in_420_and_tagged_as_limited_bt709(clip):
    with av.open(io.BytesIO(clip)) as container:
        codec = container.streams.video[0].codec_context
        tags = (codec.color_primaries, codec.color_trc, codec.colorspace)
        assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")
        assert tags == (encode.BT709,) * 3
        assert codec.color_range == encode.LIMITED_RANGE


@pytest.mark.parametrize("count", [2, 90, 3600], ids=["shortest", "usual", "longest"])
def test_the_index_comes_before_the_media(count):
    """At any number of frames that the settings allow."""
    clip = encode.video([flat((90, 90, 90), 16)] * count, 16, 16, FPS)
    boxes, at = [], 0
    while at < len(clip):
        boxes.append(clip[at + 4 : at + 8])
        at += int.from_bytes(clip[at : at + 4], "big")
    assert boxes.index(b"moov") < boxes.index(b"mdat")


def test_the_clip_says_nothing_but_what_it_is(clip):
    assert metadata(clip).keys() == BRANDS


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=2)), timezone(timedelta(hours=-7))], ids=str)
def test_the_capture_time_is_the_only_thing_added(zone):
    tags = metadata(encode.video(panned_photo(1), WIDTH, HEIGHT, FPS, NOON.astimezone(zone)))
    assert tags.keys() == BRANDS | {"creation_time"}
    assert datetime.fromisoformat(tags["creation_time"]) == NOON


@pytest.fixture
def worker_in(monkeypatch):
    """Sets this process's clock to a zone, until the test ends."""

    def move(zone):
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield move
    monkeypatch.undo()
    time.tzset()


def test_a_capture_time_without_offset_does_not_depend_on_the_workers_zone(worker_in):
    clips = []
    for zone in ("UTC", "America/New_York"):
        worker_in(zone)
        clips.append(encode.video(panned_photo(1), WIDTH, HEIGHT, FPS, NOON.replace(tzinfo=None)))
    assert metadata(clips[0]) == metadata(clips[1])


def test_the_same_frames_give_the_same_bytes(clip):
    assert encode.video(panned_photo(), WIDTH, HEIGHT, FPS) == clip


def test_frames_may_come_in_one_buffer_that_is_used_again(clip):
    def reused():
        buffer = np.empty((HEIGHT * 3 // 2, WIDTH), np.uint8)
        for frame in panned_photo():
            buffer[:] = frame
            yield buffer

    assert encode.video(reused(), WIDTH, HEIGHT, FPS, count=len(panned_photo())) == clip


@pytest.mark.parametrize("colour", COLOURS.values(), ids=COLOURS)
def test_a_flat_colour_survives_the_way_to_the_player(colour):
    (frame,) = decoded(encode.video([flat(colour)], 32, 32, FPS))
    assert np.abs(frame.astype(int) - colour).max() <= 3  # two roundings to limited range, and the encoder's


# The 24 patches of a colour checker, sRGB.
CHART = (
    (115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67), (133, 128, 177), (103, 189, 170),
    (214, 126, 44), (80, 91, 166), (193, 90, 99), (94, 60, 108), (157, 188, 64), (224, 163, 46),
    (56, 61, 150), (70, 148, 73), (175, 54, 60), (231, 199, 31), (187, 86, 149), (8, 133, 161),
    (243, 243, 242), (200, 200, 200), (160, 160, 160), (122, 122, 121), (85, 85, 85), (52, 52, 52),
)  # fmt: skip


def test_a_test_chart_survives_within_two_of_255():
    chart = np.array(CHART, np.uint8).reshape(4, 6, 3).repeat(64, axis=0).repeat(64, axis=1)
    for frame in decoded(encode.video([planes_of(encode.to_ycbcr(chart))] * 5, 384, 256, FPS)):
        patches = frame.reshape(4, 64, 6, 64, 3).swapaxes(1, 2).reshape(24, 64, 64, 3)[:, 16:48, 16:48]
        assert np.abs(patches.astype(int) - np.array(CHART)[:, None, None]).max() <= 2


def test_grey_stays_grey():
    ramp = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 256, 3)
    assert (encode.to_ycbcr(ramp)[..., 1:] == 128).all()
    (frame,) = decoded(encode.video([flat((119, 119, 119))], 32, 32, FPS))
    assert np.ptp(frame, axis=-1).max() == 0


def test_black_and_white_use_the_limited_range():
    assert np.unique(flat((0, 0, 0))).tolist() == [16, 128]
    assert np.unique(flat((255, 255, 255))).tolist() == [128, 235]


def test_colours_survive_there_and_back():
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    rgb = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(len(levels), -1, 3)
    assert np.abs(encode.to_rgb(encode.to_ycbcr(rgb)).astype(int) - rgb).max() <= 2


def test_planes_become_a_frame_again_but_for_the_detail_of_its_colours():
    frame = encode.to_ycbcr(data.astronaut()[:160, 130:258])
    again = encode.yuv444(planes_of(frame))
    assert (again[..., 0] == frame[..., 0]).all()
    assert np.abs(again.astype(int) - frame).mean() < 1


def test_chroma_is_the_mean_of_two_by_two():
    frame = encode.to_ycbcr(data.astronaut()[:4, :8])
    planes = encode.yuv420(frame, np.empty((6, 8), np.uint8))
    mean = frame[..., 1:].reshape(2, 2, 4, 2, 2).mean(axis=(1, 3))
    assert (planes[:4] == frame[..., 0]).all()
    assert planes[4:].reshape(2, 2, 4) == pytest.approx(mean.transpose(2, 0, 1), abs=0.5)


@pytest.mark.parametrize(("width", "height"), [(31, 32), (32, 30), (32, 33)])
def test_sizes_that_420_cannot_hold_are_refused(width, height):
    with pytest.raises(ValueError, match=f"{width}x{height}"):
        encode.video([], width, height, FPS)


def test_a_poster_is_the_frame_without_metadata():
    frame = panned_photo(1)[0]
    poster = Image.open(io.BytesIO(encode.jpeg(frame)))
    assert (poster.format, poster.size) == ("JPEG", (WIDTH, HEIGHT))
    assert not poster.getexif()
    assert poster.info.keys() <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert np.abs(np.asarray(poster).astype(int) - encode.to_rgb(encode.yuv444(frame))).mean() < 5


# Other formats


@pytest.mark.parametrize("format", [f for f in encode.FORMATS if f != "mp4"])
def test_every_format_shows_the_frames_at_their_pace(format):
    frames = panned_photo()
    video = encode.video(frames, WIDTH, HEIGHT, 20, format=format)
    if format in encode.PICTURES:
        picture = Image.open(io.BytesIO(video))
        shown = []
        for index in range(picture.n_frames):
            picture.seek(index)
            shown.append(np.asarray(picture.convert("RGB")))
            assert picture.info["duration"] == 50
        assert picture.info["loop"] == 0
    else:
        with av.open(io.BytesIO(video)) as container:
            times = [frame.time for frame in container.decode(video=0)]
        assert times == pytest.approx([i / 20 for i in range(7)], abs=1e-3)
        shown = decoded(video)
    assert len(shown) == len(frames)
    for frame, planes in zip(shown, frames, strict=True):
        assert np.abs(frame.astype(int) - encode.to_rgb(encode.yuv444(planes))).mean() < 8


@pytest.mark.parametrize("format", encode.FORMATS)
def test_every_format_gives_the_same_bytes_again(format):
    once, again = (encode.video(panned_photo(), WIDTH, HEIGHT, FPS, NOON, format=format) for _ in range(2))
    assert once == again


def test_a_webm_carries_the_capture_time_and_no_more():
    tags = metadata(encode.video(panned_photo(1), WIDTH, HEIGHT, FPS, NOON, format="webm"))
    assert {name.lower() for name in tags} <= {"creation_time", "encoder"}


@pytest.mark.parametrize("format", encode.PICTURES)
def test_an_animated_picture_carries_nothing(format):
    picture = Image.open(io.BytesIO(encode.video(panned_photo(2), WIDTH, HEIGHT, FPS, NOON, format=format)))
    assert not picture.getexif()
    assert picture.info.keys() <= {"loop", "background", "timestamp", "duration", "version", "extension", "default_image"}
