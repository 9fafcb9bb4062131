"""States and durations as text for people."""

from __future__ import annotations

from livevision.capture.life import Vitals


def state_in_words(now: Vitals, paused: bool, at: float) -> str:
    """The state of a source: "live", "paused", "reconnecting, 12 s", "ended: …".

    Args:
        now: The state of the source.
        paused: Whether the source is paused.
        at: The present ``time.monotonic()``.
    """
    lasting = duration(at - now.since)
    if now.state == "connecting":
        return f"connecting, {lasting}"
    if now.state == "retrying":
        return f"reconnecting, {lasting}"
    if now.state == "ended":
        return f"ended: {now.why}" if now.why else "ended"
    return "paused" if paused else "live"


def duration(seconds: float) -> str:
    """Seconds as "12 s", "3 min", "2 h 5 min" or "4 d"."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86400:
        hours, minutes = whole // 3600, whole % 3600 // 60
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{whole // 86400} d"
