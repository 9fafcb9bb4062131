"""Writes the recording of one source on a thread, as segments."""

from __future__ import annotations

import logging
import threading
import time as clock
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from livevision.analysis.event import Event
from livevision.capture.life import FIRST_PAUSE_S, LONGEST_PAUSE_S
from livevision.errors import OutputError
from livevision.media.packets import PacketRing
from livevision.media.tap import Kept, Tap
from livevision.output.segment_folder import SegmentFolder
from livevision.protocols import SourceInfo
from livevision.runtime.metering import Meter
from livevision.runtime.open_segment import OpenSegment

log = logging.getLogger(__name__)

_LOOK_S = 0.2
_SILENT_S = 10.0  # without packets of a live source, until its segment is finished
_TIDY_S = 60.0  # between looks for what is too old while nothing is recorded
_SURE_S = 3.0  # of writing, until a failed recording counts as going on again
_SAME_S = 0.001  # within which times are those of the same picture
_JITTER = timedelta(seconds=5)
_MOST_EVENTS = 1000


@dataclass(frozen=True, slots=True)
class SegmentSettings:
    """How a source is recorded.

    Attributes:
        on_event: Around events only; otherwise all the time.
        seconds: Duration of a segment; it ends at the next key frame.
        before, after: Seconds recorded before and after an event.
    """

    on_event: bool
    seconds: float
    before: float
    after: float


class SegmentWriter:
    """Records a source until it ends. An error stops it with one warning, and it tries again.

    Args:
        ring: The source's packets, or its pictures.
        name: Name of the source.
        info: What the source reports of itself.
        folder: The folder of the segments.
        settings: How to record.
        meter: Provides the counters.

    Attributes:
        segments: Finished segments.
        failures: How often the recording stopped.
    """

    def __init__(
        self,
        ring: PacketRing,
        name: str,
        info: SourceInfo,
        folder: SegmentFolder,
        settings: SegmentSettings,
        meter: Meter,
    ) -> None:
        self.name, self.on_event = name, settings.on_event
        self.segments = self.failures = 0
        self._error = ""
        self._ring, self._info, self._folder = ring, info, folder
        self._settings, self._meter = settings, meter
        self._tally = meter.outlet(f"record:{name}")
        self._change = threading.Condition()
        self._tap: Tap | None = None if self.on_event else ring.tap(float("-inf"))
        self._until, self._lasting = float("-inf"), set[str]()
        self._events: deque[Event] = deque(maxlen=_MOST_EVENTS)
        self._ending = False
        self._open: OpenSegment | None = None
        self._recent: deque[tuple[float, float, Path]] = deque(maxlen=3)
        self._last = float("-inf")  # Frame.time of the last packet written
        self._ended = datetime.fromtimestamp(0, UTC)
        self._begun: float | None = None
        self._pause, self._retry_at = FIRST_PAUSE_S, 0.0
        self._tidied = clock.monotonic()
        self._thread = threading.Thread(target=self._run, name="record", daemon=True)
        self._thread.start()

    @property
    def file(self) -> Path | None:
        """The segment being written; None between segments."""
        open_ = self._open
        return None if open_ is None else open_.path

    @property
    def error(self) -> str:
        """Why it is stopped; "" if it is not."""
        tap = self._tap
        if not self._error and tap is not None and tap.broken:
            return "the disk takes nothing; packets are lost"
        return self._error

    def saw(self, time: float, at: float) -> None:
        """A frame was captured: tells what time it was then.

        Args:
            time: ``Frame.time``.
            at: ``time.time()`` of its capture.
        """
        if self._info.live or self._begun is None:
            self._begun = at - time

    def happened(self, event: Event) -> None:
        """An event of the source: record the seconds around it; what lasts, until its end."""
        with self._change:
            self._events.append(event)
            if not self.on_event:
                return
            self._until = max(self._until, event.frame_time + self._settings.after)
            if event.began is not None:
                self._lasting.discard(event.began)
            elif event.way is None and event.kind != "dwell":
                self._lasting.add(event.id)
            if self._tap is None:
                self._tap = self._ring.tap(event.frame_time - self._settings.before)
            self._change.notify_all()

    def end(self) -> None:
        """No more packets follow."""
        self._ring.end()
        with self._change:
            self._ending = True
            self._change.notify_all()

    def join(self, seconds: float) -> bool:
        """Wait until the last segment is finished; returns whether it is."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    # On the thread of the recording.

    def _run(self) -> None:
        try:
            while (tap := self._next_tap()) is not None:
                try:
                    self._record(tap)
                finally:
                    self._ring.untap(tap)
                    self._try(self._finish)
        except Exception:
            log.exception("%s: the recording ended", self.name)
            self._note_failure("the recording ended because of a bug; see the log")

    def _next_tap(self) -> Tap | None:
        """The packets to record next; None at the end."""
        while True:
            with self._change:
                if self._tap is None and not self._ending:
                    self._change.wait(_TIDY_S)
                if self._tap is not None or self._ending:
                    return self._tap
            self._tidy()

    def _record(self, tap: Tap) -> None:
        """Record until nothing is to be recorded, or the tap has ended."""
        came = clock.monotonic()
        while True:
            kept = tap.look(_LOOK_S)
            decoded = None if kept is None else kept.decoded
            if kept is not None and decoded is not None:
                if self._is_over(decoded):
                    return
                came = clock.monotonic()
                self._take(tap)
                continue
            # Nothing came, or nothing is decoded yet and its time is unknown.
            if tap.ended:
                self._begin_anew(tap.broken)
                return
            if self._open is not None:
                self._try(self._open.check)
                if self._ring.live and clock.monotonic() - came > _SILENT_S:
                    self._try(self._finish)
            else:
                self._tidy()
            if kept is not None:
                clock.sleep(_LOOK_S / 4)

    def _is_over(self, decoded: float) -> bool:
        """Whether what is recorded on events ends before this time."""
        with self._change:
            if not self.on_event or self._lasting or decoded <= self._until:
                return False
            self._tap = None
            events = list(self._events)
            self._events.clear()
        for event in events:
            self._tell(event, last=True)
        return True

    def _begin_anew(self, broken: bool) -> None:
        """After the end of a tap: go on with the next packets if it broke, else with none."""
        with self._change:
            self._tap = self._ring.tap(self._last) if broken else None
            self._ending = self._ending or not broken
        self._tell_events(last=not broken)
        if broken:
            log.warning("%s: the disk is too slow for the recording; a part is lost", self.name)
            self._drop("late")

    def _take(self, tap: Tap) -> None:
        kept = tap.take()
        if kept.sound:
            if self._open is not None:
                self._try(self._open.write, kept)
            return
        with self._meter.counting():
            self._tally.frames_in += 1
        if self._error and self._open is None and clock.monotonic() < self._retry_at:
            self._drop("retrying")
        elif self._open is None and not kept.key:
            self._drop("no key frame")
        else:
            self._try(self._write, kept, tap.sound_from(kept) if kept.key else None)

    def _try(self, work: Callable[..., None], *arguments: Any) -> None:
        try:
            work(*arguments)
        except (OutputError, OSError) as error:
            if work == self._write:
                self._drop("failed")
            self._failed(str(error))

    def _write(self, kept: Kept, sound: Kept | None) -> None:
        begun = clock.perf_counter()
        if self._open is not None and not self._open.fits(kept, sound, self._settings.seconds):
            self._finish()
            if not kept.key:
                self._drop("no key frame")
                return
        if self._open is None:
            assert kept.time is not None
            start = datetime.fromtimestamp(self._moment(kept.time), UTC)
            if timedelta(0) < self._ended - start < _JITTER:
                start = self._ended  # lag of a live source varies, and segments do not overlap
            self._open = OpenSegment(self._folder, self.name, self._info, kept, sound, start)
        self._open.write(kept)
        self._last = self._open.last
        self._note(self._open)
        with self._meter.counting():
            self._tally.frames_out += 1
            self._tally.work.add(clock.perf_counter() - begun)

    def _note(self, open_: OpenSegment) -> None:
        """Put events into the index, and notice that a stopped recording goes on."""
        if self._events:
            self._tell_events()
        if self._error and open_.age > _SURE_S:
            self._recovered()

    def _moment(self, time: float) -> float:
        """``time.time()`` at which a frame was captured."""
        begun = self._ring.begun if self._begun is None else self._begun
        begun = clock.time() - time if begun is None else begun
        if not self._info.live:
            self._begun = begun  # the time of a film goes on from its start
        return begun + time

    def _finish(self, complete: bool = True) -> None:
        """Close the segment being written, if there is one."""
        open_, self._open = self._open, None
        if open_ is None:
            return
        self._recent.append((open_.zero, open_.last, open_.path))
        self._ended = open_.end
        open_.close(complete=complete)
        self._tell_events()
        if complete:
            self.segments += 1
            if self._error:
                self._recovered()

    def _tell_events(self, last: bool = False) -> None:
        """Put the events that came into the index."""
        with self._change:
            events = list(self._events)
            self._events.clear()
        later = [event for event in events if not self._tell(event, last)]
        with self._change:
            self._events.extendleft(reversed(later))

    def _tell(self, event: Event, last: bool) -> bool:
        """Put an event into the index with the segment that shows it.

        Args:
            event: The event.
            last: Nothing more is written for now.

        Returns:
            Whether that is done; the segment may yet come.
        """
        time, open_ = event.frame_time, self._open
        for zero, end, path in self._recent:
            if zero <= time <= end + _SAME_S:
                self._folder.happened(path, event)
                return True
        if open_ is None or (time > open_.last + _SAME_S and not last):
            return False  # the packets of its frame are not written yet
        if time >= open_.zero - _SILENT_S:
            self._folder.happened(open_.path, event)
        return True

    def _tidy(self) -> None:
        """While nothing is recorded: delete what is too old, now and then."""
        if clock.monotonic() - self._tidied > _TIDY_S:
            self._tidied = clock.monotonic()
            self._folder.tidy()

    def _drop(self, cause: str) -> None:
        with self._meter.counting():
            self._tally.dropped[cause] += 1

    def _failed(self, why: str) -> None:
        """Stop for a while; the watching goes on."""
        with suppress(OutputError, OSError):
            self._finish(complete=False)
        first = not self._error
        self._note_failure(why, first)
        log.log(
            logging.WARNING if first else logging.DEBUG,
            "%s: recording stopped: %s; trying again",
            *(self.name, self._error),
        )
        self._retry_at = clock.monotonic() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)

    def _note_failure(self, why: str, first: bool = True) -> None:
        self._error = " ".join(why.split())
        self.failures += first
        with self._meter.counting():
            self._tally.error = self._error

    def _recovered(self) -> None:
        log.warning("%s: recording goes on", self.name)
        self._error, self._pause = "", FIRST_PAUSE_S
        with self._meter.counting():
            self._tally.retries += 1
            self._tally.error = None
