"""The review page as people meet it: in Chromium, opened from a disk. `make test-browser` runs these."""

import shutil
import time

import pytest

from beam_pipeline import calibrate, review
from beam_pipeline.review import COLUMNS, Library

pytestmark = pytest.mark.browser
DESKTOP, PHONE = (1400, 900), (390, 844)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip
NASTY = "trip/<script>document.title='run'</script>.jpg"


def row(number, **changes):
    """A clip of the synthetic library; scores rise with the number."""
    numbers = dict.fromkeys(review.NUMBERS, 0.1)
    return dict.fromkeys(COLUMNS) | numbers | {
        "photo_id": f"{number:016x}",
        "path": f"2014/IMG_{number:05d}.jpg",
        "version": "9-1",
        "fingerprint": "f00",
        "kind": "candidates",
        "capture_time": f"20{10 + number % 10}-05-01T10:00:00",
        "artifact_score": number / 10_000,
        "people": 0.2 if number % 2 else 0.0,
        "clip": "clips/a.mp4",
        "poster": "clips/a.jpg",
        "width": 240,
        "height": 320,
        "motion": "arc",
    } | changes  # fmt: skip


def rejected(number, reason, score=None):
    empty = dict.fromkeys((*review.NUMBERS, "clip", "poster", "width", "height", "motion", "capture_time"))
    return row(
        number, **empty | {"kind": "rejected", "reason": reason, "stage": "score", "detail": "Why.", "artifact_score": score}
    )


def page(folder, rows):
    rows = sorted(rows, key=lambda r: -(r["artifact_score"] or 0))
    return review.write_page(str(folder), Library(rows, len(rows), {"settings": {"max_artifact_score": 0.6}}))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("needs Debian's chromium and chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def real(finished, tmp_path_factory):
    """Page of a real run, in a copy of its folder."""
    output = tmp_path_factory.mktemp("real") / "out"
    shutil.copytree(finished[0], output)
    return review.write_page(str(output), review.read_library(str(output)))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    rows = [row(n * 1000) for n in range(10)] + [row(10_001, path=NASTY)]
    rows += [rejected(20_001, "artifacts", 1.5), rejected(20_002, "artifacts", 0.9), rejected(20_003, "blurred")]
    return page(tmp_path_factory.mktemp("small"), rows)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return page(tmp_path_factory.mktemp("large"), [row(n) for n in range(10_000)])


class Page:
    """A page that is open."""

    def __init__(self, driver, path, size=DESKTOP):
        self.driver = driver
        # Chromium's window is no narrower than 500 pixels; what it pretends to be is.
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        driver.get(f"file://{path}")
        driver.execute_script("localStorage.clear()")
        driver.refresh()
        self.until("!document.querySelector('#count').textContent.includes('loading') && document.querySelector('.card')")

    def js(self, expression):
        return self.driver.execute_script(f"return {expression}")

    def until(self, expression, seconds=10):
        end = time.monotonic() + seconds
        while not self.js(expression):
            assert time.monotonic() < end, expression
            time.sleep(0.02)

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def count(self):
        return self.find("#count").text

    def put(self, name, value):
        script = "const [name, value] = arguments, field = document.getElementById(name); field.value = value;"
        self.driver.execute_script(script + "field.dispatchEvent(new Event('input', {bubbles: true}));", name, value)

    def keys(self, *keys):
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def tab(self, kind):
        self.find(f"[data-kind={kind}]").click()

    def marks(self):
        return sorted(m["mark"] for m in self.js("JSON.parse(Object.values(localStorage)[0] ?? '{}')").values())


def test_a_clip_plays_while_the_pointer_is_over_it(browser, real):
    from selenium.webdriver import ActionChains

    shown = Page(browser, real)
    assert not shown.js("document.querySelector('video')")
    ActionChains(browser).move_to_element(shown.find(".card .frame")).perform()
    shown.until("document.querySelector('.card video')?.currentTime > 0")
    assert shown.js("document.querySelector('.card img').naturalWidth") == 240
    ActionChains(browser).move_to_element(shown.find("h1")).perform()
    shown.until("!document.querySelector('video')")


@pytest.mark.parametrize(
    "field, value, count",
    [("low", "0.5", "6 of 11"), ("high", "0.25", "3 of 11"), ("people", "yes", "1 of 11"), ("people", "no", "10 of 11"),
     ("since", "2011-01-01", "1 of 11"), ("until", "2010-12-31", "10 of 11"), ("find", "TRIP", "1 of 11"),
     ("marked", "keep", "0 of 11")],
)  # fmt: skip
def test_filters_leave_what_they_say(browser, small, field, value, count):
    shown = Page(browser, small)
    assert shown.count() == "11"
    shown.put(field, value)
    assert shown.count() == count
    shown.find("#clear").click()
    assert shown.count() == "11"


def test_rejected_are_listed_with_their_reason_and_filtered_by_it(browser, small):
    shown = Page(browser, small)
    shown.tab("rejected")
    assert shown.count() == "3"
    assert "Why." in shown.find("#grid").text
    shown.put("reason", "blurred")
    assert shown.count() == "1 of 3"


def test_the_highest_scores_come_first_and_the_order_can_be_turned(browser, small):
    shown = Page(browser, small)
    assert "1.00" in shown.find(".card").text
    shown.put("order", "best")
    assert "IMG_00000" in shown.find(".card").text


def test_the_threshold_line_says_how_many_it_keeps(browser, small):
    from selenium.webdriver import ActionChains, Keys

    shown = Page(browser, small)
    shown.tab("scores")
    assert "--max-artifact-score 0.6 keeps 7 of 13" in shown.find("#told").text
    ActionChains(browser).drag_and_drop_by_offset(shown.find(".grip .hit"), -200, 0).perform()
    assert "keeps 7 of 13" not in shown.find("#told").text
    shown.js("document.querySelector('.grip').focus()")
    before = float(shown.js("document.querySelector('.grip').getAttribute('aria-valuenow')"))
    shown.keys(Keys.ARROW_RIGHT)
    assert float(shown.js("document.querySelector('.grip').getAttribute('aria-valuenow')")) > before


def test_a_name_that_is_a_script_is_text(browser, small):
    from selenium.webdriver import Keys

    shown = Page(browser, small)
    shown.put("find", "script")
    assert "<script>" in shown.find(".card").text or "</script>" in shown.find(".card .name").get_attribute("title")
    shown.js("document.querySelector('#grid').focus()")
    shown.keys(Keys.ENTER)
    assert NASTY in shown.find("#detail h2").text
    assert browser.title == "Cinematic Photos: review"


def test_keys_walk_open_mark_and_close(browser, small):
    from selenium.webdriver import Keys

    shown = Page(browser, small)
    shown.js("document.querySelector('#grid').focus()")
    shown.keys(Keys.ARROW_RIGHT, "k", Keys.ARROW_RIGHT, Keys.ENTER)
    assert "IMG_08000" in shown.find("#detail h2").text
    shown.keys("d", Keys.ARROW_RIGHT, "w")
    assert "IMG_07000" in shown.find("#detail h2").text
    shown.keys(Keys.ESCAPE)
    shown.until("!document.querySelector('#detail').open")
    assert shown.marks() == ["drop", "keep", "wrong"]
    assert "(3)" in shown.find("#save").text
    shown.keys(Keys.ARROW_LEFT, "d")  # again takes it back
    assert shown.marks() == ["keep", "wrong"]
    browser.refresh()
    shown.until("document.querySelector('.mark')")
    assert shown.find(".mark").text == "keep"


def test_a_photo_without_details_says_how_to_get_them(browser, small):
    shown = Page(browser, small)
    shown.find(".card").click()
    assert "cinematic-photos review OUT --input LIBRARY --photo" in shown.find("#more").text


def test_ten_thousand_entries_scroll_and_filter_at_once(browser, large):
    shown = Page(browser, large)
    assert shown.count() == "10000"
    start = time.monotonic()
    for step in range(1, 21):
        shown.js(f"scrollTo(0, document.body.scrollHeight * {step / 20})")
        browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        assert 0 < shown.js("document.querySelectorAll('.card').length") < 80
    assert time.monotonic() - start < 10
    assert "IMG_00000" in shown.find("#grid").text
    milliseconds = browser.execute_script(
        "const start = performance.now(); const f = document.querySelector('#find'); f.value = '99';"
        "f.dispatchEvent(new Event('input', {bubbles: true})); return performance.now() - start;"
    )
    assert milliseconds < 1000
    assert shown.count().endswith(" of 10000")


@pytest.mark.parametrize("tab", ["candidates", "rejected", "scores"])
def test_a_phone_scrolls_in_one_direction(browser, small, tab):
    shown = Page(browser, small, PHONE)
    shown.tab(tab)
    assert shown.js("document.documentElement.scrollWidth") == PHONE[0]


def test_the_page_is_light_or_dark_as_the_system_until_it_is_told(browser, small):
    def paper():
        return sum(int(v) for v in shown.js("getComputedStyle(document.body).backgroundColor")[4:-1].split(","))

    papers = {}
    for scheme in ("light", "dark"):
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        shown = Page(browser, small)
        papers[scheme] = paper()
    assert papers["dark"] < 120 < 600 < papers["light"]
    shown.find("#theme").click()
    assert paper() == papers["light"]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_every_picture_has_a_text(browser, real):
    shown = Page(browser, real)
    shown.find(".card").click()
    assert shown.js("[...document.images].every(i => i.alt)")
    assert shown.js("document.querySelectorAll('button:not([aria-label])').length") == shown.js(
        "[...document.querySelectorAll('button:not([aria-label])')].filter(b => b.textContent.trim()).length"
    )


def test_a_finger_plays_a_clip_and_opens_it_with_the_next_tap(browser, real):
    shown = Page(browser, real, PHONE)
    x, y = shown.js(
        "(r => [r.x + r.width / 2, r.y + r.height / 2])(document.querySelector('.card .frame').getBoundingClientRect())"
    )

    def tap():
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        tap()
        shown.until("document.querySelector('.card video')?.currentTime > 0")
        assert not shown.js("document.querySelector('#detail').open")
        tap()
        shown.until("document.querySelector('#detail').open")
    finally:
        browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_marks_are_saved_as_a_file_that_calibrate_reads(browser, small, tmp_path):
    shown = Page(browser, small)
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    shown.js("document.querySelector('#grid').focus()")
    shown.keys("d")
    shown.find("#save").click()
    end = time.monotonic() + 10
    while not (tmp_path / "marks.json").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert calibrate.read_marks(str(tmp_path / "marks.json")) == {f"{10_001:016x}": ("drop", "9-1/f00")}
