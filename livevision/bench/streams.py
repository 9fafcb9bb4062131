"""How many live streams this machine holds: each with all its frames, none of them old."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from livevision.bench import time_code
from livevision.bench.serving import StreamServer
from livevision.config import Settings
from livevision.errors import SourceError
from livevision.runtime.metering import Meter
from livevision.runtime.run import Run

_WARM_S = 2.0
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """What each stream must have.

    Attributes:
        share: Share of its frames, 0..1.
        age_ms: Age below which 95 % of its frames are when they are delivered.
    """

    share: float = 0.95
    age_ms: float = 300.0


@dataclass(frozen=True, slots=True)
class Held:
    """How a number of streams fared.

    Attributes:
        streams: How many.
        fps: Frames a second that all had together.
        least, most: Shares of their frames that the worst and the best one had, 0..1.
        age_ms: Median and 95th percentile of the true age, from sending to delivery; the 95th is
            that of the worst stream.
        cores: Processors that the run kept busy, without the server's.
        dropped: Frames by cause.
        bottleneck: The stage that is busy for more than 60 % of the time; None for none.
        holds: Whether every stream kept to the bounds.
    """

    streams: int
    fps: float
    least: float
    most: float
    age_ms: tuple[float, float]
    cores: float
    dropped: dict[str, int]
    bottleneck: str | None
    holds: bool


def capacity(
    measure: Callable[[int], Held], most: int, told: Callable[[Held], None] = lambda held: None
) -> int:
    """The largest number of streams that are held: doubled until it is too many, then bisected.

    Args:
        measure: Tries a number of streams.
        most: The largest number to try.
        told: Called with each result.
    """
    low, high, number = 0, most + 1, 1
    while high - low > 1:
        held = measure(number)
        told(held)
        low, high = (number, high) if held.holds else (low, number)
        number = min(2 * number, most) if high > most else (low + high) // 2
    return low


def measure(
    server: StreamServer, streams: int, settings: Settings, seconds: float, bounds: Bounds
) -> Held:
    """Run a number of streams for a while.

    Args:
        server: What serves them.
        streams: How many.
        settings: Of the run; its sources are replaced.
        seconds: How long to measure, once all streams are there.
        bounds: What each must have.

    Raises:
        SourceError: The streams do not come.
    """
    sources = {f"s{n}": {"uri": server.url(n), "retry_for": 10.0} for n in range(streams)}
    given = settings.model_dump(exclude={"source", "sources"}, exclude_unset=True)
    run = Run(Settings.of(sources=sources, **given), Meter())
    ages: defaultdict[int, list[float]] = defaultdict(list)
    dropped: Counter[str] = Counter()
    here: set[int] = set()
    begun = asked = time.monotonic()
    wall = cpu = 0.0
    with closing(run.frames()) as frames:
        for rendered in frames:
            now, frame = time.monotonic(), rendered.frame
            if len(here) < streams:
                here.add(frame.source)
                begun = now + _WARM_S
                if now - asked > _PATIENCE_S:
                    raise SourceError(f"{streams - len(here)} of {streams} streams do not come")
            if len(here) < streams or now < begun:
                continue
            if not wall:
                wall, cpu = now, time.process_time()
                dropped.subtract(_drops(run))
            number = time_code.read(frame.image)
            if number is not None:
                ages[frame.source].append(now - server.sent(frame.source, number))
            if now - wall > seconds:
                break
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
        dropped.update(_drops(run))
    report = run.report()
    shares = [len(ages[n]) / (wall * server.served.fps) for n in range(streams)]
    late = max(float(np.percentile(1e3 * np.array(ages[n] or [60]), 95)) for n in range(streams))
    middle = float(np.median(1e3 * np.concatenate([ages[n] for n in range(streams)] or [[60]])))
    return Held(
        streams=streams,
        fps=sum(map(len, ages.values())) / wall,
        least=min(shares),
        most=max(shares),
        age_ms=(middle, late),
        cores=cpu / wall,
        dropped={cause: n for cause, n in dropped.items() if n > 0},
        bottleneck=report["bottleneck"],
        holds=min(shares) >= bounds.share and late <= bounds.age_ms,
    )


def _drops(run: Run) -> Counter[str]:
    """Frames lost so far, by cause."""
    found: Counter[str] = Counter()
    for causes in run.report()["dropped"].values():
        found.update(causes)
    return found
