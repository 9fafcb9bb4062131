"""One monotonic clock for all streams of a file whose own clock starts anywhere, falls or jumps.

Transport streams, and files joined from them, have parts with unrelated start times. The video
leads: where its clock breaks, the next part follows without a gap, and all other streams of the
part are shifted by the same amount, so that audio stays in sync.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")

_FALL = 0.1  # seconds; more than a muxer's error
_FALL_OF_SOLID = 1.0  # for formats whose clock should not break
_REORDERED = 17  # pictures by which H.264 and H.265 may be out of presentation order
_JUMP = 10.0  # less may be a pause in the recording
_PATIENCE, _MOST_HELD = 3.0, 1000  # seconds and packets that audio may be ahead of the video
_LATEST = 16  # recent parts that a packet may belong to


@dataclass(slots=True)
class _Part:
    """A stretch of the file between two breaks: the shift of its times, and the last time."""

    shift: float
    last: float


@dataclass(slots=True)
class _Follower(Generic[Item]):
    """A stream other than the video.

    Attributes:
        part: The part of its last packet.
        last, length: Time and duration of that packet, by the file's clock.
        shift: Shift of its times in addition to that of the part.
        held: Packets after a break that the video has not reached yet.
    """

    part: int
    last: float | None = None
    length: float = 0.0
    shift: float = 0.0
    held: deque[tuple[float, float, Item]] = field(default_factory=deque)


class Clock(Generic[Item]):
    """Computes the shift of each packet's time, in seconds.

    Args:
        zero: The file's time that becomes 0.
        jumps: The format's clock may break: a leap of more than ten seconds, or a fall of more than
            a tenth of a second. Otherwise only a fall of more than a second is a break.
        leaps: Leaps count as breaks. False for live streams, which may be silent for that long.

    Attributes:
        breaks: Number of breaks so far.
    """

    def __init__(self, zero: float = 0.0, *, jumps: bool = False, leaps: bool = True) -> None:
        self._fall = _FALL if jumps else _FALL_OF_SOLID
        self._jump = _JUMP if jumps and leaps else float("inf")
        self._parts = [_Part(-zero, zero)]
        self._by_dts = False
        self._last: float | None = None
        self._end = 0.0  # of the video so far, on the new clock
        self._followers: dict[int, _Follower[Item]] = {}

    @property
    def breaks(self) -> int:
        return len(self._parts) - 1

    def picture(self, pts: float | None, dts: float | None, length: float) -> float:
        """The shift for the next video packet, in decoding order.

        Args:
            pts, dts: Its times in seconds by the file, if any.
            length: Its duration.
        """
        part = self._parts[-1]
        shown = pts if pts is not None else dts
        # Decoding times rise; presentation times replace them if they are missing.
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
        """Packets of another stream that are ready, each with its shift.

        Args:
            stream: Any number identifying the stream.
            time, length: Time and duration of the packet, in seconds by the file.
            item: The packet.
            steady: Audio, whose packets are contiguous; otherwise text or data with gaps.
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
        """Held packets that are ready now that the video has advanced.

        Args:
            last: The file has ended: release all.
        """
        for follower in self._followers.values():
            if follower.held:
                yield from self._let_go(follower, last=last)

    def _broken(self, ahead: float, fall: float) -> bool:
        return ahead < -fall or ahead > self._jump

    def _sound_is_near(self, time: float) -> bool:
        """Whether audio continued to where the video leaps to: then there was just no video."""
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
                    # A break of this stream only.
                    follower.shift += before + follower.length - time
            follower.held.popleft()
            follower.last, follower.length = time, length
            yield item, self._parts[follower.part].shift + follower.shift

    def _tired(self, follower: _Follower[Item]) -> bool:
        held = follower.held
        return len(held) > _MOST_HELD or held[-1][0] - held[0][0] > _PATIENCE

    def _nearest(self, time: float, earliest: int) -> int:
        """The part, ``earliest`` or later, that puts a time nearest to the video."""
        numbers = range(max(earliest, len(self._parts) - _LATEST), len(self._parts))
        present = self._parts[-1].last + self._parts[-1].shift
        return min(numbers, key=lambda n: abs(time + self._parts[n].shift - present))
