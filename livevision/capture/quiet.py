"""Silences OpenCV's log where our own messages say the same, with a remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """Context without OpenCV's log; restores its level."""
    import cv2

    # The functions moved between versions.
    logs: Any = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging
    level = logs.getLogLevel()
    logs.setLogLevel(0)
    try:
        yield
    finally:
        logs.setLogLevel(level)
