"""The last seconds of a source as encoded packets, for clips and recordings.

A source stores its packets as it reads them, before it is known whether a clip is wanted. A writer
taps the ring: it gets the stored packets from a moment on, and then all that follow.

    reader ──► ring: group of pictures, group of pictures, … ──► taps

Packets are PyAV's, or JPEG pictures for sources without packets. They are shared: read them, but
never change them. A ring starts with a key frame, since nothing before one can be decoded.
"""

from __future__ import annotations

import logging
import threading
import time as clock
from collections import deque
from dataclasses import dataclass, field
from typing import Any

log = logging.getLogger(__name__)

MOST_BYTES = 64_000_000
"""Maximum size of a ring, and of a tap's queue."""

_AHEAD_S = 30.0  # that a live source may be ahead of the processed frame
_SET_ANEW_S = 0.5  # shift by which a clock counts as reset


@dataclass(slots=True, eq=False)
class Part:
    """Packets with one clock and one codec: a connection, or one pass over a file.

    Attributes:
        template: A PyAV stream with the codec's parameters; None for JPEG packets.
        holder: The container of the template.
        codec: FFmpeg's name of the codec.
        shift: Difference from its times to ``Frame.time``; None before its first decoded frame.
    """

    template: Any
    holder: Any
    codec: str
    shift: float | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A stored packet.

    Attributes:
        data: PyAV's packet, or the bytes of a JPEG picture.
        part: The part it belongs to.
        shown: Presentation time in seconds by the part's clock.
        order: Decoding time by the same clock; None if unknown.
        key: It is a key frame.
        size: Bytes.
    """

    data: Any
    part: Part
    shown: float
    order: float | None
    key: bool
    size: int

    @property
    def time(self) -> float | None:
        """Presentation time as ``Frame.time``; None while unknown."""
        return None if self.part.shift is None else self.shown + self.part.shift

    @property
    def decoded(self) -> float | None:
        """Decoding time as ``Frame.time``: no later packet is shown before it."""
        shift, order = self.part.shift, self.order
        return None if shift is None else (self.shown if order is None else order) + shift


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
        most_bytes: Maximum size; the oldest packets are dropped.
    """

    def __init__(self, seconds: float, most_bytes: int = MOST_BYTES) -> None:
        self._seconds, self._most = seconds, most_bytes
        self._lock = threading.Lock()
        self._groups: deque[_Group] = deque()
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
            self._part, self.live = part, live

    def put(self, data: Any, shown: float, order: float | None, *, key: bool, size: int) -> None:
        """Store a packet, in decoding order."""
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
            tap = Tap(self._most)
            first = 0
            for number, group in enumerate(self._groups):
                begins = group.packets[0].time
                if begins is not None and begins <= since:
                    first = number
            for number, group in enumerate(self._groups):
                if number >= first:
                    for kept in group.packets:
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
        self._bytes -= self._groups.popleft().size

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            log.warning(
                "the seconds before an event take more than %d MB in memory: clips begin later",
                self._most // 1_000_000,
            )


class Tap:
    """A queue of packets for a writer.

    Args:
        most_bytes: Maximum queued bytes; beyond that the writer is too slow, and the tap ends.

    Attributes:
        broken: It ended for that reason.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = 2 * most_bytes  # it starts with the contents of the ring
        self._waiting: deque[Kept] = deque()
        self._bytes = 0
        self._ended = self.broken = self._begun = False
        self._change = threading.Condition()

    def give(self, kept: Kept) -> None:
        """Add a packet."""
        with self._change:
            self._begun = self._begun or kept.key
            if self._ended or not self._begun:
                return
            if self._bytes + kept.size > self._most:
                self._ended = self.broken = True
            else:
                self._waiting.append(kept)
                self._bytes += kept.size
            self._change.notify_all()

    def end(self) -> None:
        """Announce the end."""
        with self._change:
            self._ended = True
            self._change.notify_all()

    def look(self, seconds: float) -> Kept | None:
        """The next packet, without taking it; None if none comes within so many seconds."""
        with self._change:
            if not self._waiting and not self._ended:
                self._change.wait(seconds)
            return self._waiting[0] if self._waiting else None

    def take(self) -> Kept:
        """Take the packet that ``look`` returned."""
        with self._change:
            kept = self._waiting.popleft()
            self._bytes -= kept.size
        return kept

    @property
    def ended(self) -> bool:
        """Whether no more packets will be added."""
        return self._ended
