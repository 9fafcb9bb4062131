"""The page in a real browser: every control is used, and its effect on the pictures is checked."""

from __future__ import annotations

import base64
import io
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from livevision.capture.synthetic import _scene
from tests import clips
from tests.capture.servers import rtsp_server
from tests.web.running import LIVE, Page, page, wait_for

WIDE, PHONE = {"width": 1920, "height": 1080}, {"width": 390, "height": 844}
MAX_PICTURE_BYTES = 150_000
SCREENSHOTS = os.environ.get("LIVEVISION_SCREENSHOTS")

CONTRAST = """() => {
  const value = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const part = (x) => { x /= 255; return x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4; };
    return .2126 * part(r) + .7152 * part(g) + .0722 * part(b);
  };
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const c = value(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > .5) return c;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.textContent.trim(), e = walk.currentNode.parentElement;
    if (!text || !e.checkVisibility() || !e.getClientRects().length) continue;
    if (e.closest(":disabled, noscript, .skip, #words, .over")) continue;
    const a = light(value(getComputedStyle(e).color)), b = light(ground(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) found.push([text, ratio]);
  }
  return found;
}"""

UNNAMED = """() => [...document.querySelectorAll("button, input, select, a, canvas, dialog")]
  .filter((e) => !e.closest(".uplot canvas"))
  .filter((e) => {
    const labels = e.labels ? [...e.labels].map((l) => l.textContent).join("") : "";
    const ids = (e.getAttribute("aria-labelledby") || "").split(" ");
    const by = ids.map((id) => document.getElementById(id));
    const named = by.map((one) => one ? one.textContent : "").join("");
    return !(labels + named + (e.getAttribute("aria-label") || "") + e.textContent).trim();
  }).map((e) => e.outerHTML)"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page of two sources with only boxes on their pictures."""
    folder = tmp_path_factory.mktemp("shown")
    sources = {
        "door": {"uri": LIVE.format("320x240", 6)},
        "yard": {"uri": LIVE.format("320x180", 3)},
    }
    with page(sources=sources, conf=0.02, hud=False, recordings=str(folder / "rec")) as one:
        wait_for(lambda: one.source(1)["frames_out"] > 2)
        yield one


class Tab:
    """A tab of the browser that records its requests and errors."""

    def __init__(self, browser: Any, address: str, before: str = "", **options: Any) -> None:
        self.context = browser.new_context(**{"viewport": WIDE, **options})
        if before:
            self.context.add_init_script(before)
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        self.asked: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", self._said)
        self.address = address
        self.page.goto(address)

    def _said(self, message: Any) -> None:
        # The tests themselves read canvases again and again.
        if message.type in ("error", "warning") and "readback" not in message.text:
            self.wrong.append(message.text)

    def open(self, source: int) -> Any:
        """Open a source, and wait for its picture."""
        self.page.goto(f"{self.address}#source/{source}")
        until(self.page, "document.getElementById('state').textContent")
        until(self.page, _DRAWN, "#picture")
        return self.page

    def picture(self, where: str = "#picture") -> Any:
        """The picture of a canvas, uint8, H×W×3, BGR."""
        url = self.page.evaluate("w => document.querySelector(w).toDataURL()", where)
        data = base64.b64decode(url.partition(",")[2])
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)

    def close(self) -> None:
        self.context.close()


_DRAWN = """w => { const c = document.querySelector(w);
  return c && c.getContext('2d').getImageData(8, 8, 1, 1).data[3] === 255; }"""


@pytest.fixture
def tab(chromium: Any, shown: Page) -> Iterator[Tab]:
    one = Tab(chromium, shown.address)
    yield one
    one.close()
    assert not one.wrong
    assert all(url.startswith((shown.address, "blob:", "data:")) for url in one.asked), one.asked


def until(tab: Any, script: str, argument: Any = None) -> None:
    """Wait until a script of the page returns a true value."""
    wait_for(lambda: tab.evaluate(script, argument))


def drawn_on(image: Any) -> float:
    """Share of a picture's upper part that differs from the plain scene: boxes and the square."""
    scene = _scene((image.shape[1], image.shape[0])).astype(int)
    rows = int(image.shape[0] * 0.7)
    return float((np.abs(image.astype(int) - scene)[:rows].max(axis=2) > 50).mean())


def keep(tab: Tab, name: str) -> None:
    """Check that a screenshot is small; save it if LIVEVISION_SCREENSHOTS names a folder."""
    data = tab.page.screenshot()
    small = Image.open(io.BytesIO(data)).convert("RGB")
    if small.width > 1200:
        small = small.resize((small.width // 2, small.height // 2), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.quantize(96).save(out, "PNG", optimize=True)
    assert len(out.getvalue()) < MAX_PICTURE_BYTES
    if SCREENSHOTS:
        (Path(SCREENSHOTS) / name).write_bytes(out.getvalue())


def test_the_overview_shows_moving_pictures_of_every_source(tab: Tab, shown: Page) -> None:
    tab.page.wait_for_selector(".tile >> nth=1")
    assert tab.page.locator(".tile h2").all_inner_texts() == ["door", "yard"]
    until(tab.page, _DRAWN, ".tile canvas")
    before = tab.picture(".tile canvas")
    wait_for(lambda: not np.array_equal(tab.picture(".tile canvas"), before))
    wait_for(lambda: drawn_on(tab.picture(".tile canvas")) > 0.06)
    until(
        tab.page,
        "[...document.querySelectorAll('.rate')].every(e => /fps · \\d+ ms/.test(e.textContent))",
    )
    # On a screen of a kiosk all is seen at once.
    assert tab.page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    keep(tab, "page-overview.png")


H264 = "MediaSource.isTypeSupported('video/mp4; codecs=\"avc1.64001F\"')"


@pytest.fixture
def with_h264(tab: Tab) -> Tab:
    if not tab.page.evaluate(H264):
        pytest.skip("this Chromium has no H.264")
    return tab


def test_pictures_come_as_h264_where_that_is_chosen(with_h264: Tab, shown: Page) -> None:
    tab, videos = with_h264, shown.services.videos
    tab.page.wait_for_selector(".tile >> nth=1")
    assert videos.active == 0, "JPEG is what everybody has"
    tab.page.select_option("#codec", "h264")
    wait_for(lambda: videos.active == 2)
    for place in (0, 1):
        where = f".tile[data-id='{place}'] canvas"
        until(tab.page, _DRAWN, where)
        before = tab.picture(where)
        wait_for(lambda w=where, b=before: not np.array_equal(tab.picture(w), b))
    opened = tab.open(0)
    wait_for(lambda: videos.active == 1)
    seen = [tab.picture()]
    for _ in range(4):  # it goes on and on
        wait_for(lambda: np.abs(tab.picture().astype(int) - seen[-1]).mean() > 0.2)
        seen.append(tab.picture())
    assert seen[-1].shape == (240, 320, 3)
    wait_for(lambda: drawn_on(tab.picture()) > 0.06)
    encoded = shown.services.pictures.encoded
    time.sleep(1.0)
    assert shown.services.pictures.encoded == encoded, "and no JPEG is made"
    opened.select_option("#codec", "jpeg")
    wait_for(lambda: videos.active == 0)
    wait_for(lambda: shown.services.pictures.encoded > encoded + 2)


def test_what_is_seen_by_h264_is_what_happens_now(with_h264: Tab, shown: Page) -> None:
    opened = with_h264.open(0)
    opened.select_option("#codec", "h264")
    wait_for(lambda: shown.services.videos.active == 1)
    before = with_h264.picture()
    wait_for(lambda: not np.array_equal(with_h264.picture(), before))
    opened.focus("#conf")
    opened.keyboard.press("End")
    begun = time.monotonic()
    wait_for(lambda: drawn_on(with_h264.picture()) < 0.06)
    assert time.monotonic() - begun < 5
    opened.keyboard.press("Home")
    for _ in range(2):
        opened.keyboard.press("ArrowRight")
    wait_for(lambda: drawn_on(with_h264.picture()) > 0.06)
    opened.select_option("#codec", "jpeg")


NO_MEDIA_SOURCE = "delete window.MediaSource"
NO_CODEC = """const known = MediaSource.isTypeSupported;
MediaSource.isTypeSupported = (type) => type.includes("64001F") && known(type);"""


@pytest.mark.parametrize("script", [NO_MEDIA_SOURCE, NO_CODEC], ids=["no MediaSource", "no codec"])
def test_without_the_codec_pictures_come_as_jpeg(chromium: Any, shown: Page, script: str) -> None:
    tab = Tab(chromium, shown.address, before=f"localStorage.pictures = 'h264'; {script}")
    opened = tab.open(0)
    before = tab.picture()
    wait_for(lambda: not np.array_equal(tab.picture(), before))
    assert opened.locator("#codec").is_visible() == (script == NO_CODEC)
    wait_for(lambda: shown.services.videos.active == 0)
    tab.close()
    assert not tab.wrong


def test_a_wall_is_filled_and_given_back(tab: Tab) -> None:
    tab.page.wait_for_selector(".tile >> nth=1")
    button = tab.page.get_by_role("button", name="Full screen")
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    until(tab.page, "document.fullscreenElement === document.documentElement")
    until(tab.page, "document.body.classList.contains('kiosk')")
    assert not tab.page.locator("header").is_visible(), "nothing but the pictures"
    until(tab.page, "document.querySelector('.tile').getBoundingClientRect().top < 40")
    assert tab.page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    tab.page.evaluate("document.exitFullscreen()")  # as Escape does
    until(tab.page, "!document.body.classList.contains('kiosk')")
    assert button.get_attribute("aria-pressed") == "false"
    assert tab.page.locator("header").is_visible()


def test_confidence_set_by_keyboard_hides_boxes(tab: Tab, shown: Page) -> None:
    opened = tab.open(0)
    wait_for(lambda: drawn_on(tab.picture()) > 0.06)
    opened.focus("#conf")
    opened.keyboard.press("End")
    wait_for(lambda: shown.source(0)["settings"]["conf"] == 1.0)
    wait_for(lambda: drawn_on(tab.picture()) < 0.06)
    assert opened.inner_text("#conf-shown") == "1.00"
    opened.keyboard.press("Home")
    for _ in range(2):
        opened.keyboard.press("ArrowRight")
    wait_for(lambda: shown.source(0)["settings"]["conf"] == 0.02)
    wait_for(lambda: drawn_on(tab.picture()) > 0.06)
    opened.focus("#iou")
    opened.keyboard.press("ArrowLeft")
    wait_for(lambda: shown.source(0)["settings"]["iou"] == 0.49)


def test_classes_are_chosen(tab: Tab, shown: Page) -> None:
    opened = tab.open(0)
    opened.fill("#filter", "pers")
    opened.get_by_role("checkbox", name="person").check()
    wait_for(lambda: shown.source(0)["settings"]["classes"] == ["person"])
    wait_for(lambda: set(shown.source(0)["counts"]) <= {"person"})
    until(opened, "document.getElementById('chosen').textContent === '(1 chosen)'")
    opened.get_by_role("button", name="Keep all classes").click()
    wait_for(lambda: shown.source(0)["settings"]["classes"] == [])


def test_pause_freezes_and_dims_the_picture_until_resume(tab: Tab, shown: Page) -> None:
    opened = tab.open(1)
    button = opened.get_by_role("button", name="Pause")
    button.click()
    wait_for(lambda: shown.source(1)["settings"]["paused"])
    opened.wait_for_selector("#words:not([hidden])")
    assert opened.inner_text("#words") == "paused"
    assert opened.locator("#stage.dim").count() == 1
    wait_for(lambda: shown.source(1)["age_s"] > 1)
    before = tab.picture()
    time.sleep(0.7)
    assert np.array_equal(tab.picture(), before)
    opened.get_by_role("button", name="Resume").click()
    wait_for(lambda: not np.array_equal(tab.picture(), before))
    opened.wait_for_selector("#words", state="hidden")


def test_a_snapshot_is_downloaded(tab: Tab, tmp_path: Path) -> None:
    opened = tab.open(0)
    with opened.expect_download() as download:
        opened.click("#snapshot")
    assert download.value.suggested_filename == "door.jpg"
    path = tmp_path / "door.jpg"
    download.value.save_as(path)
    assert cv2.imread(str(path)).shape == (240, 320, 3)


def test_a_recording_is_started_and_stopped(tab: Tab, shown: Page) -> None:
    opened = tab.open(0)
    opened.get_by_role("button", name="Record").click()
    wait_for(lambda: shown.source(0)["recording"])
    until(opened, "/Stop recording, [2-9] s/.test(document.getElementById('record').textContent)")
    opened.get_by_role("button", name="Stop recording").click()
    wait_for(lambda: shown.source(0)["recording"] is None)
    said = wait_for(lambda: re.search(r"Recorded (\S+)", opened.inner_text("#message")))
    path = shown.run.delivery.recordings.folder / said[1]
    wait_for(path.exists)
    assert len(clips.read_clip(path)) > 1


def test_a_source_is_added_and_removed(tab: Tab, shown: Page) -> None:
    tab.page.wait_for_selector(".tile >> nth=1")
    tab.page.get_by_role("button", name="Add source").click()
    tab.page.get_by_label("Name", exact=True).fill("gate")
    tab.page.get_by_label("Camera or stream").fill("/etc/passwd")
    tab.page.get_by_role("button", name="Add", exact=True).click()
    alert = tab.page.locator("#add-wrong")
    wait_for(lambda: "added here" in alert.inner_text())
    tab.page.get_by_label("Camera or stream").fill(LIVE.format("160x120", 4))
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector(".tile >> nth=2")
    tab.wrong.clear()  # the browser tells of the refused request
    position = shown.api("GET", "/sources").json[-1]["id"]
    until(tab.page, _DRAWN, f".tile[data-id='{position}'] canvas")
    opened = tab.open(position)
    opened.get_by_role("button", name="Remove").click()
    opened.get_by_role("button", name="Cancel", exact=True).click()
    assert shown.api("GET", f"/sources/{position}").status == 200
    opened.get_by_role("button", name="Remove").click()
    opened.locator("#remove-go").click()
    wait_for(lambda: shown.api("GET", f"/sources/{position}").status == 404)
    opened.wait_for_selector("#overview:not([hidden])")
    wait_for(lambda: opened.locator(".tile").count() == 2)


def test_the_page_works_by_keyboard_alone(tab: Tab) -> None:
    tab.page.wait_for_selector(".tile >> nth=1")
    for _ in range(12):
        tab.page.keyboard.press("Tab")
        if tab.page.evaluate("document.activeElement.closest('.tile') !== null"):
            break
    outline = tab.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "where the focus is can be seen"
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector("#detail:not([hidden])")
    assert tab.page.evaluate("document.activeElement.id") == "name"
    for wanted in ("pause", "snapshot", "record", "remove", "conf"):
        for _ in range(8):
            tab.page.keyboard.press("Tab")
            if tab.page.evaluate("document.activeElement.id") == wanted:
                break
        assert tab.page.evaluate("document.activeElement.id") == wanted
    tab.page.keyboard.press("Escape")
    tab.page.wait_for_selector("#overview:not([hidden])")


def test_every_control_has_a_name_and_changes_are_announced(tab: Tab) -> None:
    opened = tab.open(0)
    wait_for(lambda: opened.locator(".uplot").count() == 4)
    assert opened.evaluate(UNNAMED) == []
    live = opened.locator("[aria-live='polite'], [role='alert'], [role='status']")
    assert live.count() >= 5
    assert opened.locator("main").count() == opened.locator("h1").count() == 1
    assert "live" in opened.get_attribute("#picture", "aria-label")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_text_has_enough_contrast_in_both_themes(tab: Tab, theme: str) -> None:
    tab.page.select_option("#theme", theme)
    tab.page.wait_for_selector(".tile >> nth=1")
    assert tab.page.evaluate(CONTRAST) == []
    tab.open(0)
    wait_for(lambda: tab.page.locator(".uplot").count() == 4)
    assert tab.page.evaluate(CONTRAST) == []
    tab.page.reload()
    assert tab.page.evaluate("document.documentElement.dataset.theme") == theme
    dark = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(re.findall(r"\d+", dark)[0]) < 100) == (theme == "dark")


def test_the_details_are_plotted_and_fit_the_screen(tab: Tab) -> None:
    tab.page.select_option("#theme", "dark")
    opened = tab.open(0)
    until(opened, "document.querySelectorAll('.uplot').length === 4")
    until(
        opened,
        "[...document.querySelectorAll('#plot-rates .u-label')]"
        ".some(e => e.textContent === 'delivered')",
    )
    figures = dict(
        zip(
            opened.locator("#figures dt").all_inner_texts(),
            opened.locator("#figures dd").all_inner_texts(),
            strict=True,
        )
    )
    assert re.fullmatch(r"\d+\.\d fps", figures["Delivered"])
    assert re.fullmatch(r"\d+ ms", figures["Capture to delivery"])
    assert re.fullmatch(r"\d+ ms", figures["Age of newest frame"])
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if SCREENSHOTS:
        time.sleep(3)  # for lines in the plots
    keep(tab, "page-source.png")


def test_it_fits_a_phone(chromium: Any, shown: Page) -> None:
    tab = Tab(chromium, shown.address, viewport=PHONE, has_touch=True, is_mobile=True)
    tab.page.wait_for_selector(".tile >> nth=1")
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 390
    tab.page.locator(".tile a").first.tap()
    tab.page.wait_for_selector("#detail:not([hidden])")
    until(tab.page, _DRAWN, "#picture")
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 390
    low = tab.page.evaluate(
        "[...document.querySelectorAll('button, .button')].filter(e => e.checkVisibility())"
        ".filter(e => e.getBoundingClientRect().height < 40).map(e => e.outerHTML)"
    )
    assert low == [], "a finger hits every button"
    tab.page.get_by_role("button", name="Pause").tap()
    wait_for(lambda: shown.source(0)["settings"]["paused"])
    tab.page.get_by_role("button", name="Resume").tap()
    wait_for(lambda: not shown.source(0)["settings"]["paused"])
    keep(tab, "page-phone.png")
    tab.close()
    assert not tab.wrong


def test_a_dead_camera_shows_its_state_over_the_last_picture(chromium: Any, tmp_path: Path) -> None:
    clip = clips.make_clip(tmp_path / "camera.mkv", frames=200)
    with rtsp_server(clip.path) as server, page(sources={"door": {"uri": server.url}}) as one:
        wait_for(lambda: one.source(0)["frames_out"] > 3)
        tab = Tab(chromium, one.address)
        opened = tab.open(0)
        bright = picture_of(one)
        server.kill()
        wait_for(lambda: re.fullmatch(r"reconnecting, \d+ s", opened.inner_text("#words")))
        assert opened.locator("#stage.dim").count() == 1
        until(opened, "getComputedStyle(document.getElementById('picture')).opacity < 0.5")
        assert tab.picture().mean() > 20, "the last picture is still there"
        wait_for(lambda: picture_of(one).mean() < 0.7 * bright.mean())
        assert one.ask("GET", "/healthz").status == 200
        server.start()
        wait_for(lambda: one.source(0)["state"] == "live", 60)
        opened.wait_for_selector("#words", state="hidden")
        assert one.source(0)["retries"] > 0
        tab.close()
        assert not tab.wrong


def picture_of(one: Page) -> Any:
    """The snapshot of the first source."""
    data = np.frombuffer(one.api("GET", "/sources/0/snapshot.jpg").body, np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def test_login_and_the_role_watch_without_controls(chromium: Any, tmp_path: Path) -> None:
    (tmp_path / "operate").write_text("operate-token-0123456789")
    (tmp_path / "watch").write_text("watch-token-0123456789ab")
    with page(
        source=LIVE.format("160x120", 4),
        web_token_file=str(tmp_path / "operate"),
        web_watch_token_file=str(tmp_path / "watch"),
    ) as one:
        tab = Tab(chromium, one.address)
        tab.page.wait_for_selector("#login-dialog[open]")
        assert tab.page.locator(".tile").count() == 0
        tab.page.get_by_label("Token").fill("wrong token")
        tab.page.keyboard.press("Enter")
        wait_for(lambda: "is wrong" in tab.page.inner_text("#login-wrong"))
        tab.page.get_by_label("Token").fill("watch-token-0123456789ab")
        tab.page.keyboard.press("Enter")
        tab.page.wait_for_selector(".tile")
        assert not tab.page.locator("#add").is_visible()
        tab.open(0)
        assert not tab.page.locator("#pause").is_visible()
        assert tab.page.locator("#conf").is_disabled()
        assert "watch-token" not in tab.page.url
        tab.page.click("#logout")
        tab.page.wait_for_selector("#login-dialog[open]")
        tab.page.get_by_label("Token").fill("operate-token-0123456789")
        tab.page.keyboard.press("Enter")
        tab.page.wait_for_selector("#pause:visible")
        tab.close()
        assert not any("token" in url for url in tab.asked if "static" not in url)
