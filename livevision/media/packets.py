"""The last seconds of a source as it sent them: encoded packets, for clips and recordings.

A source puts in its packets as it reads them, long before anybody knows whether a clip is wanted.
Whoever wants one taps the ring: he has what is held from a moment on, and then all that follows.

    reader ──► ring: group of pictures, group of pictures, … ──► taps

Packets are PyAV's, or JPEG pictures of sources that have none. They are shared: read, and never
changed. A ring begins with a key frame, since nothing before one can be decoded.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

log = logging.getLogger(__name__)

MOST_BYTES = 64_000_000
"""What a ring holds at most, and what waits in a tap at most."""

_AHEAD_S = 30.0  # that a live source may be ahead of who looks at its frames
_SET_ANEW_S = 0.5  # by which a clock has to move to be another


@dataclass(slots=True, eq=False)
class Part:
    """A stretch of packets with one clock and one codec: a connection, or one reading of a file.

    Attributes:
        template: A stream of PyAV's with the codec's parameters; None where the packets are JPEG.
        holder: What the template is part of.
        codec: The codec as FFmpeg calls it.
        shift: What its times lack to ``Frame.time``; None before its first frame is decoded.
    """

    template: Any
    holder: Any
    codec: str
    shift: float | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A packet.

    Attributes:
        data: PyAV's packet, or the bytes of a JPEG picture.
        part: What it belongs to.
        shown: When it is shown, in seconds by the part's clock.
        order: When it is decoded, by the same clock; None where nobody says.
        key: Decoding can begin with it.
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
        """When it is shown, by ``Frame.time``; None while that is not known."""
        return None if self.part.shift is None else self.shown + self.part.shift

    @property
    def decoded(self) -> float | None:
        """When it is decoded, by ``Frame.time``: no later packet is shown before."""
        shift, order = self.part.shift, self.order
        return None if shift is None else (self.shown if order is None else order) + shift


@dataclass(slots=True)
class _Group:
    """A key frame with what is decoded from it."""

    packets: list[Kept] = field(default_factory=list)
    size: int = 0


class PacketRing:
    """Holds what a source sent in the seconds before the frame that is looked at now.

    ``begin``, ``put`` and ``place`` are the source's, ``seen`` and ``tap`` those of who looks at
    the frames; all are safe from any thread.

    Args:
        seconds: How many, at least.
        most_bytes: Where that would take more, the oldest go.
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

    @property
    def part(self) -> Part | None:
        """What the newest packets belong to; None before the first."""
        return self._part

    @property
    def start(self) -> float | None:
        """Time of the first packet that is held, by ``Frame.time``; None where that is unknown."""
        with self._lock:
            return self._groups[0].packets[0].time if self._groups else None

    @property
    def size(self) -> int:
        """Bytes that are held."""
        return self._bytes

    def begin(self, part: Part, *, live: bool) -> None:
        """A connection or file was opened; its packets follow, a key frame first."""
        with self._lock:
            self._part, self.live = part, live

    def put(self, data: Any, shown: float, order: float | None, *, key: bool, size: int) -> None:
        """Take a packet, in the order of decoding."""
        with self._lock:
            part = self._part
            if part is None or self._ended:
                return
            kept = Kept(data, part, shown, order, key, size)
            if key:
                self._decodable = part
                self._groups.append(_Group())
            elif self._decodable is not part:
                return  # nothing that it could be decoded with has come
            if self._groups:
                self._groups[-1].packets.append(kept)
                self._groups[-1].size += size
                self._bytes += size
                self._bound(shown)
            for tap in self._taps:
                tap.give(kept)

    def place(self, shown: float, time: float) -> None:
        """Say at which ``Frame.time`` a frame of the newest part is shown."""
        part = self._part
        if part is None:
            return
        shift = time - shown
        if part.shift is None or abs(shift - part.shift) > _SET_ANEW_S:
            part.shift = shift

    def seen(self, time: float) -> None:
        """Somebody looks at the frame of a time now: let go of what is older than the seconds."""
        with self._lock:
            while len(self._groups) > 1:
                following = self._groups[1].packets[0].time
                if following is None or following > time - self._seconds:
                    return
                self._drop()

    def tap(self, since: float) -> Tap:
        """What was sent from the last key frame at or before a time on, and all that follows.

        Where that is not held any more, it begins with what is.
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
        """Give a tap nothing more."""
        with self._lock:
            if tap in self._taps:
                self._taps.remove(tap)

    def end(self) -> None:
        """Nothing follows: taps end behind what they have, and the ring is emptied."""
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
            self._drop()  # a key frame so long ago that its group alone is too large

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
    """Packets on their way to one who writes them.

    Args:
        most_bytes: What may wait; where more does, the writer is too slow, and it ends.

    Attributes:
        broken: It ended for that.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = 2 * most_bytes  # it begins with what the ring has
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
        """Nothing follows."""
        with self._change:
            self._ended = True
            self._change.notify_all()

    def look(self, seconds: float) -> Kept | None:
        """The next packet, which stays; None where none comes within so many seconds."""
        with self._change:
            if not self._waiting and not self._ended:
                self._change.wait(seconds)
            return self._waiting[0] if self._waiting else None

    def take(self) -> Kept:
        """The packet that ``look`` showed, which goes."""
        with self._change:
            kept = self._waiting.popleft()
            self._bytes -= kept.size
        return kept

    @property
    def ended(self) -> bool:
        """Whether nothing follows behind what waits."""
        return self._ended
