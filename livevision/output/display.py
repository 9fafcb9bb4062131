"""Finds out whether a window can be opened, without risk to this process.

The Qt in OpenCV's wheels does not raise an error if it cannot reach a display: it aborts the
process. A child process therefore tries first.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from functools import cache

_ANSWER_S = 20.0

# The child stays connected until it is told to end: an X server without other clients, as on test
# machines, restarts when its last client leaves, and drops connections made at that moment.
_TRY = """
import sys
import cv2
try:
    cv2.namedWindow("livevision")
except cv2.error:
    print("no windows", flush=True)
else:
    cv2.destroyAllWindows()
    print("works", flush=True)
    sys.stdin.read()
"""

_waiting: list[subprocess.Popen[bytes]] = []


def why_not() -> str | None:
    """Why no window can be opened, as the end of a sentence; None if one can."""
    if sys.platform in ("win32", "darwin"):
        return None
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not screen:
        return "this machine shows no display (DISPLAY is not set)"
    return _try(screen)


def opened() -> None:
    """This process has a window now; the child may exit, which takes it a while."""
    for child in _waiting:
        assert child.stdin is not None
        child.stdin.close()


def closed() -> None:
    """The window has been closed; release what opening it needed."""
    while _waiting:
        _end(_waiting.pop())


@cache
def _try(screen: str) -> str | None:
    child = subprocess.Popen(
        [sys.executable, "-c", _TRY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert child.stdout is not None
    ready, _, _ = select.select([child.stdout], [], [], _ANSWER_S)
    answer = child.stdout.readline().strip() if ready else b"none"
    if answer == b"works":
        # If no window is opened after all, it exits with this process, when its input ends.
        _waiting.append(child)
        return None
    child.kill()
    _end(child)
    if answer == b"no windows":
        return (
            "the installed OpenCV has no windows; install one that has: pip uninstall -y "
            "opencv-python-headless opencv-python && pip install opencv-python"
        )
    if answer == b"none":
        return f"the display {screen!r} does not answer"
    return f"the display {screen!r} cannot be used"


def _end(child: subprocess.Popen[bytes]) -> None:
    with child:
        assert child.stdin is not None
        child.stdin.close()
