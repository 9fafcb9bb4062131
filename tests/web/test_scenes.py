"""Zones and lines drawn on the page: they apply at once, and are written into their YAML."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from livevision.analysis.event import utc_time
from livevision.config.yaml_file import load
from livevision.web.scenes import Scenes
from tests.web.running import LIVE, Page, page, wait_for
from tests.web.test_browser import Tab

SHOP = """\
# The shop, as the manager wants it.
zones:
  till:  # by the door
    points: [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]
    queue-after: 10s
rules:
  queue: {when: {zone: till, count: ">= 3"}}  # three are too many
"""
TRIANGLE = [[0.2, 0.2], [0.8, 0.2], [0.5, 0.8]]


def test_a_drawn_zone_counts_and_is_written_back_with_all_comments(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(SHOP)
    with page(source=LIVE.format("320x240", 6), scene=str(file), conf=0.02) as one:
        wait_for(lambda: one.source(0)["frames_out"] > 1)
        told = one.api("GET", "/sources/0/scene").json
        assert told["file"] == str(file)
        assert told["rules"] == ["queue"]
        assert told["zones"]["till"]["points"][2] == [0.9, 0.9]
        changed = one.api(
            *("PATCH", "/sources/0/scene"),
            {
                "zones": {"till": TRIANGLE, "café": TRIANGLE},
                "lines": {"gate": [[0, 0.5], [1, 0.5]]},
            },
        )
        assert changed.status == 200
        assert changed.json["zones"]["till"]["points"] == TRIANGLE
        scene = one.run.controls.of(0).scene
        assert scene is not None
        assert {zone.name: zone.queue_after for zone in scene.zones} == {"till": 10.0, "café": 5.0}
        wait_for(lambda: "gate" in one.run.scene_figures(0).get("lines", {}))
        text = file.read_text()
        for comment in ("# The shop, as", "# by the door", "# three are too many"):
            assert comment in text
        content = yaml.safe_load(text)
        assert content["zones"]["till"] == {"points": TRIANGLE, "queue-after": "10s"}
        for patch, words in (
            ({"zones": {"till": None}}, "till"),
            ({"zones": {"none": None}}, "none"),
            ({"zones": {"flat": [[0, 0], [0.5, 0.5], [1, 1]]}}, "encloses nothing"),
            ({"lines": {"dot": [[0.5, 0.5], [0.5, 0.5]]}}, "two ends"),
            ({"lines": {"bent": TRIANGLE}}, "two ends"),
            ({"zones": {"out": [[0, 0], [2, 0], [1, 1]]}}, "less than or equal to 1"),
            ({"zones": {"": TRIANGLE}}, "zones"),
        ):
            refused = one.api("PATCH", "/sources/0/scene", patch)
            assert refused.status == 422, patch
            assert words in refused.json["error"]
        assert file.read_text() == text
        assert one.api("PATCH", "/sources/0/scene", {"zones": {"café": None}}).status == 200
        assert "café" not in file.read_text()


def test_a_scene_inside_the_config_file_is_written_there(tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(
        "sources:\n"
        f"  door:\n    uri: '{LIVE.format('160x120', 5)}'  # the front\n"
        "    zones: {mat: {points: [[0, 0], [1, 0], [1, 1]]}}\n"
        f"  yard: {{uri: '{LIVE.format('160x120', 5)}'}}\n"
    )
    sources = load(config, {}).sources
    with page(sources=sources) as one:
        scenes = Scenes(one.run, config)
        scenes.change(0, {"mat": TRIANGLE}, {})
        assert "# the front" in config.read_text()
        again = load(config, {}).sources["door"].read_scene()
        assert again is not None
        assert [list(p) for p in again.zones[0].points] == TRIANGLE
        assert one.run.controls.of(0).scene == again
        assert scenes.row(1)["file"] is None
        scenes.change(1, {"lawn": TRIANGLE}, {"fence": [[0, 0], [1, 1]]})
        assert scenes.row(1)["zones"]["lawn"]["points"] == TRIANGLE
        scenes.change(1, {"lawn": None}, {})
        assert scenes.row(1)["zones"] == {}
        assert "lawn" not in config.read_text()


@pytest.fixture
def drawn(chromium: Any, tmp_path: Path) -> Any:
    file = tmp_path / "shop.yaml"
    file.write_text(SHOP)
    with page(source=LIVE.format("320x240", 6), scene=str(file), conf=1.0, hud=False) as one:
        wait_for(lambda: one.source(0)["frames_out"] > 1)
        tab = Tab(chromium, one.address)
        yield one, tab, tab.open(0), file
        tab.close()
        assert not tab.wrong


def _points(one: Page, name: str, part: str = "zones") -> Any:
    return one.api("GET", "/sources/0/scene").json[part].get(name, {}).get("points")


def test_zones_are_drawn_by_mouse_and_appear_in_the_picture(drawn: Any) -> None:
    one, tab, opened, file = drawn
    before = tab.picture()
    opened.fill("#shape-name", "mat")
    opened.click("#new-zone")
    box = opened.locator("#drawing").bounding_box()
    for x, y in TRIANGLE:
        opened.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
    opened.click("#save")
    wait_for(lambda: _points(one, "mat"))
    assert np.allclose(_points(one, "mat"), TRIANGLE, atol=0.01)
    assert "mat" in yaml.safe_load(file.read_text())["zones"]
    # The outline is drawn on the picture from now on: white between two of the corners.
    row, column = int(0.2 * 240), 160
    wait_for(lambda: tab.picture()[row - 3 : row + 4, column].min(axis=1).max() > 200)
    assert before[row - 3 : row + 4, column].min(axis=1).max() < 200
    # A corner is dragged.
    opened.get_by_role("button", name="Edit mat").click()
    handle = opened.locator("[data-corner='2']").bounding_box()
    box = opened.locator("#drawing").bounding_box()
    opened.mouse.move(handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2)
    opened.mouse.down()
    opened.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.9 * box["height"], steps=4)
    opened.mouse.up()
    opened.click("#save")
    wait_for(lambda: np.allclose(_points(one, "mat")[2], [0.3, 0.9], atol=0.02))
    # What a rule needs stays, and the page says why.
    opened.get_by_role("button", name="Delete till").click()
    said = opened.locator("#message")
    wait_for(lambda: "till" in said.inner_text() and "rule" in said.inner_text())
    tab.wrong.clear()  # the browser tells of the refused request
    opened.get_by_role("button", name="Delete mat").click()
    wait_for(lambda: _points(one, "mat") is None)


def test_lines_are_drawn_by_keyboard_alone(drawn: Any) -> None:
    one, _, opened, file = drawn
    opened.focus("#shape-name")
    opened.keyboard.type("gate")
    for _ in range(2):
        opened.keyboard.press("Tab")
    opened.keyboard.press("Enter")
    assert opened.evaluate("document.activeElement.id") == "corner"
    opened.keyboard.press("Enter")
    for _ in range(5):
        opened.keyboard.press("ArrowDown")
    assert "Corner 1 of gate: 25 % from the left, 30 % from the top" in (
        opened.evaluate("document.activeElement.getAttribute('aria-label')")
    )
    opened.focus("#corner")
    opened.keyboard.press("Enter")
    opened.keyboard.press("Shift+ArrowRight")
    opened.focus("#save")
    opened.keyboard.press("Enter")
    wait_for(lambda: _points(one, "gate", "lines"))
    assert _points(one, "gate", "lines") == [[0.25, 0.3], [0.8, 0.25]]
    opened.get_by_role("button", name="Edit gate").click()
    opened.focus("[data-corner='0']")
    opened.keyboard.press("Delete")
    assert opened.locator("#save").is_disabled()
    opened.keyboard.press("Escape")
    assert _points(one, "gate", "lines") == [[0.25, 0.3], [0.8, 0.25]]
    assert "gate" in yaml.safe_load(file.read_text())["lines"]


def test_zones_are_drawn_by_touch(chromium: Any) -> None:
    with page(source=LIVE.format("320x240", 6), conf=1.0) as one:
        phone = {"width": 390, "height": 844}
        tab = Tab(chromium, one.address, viewport=phone, has_touch=True, is_mobile=True)
        opened = tab.open(0)
        opened.fill("#shape-name", "mat")
        opened.locator("#new-zone").tap()
        opened.locator("#drawing").scroll_into_view_if_needed()
        box = opened.locator("#drawing").bounding_box()
        for x, y in TRIANGLE:
            opened.touchscreen.tap(box["x"] + x * box["width"], box["y"] + y * box["height"])
        handle = opened.locator("[data-corner='0']").bounding_box()
        assert min(handle["width"], handle["height"]) >= 24, "a finger hits it"
        opened.locator("#save").tap()
        wait_for(lambda: _points(one, "mat"))
        assert np.allclose(_points(one, "mat"), TRIANGLE, atol=0.01)
        assert "last until the run ends" in opened.inner_text("#saved-to")
        assert opened.evaluate("document.documentElement.scrollWidth") == 390
        tab.close()
        assert not tab.wrong


def test_events_of_the_store_are_listed(chromium: Any, tmp_path: Path) -> None:
    scene = {
        "zones": {"all": {"points": [[0, 0], [1, 0], [1, 1], [0, 1]], "anchor": "centre"}},
        "rules": {"somebody": {"when": {"zone": "all", "count": ">= 1"}}},
    }
    (tmp_path / "scene.yaml").write_text(yaml.safe_dump(scene))
    with page(
        sources={"door": {"uri": LIVE.format("320x240", 6)}},
        conf=0.01,
        scene=str(tmp_path / "scene.yaml"),
        events=str(tmp_path / "events.sqlite"),
        clips=str(tmp_path / "clips"),
    ) as one:
        assert one.api("GET", "/events").json == []
        (happened,) = wait_for(lambda: _made_up(one, tmp_path))
        assert happened["rule"] == "somebody"
        assert one.api("GET", "/events?rule=other").json == []
        assert one.api("GET", "/events?class=car").json == []
        assert len(one.api("GET", "/events?class=person&source=door").json) == 2
        day = utc_time(0.0).astimezone().date()
        assert len(one.api("GET", f"/events?day={day}&class=person").json) == 2
        assert one.api("GET", f"/events?day={day - timedelta(1)}").json == []
        assert one.api("GET", "/events?day=yesterday").status == 422
        picture = one.api("GET", f"/events/{ID}/picture.jpg")
        assert picture.status == 200
        assert picture.body == (tmp_path / "clips" / "a.jpg").read_bytes()
        clip = one.api("GET", f"/events/{ID}/clip")
        assert (clip.status, clip.body) == (200, b"a clip")
        # The second event of the store names files of the machine that are no clips.
        for kind in ("picture.jpg", "clip"):
            assert one.api("GET", f"/events/{ELSEWHERE}/{kind}").status == 404
            assert one.api("GET", f"/events/{ID[::-1]}/{kind}").status == 404
        tab = Tab(chromium, one.address)
        tab.page.wait_for_selector("#event-list li")
        assert "door: somebody began" in tab.page.inner_text("#event-list")
        wide = "document.querySelector('#event-list img').naturalWidth"
        wait_for(lambda: tab.page.evaluate(wide) == 32)
        assert tab.page.get_attribute("#event-list a:has-text('Clip')", "href") == (
            f"/api/v1/events/{ID}/clip"
        )
        tab.page.select_option("#event-rule", "elsewhere")
        wait_for(lambda: "somebody" not in tab.page.inner_text("#event-list"))
        tab.page.select_option("#event-rule", "")
        tab.page.fill("#event-day", "2001-01-01")
        tab.page.dispatch_event("#event-day", "change")
        wait_for(lambda: "No events" in tab.page.inner_text("#event-list"))
        tab.close()
    with page(source=LIVE.format("160x120", 5)) as none:
        assert none.api("GET", "/events").status == 404


ID, ELSEWHERE = "01M8K66VZME30KATAPW7SHC65N", "01M8K66VZME30KATAPW7SHC65M"


def _jpeg() -> bytes:
    return bytes(cv2.imencode(".jpg", np.full((24, 32, 3), 90, np.uint8))[1].tobytes())


def _made_up(one: Page, folder: Path) -> Any:
    """An invented event in the run's store, independent of detections."""
    from livevision.analysis.event import Event, as_text
    from livevision.events.store import EventStore

    (folder / "clips" / "a.jpg").write_bytes(_jpeg())
    (folder / "clips" / "a.mp4").write_bytes(b"a clip")
    moment = utc_time(0.0)
    event = Event(
        id=ID, source="door", time=as_text(moment), rule="somebody", phase="began", place="all",
        kind="count", value=1, tracks=(1,), classes=("person",), frame=1, frame_time=0.1,
        picture=str(folder / "clips" / "a.jpg"), clip=str(folder / "clips" / "a.mp4"),
    )  # fmt: skip
    scene = str(folder / "scene.yaml")
    elsewhere = replace(
        event, id=ELSEWHERE, rule="elsewhere", picture=scene, clip=f"{folder}/clips/../scene.yaml"
    )
    store = EventStore(folder / "events.sqlite")
    store.add(elsewhere)
    store.add(event)
    store.close()
    return one.api("GET", "/events?rule=somebody&limit=1").json
