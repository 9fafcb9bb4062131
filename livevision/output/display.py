"""Whether a window can be opened here, found out without risk to this process.

The Qt inside OpenCV's wheels does not raise an error where it cannot reach a display: it aborts the
process. So a child process tries first.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from functools import cache

_ANSWER_S = 20.0

# The child stays connected until it is told to end: an X server without other clients, as on a
# machine for tests, starts anew when its last one leaves, and breaks off who comes just then.
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
    """Why no window can be opened, in words that finish a sentence; None where one can."""
    if sys.platform in ("win32", "darwin"):
        return None
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not screen:
        return "this machine shows no display (DISPLAY is not set)"
    return _try(screen)


def opened() -> None:
    """This process has a window now; the child may go, and takes its time for that."""
    for child in _waiting:
        assert child.stdin is not None
        child.stdin.close()


def closed() -> None:
    """The window has gone; nothing of what opening it took stays."""
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
        # Should no window be opened after all, it ends with this process, as its input does.
        _waiting.append(child)
        return None
    child.kill()
    _end(child)
    if answer == b"no windows":
        return (
            "the installed OpenCV has no windows; bring one that has: pip uninstall -y "
            "opencv-python-headless opencv-python && pip install opencv-python"
        )
    if answer == b"none":
        return f"the display {screen!r} does not answer"
    return f"the display {screen!r} cannot be used"


def _end(child: subprocess.Popen[bytes]) -> None:
    with child:
        assert child.stdin is not None
        child.stdin.close()
