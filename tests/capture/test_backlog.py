"""Packets that wait for a slow decoder: what is left out, and where it goes on."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from livevision.capture.backlog import Backlog
from livevision.capture.times import LiveTimes


def packets(count: int, gop: int, behind: Callable[[int], float] = lambda n: 0.0) -> Iterator[Any]:
    """Packets at 100 a second, each so many seconds late."""
    began = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, began + number / 100 + behind(number) - time.monotonic()))
        yield SimpleNamespace(
            pts=number, dts=number, time_base=Fraction(1, 100), is_keyframe=number % gop == 0
        )


def run_backlog(source: Iterator[Any], work_s: float, **how: Any) -> list[tuple[int, bool]]:
    held = Backlog(LiveTimes(), threading.Event(), "door", **how)
    given = []
    for packet, wanted in held(source):
        given.append((packet.pts, wanted))
        if wanted:
            time.sleep(work_s)
    return given


def test_decoding_goes_on_at_a_key_frame() -> None:
    given = run_backlog(packets(400, 25), 0.02)
    assert [number for number, _ in given] == list(range(400))
    assert sum(wanted for _, wanted in given) < 300
    for (_, before), (number, wanted) in itertools.pairwise(given):
        if wanted and not before:
            assert number % 25 == 0


def test_what_can_be_caught_up_with_is_not_left_out() -> None:
    # A second and a half at once: decoded in less than half a second.
    burst = packets(300, 300, lambda n: max(0.0, 2.0 - n / 100) if n > 50 else 0.0)
    given = run_backlog(burst, 0.001)
    assert all(wanted for _, wanted in given)


def test_the_freshest_of_several_key_frames_is_taken() -> None:
    late = [n for n, wanted in run_backlog(packets(500, 1), 0.05) if wanted]
    # Each key frame can be begun with: those that are decoded are spread over the whole time.
    assert late[-1] > 480


def test_nothing_is_left_out_where_every_frame_counts() -> None:
    given = run_backlog(packets(100, 25), 0.02, skips=False)
    assert all(wanted for _, wanted in given)


def test_an_error_comes_behind_the_packets_before_it(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Iterator[Any]:
        yield from packets(3, 1)
        raise OSError("cable pulled")

    caplog.set_level(logging.DEBUG)
    held = Backlog(LiveTimes(), threading.Event(), "door")
    given = []
    with pytest.raises(OSError, match="cable pulled"):
        given += [packet.pts for packet, _ in held(broken())]
    assert not [t for t in threading.enumerate() if t.name == "stream packets"]
