"""Queues the packets of a live stream before decoding, and skips late ones up to a key frame.

If the decoder is slower than the stream, or a stalled network delivers everything at once, a run
falls behind, and the delay hides in FFmpeg's and the system's buffers. A thread therefore reads
packets as they arrive, so that lateness is measured and decoding can skip to a key frame.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from livevision.capture.times import LiveTimes
from livevision.errors import SourceError

if TYPE_CHECKING:
    from av import Packet

log = logging.getLogger(__name__)

_LATE_S = 0.4
"""Seconds behind above which a packet is late: after half a second a frame is not shown."""

_CAUGHT_UP_S = 0.2
_CATCHING_UP_S = 0.5  # everything is decoded for this long, to catch up without a gap
_TRIAL_S = 0.1  # ... but progress must show after this long
_ELSEWHERE_S = 5.0  # what stays late for so long is in buffers out of reach
_MOST = 2000  # queued packets, if late ones are skipped and if not
_MOST_WANTED = 50
_TOLD_EVERY_S = 60.0


class FallenBehind(SourceError):
    """A stream is late although everything has been read; a new connection may help."""


@dataclass(slots=True)
class _Arrived:
    packet: Packet[Any]
    at: float
    due: float


class Backlog:
    """Queues the packets of a live stream; yields each with whether to decode it.

    Attributes:
        arrived: ``time.monotonic()`` when the last yielded packet arrived.

    Args:
        times: Gets every packet as it arrives, and computes when it was due.
        closed: Set to end the iteration.
        name: The stream's name in messages.
        skips: Skip late packets. False if every frame counts: the lag grows, and is reported.
    """

    def __init__(
        self,
        times: LiveTimes,
        closed: threading.Event,
        name: str,
        *,
        skips: bool = True,
    ) -> None:
        self.arrived = 0.0
        self._name, self._times, self._closed = name, times, closed
        self._skips = skips
        self._reading: threading.Thread | None = None
        self._packets: deque[_Arrived] = deque()
        self._change = threading.Condition()
        self._over = False
        self._error: BaseException | None = None
        self._late_from: float | None = None  # since when packets arrive late
        self._late_since: tuple[float, float] | None = None  # moment and lag at that moment
        self._skipping = False
        self._told = -_TOLD_EVERY_S

    def __call__(self, packets: Iterator[Packet[Any]]) -> Generator[tuple[Packet[Any], bool]]:
        """Yield each packet with whether to decode it.

        Raises:
            FallenBehind: Packets keep arriving late.
            av.error.FFmpegError: As from ``packets``.
        """
        self._reading = threading.Thread(
            target=self._read, args=(packets,), name="stream packets", daemon=True
        )
        self._reading.start()
        try:
            while (next_one := self._take()) is not None:
                self.arrived = next_one.at
                looked_at = self._skipping or self._may_skip()
                yield next_one.packet, not looked_at or self._wanted(next_one)
        finally:
            self.close()

    def close(self) -> None:
        """End the reading thread and wait for it; a silent network may delay that."""
        with self._change:
            self._over = True
            self._change.notify_all()
        if self._reading is not None:
            self._reading.join()

    def _may_skip(self) -> bool:
        """Whether late packets may be skipped; a stream ahead of its time is not late."""
        return self._skips and not self._times.ahead

    # On the reading thread.

    def _read(self, packets: Iterator[Packet[Any]]) -> None:
        try:
            for packet in packets:
                now = time.monotonic()
                due = self._times.arrived(packet, now)
                if now - due <= _LATE_S:
                    self._late_from = None
                elif self._late_from is None:
                    self._late_from = now
                with self._change:
                    most = _MOST if self._may_skip() or self._times.paced else _MOST_WANTED
                    while len(self._packets) >= most and not self._ending():
                        self._change.wait(0.1)
                    if self._ending():
                        return
                    self._packets.append(_Arrived(packet, now, due))
                    self._change.notify_all()
                late = 0.0 if self._late_from is None else now - self._late_from
                if late > _ELSEWHERE_S and self._may_skip():
                    raise FallenBehind(
                        f"it arrives {now - due:.1f} s late with nothing left to read: the network "
                        "or the sender is slower than the stream"
                    )
        except BaseException as error:
            self._error = error
        finally:
            with self._change:
                self._over = True
                self._change.notify_all()

    def _ending(self) -> bool:
        return self._over or self._closed.is_set()

    # On the decoding thread.

    def _take(self) -> _Arrived | None:
        with self._change:
            while not self._packets:
                if self._closed.is_set():
                    return None
                if self._over:
                    if self._error is not None:
                        raise self._error
                    return None
                self._change.wait(0.1)
            taken = self._packets.popleft()
            self._change.notify_all()
        if self._times.paced:
            self._closed.wait(max(0.0, taken.due - time.monotonic()))
        return None if self._closed.is_set() else taken

    def _wanted(self, taken: _Arrived) -> bool:
        """Whether to decode a packet, by how late it is and whether that improves."""
        now = time.monotonic()
        lag = now - taken.due
        if lag <= _LATE_S:
            self._late_since = None
        elif self._late_since is None:
            self._late_since = now, lag
        elif not self._skipping and self._hopeless(now, lag):
            self._tell(now, lag)
            self._skipping = True
        if self._skipping and taken.packet.is_keyframe:
            self._skipping = lag > _CAUGHT_UP_S and self._newer_key_frame()
            if not self._skipping:
                self._late_since = None
        return not self._skipping

    def _hopeless(self, now: float, lag: float) -> bool:
        """Whether decoding everything will not catch up soon."""
        since, lag_then = self._late_since or (now, lag)
        passed = now - since
        if passed < _TRIAL_S:
            return False
        gained = (lag_then - lag) / passed
        return gained <= 0 or passed + (lag - _LATE_S) / gained > _CATCHING_UP_S

    def _newer_key_frame(self) -> bool:
        with self._change:
            return any(held.packet.is_keyframe for held in self._packets)

    def _tell(self, now: float, lag: float) -> None:
        level = logging.WARNING if now - self._told >= _TOLD_EVERY_S else logging.DEBUG
        self._told = now
        log.log(
            level,
            "%s: %.1f s behind: skipping to the next key frame",
            self._name,
            lag,
        )
