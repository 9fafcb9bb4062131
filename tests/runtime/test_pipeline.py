"""The stages and their threads, with stand-ins for the work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from livevision.capture.life import Life
from livevision.errors import SourceError
from livevision.frame import Frame, Inferred, Prepared, Rendered
from livevision.protocols import SourceInfo
from livevision.runtime.metering import Meter
from livevision.runtime.pipeline import Ended, Opened, Pipeline
from tests.runtime.standins import Net, Work

IMAGE = np.zeros((4, 4, 3), np.uint8)


class Counting:
    """A source of numbered frames."""

    def __init__(
        self,
        position: int = 0,
        count: int = 10,
        live: bool = False,
        period: float = 0.0,
        error: Exception | None = None,
    ) -> None:
        self.info = SourceInfo(f"counting-{position}", live, (4, 4))
        self.losses: dict[str, int] = {}
        self.life = Life()
        self.closed = False
        self._position, self._count, self._period, self._error = position, count, period, error

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self._count):
            if self.closed:
                return
            time.sleep(self._period)
            yield Frame(self._position, index, index / 30, time.monotonic(), IMAGE)
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        self.closed = True


def do_nothing(frame: Frame) -> Prepared:
    return Prepared(frame, {})


def stages(
    preprocess: Callable[[Frame], Prepared] = do_nothing,
    inference: Callable[[Prepared], Inferred] = lambda p: Inferred(p.frame, {}),
    overlay: Callable[[Inferred], Rendered] = lambda i: Rendered(i.frame, {}, i.frame.image),
    open: Callable[[], None] = lambda: None,
    close: Callable[[], None] = lambda: None,
) -> list[Any]:
    return [
        Work("preprocess", preprocess),
        Net(inference, open, close),
        Work("overlay", overlay),
    ]


def no_threads_left() -> bool:
    names = {"capture", "preprocess", "inference", "overlay"}
    return not any(thread.name in names for thread in threading.enumerate())


def indices(events: list[object], source: int = 0) -> list[int]:
    return [e.frame.index for e in events if isinstance(e, Rendered) and e.frame.source == source]


def test_a_file_comes_through_whole_in_order_between_its_events() -> None:
    meter = Meter()
    pipeline = Pipeline([lambda: Counting(count=200)], [[0]], stages(), meter)
    events = list(pipeline.events())
    assert isinstance(events[0], Opened)
    assert events[-1] == Ended(0, None)
    assert indices(events) == list(range(200))
    report = meter.report()
    assert (report["frames_in"], report["frames_out"], report["dropped"]) == (200, 200, {})
    assert no_threads_left()


def test_files_are_read_one_after_the_other() -> None:
    pipeline = Pipeline(
        [lambda: Counting(0, 5), lambda: Counting(1, 5)], [[0, 1]], stages(), Meter()
    )
    kinds = [
        (type(e).__name__, e.frame.source if isinstance(e, Rendered) else e.source)
        for e in pipeline.events()
    ]
    assert kinds == [
        ("Opened", 0), *[("Rendered", 0)] * 5, ("Ended", 0),
        ("Opened", 1), *[("Rendered", 1)] * 5, ("Ended", 1),
    ]  # fmt: skip


def test_a_slow_stage_makes_a_live_source_drop_and_every_frame_is_accounted_for() -> None:
    def slow(prepared: Prepared) -> Inferred:
        time.sleep(0.02)
        return Inferred(prepared.frame, {})

    meter = Meter()
    pipeline = Pipeline(
        [lambda: Counting(count=100, live=True, period=0.002)],
        [[0]],
        stages(inference=slow),
        meter,
    )
    out = indices(list(pipeline.events()))
    report = meter.report()
    dropped = sum(n for causes in report["dropped"].values() for n in causes.values())
    assert out == sorted(out)
    assert out[-1] >= 97  # the freshest frame wins: what comes out last was captured last
    assert 0 < len(out) < 60
    assert len(out) + dropped == report["frames_in"] == 100
    assert report["bottleneck"] == "inference"


@pytest.mark.parametrize("rates", [(200,) * 4, (400, 200, 100, 150), (150, 300)])
@pytest.mark.parametrize("batch", [1, 2])
def test_live_sources_share_a_slow_net_evenly(rates: tuple[int, ...], batch: int) -> None:
    """Each source alone has more frames than its share, so each can have its share."""

    def slow(prepared: Prepared) -> Inferred:
        time.sleep(0.02)
        return Inferred(prepared.frame, {})

    def together(several: Sequence[Prepared]) -> list[Inferred]:
        time.sleep(0.02)
        return [Inferred(prepared.frame, {}) for prepared in several]

    def source(position: int, rate: int) -> Callable[[], Counting]:
        return lambda: Counting(position, 2 * rate, live=True, period=1 / rate)

    work = stages()
    work[1] = Net(slow, together=together, most=batch)
    pipeline = Pipeline(
        [source(position, rate) for position, rate in enumerate(rates)],
        [[position] for position in range(len(rates))],
        work,
        Meter(),
    )
    taken = [0] * len(rates)
    with closing(pipeline.events()) as events:
        for event in events:
            if isinstance(event, Ended):
                break  # the shares of those that are left grow
            if isinstance(event, Rendered):
                taken[event.frame.source] += 1
    share = sum(taken) / len(rates)
    assert share > 10
    assert taken == pytest.approx([share] * len(rates), rel=0.2)


def test_a_source_with_few_frames_loses_none_to_one_with_many() -> None:
    def slow(prepared: Prepared) -> Inferred:
        time.sleep(0.02)
        return Inferred(prepared.frame, {})

    pipeline = Pipeline(
        [lambda: Counting(0, 800, live=True, period=0.002), lambda: Counting(1, 16, True, 0.1)],
        [[0], [1]],
        stages(inference=slow),
        Meter(),
    )
    assert len(indices(list(pipeline.events()), 1)) >= 15


def test_a_live_source_waits_for_the_model() -> None:
    def slow_open() -> None:
        time.sleep(0.2)

    meter = Meter()
    source = Counting(count=5, live=True, period=0.02)
    list(Pipeline([lambda: source], [[0]], stages(open=slow_open), meter).events())
    assert meter.report()["frames_out"] == 5


def test_stale_live_frames_are_dropped_and_counted() -> None:
    class Late(Counting):
        def __iter__(self) -> Iterator[Frame]:
            for frame in super().__iter__():
                yield Frame(0, frame.index, frame.time, time.monotonic() - 5, IMAGE)

    meter = Meter()
    events = list(
        Pipeline([lambda: Late(live=True, count=3, period=0.02)], [[0]], stages(), meter).events()
    )
    assert indices(events) == []
    assert meter.report()["dropped"]["preprocess"]["stale"] == 3


@pytest.mark.parametrize("place", ["preprocess", "inference", "overlay"])
def test_a_live_frame_that_grows_old_on_the_way_is_not_shown(place: str) -> None:
    """Something holds up a stage for once, with the last frame before a pause."""

    class Pausing(Counting):
        def __iter__(self) -> Iterator[Frame]:
            for frame in super().__iter__():
                yield frame
                time.sleep(1.2 if frame.index == 3 else 0)

    def hold(item: Any) -> Any:
        frame = item if isinstance(item, Frame) else item.frame
        if frame.index == 3:
            time.sleep(0.8)
        if place == "preprocess":
            return Prepared(frame, {})
        return Inferred(frame, {}) if place == "inference" else Rendered(frame, {}, IMAGE)

    meter = Meter()
    source = Pausing(count=20, live=True, period=0.02)
    pipeline = Pipeline([lambda: source], [[0]], stages(**{place: hold}), meter)
    out = indices(list(pipeline.events()))
    assert 3 not in out
    assert out[-1] == 19
    assert "stale" in str(accounted_for(meter)["dropped"])


def test_a_net_that_takes_longer_than_frames_may_be_old_is_seen_all_the_same() -> None:
    def slow(prepared: Prepared) -> Inferred:
        time.sleep(0.7)
        return Inferred(prepared.frame, {})

    source = Counting(count=100, live=True, period=0.02)
    pipeline = Pipeline([lambda: source], [[0]], stages(inference=slow), Meter())
    out = indices(list(pipeline.events()))
    assert len(out) >= 3
    assert out[-1] >= 90


def test_lag_is_part_of_the_latency_and_told_apart() -> None:
    class Late(Counting):
        def __iter__(self) -> Iterator[Frame]:
            for frame in super().__iter__():
                yield replace(frame, wall_time=frame.wall_time - 0.2, lag=0.2)

    meter = Meter()
    list(Pipeline([lambda: Late(live=True, period=0.02)], [[0]], stages(), meter).events())
    report = meter.report()
    assert report["lag_ms"]["p50"] == pytest.approx(200, rel=0.02)
    assert report["latency_ms"]["p50"] >= 199
    assert meter.rates(0).lag_ms == pytest.approx(200)
    meter = Meter()
    list(Pipeline([Counting], [[0]], stages(), meter).events())
    assert "lag_ms" not in meter.report(), "a file has no clock to be behind"


def test_a_file_that_cannot_be_read_in_real_time_is_told_and_shown_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = Counting(count=30, period=0.1)  # its times are 1/30 s apart
    pipeline = Pipeline([lambda: source], [[0]], stages(), Meter(), mode="freshest")
    assert len(indices(list(pipeline.events()))) >= 25
    assert len([r for r in caplog.records if "cannot be read in real time" in r.message]) == 1


def test_a_stop_does_not_wait_for_a_file_in_freshest_mode() -> None:
    class Sparse(Counting):
        def __iter__(self) -> Iterator[Frame]:
            for frame in super().__iter__():
                yield replace(frame, time=3600.0 * frame.index)

    pipeline = Pipeline([Sparse], [[0]], stages(), Meter(), mode="freshest")
    run = threading.Thread(target=lambda: list(pipeline.events()), daemon=True)
    run.start()
    time.sleep(0.3)
    pipeline.stop()
    run.join(2)
    assert not run.is_alive()
    assert no_threads_left()


@pytest.mark.parametrize("place", ["source", "open", "inference"])
def test_a_stop_does_not_wait_for_what_hangs(place: str) -> None:
    """A pipe that is silent, a plan that is built, a device that does not answer."""
    over = threading.Event()

    class Silent(Counting):
        def __iter__(self) -> Iterator[Frame]:
            yield from super().__iter__()
            if place == "source":
                over.wait(30)

    def hang(prepared: Prepared) -> Inferred:
        if prepared.frame.index == 5:
            over.wait(30)
        return Inferred(prepared.frame, {})

    work = stages()
    if place == "open":
        work = stages(open=lambda: over.wait(30))  # type: ignore[arg-type,return-value]
    elif place == "inference":
        work = stages(inference=hang)
    meter = Meter()
    pipeline = Pipeline([Silent], [[0]], work, meter)
    threading.Timer(0.5, pipeline.stop).start()
    started = time.monotonic()
    out = indices(list(pipeline.events()))
    assert time.monotonic() - started < 2.5
    assert out == list(range({"source": 10, "open": 0, "inference": 5}[place]))
    over.set()


def test_a_file_in_freshest_mode_plays_in_real_time() -> None:
    started = time.monotonic()
    pipeline = Pipeline([lambda: Counting(count=10)], [[0]], stages(), Meter(), mode="freshest")
    events = list(pipeline.events())
    assert time.monotonic() - started >= 9 / 30
    assert indices(events)[-1] == 9


@pytest.mark.parametrize("place", ["preprocess", "inference", "overlay", "open"])
def test_an_error_in_any_stage_ends_the_run_and_reaches_the_caller(place: str) -> None:
    def fail(*_: object) -> Prepared:
        raise RuntimeError(f"{place} broke")

    meter = Meter()
    pipeline = Pipeline(
        [lambda: Counting(count=10_000)],
        [[0]],
        stages(**{place: fail}),  # type: ignore[arg-type]
        meter,
    )
    with pytest.raises(RuntimeError, match=f"{place} broke"):
        list(pipeline.events())
    accounted_for(meter)
    assert no_threads_left()


def test_a_source_that_breaks_off_ends_with_its_error_after_its_frames() -> None:
    broken = SourceError("cable pulled")
    pipeline = Pipeline([lambda: Counting(count=7, error=broken)], [[0]], stages(), Meter())
    events = list(pipeline.events())
    assert indices(events) == list(range(7))
    assert events[-1] == Ended(0, broken)


def test_a_source_that_does_not_open_leaves_the_others_be() -> None:
    def missing() -> Counting:
        raise SourceError("no such file")

    pipeline = Pipeline([missing, lambda: Counting(1, 3)], [[0, 1]], stages(), Meter())
    events = list(pipeline.events())
    assert isinstance(events[0], Ended)
    assert str(events[0].error) == "no such file"
    assert indices(events, 1) == [0, 1, 2]


def test_a_bug_in_a_source_is_not_taken_for_a_broken_source() -> None:
    pipeline = Pipeline([lambda: Counting(error=KeyError("bug"))], [[0]], stages(), Meter())
    with pytest.raises(KeyError):
        list(pipeline.events())


def test_stop_delivers_what_is_on_the_way_and_closes_the_source() -> None:
    meter = Meter()
    source = Counting(count=1_000_000)
    pipeline = Pipeline([lambda: source], [[0]], stages(), meter)
    events: list[object] = []
    for event in pipeline.events():
        events.append(event)
        if len(events) == 20:
            pipeline.stop()
    out = indices(events)
    assert out == list(range(len(out)))
    assert meter.report()["frames_in"] == len(out)  # nothing that was captured is lost
    assert isinstance(events[-1], Ended)
    assert source.closed
    assert no_threads_left()


def test_leaving_the_loop_ends_every_thread() -> None:
    meter = Meter()
    pipeline = Pipeline([lambda: Counting(count=1_000_000)], [[0]], stages(), meter)
    with closing(pipeline.events()) as events:
        for event in events:
            if isinstance(event, Rendered):
                break
    assert no_threads_left()
    report = meter.report()
    dropped = sum(n for causes in report["dropped"].values() for n in causes.values())
    assert report["frames_out"] == 1
    assert report["frames_in"] == 1 + dropped


@pytest.mark.parametrize("live", [False, True])
def test_max_frames_ends_a_source(live: bool) -> None:
    meter = Meter()
    source = Counting(count=1_000_000, live=live, period=0.001 if live else 0.0)
    pipeline = Pipeline([lambda: source], [[0]], stages(), meter, max_frames=12)
    assert len(indices(list(pipeline.events()))) == 12
    if not live:
        assert meter.report()["frames_in"] == 12


def test_engines_are_opened_used_and_closed_on_one_thread() -> None:
    threads: list[str] = []

    def note(*_: object) -> None:
        threads.append(threading.current_thread().name)

    def infer(prepared: Prepared) -> Inferred:
        note()
        return Inferred(prepared.frame, {})

    list(
        Pipeline(
            [lambda: Counting(count=2)],
            [[0]],
            stages(inference=infer, open=note, close=note),
            Meter(),
        ).events()
    )
    assert threads == ["inference"] * 4


class Overlapping:
    """Inference of several frames at once, the later ones done sooner; counts those begun."""

    def __init__(self, depth: int, seconds: float = 0.004, broken: int | None = None) -> None:
        self.depth = depth
        self.most = 0
        self.closed_with: int | None = None
        self._begun = 0
        self._counting = threading.Lock()  # begun and finished on two threads
        self._seconds, self._broken = seconds, broken
        self._workers = ThreadPoolExecutor(depth)

    def stages(self) -> list[Any]:
        def wrong(_: Prepared) -> Inferred:
            raise AssertionError("an engine of some depth is begun, not called")

        net = Net(wrong, close=self.close, start=self.start, depth=self.depth)
        return [stages()[0], net, stages()[2]]

    def start(self, prepared: Prepared) -> Callable[[], tuple[Inferred, float]]:
        frame = prepared.frame
        with self._counting:
            self._begun += 1
            self.most = max(self.most, self._begun)
        work = self._workers.submit(self._compute, frame.index)

        def finish() -> tuple[Inferred, float]:
            done = work.result()
            with self._counting:
                self._begun -= 1
            return Inferred(frame, {}), done

        return finish

    def close(self) -> None:
        self.closed_with = self._begun
        self._workers.shutdown()

    def _compute(self, index: int) -> float:
        time.sleep(self._seconds * (self.depth - index % self.depth))
        if index == self._broken:
            raise RuntimeError("the device is gone")
        return time.perf_counter()


def accounted_for(meter: Meter) -> dict[str, Any]:
    """The report, once every frame that came in is seen to have come out or been counted."""
    report = meter.report()
    dropped = sum(n for causes in report["dropped"].values() for n in causes.values())
    assert report["frames_in"] == report["frames_out"] + dropped
    return report


@pytest.mark.parametrize("depth", [2, 4])
def test_frames_computed_at_once_come_out_in_order(depth: int) -> None:
    meter, engine = Meter(), Overlapping(depth)
    pipeline = Pipeline(
        [lambda: Counting(0, 50), lambda: Counting(1, 20)], [[0], [1]], engine.stages(), meter
    )
    events: list[object] = list(pipeline.events())
    assert indices(events, 0) == list(range(50))
    assert indices(events, 1) == list(range(20))
    assert 2 <= engine.most <= depth + 1
    assert engine.closed_with == 0, "the engine is closed after its last result"
    report = accounted_for(meter)
    assert report["dropped"] == {}
    assert report["stages"]["inference"]["mean_ms"] > 0
    assert no_threads_left()


@pytest.mark.parametrize("streams", [1, 2])
def test_the_net_is_not_faster_for_being_waited_for_late(streams: int) -> None:
    """Where the outputs are slower than the net, each result is there before it is asked for."""
    meter, workers = Meter(), ThreadPoolExecutor(streams)

    def compute() -> float:
        time.sleep(0.02)
        return time.perf_counter()

    def start(prepared: Prepared) -> Callable[[], tuple[Inferred, float]]:
        work = workers.submit(compute)
        return lambda: (Inferred(prepared.frame, {}), work.result())

    net = Net(lambda prepared: pytest.fail("called"), start=start, depth=2, streams=streams)
    several = [stages()[0], net, stages()[2]]
    for event in Pipeline([lambda: Counting(count=15)], [[0]], several, meter).events():
        if isinstance(event, Rendered):
            time.sleep(0.06)
    workers.shutdown()
    report = meter.report()
    assert report["inference_fps"] == pytest.approx(50 * streams, rel=0.4)
    assert meter.rates(0).model_fps == pytest.approx(report["inference_fps"], rel=0.05)
    assert report["bottleneck"] == "output"
    assert report["stages"]["inference"]["busy"] < 0.6


def test_where_an_engine_cannot_tell_when_it_was_done_no_rate_is_told() -> None:
    meter, engine = Meter(), Overlapping(2)

    def start(prepared: Prepared) -> Callable[[], tuple[Inferred, float | None]]:
        finish = engine.start(prepared)
        return lambda: (finish()[0], None)

    several = engine.stages()
    several[1].start = start
    list(Pipeline([lambda: Counting(count=10)], [[0]], several, meter).events())
    assert meter.report()["inference_fps"] is None
    assert meter.rates(0).model_fps is None


def test_waiting_for_a_live_source_is_no_work() -> None:
    meter = Meter()
    source = Counting(count=20, live=True, period=0.01)
    list(Pipeline([lambda: source], [[0]], stages(), meter).events())
    report = meter.report()
    assert report["bottleneck"] is None
    assert report["stages"]["capture"]["busy"] is None
    assert report["stages"]["capture"]["mean_ms"] > 9
    assert report["latency_ms"]["p50"] > 0


@pytest.mark.parametrize("mode", ["every-frame", "freshest"])
def test_a_file_has_a_latency_only_where_it_is_played_by_the_clock(mode: str) -> None:
    meter = Meter()
    list(Pipeline([lambda: Counting(count=8)], [[0]], stages(), meter, mode=mode).events())
    report = meter.report()
    assert (report["latency_ms"] is None) == (mode == "every-frame")
    assert (meter.rates(0).latency_ms is None) == (mode == "every-frame")
    if mode == "freshest":  # and a clock that is waited for is no work
        assert report["stages"]["capture"]["busy"] < 0.6


def test_an_error_among_frames_computed_at_once_ends_the_run() -> None:
    meter, engine = Meter(), Overlapping(3, broken=10)
    pipeline = Pipeline([lambda: Counting(count=10_000)], [[0]], engine.stages(), meter)
    events: list[object] = []
    with pytest.raises(RuntimeError, match="the device is gone"):
        events.extend(pipeline.events())
    assert engine.most > 1
    assert indices(events) == list(range(len(indices(events))))
    assert accounted_for(meter)["frames_out"] <= 10
    assert no_threads_left()


def test_an_error_on_beginning_a_frame_ends_the_run() -> None:
    def refuse(_: Prepared) -> Callable[[], tuple[Inferred, float]]:
        raise RuntimeError("no room for it")

    meter, engine = Meter(), Overlapping(2)
    several = engine.stages()
    several[1].start = refuse
    pipeline = Pipeline([lambda: Counting(count=10_000)], [[0]], several, meter)
    with pytest.raises(RuntimeError, match="no room for it"):
        list(pipeline.events())
    accounted_for(meter)
    assert no_threads_left()


def test_stop_delivers_the_frames_that_are_being_computed() -> None:
    meter, engine = Meter(), Overlapping(4, seconds=0.01)
    pipeline = Pipeline([lambda: Counting(count=1_000_000)], [[0]], engine.stages(), meter)
    events: list[object] = []
    for event in pipeline.events():
        events.append(event)
        if len(events) >= 10 and engine._begun > 1:
            pipeline.stop()
    assert accounted_for(meter)["dropped"] == {}
    assert indices(events) == list(range(meter.report()["frames_in"]))
    assert engine.closed_with == 0
    assert no_threads_left()


def test_leaving_the_loop_leaves_no_frame_uncounted_in_the_engine() -> None:
    meter, engine = Meter(), Overlapping(4, seconds=0.01)
    pipeline = Pipeline([lambda: Counting(count=1_000_000)], [[0]], engine.stages(), meter)
    with closing(pipeline.events()) as events:
        for event in events:
            if isinstance(event, Rendered):
                break
    assert accounted_for(meter)["frames_out"] == 1
    assert engine.closed_with is not None
    assert no_threads_left()


def test_a_live_source_stays_fresh_though_frames_are_computed_at_once() -> None:
    meter, engine = Meter(), Overlapping(2, seconds=0.02)
    source = Counting(count=100, live=True, period=0.002)
    out = indices(list(Pipeline([lambda: source], [[0]], engine.stages(), meter).events()))
    assert engine.most <= 3
    assert out == sorted(out)
    assert out[-1] >= 97
    assert 0 < len(out) < 60
    assert accounted_for(meter)["frames_in"] == 100
