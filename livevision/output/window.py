"""A window that shows frames as they come; q, Esc or closing it ends the run."""

from __future__ import annotations

import contextlib
import time

import cv2

from livevision.errors import OutputError
from livevision.frame import Rendered
from livevision.output import display
from livevision.output.options import DEFAULTS, OutputOptions
from livevision.protocols import SourceInfo, StopRequested

_ENDING_KEYS = (ord("q"), ord("Q"), 27)
_LARGEST = (1600, 900)
# If later than this, a paced window continues from there instead of catching up.
_LATE_S = 0.25


class WindowSink:
    """Shows pictures in a window of their shape. Use it on the main thread.

    Attributes:
        waited: Total seconds that frames were held back for their time.

    Args:
        target: Unused; a window has no address.
        info: The source; its name is the title.
        options: ``pace`` shows a file no faster than its own times.

    Raises:
        OutputError: There is no display, or OpenCV has no windows.
    """

    wants_image = True
    where = ""

    def __init__(self, target: str, info: SourceInfo, options: OutputOptions = DEFAULTS) -> None:
        reason = display.why_not()
        if reason is not None:
            raise OutputError(
                f"cannot open a window: {reason}; or run with --headless and --output FILE"
            )
        self._name = f"livevision: {info.name}"
        self._pace = options.pace and not info.live
        self.waited = 0.0
        self._clock: float | None = None
        self._open = False

    def write(self, rendered: Rendered) -> None:
        """Show a picture: uint8, H×W×3, BGR.

        Raises:
            StopRequested: The user pressed q or Esc, or closed the window.
        """
        if not self._open:
            self._make_window(rendered.image.shape[1], rendered.image.shape[0])
        elif self._gone():
            raise StopRequested("the window was closed")
        cv2.imshow(self._name, rendered.image)
        begun = time.monotonic()
        until = self._until(rendered.frame.time)
        self._wait(until)
        self.waited += max(0.0, until - begun)

    def attend(self) -> None:
        """Check for keys while no frame comes.

        Raises:
            StopRequested: The user pressed q or Esc, or closed the window.
        """
        if self._open:
            self._wait(time.monotonic())
            if self._gone():
                raise StopRequested("the window was closed")

    def close(self) -> None:
        if self._open:
            self._open = False
            # The user may have closed it, which OpenCV reports as an error.
            with contextlib.suppress(cv2.error):
                cv2.destroyWindow(self._name)
            cv2.waitKey(1)
        display.closed()

    def _make_window(self, width: int, height: int) -> None:
        cv2.namedWindow(
            self._name, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
        )
        scale = min(1.0, _LARGEST[0] / width, _LARGEST[1] / height)
        cv2.resizeWindow(self._name, max(1, round(width * scale)), max(1, round(height * scale)))
        self._open = True
        display.opened()

    def _until(self, frame_time: float) -> float:
        """The monotonic time until which a picture is shown."""
        now = time.monotonic()
        if not self._pace:
            return now
        if self._clock is None or not -_LATE_S < self._clock + frame_time - now < 10:
            self._clock = now - frame_time
        return self._clock + frame_time

    def _wait(self, until: float) -> None:
        """Let the window redraw and check for keys, at least once and until a moment."""
        while True:
            left = until - time.monotonic()
            if cv2.waitKey(max(1, min(20, round(left * 1000)))) & 0xFF in _ENDING_KEYS:
                raise StopRequested("a key was pressed in the window")
            if left <= 0.001:
                return
            if self._gone():
                raise StopRequested("the window was closed")

    def _gone(self) -> bool:
        with contextlib.suppress(cv2.error):
            return cv2.getWindowProperty(self._name, cv2.WND_PROP_VISIBLE) < 1
        return True
