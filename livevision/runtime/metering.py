"""Measurements of a run: rates, latency, drops by cause, and the bottleneck.

Frames are counted by (source, stage, cause); the display, the table and the JSON report are sums of
these counters.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from livevision.protocols import Rates, SourceInfo
from livevision.runtime.measures import Histogram, RecentRate, Span

STAGES = ("capture", "preprocess", "inference", "overlay", "output")
"""Stages that every run has."""

LIMITING = 0.6
"""A stage that is busy for a smaller share of the run is no bottleneck."""


@dataclass
class SourceTally:
    """Counters of one source.

    Attributes:
        name: Its name in records and the report.
        info: What it reports of itself; None if it could not be opened.
        losses: Its own counts, by cause, of what never became a frame.
        paced: Frames arrive in real time, so that their age at delivery is a latency.
        dropped: Dropped frames, by the stage they did not reach and the cause.
        error: Why it ended early.
    """

    name: str
    info: SourceInfo | None = None
    losses: Mapping[str, int] = field(default_factory=dict)
    paced: bool = False
    frames_in: int = 0
    frames_out: int = 0
    dropped: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    latency: Histogram = field(default_factory=Histogram)
    lag: Histogram = field(default_factory=Histogram)
    recent_captured: RecentRate = field(default_factory=RecentRate)
    recent_delivered: RecentRate = field(default_factory=RecentRate)
    recent_latency: deque[float] = field(default_factory=lambda: deque(maxlen=30))
    recent_lag: deque[float] = field(default_factory=lambda: deque(maxlen=30))
    error: str | None = None

    def row(self) -> dict[str, Any]:
        """The source's part of the report."""
        return {
            "source": self.name,
            "frames_in": self.frames_in,
            "frames_out": self.frames_out,
            "dropped": {stage: dict(causes) for stage, causes in self.dropped.items()},
            "latency_ms": self.latency.as_ms() if self.latency.count else None,
            **({"lag_ms": self.lag.as_ms()} if self.lag.count else {}),
            "losses": dict(self.losses),
            "error": self.error,
        }


@dataclass
class OutletTally:
    """Counters of one outlet; at its end ``frames_in`` = ``frames_out`` + ``dropped``.

    Attributes:
        name: Target of its sink, without secrets.
        work: Time the sink takes per frame.
        retries: How often the sink was created again after a failure.
        error: The last error, until the sink works again.
    """

    name: str
    frames_in: int = 0
    frames_out: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    work: Histogram = field(default_factory=Histogram)
    retries: int = 0
    error: str | None = None

    def row(self) -> dict[str, Any]:
        """The outlet's part of the report."""
        return {
            "output": self.name,
            "frames_in": self.frames_in,
            "frames_out": self.frames_out,
            "dropped": dict(self.dropped),
            "mean_ms": round(self.work.mean * 1e3, 3),
            "p95_ms": round(self.work.quantile(0.95) * 1e3, 3),
            "retries": self.retries,
            "error": self.error,
        }


class Counted(NamedTuple):
    """Durations: how many were at or below each bound, how many there were, and their sum."""

    below: list[int]
    number: int
    total: float


class Meter:
    """Collects a run's measurements from all threads.

    Args:
        started: ``time.monotonic()`` when the user gave the command, if this process was started
            for it; includes start-up time that is not measured otherwise.
    """

    def __init__(self, started: float | None = None) -> None:
        self._started = time.monotonic() if started is None else started
        self._cpu_before = time.process_time() if started is None else 0.0
        self._lock = threading.Lock()
        self._stages = {stage: Histogram() for stage in STAGES}
        self._waited = 0.0  # the part of capture's time that was spent on live sources
        self._sources: dict[int, SourceTally] = {}
        self._outlets: list[OutletTally] = []
        self._captured, self._delivered = Span(), Span()
        self._latency, self._lag = Histogram(), Histogram()
        self._recent_work: dict[str, deque[float]] = {s: deque(maxlen=50) for s in STAGES}
        self._first_frame_s: float | None = None

    def follow(self, stages: Sequence[str]) -> None:
        """Measure these stages, in this order, between capture and output."""
        with self._lock:
            names = ["capture", *stages, "output"]
            self._stages = {name: Histogram() for name in names}
            self._recent_work = {name: deque(maxlen=50) for name in names}

    def opened(
        self,
        source: int,
        info: SourceInfo,
        losses: Mapping[str, int],
        paced: bool | None = None,
        name: str | None = None,
    ) -> None:
        """Count an opened source.

        Args:
            source: Its position.
            info: What it reports of itself.
            losses: Its own live counts of what never became a frame.
            paced: Frames arrive in real time, so that their age at delivery is a latency; for other
                files it would only measure the queues. Default: if the source is live.
            name: The user's name for it, if it has one.
        """
        with self._lock:
            tally = self._sources[source] = SourceTally(name or info.name, info, losses)
            tally.paced = info.live if paced is None else paced

    def failed(self, source: int, name: str, error: BaseException) -> None:
        """Count a source that could not be opened, failed, or could not be written."""
        with self._lock:
            tally = self._sources.setdefault(source, SourceTally(name))
            tally.error = " ".join(str(error).split())

    def outlet(self, name: str) -> OutletTally:
        """Create the counters of an outlet; change them inside ``counting`` only."""
        tally = OutletTally(name)
        with self._lock:
            self._outlets.append(tally)
        return tally

    def counting(self) -> AbstractContextManager[Any]:
        """The lock under which all counters are changed and read."""
        return self._lock

    def captured(self, source: int, seconds: float, lag: float | None = None) -> None:
        """Count a captured frame.

        Args:
            source: Position of its source.
            seconds: Time capture took, including waiting for the source.
            lag: Seconds that a live source was behind its own clock.
        """
        now = time.monotonic()
        with self._lock:
            tally = self._sources[source]
            self._stages["capture"].add(seconds)
            self._captured.add(now)
            tally.frames_in += 1
            tally.recent_captured.add(now)
            if lag is not None:
                self._lag.add(lag)
                tally.lag.add(lag)
                tally.recent_lag.append(lag)
            if tally.info is not None and tally.info.live:
                self._waited += seconds

    def worked(self, stage: str, seconds: float) -> None:
        """Count ``seconds`` of work of a stage on one frame."""
        with self._lock:
            self._stages[stage].add(seconds)
            self._recent_work[stage].append(seconds)

    def dropped(self, source: int, stage: str, cause: str) -> None:
        """Count a frame that was dropped before a stage."""
        with self._lock:
            self._sources[source].dropped[stage][cause] += 1

    def delivered(
        self, source: int, wall_time: float, seconds: float, at: float | None = None
    ) -> None:
        """Count a delivered frame.

        Args:
            source: Position of its source.
            wall_time: When it was captured, as ``Frame.wall_time``.
            seconds: Work of the slowest output on it.
            at: ``time.monotonic()`` when the last output had it; default: now.
        """
        now = time.monotonic() if at is None else at
        with self._lock:
            if self._first_frame_s is None:
                self._first_frame_s = now - self._started
            self._stages["output"].add(seconds)
            self._recent_work["output"].append(seconds)
            self._delivered.add(now)
            tally = self._sources[source]
            tally.frames_out += 1
            tally.recent_delivered.add(now)
            if tally.paced:
                for histogram in (self._latency, tally.latency):
                    histogram.add(now - wall_time)
                tally.recent_latency.append(now - wall_time)

    def rates(self, source: int, model: str = "", engine: str = "") -> Rates:
        """The rates to display on a frame of this source."""
        now = time.monotonic()
        with self._lock:
            inference = self._recent_work["inference"]
            work = sum(inference)
            tally = self._sources[source]
            latency, lag = tally.recent_latency, tally.recent_lag
            return Rates(
                capture_fps=tally.recent_captured.per_second(now) or None,
                model_fps=len(inference) / work if work else None,
                delivered_fps=tally.recent_delivered.per_second(now) or None,
                latency_ms=1e3 * sum(latency) / len(latency) if latency else None,
                lag_ms=1e3 * sum(lag) / len(lag) if lag else None,
                dropped=sum(sum(causes.values()) for causes in tally.dropped.values()),
                model=model,
                engine=engine,
            )

    def row(self, source: int) -> dict[str, Any] | None:
        """What the report says of a source so far; None before it was opened or has failed."""
        with self._lock:
            tally = self._sources.get(source)
            return None if tally is None else tally.row()

    def latency(self, source: int, bounds: Sequence[float]) -> Counted | None:
        """A source's times from capture to delivery, counted by bounds in seconds."""
        with self._lock:
            tally = self._sources.get(source)
            return None if tally is None else _counted(tally.latency, bounds)

    def stage_times(self, bounds: Sequence[float]) -> dict[str, Counted]:
        """Each stage's times for a frame, counted by bounds in seconds."""
        with self._lock:
            return {name: _counted(one, bounds) for name, one in self._stages.items()}

    def outlet_rows(self) -> list[dict[str, Any]]:
        """What the report says of each outlet so far."""
        with self._lock:
            return [tally.row() for tally in self._outlets]

    def info(self, source: int) -> SourceInfo | None:
        """What a source tells of itself; None before it was opened."""
        with self._lock:
            tally = self._sources.get(source)
            return None if tally is None else tally.info

    def recent_work(self) -> float:
        """Mean seconds of work of the stages behind capture on a recent frame."""
        with self._lock:
            return sum(sum(s) / len(s) for s in self._recent_work.values() if s)

    def changed(self) -> None:
        """Forget recent work, since what the stages do has changed."""
        with self._lock:
            for seconds in self._recent_work.values():
                seconds.clear()

    def report(self, **facts: Any) -> dict[str, Any]:
        """The report; None for unknown figures. ``facts`` are added unchanged."""
        wall = time.monotonic() - self._started
        with self._lock:
            busy = self._busy()
            inference = self._stages["inference"]
            drops = self._drops()
            return {
                "frames_in": self._captured.count,
                "frames_out": self._delivered.count,
                "dropped": drops,
                "capture_fps": _rounded(self._captured.per_second(), 2),
                "inference_fps": _rounded(1 / inference.mean if inference.mean else None, 2),
                "delivered_fps": _rounded(self._delivered.per_second(), 2),
                "first_frame_s": _rounded(self._first_frame_s, 3),
                "wall_s": round(wall, 3),
                "cpu_s": round(time.process_time() - self._cpu_before, 3),
                "peak_rss_mb": round(peak_rss_mb(), 1),
                "latency_ms": self._latency.as_ms() if self._latency.count else None,
                **({"lag_ms": self._lag.as_ms()} if self._lag.count else {}),
                "stages": {
                    stage: {
                        **{f"{k}_ms": v for k, v in histogram.as_ms().items()},
                        "busy": _share(busy[stage]),
                    }
                    for stage, histogram in self._stages.items()
                },
                "bottleneck": self._bottleneck(busy),
                "sources": [tally.row() for _, tally in sorted(self._sources.items())],
                "outlets": [tally.row() for tally in self._outlets],
                "sources_failed": sum(t.error is not None for t in self._sources.values()),
                **facts,
            }

    def _bottleneck(self, busy: Mapping[str, float | None]) -> str | None:
        """The stage that the others wait for; None if none is busy most of the time.

        If newer frames replaced waiting ones, the source cannot be the bottleneck.
        """
        overtaken = any(causes.get("late") for causes in self._drops().values())
        candidates = {
            stage: share
            for stage, share in busy.items()
            if share is not None and share > LIMITING and not (overtaken and stage == "capture")
        }
        return max(candidates, key=candidates.__getitem__, default=None)

    def _drops(self) -> dict[str, dict[str, int]]:
        """Dropped frames of all sources, by stage in order, and by cause."""
        drops: dict[str, Counter[str]] = {}
        for stage in self._stages:
            for tally in self._sources.values():
                if stage in tally.dropped:
                    drops.setdefault(stage, Counter()).update(tally.dropped[stage])
        return {stage: dict(causes) for stage, causes in drops.items()}

    def _busy(self) -> dict[str, float | None]:
        """Share of the time from the first to the last frame that each stage was busy.

        Above 1 for several threads, as in capture with several sources. None for capture if all
        sources are live: waiting for them is no work, and its part of the time is unknown.
        """
        if self._captured.first is None:
            return dict.fromkeys(self._stages, 0.0)
        end = max(self._delivered.last, self._captured.last)
        span = max(end - self._captured.first, 1e-9)
        work: dict[str, float] = {stage: h.total for stage, h in self._stages.items()}
        work["capture"] -= self._waited
        busy: dict[str, float | None] = {stage: t / span for stage, t in work.items()}
        if all(t.info is None or t.info.live for t in self._sources.values()):
            busy["capture"] = None
        return busy


def _counted(times: Histogram, bounds: Sequence[float]) -> Counted:
    return Counted(times.below(bounds), times.count, times.total)


def peak_rss_mb() -> float:
    """Peak memory of this process in MB (10⁶ bytes)."""
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        memory = psutil.Process().memory_info()
        return float(getattr(memory, "peak_wset", memory.rss)) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _share(value: float | None) -> float | None:
    return None if value is None else round(min(1.0, value), 3)
