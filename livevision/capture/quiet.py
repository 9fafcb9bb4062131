"""Keeps OpenCV's own warnings off stderr where ours say the same with a way out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """No word from OpenCV's log inside the block; its level is set back afterwards."""
    import cv2

    # The functions have moved over the versions.
    logs: Any = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging
    level = logs.getLogLevel()
    logs.setLogLevel(0)
    try:
        yield
    finally:
        logs.setLogLevel(level)
