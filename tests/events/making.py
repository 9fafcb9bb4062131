"""Sample events, a fake sender and a wait for tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from livevision.analysis.event import Event, Ulids
from livevision.events.sending import Sender, SendError
from livevision.events.store import Stored

_ulids = Ulids()


def event(number: int, **more: Any) -> Event:
    fields: dict[str, Any] = {
        "id": _ulids(1_700_000_000 + number / 1000),
        "source": "door",
        "time": "2026-11-29T08:15:30.042Z",
        "rule": "long queue",
        "phase": "began",
        "place": "till",
        "kind": "count",
        "value": 3,
        "tracks": (1, 2, number),
        "classes": ("person", "person", "cañon"),
        "frame": number,
        "frame_time": number / 25,
    }
    return Event(**{**fields, **more})


def until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until a condition is true; fails on timeout."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.01)


class Keeping(Sender):
    """A fake sender that records events, and fails as ``fail`` says."""

    name = "keeping"

    def __init__(self, fail: Callable[[int], SendError | None] = lambda call: None) -> None:
        self.got: list[str] = []
        self.calls = 0
        self._fail = fail

    def send(self, events: Sequence[Stored]) -> None:
        self.calls += 1
        error = self._fail(self.calls)
        if error is not None:
            self.got += [each.id for each in events[: error.done]]
            raise error
        self.got += [each.id for each in events]

    def close(self) -> None:
        pass
