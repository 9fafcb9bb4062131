"""What a run measures of itself: rates, latency, drops by cause, and the stage that limits it.

All memory is bounded: durations go into histograms with fixed buckets, rates into short windows,
so that a run of a week costs what a run of a minute does.
"""

from __future__ import annotations

import math
import resource
import sys
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from livevision.protocols import Rates, SourceInfo

STAGES = ("capture", "preprocess", "inference", "overlay", "output")

RECENT_S = 2.0
"""The recent past that the display speaks of, in seconds."""


class Histogram:
    """Durations in buckets 1 % wide from 1 µs to about 20 minutes; quantiles within 1 %."""

    _LOWEST = 1e-6
    _GROWTH = math.log(1.01)
    _BUCKETS = 2100

    def __init__(self) -> None:
        self._counts = np.zeros(self._BUCKETS, np.int64)
        self.count = 0
        self.total = 0.0

    def add(self, seconds: float) -> None:
        bucket = int(math.log(max(seconds, self._LOWEST) / self._LOWEST) / self._GROWTH)
        self._counts[min(bucket, self._BUCKETS - 1)] += 1
        self.count += 1
        self.total += seconds

    @property
    def mean(self) -> float:
        """Mean in seconds; 0 where nothing was added."""
        return self.total / self.count if self.count else 0.0

    def quantile(self, share: float) -> float:
        """The duration in seconds that ``share`` (0..1) of all were at or below."""
        if not self.count:
            return 0.0
        rank = max(1, math.ceil(share * self.count))
        bucket = int(np.searchsorted(np.cumsum(self._counts), rank))
        return self._LOWEST * math.exp((bucket + 0.5) * self._GROWTH)

    def as_ms(self) -> dict[str, float]:
        return {
            "mean": round(self.mean * 1e3, 3),
            "p50": round(self.quantile(0.50) * 1e3, 3),
            "p95": round(self.quantile(0.95) * 1e3, 3),
            "p99": round(self.quantile(0.99) * 1e3, 3),
        }


class RecentRate:
    """Events per second over the last ``RECENT_S`` seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=1000)

    def add(self, now: float) -> None:
        self._times.append(now)
        while now - self._times[0] > RECENT_S:
            self._times.popleft()

    def per_second(self, now: float) -> float:
        """0 until two events lie in the window; falls when events stop coming."""
        times = self._times
        while times and now - times[0] > RECENT_S:
            times.popleft()
        if len(times) < 2:
            return 0.0
        # Between events the span ends at the newest one; once they stop coming it goes on to now.
        span, gap = times[-1] - times[0], now - times[-1]
        typical = span / (len(times) - 1)
        return (len(times) - 1) / (span if gap < 2 * typical else span + gap) if span else 0.0


@dataclass
class _SourceTally:
    info: SourceInfo
    losses: Mapping[str, int]
    frames_in: int = 0
    frames_out: int = 0


class Span:
    """First and last time of an event, and how many there were."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.last = 0.0
        self.count = 0

    def add(self, now: float) -> None:
        self.first = now if self.first is None else self.first
        self.last = now
        self.count += 1

    def per_second(self) -> float:
        if self.first is None or self.count < 2 or self.last <= self.first:
            return 0.0
        return (self.count - 1) / (self.last - self.first)


class Meter:
    """Collects a run's measurements from every stage's thread.

    Args:
        started: ``time.monotonic()`` of the moment the user gave the command.
    """

    def __init__(self, started: float | None = None) -> None:
        self._started = time.monotonic() if started is None else started
        self._lock = threading.Lock()
        self._stages = {stage: Histogram() for stage in STAGES}
        self._latency = Histogram()
        self._drops: dict[str, Counter[str]] = defaultdict(Counter)
        self._sources: dict[int, _SourceTally] = {}
        self._captured, self._delivered = Span(), Span()
        self._recent_captured: dict[int, RecentRate] = defaultdict(RecentRate)
        self._recent_delivered: dict[int, RecentRate] = defaultdict(RecentRate)
        self._recent_work: dict[str, deque[float]] = {s: deque(maxlen=50) for s in STAGES}
        self._recent_latency: dict[int, deque[float]] = defaultdict(lambda: deque(maxlen=30))
        self._first_frame_s: float | None = None

    def opened(self, source: int, info: SourceInfo, losses: Mapping[str, int]) -> None:
        """A source is open; ``losses`` is its own live tally of what never became a frame."""
        with self._lock:
            self._sources[source] = _SourceTally(info, losses)

    def captured(self, source: int, seconds: float) -> None:
        """A frame has come in; getting it took ``seconds``, waiting for the source included."""
        now = time.monotonic()
        with self._lock:
            self._stages["capture"].add(seconds)
            self._captured.add(now)
            self._sources[source].frames_in += 1
            self._recent_captured[source].add(now)

    def worked(self, stage: str, seconds: float) -> None:
        """A stage has spent ``seconds`` on one frame."""
        with self._lock:
            self._stages[stage].add(seconds)
            self._recent_work[stage].append(seconds)

    def dropped(self, place: str, cause: str) -> None:
        """A frame was dropped before it reached the stage ``place``."""
        with self._lock:
            self._drops[place][cause] += 1

    def delivered(self, source: int, wall_time: float, seconds: float) -> None:
        """Every sink has taken a frame, which took them ``seconds``."""
        now = time.monotonic()
        with self._lock:
            if self._first_frame_s is None:
                self._first_frame_s = now - self._started
            self._stages["output"].add(seconds)
            self._recent_work["output"].append(seconds)
            self._latency.add(now - wall_time)
            self._delivered.add(now)
            self._sources[source].frames_out += 1
            self._recent_delivered[source].add(now)
            self._recent_latency[source].append(now - wall_time)

    def rates(self, source: int, model: str = "", engine: str = "") -> Rates:
        """What the display shows on a frame of this source, made by this model and engine."""
        now = time.monotonic()
        with self._lock:
            inference = self._recent_work["inference"]
            work = sum(inference)
            latency = self._recent_latency[source]
            return Rates(
                capture_fps=self._recent_captured[source].per_second(now) or None,
                model_fps=len(inference) / work if work else None,
                delivered_fps=self._recent_delivered[source].per_second(now) or None,
                latency_ms=1e3 * sum(latency) / len(latency) if latency else None,
                dropped=sum(sum(causes.values()) for causes in self._drops.values()),
                model=model,
                engine=engine,
            )

    def recent_work(self) -> float:
        """Seconds that the stages behind capture have worked on a recent frame, on average."""
        with self._lock:
            return sum(sum(s) / len(s) for s in self._recent_work.values() if s)

    def changed(self) -> None:
        """What the stages do has changed: how long they took before tells no more."""
        with self._lock:
            for seconds in self._recent_work.values():
                seconds.clear()

    def report(self, **facts: Any) -> dict[str, Any]:
        """The run in figures, as product documents fix it; ``facts`` are added as they are."""
        wall = time.monotonic() - self._started
        with self._lock:
            busy = self._busy()
            inference = self._stages["inference"]
            drops = {place: dict(causes) for place, causes in self._drops.items()}
            return {
                "frames_in": self._captured.count,
                "frames_out": self._delivered.count,
                "dropped": drops,
                "capture_fps": round(self._captured.per_second(), 2),
                "inference_fps": round(1 / inference.mean, 2) if inference.mean else 0.0,
                "delivered_fps": round(self._delivered.per_second(), 2),
                "first_frame_s": None
                if self._first_frame_s is None
                else round(self._first_frame_s, 3),
                "wall_s": round(wall, 3),
                "cpu_s": round(time.process_time(), 3),
                "peak_rss_mb": round(peak_rss_mb(), 1),
                "latency_ms": self._latency.as_ms(),
                "stages": {
                    stage: {
                        **{f"{k}_ms": v for k, v in histogram.as_ms().items()},
                        "busy": round(busy[stage], 3),
                    }
                    for stage, histogram in self._stages.items()
                },
                "bottleneck": self._bottleneck(),
                "sources": [
                    {
                        "source": tally.info.name,
                        "frames_in": tally.frames_in,
                        "frames_out": tally.frames_out,
                        "losses": dict(tally.losses),
                    }
                    for _, tally in sorted(self._sources.items())
                ],
                **facts,
            }

    def _bottleneck(self) -> str | None:
        """The stage that the others wait for.

        Capture's time is mostly waiting for the source. Where frames had to be dropped because
        newer ones came, the source is evidently not what the run waits for.
        """
        overtaken = any(causes["late"] for causes in self._drops.values())
        candidates = {
            stage: histogram.total
            for stage, histogram in self._stages.items()
            if histogram.total and not (overtaken and stage == "capture")
        }
        return max(candidates, key=candidates.__getitem__, default=None)

    def _busy(self) -> dict[str, float]:
        """Share of the time from the first frame to the last that each stage was at work."""
        if self._captured.first is None:
            return dict.fromkeys(STAGES, 0.0)
        end = max(self._delivered.last, self._captured.last)
        span = max(end - self._captured.first, 1e-9)
        return {s: min(1.0, h.total / span) for s, h in self._stages.items()}


def peak_rss_mb() -> float:
    """The most memory this process has held at once, in MB (10⁶ bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def as_table(report: Mapping[str, Any]) -> str:
    """The report as a table for people, a line a stage."""
    lines = [f"{'stage':<11}{'mean':>9}{'p50':>9}{'p95':>9}{'p99':>9}  ms{'busy':>8}"]
    for stage, row in report["stages"].items():
        mark = "  <- bottleneck" if stage == report["bottleneck"] else ""
        lines.append(
            f"{stage:<11}{row['mean_ms']:9.2f}{row['p50_ms']:9.2f}{row['p95_ms']:9.2f}"
            f"{row['p99_ms']:9.2f}{row['busy']:11.0%}{mark}"
        )
    latency = report["latency_ms"]
    lines.append(
        f"{'latency':<11}{latency['mean']:9.2f}{latency['p50']:9.2f}{latency['p95']:9.2f}"
        f"{latency['p99']:9.2f}"
    )
    lines.append(
        f"frames: {report['frames_in']} in, {report['frames_out']} out"
        f"{_drops_in_words(report['dropped'])}"
    )
    adapted = report.get("target_latency")
    if adapted is not None and adapted["below_target"] is not None:
        lines.append(
            f"latency below {adapted['target_ms']:g} ms: {adapted['below_target']:.1%} of frames; "
            f"now {adapted['input_size']}, stride {adapted['stride']}, "
            f"after {adapted['changes_in_all']} changes"
        )
    for row in report["sources"]:
        lost = [f"{count} {cause}" for cause, count in row["losses"].items() if count]
        if lost:
            lines.append(f"before they were frames: {', '.join(lost)} ({row['source']})")
    lines.append(
        f"fps: capture {report['capture_fps']:.1f}, model {report['inference_fps']:.1f}, "
        f"delivered {report['delivered_fps']:.1f}"
    )
    if report["first_frame_s"] is not None:
        lines.append(
            f"first frame after {report['first_frame_s']:.2f} s; {report['wall_s']:.1f} s in all, "
            f"{report['cpu_s']:.1f} s of CPU, {report['peak_rss_mb']:.0f} MB at most"
        )
    return "\n".join(lines)


def joined(names: Iterable[str]) -> str:
    """Names as the report and the display tell them: each once, such as "a+b"."""
    return "+".join(dict.fromkeys(names))


def _drops_in_words(dropped: Mapping[str, Mapping[str, int]]) -> str:
    parts: Sequence[str] = [
        f"{n} {cause} before {place}"
        for place, causes in dropped.items()
        for cause, n in causes.items()
    ]
    return f", dropped: {'; '.join(parts)}" if parts else ", none dropped"
