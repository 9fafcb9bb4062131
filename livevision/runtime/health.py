"""Health of a run: whether frames come in and out."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livevision.runtime.run import Run

READY_S = 10.0
"""Seconds without a frame until a source is not ready."""

HEALTHY_S = 60.0
"""Seconds without any frame until a run is not healthy."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The health of a run.

    Attributes:
        healthy: Frames came out within ``HEALTHY_S``, or none is to come.
        ready: Every source that is not paused gave a frame within ``READY_S``.
        moving: Captured frames are also delivered: false if the run itself is stuck, but not if its
            sources are silent.
        live: Sources that gave a frame within ``READY_S``.
        wanted: Sources that are not removed or paused.
        why: The problem in one line, without names of sources; "" for none.
    """

    healthy: bool
    ready: bool
    moving: bool
    live: int
    wanted: int
    why: str = ""


@dataclass
class _Seen:
    frames_in: int = 0
    frames_out: int = 0
    came: float = 0.0
    left: float = 0.0


class Health:
    """Judges a run by its counters. Thread-safe.

    Args:
        run: The run.
    """

    def __init__(self, run: Run) -> None:
        self._run, self._started = run, time.monotonic()
        self._lock = threading.Lock()
        self._seen: dict[int, _Seen] = {}

    def look(self) -> Verdict:
        """The current verdict; call it at least every few seconds."""
        now = time.monotonic()
        with self._lock:
            wanted = [n for n in self._run.watched if not self._run.controls.paused(n)]
            seen = [self._note(n, now) for n in wanted]
            live = sum(now - one.left < READY_S for one in seen)
            newest_out = max((one.left for one in seen), default=now)
            newest_in = max((one.came for one in seen), default=now)
            turned = now - self._run.turned < HEALTHY_S
            healthy = turned and now - newest_out < HEALTHY_S
            silent = now - newest_in >= min(READY_S, HEALTHY_S)
            moving = turned and (silent or now - newest_out < HEALTHY_S)
            why = ""
            if self._run.pipeline.stopping:
                healthy, why = False, "the run is ending"
            elif not moving:
                why = f"frames come in, and none came out for {HEALTHY_S:.0f} s"
            elif not healthy:
                why = f"no source gave a frame for {HEALTHY_S:.0f} s"
            elif live < len(wanted):
                why = f"{len(wanted) - live} of {len(wanted)} sources gave none for {READY_S:.0f} s"
            elif not wanted and not self._run.watched:
                why = "no source is watched"
            ready = healthy and live == len(wanted) and bool(self._run.watched)
            return Verdict(healthy, ready, moving, live, len(wanted), why)

    def _note(self, source: int, now: float) -> _Seen:
        row = self._run.meter.row(source) or {"frames_in": 0, "frames_out": 0}
        known = self._seen.get(source)
        if known is None:
            # A source counts as silent from when it was first seen, less the tolerance.
            known = self._seen[source] = _Seen(came=now, left=now - READY_S)
        if row["frames_in"] != known.frames_in:
            known.frames_in, known.came = row["frames_in"], now
        if row["frames_out"] != known.frames_out:
            known.frames_out, known.left = row["frames_out"], now
        return known
