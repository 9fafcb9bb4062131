"""Writes one clip on a thread: packets as they come, and rows beside it."""

from __future__ import annotations

import logging
import threading
import time as clock
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from livevision.errors import OutputError
from livevision.files import whole, write_whole
from livevision.media.packets import PacketRing
from livevision.media.tap import Kept
from livevision.output.clip_file import ClipFile
from livevision.output.records import line_of
from livevision.protocols import SourceInfo

log = logging.getLogger(__name__)

_SILENT_S = 10.0  # without packets of a live source, until the clip ends
_LOOK_S = 0.2

Row = tuple[float, dict[str, Any]]
"""``Frame.time``, and the results at that time."""


class ClipWriter:
    """Writes a clip from the key frame before a moment to some seconds after the last event.

    It ends earlier if the source ends, is silent for long, or changes its codec.

    Args:
        ring: The source's packets.
        path: The clip. Its rows go beside it, as ``.jsonl``.
        info: The source.
        since: ``Frame.time`` from which the clip must show the source.
        limit: ``Frame.time`` at which it ends in any case.
        rows: Rows of the frames since then.
        written: Called with each finished file, on the clip's thread.
    """

    def __init__(
        self,
        ring: PacketRing,
        path: Path,
        info: SourceInfo,
        since: float,
        limit: float,
        rows: Iterable[Row],
        written: Callable[[Path], None],
    ) -> None:
        self.path, self.limit = path, limit
        self.failed = ""
        self._ring, self._info, self._written = ring, info, written
        self._until = since
        self._lasting: set[str] = set()
        self._rows: list[Row] = list(rows)
        self._seen = since
        self._passed = self._over = False
        self._change = threading.Condition()
        self._tap = ring.tap(since)
        self._thread = threading.Thread(target=self._run, name="clip", daemon=True)

    def start(self) -> None:
        """Start writing, once there is an event."""
        self._thread.start()

    def takes(self, name: str, time: float, until: float, lasts: bool) -> bool:
        """Extend the clip by an event, if possible; whether it is in the clip.

        Args:
            name: The event's id.
            time: Its ``Frame.time``.
            until: The moment until which the clip must continue.
            lasts: The event has not ended; the clip continues until then.
        """
        with self._change:
            if self._passed or until > self.limit or time < self._seen:
                return False
            self._until = max(self._until, until)
            if lasts:
                self._lasting.add(name)
            return True

    def settle(self, name: str, until: float) -> None:
        """A lasting event has ended: the clip may end some time after it."""
        with self._change:
            if name in self._lasting:
                self._lasting.discard(name)
                self._until = min(self.limit, max(self._until, until))

    def add(self, row: Row) -> None:
        """Add the row of a processed frame or an event."""
        with self._change:
            if not self._over and row[0] <= self.limit + 1:
                self._rows.append(row)
            self._seen = max(self._seen, row[0])
            self._change.notify_all()

    def end(self) -> None:
        """No more frames follow."""
        with self._change:
            self._over = True
            self._change.notify_all()

    def join(self, seconds: float) -> bool:
        """Wait for the end of the clip; returns whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    @property
    def done(self) -> bool:
        """Whether it is finished, or failed."""
        return not self._thread.is_alive()

    # On the thread of the clip.

    def _run(self) -> None:
        try:
            self._write()
        except (OutputError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self.failed = f"cannot write {self.path}: {reason}"
        finally:
            with self._change:
                self._passed = self._over = True
                self._rows.clear()
            self._ring.untap(self._tap)

    def _write(self) -> None:
        while (first := self._next()) is not None and first.sound:
            self._tap.take()  # from before the first picture
        if first is None:
            self.failed = f"{self._info.name}: no key frame came for {self.path}"
            return
        rows = self.path.with_suffix(".jsonl")
        with whole(self.path) as part:
            file = ClipFile(part, first, self._info, sound=self._tap.sound_from(first))
            try:
                while (kept := self._next()) is not None and file.goes_on_with(kept.part):
                    file.write(self._tap.take())
            finally:
                file.close()
            with self._change:
                self._passed = True
            write_whole(rows, self._lines(file.zero, file.end))
        self._written(rows)
        self._written(self.path)

    def _next(self) -> Kept | None:
        """The next packet of the clip, left in the tap; None at its end."""
        asked = clock.monotonic()
        while True:
            kept = self._tap.look(_LOOK_S)
            decoded = None if kept is None else kept.decoded
            if kept is not None and decoded is not None:
                return None if self._is_behind(decoded) else kept
            # Nothing came, or nothing is decoded yet and its time is unknown.
            silent = self._ring.live and clock.monotonic() - asked > _SILENT_S
            if silent or self._tap.ended:
                return None
            if kept is not None:
                clock.sleep(_LOOK_S / 4)

    def _is_behind(self, time: float) -> bool:
        with self._change:
            self._passed = time > (self.limit if self._lasting else self._until)
            return self._passed

    def _lines(self, zero: float, end: float) -> bytes:
        """The rows of the frames in the clip, once all are processed."""
        with self._change:
            self._change.wait_for(lambda: self._over or self._seen > end, _SILENT_S)
            inside = [row for row in self._rows if zero - 0.001 <= row[0] <= end + 0.001]
        inside.sort(key=lambda row: row[0])
        return b"".join(line_of({"clip_time": round(t - zero, 6), **row}) for t, row in inside)
