"""One rising clock for all streams of a file whose own clock starts anywhere, falls or jumps.

Transport streams and what is joined from them do that: each part begins at a time of its own. The
pictures lead: where their clock breaks, the next part follows the last picture without a gap, and
whatever else belongs to the part is moved by as much, so that sound stays in step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")

_FALL = 0.1  # seconds; a muxer's slip is smaller
_FALL_OF_SOLID = 1.0  # of a clock that has no reason to break
_REORDERED = 17  # pictures by which H.264 and H.265 may be out of the order of presentation
_JUMP = 10.0  # less may be a pause of the recording
_PATIENCE, _MOST_HELD = 3.0, 1000  # seconds and packets that sound may be ahead of the pictures
_LATEST = 16  # parts that a packet may belong to


@dataclass(slots=True)
class _Part:
    """A stretch of the file between two breaks: what to add to its times, and the last of them."""

    shift: float
    last: float


@dataclass(slots=True)
class _Follower(Generic[Item]):
    """A stream beside the pictures.

    Attributes:
        part: Which part its last packet belongs to.
        last, length: Time and duration of that packet, by the file's clock.
        shift: What is added to its times beyond what the part asks for.
        held: Packets behind a break that the pictures have not come to yet.
    """

    part: int
    last: float | None = None
    length: float = 0.0
    shift: float = 0.0
    held: deque[tuple[float, float, Item]] = field(default_factory=deque)


class Clock(Generic[Item]):
    """Says what to add to each packet's time, in seconds.

    Args:
        zero: The file's time that becomes 0.
        jumps: Its clock may break: a leap of more than ten seconds is a break then, and a fall of
            more than a tenth of a second. Else only a fall of more than a second is.
        leaps: Leaps count at all. In a live stream nothing came for that long.

    Attributes:
        breaks: How often it broke so far.
    """

    def __init__(self, zero: float = 0.0, *, jumps: bool = False, leaps: bool = True) -> None:
        self._fall = _FALL if jumps else _FALL_OF_SOLID
        self._jump = _JUMP if jumps and leaps else float("inf")
        self._parts = [_Part(-zero, zero)]
        self._by_dts = False
        self._last: float | None = None
        self._end = 0.0  # of the pictures so far, on the new clock
        self._followers: dict[int, _Follower[Item]] = {}

    @property
    def breaks(self) -> int:
        return len(self._parts) - 1

    def picture(self, pts: float | None, dts: float | None, length: float) -> float:
        """What to add to the times of the next packet of video, in the order of decoding.

        Args:
            pts, dts: Its times in seconds by the file, where there are any.
            length: How long it is shown.
        """
        part = self._parts[-1]
        shown = pts if pts is not None else dts
        # Times of decoding rise; those of presentation stand in for them where there are no others.
        self._by_dts = self._by_dts or dts is not None
        now = dts if self._by_dts else pts
        if shown is None or now is None:
            return part.shift
        fall = self._fall if self._by_dts else max(self._fall, _REORDERED * length)
        if self._last is not None and self._broken(now - self._last, fall):
            fell = now < self._last
            if fell or not self._sound_is_near(now):
                part = _Part(self._end - shown, now)
                self._parts.append(part)
        self._last = part.last = now
        self._end = max(self._end, shown + part.shift + length)
        return part.shift

    def beside(
        self, stream: int, time: float, length: float, item: Item, *, steady: bool
    ) -> Iterator[tuple[Item, float]]:
        """Packets of another stream that can go on, each with what to add to its times.

        Args:
            stream: Any number for the stream.
            time, length: Of the packet, in seconds by the file.
            item: The packet.
            steady: It is sound, whose times follow each other; else texts or data that come when
                they come.
        """
        if not steady:
            yield item, self._parts[self._nearest(time, 0)].shift
            return
        follower = self._followers.get(stream)
        if follower is None:
            follower = self._followers[stream] = _Follower(self._nearest(time, 0))
        follower.held.append((time, length, item))
        yield from self._let_go(follower, last=False)

    def waiting(self, *, last: bool = False) -> Iterator[tuple[Item, float]]:
        """What was held back and can go on now that the pictures are further.

        Args:
            last: The file has ended: nothing stays.
        """
        for follower in self._followers.values():
            if follower.held:
                yield from self._let_go(follower, last=last)

    def _broken(self, ahead: float, fall: float) -> bool:
        return ahead < -fall or ahead > self._jump

    def _sound_is_near(self, time: float) -> bool:
        """Whether sound went on to where the pictures leap to: then there was just none to show."""
        lasts = (f.last for f in self._followers.values() if f.last is not None)
        return any(abs(time - last) < _JUMP for last in lasts)

    def _let_go(self, follower: _Follower[Item], last: bool) -> Iterator[tuple[Item, float]]:
        while follower.held:
            time, length, item = follower.held[0]
            before = follower.last
            if before is not None and self._broken(time - before, self._fall):
                silence = time > before and abs(time - self._parts[-1].last) < _JUMP
                if follower.part < self.breaks:
                    follower.part = self._nearest(time, follower.part + 1)
                    follower.shift = 0.0
                elif not silence:
                    if not (last or self._tired(follower)):
                        return
                    # A break of this stream alone.
                    follower.shift += before + follower.length - time
            follower.held.popleft()
            follower.last, follower.length = time, length
            yield item, self._parts[follower.part].shift + follower.shift

    def _tired(self, follower: _Follower[Item]) -> bool:
        held = follower.held
        return len(held) > _MOST_HELD or held[-1][0] - held[0][0] > _PATIENCE

    def _nearest(self, time: float, earliest: int) -> int:
        """The part, ``earliest`` or later, that puts a time nearest to where the pictures are."""
        numbers = range(max(earliest, len(self._parts) - _LATEST), len(self._parts))
        present = self._parts[-1].last + self._parts[-1].shift
        return min(numbers, key=lambda n: abs(time + self._parts[n].shift - present))
