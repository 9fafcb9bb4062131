"""Packets of a source, and the queue in which a writer gets them.

The queue gives video and sound in the order of their times, however the container stores them, so
that a writer cuts both at the same moment.
"""

from __future__ import annotations

import threading
import time as clock
from collections import deque
from dataclasses import dataclass
from typing import Any

from livevision.media.extras import Track

LATE_S = 2.0
"""Seconds that sound may arrive behind the video of the same time; later sound is not awaited."""

Place = tuple[int, float]
"""Where a packet belongs in its source: number of its part, and time by the part's clock."""

_NOWHERE: Place = (-1, float("-inf"))


@dataclass(slots=True, eq=False)
class Part:
    """Packets with one clock and one codec: a connection, or one pass over a file.

    Attributes:
        template: A PyAV stream with the codec's parameters; None for JPEG packets.
        holder: The container of the template.
        codec: FFmpeg's name of the codec.
        shift: Difference from its times to ``Frame.time``; None before its first decoded frame.
        sound: Its sound; None if it has none, or none is wanted.
        number: Its position in the source.
    """

    template: Any
    holder: Any
    codec: str
    shift: float | None = None
    sound: Track | None = None
    number: int = 0


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
        sound: It is sound.
    """

    data: Any
    part: Part
    shown: float
    order: float | None
    key: bool
    size: int
    sound: bool = False

    @property
    def time(self) -> float | None:
        """Presentation time as ``Frame.time``; None while unknown."""
        return None if self.part.shift is None else self.shown + self.part.shift

    @property
    def decoded(self) -> float | None:
        """Decoding time as ``Frame.time``: no later packet is shown before it."""
        shift, order = self.part.shift, self.order
        return None if shift is None else (self.shown if order is None else order) + shift

    @property
    def place(self) -> Place:
        """Where it belongs among the packets of the source; sound from then on follows it."""
        when = self.shown if self.key or self.order is None else self.order
        return self.part.number, when


class Tap:
    """A queue of packets for one writer.

    Args:
        most_bytes: Maximum queued bytes; beyond that the writer is too slow, and the tap ends.
        live: The packets come as they are captured: video does not wait for sound for ever.

    Attributes:
        broken: It ended for that reason.
        ended: Nothing is added any more, as of the last ``look``.
    """

    def __init__(self, most_bytes: int, *, live: bool = False) -> None:
        self._most = 2 * most_bytes  # it starts with the contents of the ring
        self._live = live
        self._video: deque[Kept] = deque()
        self._sound: deque[Kept] = deque()
        self._bytes = 0
        self._ended = self.broken = self.ended = self._begun = False
        self._looked_at: Kept | None = None
        self._taken = self._newest = self._heard = _NOWHERE
        self._came = clock.monotonic()
        self._change = threading.Condition()

    def give(self, kept: Kept) -> None:
        """Add a packet; video from the first key frame on."""
        with self._change:
            self._begun = self._begun or kept.key
            if self._ended or not (self._begun or kept.sound):
                return
            if self._bytes + kept.size > self._most:
                self._ended = self.broken = True
            else:
                self._bytes += kept.size
                self._add(kept)
            self._change.notify_all()

    def _add(self, kept: Kept) -> None:
        if kept.sound:
            self._sound.append(kept)
            self._heard = max(self._heard, kept.place)
            return
        self._video.append(kept)
        if self._newest[0] < kept.part.number:
            self._heard = max(self._heard, kept.place)  # its sound is awaited from here on
        self._newest = max(self._newest, kept.place)
        self._came = clock.monotonic()

    def end(self) -> None:
        """Announce the end."""
        with self._change:
            self._ended = True
            self._change.notify_all()

    def look(self, seconds: float) -> Kept | None:
        """The next packet, without taking it; None if none comes within so many seconds."""
        with self._change:
            found = self._next()
            if found is None and not self._ended:
                self._change.wait(seconds)
                found = self._next()
            self._looked_at, self.ended = found, self._ended
            return found

    def take(self) -> Kept:
        """Take the packet that ``look`` returned."""
        with self._change:
            kept, self._looked_at = self._looked_at, None
            assert kept is not None
            (self._sound if kept.sound else self._video).popleft()
            if not kept.sound:
                self._taken = max(self._taken, kept.place)
            self._bytes -= kept.size
        return kept

    def sound_from(self, first: Kept) -> Kept | None:
        """The sound that begins with a key frame; None if it has none, or much later.

        Args:
            first: The key frame, which was looked at or taken last.
        """
        with self._change:
            number, moment = first.place
            for kept in self._sound if first.part.sound is not None else ():
                if kept.place >= first.place:
                    return kept if kept.place <= (number, moment + LATE_S) else None
        return None

    def _next(self) -> Kept | None:
        video = self._video[0] if self._video else None
        sound = self._sound[0] if self._sound else None
        if sound is not None:
            before = self._taken if video is None else max(self._taken, video.place)
            if sound.place < before or (video is None and self._ended):
                return sound
            return video
        return None if video is None or self._awaits_sound(video) else video

    def _awaits_sound(self, video: Kept) -> bool:
        """Whether sound may still come that belongs before a packet of video."""
        if self._ended or video.part.sound is None or self._heard >= video.place:
            return False
        if self._newest[0] > video.part.number or self._newest[1] - self._heard[1] > LATE_S:
            return False  # the part has ended, or its sound has
        return not (self._live and clock.monotonic() - self._came > LATE_S)
