"""An event: a rule began to hold, or ended."""

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
    """An event of a rule.

    Attributes:
        id: A ULID: 26 letters and digits that sort by time, and by order within a millisecond.
        source: The source's name, without passwords.
        time: Time of capture of the frame, UTC, ISO 8601.
        rule: Name of the rule.
        phase: "began", or "ended" for rules with a duration.
        place: Name of the zone or line.
        kind: The measure: "count", "queue", "dwell", "share" or "crosses".
        value: Value of the measure: a number, seconds, or a share of 0..1.
        tracks: Numbers of the tracks involved.
        classes: Their classes, in the same order.
        frame: Number of the frame.
        frame_time: The frame's time in its source, in seconds.
        way: Direction of a crossing, "in" or "out".
        began: If it ended, the id of the event that began.
        lasted: If it ended, its duration in seconds.
        picture: File of the frame's picture, with ``--clips``.
        clip: File of the clip, written once its last second has passed.
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
        """The event as JSON, without missing values."""
        known = {key: value for key, value in asdict(self).items() if value is not None}
        return {key: list(v) if isinstance(v, tuple) else v for key, v in known.items()}


class Ulids:
    """Generates ascending ULIDs, also within a millisecond and if the clock is set back.

    Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def __call__(self, seconds: float) -> str:
        """The next ULID for a time in seconds since 1970."""
        with self._lock:
            first = int(seconds * 1000) << _RANDOM_BITS
            if first >> _RANDOM_BITS > self._last >> _RANDOM_BITS:
                self._last = first | secrets.randbits(_RANDOM_BITS)
            else:
                self._last += 1
            number = self._last
        return "".join(_LETTERS[number >> shift & 31] for shift in range(125, -1, -5))


def utc_time(monotonic: float) -> datetime:
    """The time of a ``time.monotonic()`` in UTC."""
    return datetime.fromtimestamp(clock.time() - (clock.monotonic() - monotonic), UTC)


def as_text(moment: datetime) -> str:
    """A time as ISO 8601 in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
