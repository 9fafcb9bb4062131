"""Outlets: a queue, a thread and a policy around a sink."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from livevision.errors import OutputError
from livevision.frame import Frame, Rendered
from livevision.protocols import OutletPolicy, SourceInfo
from livevision.runtime.metering import Meter
from livevision.runtime.outlets import Outlet, Sent

IMAGE = np.zeros((4, 4, 3), np.uint8)
INFO = SourceInfo("camera", True, (4, 4))


class Recording:
    """A sink that keeps the indices of its frames, slowly, or fails at some."""

    wants_image = True

    def __init__(
        self, seconds: float = 0.0, fails: Callable[[int], bool] = lambda _: False
    ) -> None:
        self.where = "kept"
        self.indices: list[int] = []
        self.images: list[tuple[int, ...]] = []
        self.closed = 0
        self._seconds, self._fails = seconds, fails

    def write(self, rendered: Rendered) -> None:
        time.sleep(self._seconds)
        if self._fails(rendered.index):
            raise OutputError("the wire is cut")
        self.indices.append(rendered.index)
        self.images.append(rendered.image.shape)

    def close(self) -> None:
        self.closed += 1


def a_meter() -> Meter:
    meter = Meter()
    meter.opened(0, INFO, {})
    return meter


def give(
    meter: Meter, outlets: list[Outlet], frames: int, live: bool, period: float = 0.0
) -> list[float]:
    """Give frames to outlets as a run does; how long each took to be given."""
    taken = []
    for index in range(frames):
        time.sleep(period)
        frame = Frame(0, index, index / 30, time.monotonic(), IMAGE)
        meter.captured(0, 0.0)
        sent = Sent(frame, meter, len(outlets) + 1)
        began = time.perf_counter()
        for outlet in outlets:
            outlet.put(sent, Rendered(frame, {}, IMAGE), live)
        taken.append(time.perf_counter() - began)
        sent.done(cause=None)
    return taken


def end(*outlets: Outlet) -> None:
    for outlet in outlets:
        outlet.end()
    for outlet in outlets:
        outlet.join(10)
        assert outlet.ended


def accounted_for(meter: Meter) -> dict[str, Any]:
    report = meter.report()
    lost = sum(n for causes in report["dropped"].values() for n in causes.values())
    assert report["frames_in"] == report["frames_out"] + lost
    for row in report["outlets"]:
        assert row["frames_in"] == row["frames_out"] + sum(row["dropped"].values())
    return report


def test_every_frame_of_a_file_is_written_in_order_by_a_slow_sink() -> None:
    meter, sink = a_meter(), Recording(0.003)
    outlet = Outlet("out", lambda: sink, OutletPolicy(), meter)
    give(meter, [outlet], 40, live=False)
    end(outlet)
    assert sink.indices == list(range(40))
    assert sink.closed == 1
    report = accounted_for(meter)
    assert (report["frames_out"], report["dropped"]) == (40, {})
    assert report["outlets"][0]["mean_ms"] >= 3
    assert report["stages"]["output"]["mean_ms"] >= 3


def test_a_slow_sink_of_a_live_source_slows_no_other() -> None:
    meter, slow, quick = a_meter(), Recording(0.1), Recording()
    outlets = [
        Outlet("slow", lambda: slow, OutletPolicy(), meter),
        Outlet("quick", lambda: quick, OutletPolicy(), meter),
    ]
    taken = give(meter, outlets, 60, live=True, period=0.01)
    assert sorted(taken)[-5] < 0.05, "nobody waited for the slow one"
    end(*outlets)
    assert quick.indices == list(range(60))
    assert slow.indices == sorted(slow.indices)
    assert len(slow.indices) < 30
    report = accounted_for(meter)
    assert report["frames_out"] == 60, "each of them was written by one sink at least"
    told = {row["output"]: row for row in report["outlets"]}
    assert told["slow"]["dropped"] == {"late": 60 - len(slow.indices)}
    assert told["quick"]["dropped"] == {}


def test_a_view_shows_the_newest_frame_of_a_file_too() -> None:
    meter, view, file = a_meter(), Recording(0.05), Recording(0.001)
    outlets = [
        Outlet("view", lambda: view, OutletPolicy(full="newest"), meter),
        Outlet("file", lambda: file, OutletPolicy(), meter),
    ]
    give(meter, outlets, 100, live=False)
    end(*outlets)
    assert file.indices == list(range(100))
    assert view.indices[-1] == 99
    assert len(view.indices) < 50
    accounted_for(meter)


def test_durable_results_wait_in_a_long_queue_without_pictures() -> None:
    meter, sink = a_meter(), Recording(0.02)
    outlet = Outlet("rows", lambda: sink, OutletPolicy(full="durable"), meter)
    taken = give(meter, [outlet], 60, live=True)
    assert sum(taken) < 0.5
    end(outlet)
    assert sink.indices == list(range(60))
    assert set(sink.images) == {(0, 0, 3)}
    assert accounted_for(meter)["dropped"] == {}


def test_a_sink_that_fails_ends_its_outlet_and_its_frames_are_counted() -> None:
    meter, sink = a_meter(), Recording(fails=lambda index: index == 5)
    outlet = Outlet("out", lambda: sink, OutletPolicy(), meter)
    give(meter, [outlet], 20, live=False, period=0.002)
    outlet.join(5)
    assert isinstance(outlet.error, OutputError)
    assert sink.indices == [0, 1, 2, 3, 4]
    assert sink.closed == 1
    report = accounted_for(meter)
    assert report["frames_out"] == 5
    assert report["dropped"] == {"output": {"failed": 15}}
    assert report["outlets"][0]["error"] == "the wire is cut"


def test_a_sink_that_always_fails_ends_nothing_that_it_may_not_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("livevision.runtime.outlets._FIRST_PAUSE", 0.02)
    meter, other = a_meter(), Recording()
    made: list[Recording] = []

    def make() -> Recording:
        made.append(Recording(fails=lambda _: True))
        return made[-1]

    outlets = [
        Outlet("wire", make, OutletPolicy("newest", "retry"), meter),
        Outlet("file", lambda: other, OutletPolicy(), meter),
    ]
    give(meter, outlets, 50, live=False, period=0.005)
    assert outlets[0].error is None
    end(*outlets)
    assert outlets[0].error is None
    assert other.indices == list(range(50))
    report = accounted_for(meter)
    assert report["frames_out"] == 50
    row = report["outlets"][0]
    assert row["error"] == "the wire is cut"
    assert row["retries"] == len(made) - 1 >= 2
    assert {"failed", "retrying"} <= set(row["dropped"])
    assert all(sink.closed == 1 for sink in made)


def test_a_sink_comes_back_once_it_can_be_made_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("livevision.runtime.outlets._FIRST_PAUSE", 0.02)
    meter = a_meter()
    made: list[Recording] = []

    def make() -> Recording:
        if len(made) in (1, 2):
            made.append(Recording())
            raise OutputError("nobody answers")
        made.append(Recording(fails=lambda index: index == 3 and len(made) == 1))
        return made[-1]

    outlet = Outlet("wire", make, OutletPolicy("wait", "retry"), meter)
    give(meter, [outlet], 60, live=False, period=0.005)
    end(outlet)
    assert made[0].indices == [0, 1, 2]
    assert len(made) == 4
    assert made[3].indices[-1] == 59
    row = accounted_for(meter)["outlets"][0]
    assert (row["error"], row["retries"]) == (None, 1)
    assert [r.message for r in caplog.records if r.levelname == "WARNING"] == [
        "wire: the wire is cut; retrying, frames are dropped until then",
        "wire: takes frames again",
    ]


def test_a_frame_that_waits_for_room_gives_up_soon_after_the_run_was_told_to_end() -> None:
    meter, gate, stop = a_meter(), threading.Event(), threading.Event()

    class Stuck(Recording):
        def write(self, rendered: Rendered) -> None:
            gate.wait(20)

    outlet = Outlet("stuck", Stuck, OutletPolicy(), meter, stop.is_set)
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    give(meter, [outlet], 5, live=False)
    assert 1.0 < time.monotonic() - began < 5
    gate.set()
    end(outlet)
    assert accounted_for(meter)["outlets"][0]["dropped"] == {"stopped": 1}


def test_a_frame_is_delivered_when_the_last_sink_has_it() -> None:
    meter, slow = a_meter(), Recording(0.05)
    when: list[float] = []
    frame = Frame(0, 0, 0.0, time.monotonic(), IMAGE)
    meter.captured(0, 0.0)
    outlets = [Outlet("a", lambda: slow, OutletPolicy(), meter)]
    sent = Sent(frame, meter, 2, lambda _, at: when.append(at))
    outlets[0].put(sent, Rendered(frame, {}, IMAGE), live=True)
    sent.done(0.001)
    assert when == []
    end(*outlets)
    assert when[0] - frame.wall_time >= 0.05
    report = meter.report()
    assert report["latency_ms"]["mean"] >= 50
    assert report["stages"]["output"]["mean_ms"] > 49
