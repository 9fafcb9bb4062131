"""An event: that a rule began or ceased to hold, as a value with a name of its own."""

from __future__ import annotations

import secrets
import threading
import time as clock
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_BITS = 80


@dataclass(frozen=True, slots=True)
class Event:
    """What happened.

    Attributes:
        id: A ULID: 26 letters and digits that sort by time, and by order within a millisecond.
        source: The source's name, without passwords.
        time: When the frame was captured, in UTC, as ISO 8601 writes it.
        rule: Name of the rule.
        phase: "began", or "ended" for what lasted.
        place: Name of the zone or line.
        kind: What was measured: "count", "queue", "dwell", "share" or "crosses".
        value: What it was: a number, seconds, or a share of 1.
        tracks: Numbers of the tracks that it is about.
        classes: Their classes, in the same order.
        frame: Number of the frame.
        frame_time: The frame's time in its source, in seconds.
        way: Of a crossing "in" or "out".
        began: Of what ended, the id of the event that began it.
        lasted: Of what ended, seconds.
        picture: File of the frame, with ``--clips``.
        clip: File of the seconds around it, which is there once they have passed.
    """

    id: str
    source: str
    time: str
    rule: str
    phase: str
    place: str
    kind: str
    value: float
    tracks: tuple[int, ...]
    classes: tuple[str, ...]
    frame: int
    frame_time: float
    way: str | None = None
    began: str | None = None
    lasted: float | None = None
    picture: str | None = None
    clip: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it, without what is not known."""
        told = {key: value for key, value in asdict(self).items() if value is not None}
        return {key: list(v) if isinstance(v, tuple) else v for key, v in told.items()}


class Ulids:
    """Makes ULIDs that rise, even within a millisecond and where the clock is set back.

    May be called from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def __call__(self, seconds: float) -> str:
        """The next one, for a time of day in seconds since 1970."""
        with self._lock:
            first = int(seconds * 1000) << _RANDOM_BITS
            if first >> _RANDOM_BITS > self._last >> _RANDOM_BITS:
                self._last = first | secrets.randbits(_RANDOM_BITS)
            else:
                self._last += 1
            number = self._last
        return "".join(_LETTERS[number >> shift & 31] for shift in range(125, -1, -5))


def day_time(monotonic: float) -> datetime:
    """The moment of a ``time.monotonic()``, in UTC."""
    return datetime.fromtimestamp(clock.time() - (clock.monotonic() - monotonic), UTC)


def as_text(moment: datetime) -> str:
    """A moment as ISO 8601 writes it in UTC, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
