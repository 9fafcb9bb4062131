"""Whether a stream begins again as it was, on stand-ins for frames and the clock."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from livevision.capture import replay
from livevision.capture.replay import Replay


class Frame:
    def __init__(self, shade: int, time: float | None) -> None:
        self.planes, self.time = [np.full((4, 4), shade, np.uint8)], time


class Connection:
    """Frames at 25 a second of the stream's own time, that take ``pace`` times as long to come."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        self.now = 100.0
        monkeypatch.setattr(replay.time, "monotonic", lambda: self.now)
        self.replay = Replay(**options)

    def __call__(self, first: int, pace: float, *, timed: bool = True, ends: bool = True) -> bool:
        self.replay.connecting()
        again = False
        for number in range(100):
            moment = number / 25 if timed else None
            again |= self.replay.repeats(Frame(first + number, moment))  # type: ignore[arg-type]
            self.now += pace / 25
        if ends:
            self.replay.ended()
        return again


@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("pace", [0.01, 0.5, 5.0])
def test_a_file_is_known_when_it_is_fetched_again(
    monkeypatch: pytest.MonkeyPatch, pace: float, timed: bool
) -> None:
    connect = Connection(monkeypatch)
    assert not connect(1, pace, timed=timed)
    assert connect(1, pace, timed=timed)


def test_a_stream_at_its_own_pace_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = Connection(monkeypatch)
    assert [connect(1, pace) for pace in (1.0, 0.8, 1.3, 1.0)] == [False] * 4


def test_nor_is_one_that_begins_otherwise_or_broke_off(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = Connection(monkeypatch)
    assert [connect(first, 0.1) for first in (1, 2, 3)] == [False] * 3
    assert not connect(1, 0.1, ends=False)
    assert not connect(1, 0.1)
    assert connect(1, 0.1)


def test_the_pace_says_nothing_where_frames_are_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect = Connection(monkeypatch, by_pace=False)
    assert not connect(1, 1.0)
    assert connect(1, 1.0)
