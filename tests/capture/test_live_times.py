"""The clock of a live stream: when its packets were due, and how late they came."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from livevision.capture.times import LiveTimes


class Stream:
    """Packets and frames of a stream with made-up moments, told to ``LiveTimes``."""

    def __init__(self, **how: Any) -> None:
        self.times = LiveTimes("door")
        self.times.reconnected(Fraction(25), **how)

    def packet(self, stamp: float | None, now: float) -> float:
        """When a packet was due."""
        ticks = None if stamp is None else round(stamp * 1000)
        packet = SimpleNamespace(pts=ticks, dts=ticks, time_base=Fraction(1, 1000))
        return self.times.arrived(packet, now)  # type: ignore[arg-type]

    def frame(self, stamp: float | None, now: float) -> tuple[float, float]:
        """Time of a frame, and when it was due."""
        self.packet(stamp, now)
        ticks = None if stamp is None else round(stamp * 1000)
        frame = SimpleNamespace(pts=ticks, dts=None, time_base=Fraction(1, 1000))
        return self.times(frame, now)  # type: ignore[arg-type]


def test_a_lag_counts_from_the_packet_with_the_least_delay() -> None:
    stream = Stream()
    # A camera hands over the last two seconds at once, then goes on.
    for number in range(50):
        stream.packet(number / 25, 100.0)
    assert stream.packet(2.0, 100.04) == pytest.approx(100.04, abs=0.01)
    assert stream.packet(2.04, 100.58) == pytest.approx(100.08, abs=0.01)  # half a second late
    assert stream.packet(2.6, 100.64) == pytest.approx(100.64, abs=0.01)


def test_a_lag_of_minutes_is_no_new_clock(caplog: pytest.LogCaptureFixture) -> None:
    stream = Stream()
    for number in range(25 * 60):  # each second of the stream takes a second and a half
        now = 100 + 1.5 * number / 25
        time_, due = stream.frame(number / 25, now)
        assert time_ == pytest.approx(number / 25, abs=1e-3)
    assert now - due == pytest.approx(30, abs=0.2)
    assert not caplog.records


@pytest.mark.parametrize("jump", [-3600.0, -2.0, -0.5, 20.0, 3600.0])
def test_a_clock_that_jumps_keeps_the_lag_and_is_told(
    jump: float, caplog: pytest.LogCaptureFixture
) -> None:
    stream, late = Stream(), 0.3
    stream.frame(10.0, 100.0)
    before = [stream.frame(10 + n / 25, 100 + n / 25 + late) for n in range(1, 25)]
    after = [stream.frame(jump + 10 + n / 25, 100 + n / 25 + late) for n in range(25, 50)]
    for n, (_, due) in enumerate(before + after, start=1):
        assert 100 + n / 25 + late - due == pytest.approx(late, abs=0.05)
    times = [time_ for time_, _ in before + after]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(49 / 25, abs=0.1)
    told = [r for r in caplog.records if "clock was reset" in r.message]
    assert len(told) == (1 if abs(jump) > 1 else 0)


def test_clocks_may_drift_apart() -> None:
    stream = Stream()
    for minute in range(6 * 60):
        now = 100 + 60 * minute * (1 + 200e-6)  # the camera's is slow
        assert now - stream.packet(60 * minute, now) < 0.1


def test_a_stream_whose_first_packet_has_no_time() -> None:
    stream = Stream()
    assert stream.frame(None, 100.0)[0] == 0
    assert stream.frame(0.04, 100.04)[0] == pytest.approx(0.04)
    assert stream.frame(0.08, 100.08)[0] == pytest.approx(0.08)


def test_what_comes_faster_than_it_plays_is_not_late() -> None:
    stream = Stream()
    for number in range(25 * 60):  # a minute in a second
        stream.packet(number / 25, 100 + number / 1500)
    assert stream.times.ahead
    stream = Stream()
    for number in range(25 * 60):  # a server that keeps five seconds for those who join
        stream.packet(number / 25, 100 + max(0.0, number / 25 - 5))
    assert not stream.times.ahead


def test_times_that_are_made_up_do_not_count() -> None:
    stream = Stream(trusted=False)
    for number in range(100):  # stamped with 25 frames a second, of which 10 come
        time_, due = stream.frame(number / 25, 100 + number / 10)
        assert due == 100 + number / 10
    assert time_ == pytest.approx(9.9)
