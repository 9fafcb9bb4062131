"""What every source promises, checked for all that are registered."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from livevision.capture.life import Life
from livevision.capture.options import SourceOptions
from livevision.protocols import SourceInfo
from livevision.registry import SOURCES, resolve
from tests.capture.servers import fake_camera, http_files
from tests.clips import constant_rate, frame_number, numbered

FRAMES = 30
Make = Callable[..., Any]


def _pictures(folder: Path) -> Path:
    folder.mkdir()
    for number in range(FRAMES):
        cv2.imwrite(str(folder / f"{number:04d}.png"), numbered(number))
    return folder


@pytest.fixture(params=sorted(SOURCES))
def make(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Make]:
    """Makes one source of the kind, of 30 numbered frames of 320×240, or live and endless."""
    kind = request.param
    source_class = resolve(SOURCES, kind, "kind of source")
    opened: list[Any] = []

    def opener(uri: str) -> Make:
        def open_one(**choices: Any) -> Any:
            opened.append(source_class(uri, SourceOptions(**choices)))
            return opened[-1]

        return open_one

    if kind == "video_file":
        yield opener(str(constant_rate(tmp_path / "clip.mp4", frames=FRAMES).path))
    elif kind == "stream":
        constant_rate(tmp_path / "clip.mkv", frames=FRAMES)
        with http_files(tmp_path) as address:
            yield opener(f"{address}/clip.mkv")
            for source in opened:
                source.close()
    elif kind == "images":
        yield opener(str(_pictures(tmp_path / "pictures")))
    elif kind == "synthetic":
        yield opener(f"synthetic://320x240@30?frames={FRAMES}")
    elif kind in ("camera", "gstreamer"):
        fake_camera(monkeypatch)
        yield opener("0" if kind == "camera" else "gst:videotestsrc")
    else:
        pytest.fail(f"the source {kind!r} has no contract test: add it here")
    for source in opened:
        source.close()


def _frames(source: Any) -> list[Any]:
    """All frames, or as many as a clip has of a live source."""
    taken = []
    for frame in source:
        taken.append(frame)
        if source.info.live and len(taken) == FRAMES:
            break
    return taken


def test_info_is_known_once_open(make: Make) -> None:
    source = make()
    assert isinstance(source.info, SourceInfo)
    assert source.info.size == (320, 240)
    assert source.info.name
    assert source.info.live == (source.info.frames is None)
    assert source.info.frames in (None, FRAMES)


def test_it_is_live_once_open_and_ended_once_closed(make: Make) -> None:
    life = Life()
    source = make(life=life)
    assert source.life is life
    assert life.state == "live"
    frames = iter(source)
    next(frames)
    assert life.state == "live"
    source.close()
    assert life.state == "ended"


def test_frames_are_numbered_timed_and_upright_bgr(make: Make) -> None:
    source = make(index=3)
    frames = _frames(source)
    assert [frame.index for frame in frames] == list(range(FRAMES))
    assert [frame_number(frame.image) for frame in frames] == list(range(FRAMES))
    assert {frame.source for frame in frames} == {3}
    for frame in frames:
        assert frame.image.dtype == np.uint8
        assert frame.image.shape == (240, 320, 3)
        assert frame.image.flags.c_contiguous
    times = [frame.time for frame in frames]
    assert all(a < b for a, b in itertools.pairwise(times))
    walls = [frame.wall_time for frame in frames]
    assert all(a <= b for a, b in itertools.pairwise(walls))
    assert walls[-1] <= time.monotonic()
    # The moving square is red: the colours are in BGR order.
    blue, _, red = frames[0].image[60, 10]
    assert red > 150 > blue
    assert not any(source.losses.values())


def test_a_picture_stays_as_it_was_while_later_ones_come(make: Make) -> None:
    frames = iter(make())
    first = next(frames)
    before = first.image.copy()
    for _ in range(8):
        next(frames)
    assert np.array_equal(first.image, before)


def test_a_stride_keeps_every_nth_under_its_own_number(make: Make) -> None:
    frames = iter(make(stride=7))
    taken = [next(frames) for _ in range(4)]
    assert [frame.index for frame in taken] == [0, 7, 14, 21]
    assert [frame_number(frame.image) for frame in taken] == [0, 7, 14, 21]


def test_close_from_another_thread_ends_the_iteration(make: Make) -> None:
    source = make(loop=True)
    ended = threading.Event()

    def read() -> None:
        for _ in source:
            pass
        ended.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    time.sleep(0.05)
    source.close()
    assert ended.wait(5)


def test_close_can_be_called_at_any_time(make: Make) -> None:
    unread, begun = make(), make()
    unread.close()
    unread.close()
    frames = iter(begun)
    next(frames)
    begun.close()
    begun.close()
    assert list(frames) == []
