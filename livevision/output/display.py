"""Whether a window can be opened here, found out without risk to this process.

The Qt inside OpenCV's wheels does not raise an error where it cannot reach a display: it aborts the
process. So a child process tries first.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

_NO_GUI = 3

_TRY = f"""
import sys
import cv2
try:
    cv2.namedWindow("livevision")
except cv2.error:
    sys.exit({_NO_GUI})
"""


def why_not() -> str | None:
    """Why no window can be opened, in words that finish a sentence; None where one can."""
    if sys.platform in ("win32", "darwin"):
        return None
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not screen:
        return "this machine shows no display (DISPLAY is not set)"
    return _try(screen)


@cache
def _try(screen: str) -> str | None:
    try:
        child = subprocess.run(
            [sys.executable, "-c", _TRY],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"the display {screen!r} does not answer"
    if child.returncode == 0:
        return None
    if child.returncode == _NO_GUI:
        return (
            "the installed OpenCV has no windows; bring one that has: pip uninstall -y "
            "opencv-python-headless opencv-python && pip install opencv-python"
        )
    return f"the display {screen!r} cannot be used"
