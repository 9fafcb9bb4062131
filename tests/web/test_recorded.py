"""Segments of a recording, listed, played and downloaded from the page."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests import beeps, clips
from tests.web.running import LIVE, Page, page, wait_for
from tests.web.test_browser import CONTRAST, PHONE, UNNAMED, WIDE, Tab, until

OPERATE, WATCH = "operate-token-0123456789", "watch-token-0123456789ab"
WATCHER = {"authorization": f"Bearer {WATCH}"}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page of two recorded sources, with tokens."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "operate").write_text(OPERATE)
    (folder / "watch").write_text(WATCH)
    sources = {name: {"uri": LIVE.format("160x120", 10)} for name in ("door", "yard")}
    with page(
        sources=sources, record="continuous", recordings=str(folder / "recordings"), segment=2,
        web_token_file=str(folder / "operate"), web_watch_token_file=str(folder / "watch"),
    ) as one:  # fmt: skip
        wait_for(lambda: len(finished(one)) > 3)
        yield one


def rows(one: Page, query: str = "") -> list[dict[str, Any]]:
    answer = one.api("GET", f"/segments{query}", headers=WATCHER)
    assert answer.status == 200
    found: list[dict[str, Any]] = answer.json
    return found


def finished(one: Page, query: str = "") -> list[dict[str, Any]]:
    return [row for row in rows(one, query) if row["complete"]]


def folder_of(one: Page) -> Path:
    return Path(one.run.settings.recordings)


def test_segments_are_listed_newest_first_by_source_and_day(recorded: Page) -> None:
    listed = rows(recorded)
    starts = [row["start"] for row in listed]
    assert starts == sorted(starts, reverse=True)
    assert {row["source"] for row in listed} == {"door", "yard"}
    assert {row["source"] for row in rows(recorded, "?source=yard")} == {"yard"}
    assert len(rows(recorded, "?limit=2")) == 2
    assert rows(recorded, "?source=none") == []
    day = datetime.fromisoformat(starts[0]).astimezone().date()
    assert rows(recorded, f"?day={day}")
    assert rows(recorded, f"?day={day - timedelta(1)}") == []
    assert recorded.api("GET", "/segments?day=today", headers=WATCHER).status == 422
    row = finished(recorded)[0]
    path = folder_of(recorded) / row["file"]
    assert row["bytes"] == path.stat().st_size
    begun, ended = (datetime.fromisoformat(row[name]) for name in ("start", "end"))
    assert 1.5 < (ended - begun).total_seconds() < 4


def test_a_segment_is_downloaded_whole_and_in_parts(recorded: Page) -> None:
    row = finished(recorded)[-1]
    whole = recorded.api("GET", f"/segments/{row['file']}", headers=WATCHER)
    assert whole.headers["content-type"] == "video/mp4"
    assert "attachment" in whole.headers["content-disposition"]
    path = folder_of(recorded) / row["file"]
    assert whole.body == path.read_bytes()
    assert len(clips.read_clip(path)) > 10
    part = recorded.api(
        "GET", f"/segments/{row['file']}", headers={**WATCHER, "range": "bytes=100-199"}
    )
    assert (part.status, part.body) == (206, whole.body[100:200])


def test_what_an_event_was_is_said_of_its_segment(recorded: Page) -> None:
    row = finished(recorded)[0]
    with sqlite3.connect(folder_of(recorded) / "index.sqlite") as write:
        write.execute(
            "INSERT INTO events VALUES (?, 'E1', ?, 'came in', 'began', '{}')",
            (row["file"], row["start"]),
        )
    write.close()
    (again,) = [each for each in rows(recorded) if each["file"] == row["file"]]
    assert again["events"] == [
        {"id": "E1", "time": row["start"], "rule": "came in", "phase": "began"}
    ]


@pytest.mark.parametrize(
    "name",
    ["../index.sqlite", "2026-01-01/../index.sqlite", "..%2f..%2fsecret.mp4", "x/index.sqlite",
     "%2e%2e/secret.mp4", "2026-01-01/%2e%2e%2findex.sqlite", "2026-01-01/x.mp4", "x/%00.mp4",
     "x/..%5csecret.mp4", "%2fetc/passwd"],
)  # fmt: skip
def test_nothing_but_segments_is_read(recorded: Page, name: str) -> None:
    answer = recorded.api("GET", f"/segments/{name}", headers=WATCHER)
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/json"


def test_an_index_that_names_other_files_opens_none_of_them(recorded: Page) -> None:
    folder = folder_of(recorded)
    secret = folder.parent / "secret-20260101T000000.000Z.mp4"
    secret.write_text("secret")
    link = folder / "x" / "link-20260101T000000.000Z.mp4"
    link.parent.mkdir(exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(secret)
    for file in (f"../{secret.name}", f"x/../../{secret.name}", f"x/{link.name}"):
        with sqlite3.connect(folder / "index.sqlite") as write:
            write.execute(
                "INSERT OR REPLACE INTO segments VALUES (?, 'evil', '2020', '2020', 6, 1)", (file,)
            )
        write.close()
        for path in (file, file.replace("/", "%2f"), file.replace("../", "%2e%2e%2f")):
            answer = recorded.api("GET", f"/segments/{path}", headers=WATCHER)
            assert answer.status == 404
            assert b"secret" not in answer.body.replace(secret.name.encode(), b"")
    with sqlite3.connect(folder / "index.sqlite") as write:
        write.execute("DELETE FROM segments WHERE source = 'evil'")
    write.close()


def test_a_run_that_records_nothing_says_so() -> None:
    with page(source=LIVE.format("160x120", 5)) as one:
        answer = one.api("GET", "/segments")
        assert answer.status == 404
        assert "--record" in answer.json["error"]
        assert one.api("GET", "/segments/2026-01-01/x.mp4").status == 404
        assert not one.api("GET", "/run").json["records"]


def test_the_role_watch_plays_and_downloads(chromium: Any, recorded: Page, tmp_path: Path) -> None:
    tab = Tab(chromium, recorded.address)
    tab.page.get_by_label("Token").fill(WATCH)
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector("#recorded:not([hidden]) li")
    tab.wrong.clear()  # the browser tells of what was refused without a token
    tab.page.select_option("#recorded-source", "yard")
    until(
        tab.page,
        "[...document.querySelectorAll('#segments li span')]"
        ".every(e => e.textContent.startsWith('yard'))",
    )
    buttons = tab.page.get_by_role("button", name="Play yard")
    assert buttons.count() > 1
    row = buttons.last
    has_h264 = tab.page.evaluate("document.createElement('video').canPlayType('video/mp4; "
                                 "codecs=\"avc1.64001F\"') !== ''")  # fmt: skip
    row.click()
    tab.page.wait_for_selector("#player:not([hidden])")
    if has_h264:
        until(tab.page, "document.getElementById('film').currentTime > 0.3")
        size = tab.page.evaluate("(f => [f.videoWidth, f.videoHeight])(film)")
        assert size == [160, 120]
    for viewport in (PHONE, WIDE):
        tab.page.set_viewport_size(viewport)
        width = viewport["width"]
        assert tab.page.evaluate("document.documentElement.scrollWidth") == width
        low = tab.page.evaluate(
            "[...document.querySelectorAll('#recorded button, #recorded .button')]"
            ".filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 40).length"
        )
        assert low == 0, "a finger hits every button"
    unnamed = tab.page.evaluate(UNNAMED)
    assert [one for one in unnamed if "canvas" not in one] == []
    assert tab.page.evaluate(CONTRAST) == []
    tab.page.click("#player-close")
    assert not tab.page.locator("#player").is_visible()
    with tab.page.expect_download() as download:
        tab.page.get_by_role("link", name="Download yard").last.click()
    name = download.value.suggested_filename
    assert name.startswith("yard-")
    download.value.save_as(tmp_path / name)
    assert len(clips.read_clip(tmp_path / name)) > 10
    tab.page.fill("#recorded-day", "2020-01-01")
    until(tab.page, "document.getElementById('segments').textContent.includes('No recordings')")
    tab.close()
    assert not tab.wrong


@pytest.mark.parametrize(("codec", "rate"), [("aac", 44100), ("pcm_alaw", 8000)])
def test_what_a_camera_hears_is_heard(codec: str, rate: int, chromium: Any, tmp_path: Path) -> None:
    film = beeps.beeping(tmp_path / "door.mov", codec=codec, rate=rate, seconds=3)
    # The other source keeps the run alive behind the end of the film.
    sources = {
        "door": {"uri": str(film)},
        "yard": {"uri": LIVE.format("160x120", 5), "record": "off"},
    }
    with page(
        sources=sources, record="continuous", record_sound=True, recordings=str(tmp_path / "r")
    ) as one:
        wait_for(lambda: finished(one))
        tab = Tab(chromium, one.address)
        tab.page.get_by_role("button", name="Play door").click()
        has_codecs = tab.page.evaluate(
            "film.canPlayType('video/mp4; codecs=\"avc1.64001F, mp4a.40.2\"') !== ''"
        )
        if has_codecs:
            until(tab.page, "film.currentTime > 1")
            assert tab.page.evaluate("film.webkitAudioDecodedByteCount") > 0
            assert tab.page.evaluate("film.duration") == pytest.approx(3, abs=0.2)
        tab.close()
        assert not tab.wrong


def test_a_recording_of_the_button_is_listed_too(chromium: Any, tmp_path: Path) -> None:
    with page(
        sources={"door": {"uri": LIVE.format("160x120", 10)}}, recordings=str(tmp_path / "rec")
    ) as one:
        wait_for(lambda: one.source(0)["frames_out"] > 2)
        tab = Tab(chromium, one.address)
        tab.page.wait_for_selector(".tile")
        assert not tab.page.locator("#recorded").is_visible()
        one.api("POST", "/sources/0/recording")
        wait_for(lambda: one.source(0)["recording"]["since_s"] > 1)
        name = one.api("DELETE", "/sources/0/recording").json["file"]
        tab.page.wait_for_selector("#recorded:not([hidden]) li")
        assert tab.page.get_by_role("link", name=f"Download {name}").count() == 1
        tab.close()
        assert not tab.wrong
