"""How many processors this process may use: all, or its share of a machine with other workers."""

from __future__ import annotations

import os

_share: int | None = None


def usable() -> int:
    """Processors that threads may be started for."""
    return _share or os.cpu_count() or 2


def share() -> int | None:
    """The number set by ``limit``; None without one."""
    return _share


def limit(processors: int) -> None:
    """Use so many processors at most: in nets, decoders, encoders and OpenCV."""
    global _share
    _share = max(1, processors)
    import cv2

    cv2.setNumThreads(_share)
