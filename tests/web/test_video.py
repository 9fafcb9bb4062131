"""Sources as H.264 over a WebSocket: encoded once, while somebody watches, whoever is slow."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import av
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from livevision.errors import OutputError
from livevision.frame import Frame, Rendered
from livevision.output.live_view import LiveView
from livevision.web import videos as module
from livevision.web.pictures import Pictures, PictureSpec, Tile
from livevision.web.videos import Videos
from tests.web.running import Page, wait_for

SPEC = PictureSpec(0, None, plain=True)


def frames_of(data: bytes) -> list[Any]:
    with av.open(io.BytesIO(data)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def is_key(fragment: bytes) -> bool:
    at = fragment.index(b"trun")
    return fragment[at + 24 : at + 28] == bytes.fromhex("02000000")


def begin(wire: ClientConnection) -> tuple[Any, bytes]:
    """What a socket says first: the type, and the head of the file."""
    told = json.loads(wire.recv(timeout=20))
    head = wire.recv(timeout=20)
    assert isinstance(head, bytes)
    return told, head


def take(wire: ClientConnection, number: int) -> list[bytes]:
    found = []
    for _ in range(number):
        data = wire.recv(timeout=20)
        assert isinstance(data, bytes)
        found.append(data)
        wire.send("seen")
    return found


def test_a_source_is_encoded_only_while_there_are_viewers(two: Page) -> None:
    videos, view = two.services.videos, two.services.facade.view
    address = f"ws://127.0.0.1:{two.port}/api/v1/sources/0/video"
    with connect(f"{address}?width=320") as one, connect(f"{address}?width=300") as other:
        told, head = begin(one)
        assert told["size"] == [320, 240]
        assert told["mime"].startswith('video/mp4; codecs="avc1.')
        mine = take(one, 8)
        again, theirs = begin(other)[0], take(other, 8)
        assert again == told
        assert videos.active == 1, "encoded once for both"
        mine += take(one, 8)
        assert is_key(theirs[0]), "who joins need not wait for a key frame"
        assert theirs[3] in mine
        assert two.services.pictures.viewers == 2
        metrics = two.ask("GET", "/metrics").body.decode()
        assert "livevision_page_videos 1.0" in metrics
    pictures = frames_of(head + b"".join(mine))
    assert len(pictures) == 16
    assert not np.array_equal(pictures[0], pictures[-1])
    wait_for(lambda: videos.active == 0)
    encoded, drawn = videos.encoded, view.drawn
    before = two.source(0)["frames_out"]
    wait_for(lambda: two.source(0)["frames_out"] > before + 5)
    assert (videos.encoded, view.drawn) == (encoded, drawn)


def test_a_source_that_is_not_there_and_a_wrong_width(two: Page) -> None:
    for path in ("7/video", "x/video", "0/video?width=-1", "0/video?width=9999999999"):
        address = f"ws://127.0.0.1:{two.port}/api/v1/sources/{path}"
        with pytest.raises(InvalidStatus), connect(address):
            pass


def test_a_viewer_that_stops_acknowledging_gets_nothing_more(two: Page) -> None:
    address = f"ws://127.0.0.1:{two.port}/api/v1/sources/0/video"
    with connect(address) as slow, connect(address) as quick:
        begin(slow)
        begin(quick)
        slow.recv(timeout=20)
        take(quick, 25)
        got = 0
        try:
            while True:
                slow.recv(timeout=0.3)
                got += 1
        except TimeoutError:
            pass
        assert got < 20, "the quick one had 25 meanwhile"


# Without a network, frame by frame.


class Feed:
    """A view that is given frames of one brightness each."""

    def __init__(self) -> None:
        self.view = LiveView()
        self.sources = [0]
        pictures = Pictures(self.view, lambda: [Tile(0, "door", "")])
        self.videos = Videos(self.view, pictures, lambda: self.sources)

    def put(self, level: int, size: tuple[int, int] = (64, 48)) -> None:
        image = np.full((size[1], size[0], 3), level, np.uint8)
        frame = Frame(0, level, level / 10, time.monotonic(), image)
        self.view.put(Rendered(frame, {}, image))


def go(work: Callable[[Feed], Awaitable[None]]) -> None:
    feed = Feed()

    async def bounded() -> None:
        await asyncio.wait_for(work(feed), 30)

    # On a thread, since Playwright keeps a loop on that of the tests.
    with ThreadPoolExecutor(1) as other:
        other.submit(asyncio.run, bounded()).result()
    feed.videos.close()


def test_a_slow_viewer_continues_at_a_key_frame_and_slows_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MAX_WAITING", 5)
    monkeypatch.setattr(module, "MIN_INTERVAL_S", 0.0)
    monkeypatch.setattr(module, "KEY_S", 0.3)
    monkeypatch.setattr(module, "_MIN_KEY_S", 0.0)

    async def work(feed: Feed) -> None:
        feed.put(0)
        async with (
            feed.videos.watched(SPEC) as (_, slow),
            feed.videos.watched(SPEC) as (_, quick),
        ):
            seen = []

            async def read() -> None:
                while (fragment := await quick.next()) is not None:
                    seen.append(fragment)

            async def put() -> None:
                for level in itertools.count(1):
                    feed.put(level % 250)
                    await asyncio.sleep(0.02)

            parts = [asyncio.create_task(read()), asyncio.create_task(put())]
            while len(seen) < 40:
                await asyncio.sleep(0.02)
            assert len(seen) >= feed.videos.encoded - 3, "encoded once for both"
            assert slow.skipped > 10
            assert quick.skipped == 0
            left = await slow.next()
            assert left is not None
            assert left.key
            await asyncio.sleep(0.1)
            assert left in seen
            for part in parts:
                part.cancel()

    go(work)


def test_another_size_ends_the_video_and_the_next_one_has_it() -> None:
    async def work(feed: Feed) -> None:
        feed.put(1)
        async with feed.videos.watched(SPEC) as (video, viewer):
            assert video.size == (64, 48)
            assert await viewer.next() is not None
            feed.put(2, (96, 64))
            assert await viewer.next() is None
        async with feed.videos.watched(SPEC) as (video, viewer):
            assert video.size == (96, 64)
            assert await viewer.next() is not None

    go(work)


def test_a_new_viewer_of_a_source_without_new_frames_gets_its_last_picture() -> None:
    async def work(feed: Feed) -> None:
        feed.put(90)
        async with feed.videos.watched(SPEC) as (video, first):
            assert await first.next() is not None
            async with feed.videos.watched(SPEC) as (_, second):
                fragment = await second.next()
                assert fragment is not None
                assert fragment.key
                (picture,) = frames_of(video.head + fragment.data)
                assert abs(picture.mean() - 90) < 8

    go(work)


def test_a_source_that_is_removed_ends_its_video() -> None:
    async def work(feed: Feed) -> None:
        feed.put(1)
        async with feed.videos.watched(SPEC) as (_, viewer):
            assert await viewer.next() is not None
            feed.sources.clear()
            feed.view.forget(0)
            assert await viewer.next() is None
        assert feed.videos.active == 0

    go(work)


def test_without_an_encoder_the_viewer_gets_an_error(
    two: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(size: tuple[int, int]) -> None:
        raise OutputError("this installation of PyAV cannot write H.264")

    monkeypatch.setattr(module, "LiveVideo", none)
    address = f"ws://127.0.0.1:{two.port}/api/v1/sources/1/video"
    with connect(address) as wire, pytest.raises(ConnectionClosed) as told:
        wire.recv(timeout=20)
    assert told.value.rcvd is not None
    assert (told.value.rcvd.code, "cannot write H.264" in told.value.rcvd.reason) == (1011, True)
    assert two.services.videos.active == 0
