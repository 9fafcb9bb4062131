"""What a run measures of itself: rates, latency, drops by cause, and the stage that limits it.

All memory is bounded: durations go into histograms with fixed buckets, rates into short windows,
so that a run of a week costs what a run of a minute does.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from livevision.protocols import Rates, SourceInfo

STAGES = ("capture", "preprocess", "inference", "overlay", "output")

TOLD_LAG_MS = 50.0
"""A lag below this is the network's jitter, and not told to people."""

RECENT_S = 2.0
"""The recent past that the display speaks of, in seconds."""

LIMITING = 0.6
"""A stage that is at work for a smaller share of the run holds nothing up."""


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
        """Mean, p50, p95 and p99 in milliseconds."""
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
    name: str
    info: SourceInfo | None = None
    losses: Mapping[str, int] = field(default_factory=dict)
    paced: bool = False
    frames_in: int = 0
    frames_out: int = 0
    error: str | None = None

    def row(self) -> dict[str, Any]:
        return {
            "source": self.name,
            "frames_in": self.frames_in,
            "frames_out": self.frames_out,
            "losses": dict(self.losses),
            "error": self.error,
        }


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

    def per_second(self) -> float | None:
        """None where there were fewer than two events, of which no rate can be told."""
        if self.first is None or self.count < 2 or self.last <= self.first:
            return None
        return (self.count - 1) / (self.last - self.first)


class Meter:
    """Collects a run's measurements from every stage's thread.

    Args:
        started: ``time.monotonic()`` of the moment the user gave the command, where that began this
            process; what the process did before it is not counted otherwise.
    """

    def __init__(self, started: float | None = None) -> None:
        self._started = time.monotonic() if started is None else started
        self._cpu_before = time.process_time() if started is None else 0.0
        self._lock = threading.Lock()
        self._stages = {stage: Histogram() for stage in STAGES}
        self._held_back = 0.0  # the frame that is being delivered
        self._waited = 0.0  # of capture's time, that for live sources
        self._latency, self._lag = Histogram(), Histogram()
        self._drops: dict[str, Counter[str]] = defaultdict(Counter)
        self._sources: dict[int, _SourceTally] = {}
        self._captured, self._delivered = Span(), Span()
        self._recent_captured: dict[int, RecentRate] = defaultdict(RecentRate)
        self._recent_delivered: dict[int, RecentRate] = defaultdict(RecentRate)
        self._recent_work: dict[str, deque[float]] = {s: deque(maxlen=50) for s in STAGES}
        self._recent_latency: dict[int, deque[float]] = defaultdict(lambda: deque(maxlen=30))
        self._recent_lag: dict[int, deque[float]] = defaultdict(lambda: deque(maxlen=30))
        self._first_frame_s: float | None = None

    def opened(
        self,
        source: int,
        info: SourceInfo,
        losses: Mapping[str, int],
        paced: bool | None = None,
    ) -> None:
        """A source is open.

        Args:
            source: Its position.
            info: What it tells of itself.
            losses: Its own live tally of what never became a frame.
            paced: Its frames come by the clock, so that their age at delivery is a latency. The age
                of a file's frame is but the length of the queues. By default, where it is live.
        """
        with self._lock:
            paced = info.live if paced is None else paced
            self._sources[source] = _SourceTally(info.name, info, losses, paced)

    def failed(self, source: int, name: str, error: BaseException) -> None:
        """A source could not be opened, broke off, or could not be written; the run goes on."""
        with self._lock:
            tally = self._sources.setdefault(source, _SourceTally(name))
            tally.error = " ".join(str(error).split())

    def captured(self, source: int, seconds: float, lag: float | None = None) -> None:
        """A frame has come in.

        Args:
            source: Of which source.
            seconds: What getting it took, waiting for the source included.
            lag: Seconds that a live source was behind its own clock with it.
        """
        now = time.monotonic()
        with self._lock:
            tally = self._sources[source]
            self._stages["capture"].add(seconds)
            self._captured.add(now)
            tally.frames_in += 1
            self._recent_captured[source].add(now)
            if lag is not None:
                self._lag.add(lag)
                self._recent_lag[source].append(lag)
            if tally.info is not None and tally.info.live:
                self._waited += seconds

    def worked(self, stage: str, seconds: float) -> None:
        """A stage has spent ``seconds`` on one frame."""
        with self._lock:
            self._stages[stage].add(seconds)
            self._recent_work[stage].append(seconds)

    def dropped(self, place: str, cause: str) -> None:
        """A frame was dropped before it reached the stage ``place``."""
        with self._lock:
            self._drops[place][cause] += 1

    def held_back(self, seconds: float) -> None:
        """The frame that is being delivered has waited for its time, which is no work."""
        self._held_back = max(0.0, seconds)

    def delivered(self, source: int, wall_time: float, seconds: float) -> None:
        """Every sink has taken a frame, which took them ``seconds``."""
        now = time.monotonic()
        with self._lock:
            seconds, self._held_back = max(0.0, seconds - self._held_back), 0.0
            if self._first_frame_s is None:
                self._first_frame_s = now - self._started
            self._stages["output"].add(seconds)
            self._recent_work["output"].append(seconds)
            self._delivered.add(now)
            self._sources[source].frames_out += 1
            self._recent_delivered[source].add(now)
            if self._sources[source].paced:
                self._latency.add(now - wall_time)
                self._recent_latency[source].append(now - wall_time)

    def rates(self, source: int, model: str = "", engine: str = "") -> Rates:
        """What the display shows on a frame of this source, made by this model and engine."""
        now = time.monotonic()
        with self._lock:
            inference = self._recent_work["inference"]
            work = sum(inference)
            latency, lag = self._recent_latency[source], self._recent_lag[source]
            return Rates(
                capture_fps=self._recent_captured[source].per_second(now) or None,
                model_fps=len(inference) / work if work else None,
                delivered_fps=self._recent_delivered[source].per_second(now) or None,
                latency_ms=1e3 * sum(latency) / len(latency) if latency else None,
                lag_ms=1e3 * sum(lag) / len(lag) if lag else None,
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
        """The run in figures, None where one is not known; ``facts`` are added as they are."""
        wall = time.monotonic() - self._started
        with self._lock:
            busy = self._busy()
            inference = self._stages["inference"]
            drops = {place: dict(causes) for place, causes in self._drops.items()}
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
                "sources_failed": sum(t.error is not None for t in self._sources.values()),
                **facts,
            }

    def _bottleneck(self, busy: Mapping[str, float | None]) -> str | None:
        """The stage that the others wait for; None where none is at work most of the time.

        Where frames had to be dropped because newer ones came, the source is evidently not what the
        run waits for.
        """
        overtaken = any(causes["late"] for causes in self._drops.values())
        candidates = {
            stage: share
            for stage, share in busy.items()
            if share is not None and share > LIMITING and not (overtaken and stage == "capture")
        }
        return max(candidates, key=candidates.__getitem__, default=None)

    def _busy(self) -> dict[str, float | None]:
        """Share of the time from the first frame to the last that each stage was at work.

        Above 1 where it has several threads, as capture has for several sources.

        Waiting for a live source is no work, and how much of capture's time was more than that is
        not known: None, where all sources are live.
        """
        if self._captured.first is None:
            return dict.fromkeys(STAGES, 0.0)
        end = max(self._delivered.last, self._captured.last)
        span = max(end - self._captured.first, 1e-9)
        work: dict[str, float] = {stage: h.total for stage, h in self._stages.items()}
        work["capture"] -= self._waited
        busy: dict[str, float | None] = {stage: t / span for stage, t in work.items()}
        if all(t.info is None or t.info.live for t in self._sources.values()):
            busy["capture"] = None
        return busy


def peak_rss_mb() -> float:
    """The most memory this process has held at once, in MB (10⁶ bytes)."""
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        memory = psutil.Process().memory_info()
        return float(getattr(memory, "peak_wset", memory.rss)) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def as_table(report: Mapping[str, Any]) -> str:
    """The report as a table for people, a line for each stage that did something."""
    lines = [f"{'stage':<11}{'mean':>9}{'p50':>9}{'p95':>9}{'p99':>9}  ms{'busy':>8}"]
    for stage, row in report["stages"].items():
        if not row["p99_ms"]:
            continue
        mark = "  <- bottleneck" if stage == report["bottleneck"] else ""
        busy = f"{'-':>11}" if row["busy"] is None else f"{row['busy']:11.0%}"
        lines.append(
            f"{stage:<11}{row['mean_ms']:9.2f}{row['p50_ms']:9.2f}{row['p95_ms']:9.2f}"
            f"{row['p99_ms']:9.2f}{busy}{mark}"
        )
    if len(lines) == 1:
        lines.clear()
    latency = report["latency_ms"]
    if latency is not None:
        lines.append(
            f"{'latency':<11}{latency['mean']:9.2f}{latency['p50']:9.2f}{latency['p95']:9.2f}"
            f"{latency['p99']:9.2f}"
        )
    lag = report.get("lag_ms")
    if lag is not None and lag["p99"] >= TOLD_LAG_MS:
        lines.append(
            f"{'lag':<11}{lag['mean']:9.2f}{lag['p50']:9.2f}{lag['p95']:9.2f}{lag['p99']:9.2f}"
            "  behind the source's clock when a frame is at hand, part of the latency"
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
    rates = {"capture": "capture_fps", "model": "inference_fps", "delivered": "delivered_fps"}
    known = {name: report[key] for name, key in rates.items() if report[key] is not None}
    if known:
        lines.append("fps: " + ", ".join(f"{name} {rate:.1f}" for name, rate in known.items()))
    if report["first_frame_s"] is not None:
        lines.append(
            f"first frame after {report['first_frame_s']:.2f} s; {report['wall_s']:.1f} s in all, "
            f"{report['cpu_s']:.1f} s of CPU, {report['peak_rss_mb']:.0f} MB at most"
        )
    return "\n".join(lines)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _share(value: float | None) -> float | None:
    return None if value is None else round(min(1.0, value), 3)


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
