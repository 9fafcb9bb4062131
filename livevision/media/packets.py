"""The last seconds of a source as encoded packets, for clips and recordings.

A source stores its packets as it reads them, before it is known whether a clip is wanted. A writer
taps the ring: it gets the stored packets from a moment on, and then all that follow.

    reader ──► ring: group of pictures, group of pictures, … ──► taps

Packets are PyAV's, or JPEG pictures for sources without packets. They are shared: read them, but
never change them. A ring starts with a key frame, since nothing before one can be decoded, and has
the sound from there on.
"""

from __future__ import annotations

import logging
import threading
import time as clock
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from livevision.media.tap import Kept, Part, Tap

log = logging.getLogger(__name__)

MOST_BYTES = 64_000_000
"""Maximum size of a ring, and of a tap's queue."""

_AHEAD_S = 30.0  # that a live source may be ahead of the processed frame
_SET_ANEW_S = 0.5  # shift by which a clock counts as reset


@dataclass(slots=True)
class _Group:
    """A key frame and the packets that depend on it."""

    packets: list[Kept] = field(default_factory=list)
    size: int = 0


class PacketRing:
    """Stores the packets of a source for the seconds before the frame being processed.

    ``begin``, ``put`` and ``place`` are called by the source, ``seen`` and ``tap`` by the consumer
    of frames; all are thread-safe.

    Args:
        seconds: Minimum duration.
        most_bytes: Maximum size, sound included; the oldest packets are dropped.
        sound: Sound is wanted too.

    Attributes:
        live: The packets come as they are captured.
    """

    def __init__(
        self, seconds: float, most_bytes: int = MOST_BYTES, *, sound: bool = False
    ) -> None:
        self._seconds, self._most, self.sound = seconds, most_bytes, sound
        self._lock = threading.Lock()
        self._groups: deque[_Group] = deque()
        self._sound: deque[Kept] = deque()
        self._taps: list[Tap] = []
        self._part: Part | None = None
        self._decodable: Part | None = None
        self._bytes = 0
        self._told = self._ended = False
        self.live = True
        self._begun: float | None = None

    @property
    def part(self) -> Part | None:
        """The part of the newest packets; None before the first."""
        return self._part

    @property
    def start(self) -> float | None:
        """``Frame.time`` of the first stored packet; None if unknown."""
        with self._lock:
            return self._groups[0].packets[0].time if self._groups else None

    @property
    def begun(self) -> float | None:
        """``time.time()`` at which ``Frame.time`` was 0, by the newest frame; None if unknown."""
        return self._begun

    @property
    def size(self) -> int:
        """Stored bytes."""
        return self._bytes

    def begin(self, part: Part, *, live: bool) -> None:
        """A connection or file was opened; its packets follow, starting with a key frame."""
        with self._lock:
            part.number = 0 if self._part is None else self._part.number + 1
            self._part, self.live = part, live

    def put(self, data: Any, shown: float, order: float | None, *, key: bool, size: int) -> None:
        """Store a packet of video, in decoding order."""
        with self._lock:
            part = self._part
            if part is None or self._ended:
                return
            kept = Kept(data, part, shown, order, key, size)
            if key:
                self._decodable = part
                self._groups.append(_Group())
            elif self._decodable is not part:
                return  # no key frame has come yet
            if self._groups:
                self._groups[-1].packets.append(kept)
                self._groups[-1].size += size
                self._bytes += size
                self._bound(shown)
            for tap in self._taps:
                tap.give(kept)

    def put_sound(self, data: Any, shown: float, size: int) -> None:
        """Store a packet of sound, in the order of its times."""
        with self._lock:
            part = self._part
            if part is None or part.sound is None or self._ended:
                return
            kept = Kept(data, part, shown, None, key=False, size=size, sound=True)
            self._sound.append(kept)
            self._bytes += size
            self._bound(shown)
            for tap in self._taps:
                tap.give(kept)

    def place(self, shown: float, time: float) -> None:
        """Set the ``Frame.time`` of a frame of the newest part."""
        part = self._part
        if part is None:
            return
        self._begun = clock.time() - time
        shift = time - shown
        if part.shift is None or abs(shift - part.shift) > _SET_ANEW_S:
            part.shift = shift

    def seen(self, time: float) -> None:
        """A frame with this time is being processed: drop older packets."""
        with self._lock:
            while len(self._groups) > 1:
                following = self._groups[1].packets[0].time
                if following is None or following > time - self._seconds:
                    return
                self._drop()

    def tap(self, since: float) -> Tap:
        """Packets from the last key frame at or before a time, and all that follow.

        If that is no longer stored, it starts with the oldest packet.
        """
        with self._lock:
            tap = Tap(self._most, live=self.live)
            first = 0
            for number, group in enumerate(self._groups):
                begins = group.packets[0].time
                if begins is not None and begins <= since:
                    first = number
            given = list(self._groups)[first:]
            for group in given:
                for kept in group.packets:
                    tap.give(kept)
            for kept in self._sound:
                if not given or kept.place >= given[0].packets[0].place:
                    tap.give(kept)
            if self._ended:
                tap.end()
            else:
                self._taps.append(tap)
        return tap

    def untap(self, tap: Tap) -> None:
        """Stop feeding a tap."""
        with self._lock:
            if tap in self._taps:
                self._taps.remove(tap)

    def end(self) -> None:
        """End of the source: taps end after their queued packets, and the ring is emptied."""
        with self._lock:
            self._ended = True
            for tap in self._taps:
                tap.end()
            self._taps.clear()
            self._groups.clear()
            self._sound.clear()
            self._bytes = 0

    def _bound(self, newest: float) -> None:
        while len(self._groups) > 1:
            first = self._groups[1].packets[0]
            old = self.live and first.part is self._part
            old = old and newest - first.shown > self._seconds + _AHEAD_S
            if self._bytes <= self._most and not old:
                return
            if not old:
                self._tell()
            self._drop()
        if self._bytes > self._most:
            self._tell()
            self._drop()  # the group of a single old key frame is too large

    def _drop(self) -> None:
        """Drop the oldest group, and the sound from before the next one."""
        if self._groups:
            self._bytes -= self._groups.popleft().size
        while self._sound:
            if self._groups and self._sound[0].place >= self._groups[0].packets[0].place:
                return
            self._bytes -= self._sound.popleft().size

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            log.warning(
                "the seconds before an event take more than %d MB in memory: clips begin later",
                self._most // 1_000_000,
            )
