"""The newest frame of each source, for viewers of a run in progress."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from livevision.frame import Image, Inferred, Rendered
from livevision.output.options import DEFAULTS, OutputOptions
from livevision.protocols import OutletPolicy, SourceInfo
from livevision.results import ClassMap, Label


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame in the view.

    Attributes:
        rendered: The frame and its results; see ``LiveView.picture`` for its picture.
        serial: Number of the frame in its source from 1, without gaps.
        at: ``time.monotonic()`` when it arrived.
    """

    rendered: Rendered
    serial: int
    at: float = field(default_factory=time.monotonic)

    @property
    def age(self) -> float:
        """Seconds since the frame was captured."""
        return time.monotonic() - self.rendered.frame.wall_time


Listener = Callable[[int, Shown], None]
"""Called with a source and its new frame, on the thread that delivers frames; it must be quick."""


class LiveView:
    """The newest frame of each source, drawn when somebody looks. Thread-safe.

    Attributes:
        draw: Draws a frame that no other output has drawn; None leaves it as it is.
        drawn: Number of frames drawn here.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: dict[int, Shown] = {}
        self._listeners: tuple[Listener, ...] = ()
        self._drawing = threading.Lock()
        self._pictures: dict[int, tuple[int, Image]] = {}
        self.draw: Callable[[Inferred], Image] | None = None
        self.drawn = 0

    def put(self, rendered: Rendered) -> None:
        """Replace the frame of its source."""
        source = rendered.frame.source
        with self._lock:
            before = self._newest.get(source)
            shown = Shown(rendered, 1 if before is None else before.serial + 1)
            self._newest[source] = shown
            listeners = self._listeners
        for listener in listeners:
            listener(source, shown)

    def newest(self, source: int) -> Shown | None:
        """The newest frame of a source; None before the first one."""
        return self._newest.get(source)

    def picture(self, shown: Shown) -> Image:
        """The picture of a frame, read-only: uint8, H×W×3, BGR. It is drawn once."""
        undrawn, source = shown.rendered.undrawn, shown.rendered.frame.source
        if undrawn is None or self.draw is None:
            return shown.rendered.image
        with self._drawing:
            serial, image = self._pictures.get(source, (0, shown.rendered.image))
            if serial != shown.serial:
                image = self.draw(undrawn)
                self._pictures[source] = shown.serial, image
                self.drawn += 1
            return image

    def forget(self, source: int) -> None:
        """Drop a source's frame."""
        with self._lock:
            self._newest.pop(source, None)
            self._pictures.pop(source, None)

    def listen(self, listener: Listener) -> None:
        """Call a listener with every new frame."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def leave(self, listener: Listener) -> None:
        """Remove a listener."""
        with self._lock:
            self._listeners = tuple(one for one in self._listeners if one != listener)


def counts(rendered: Rendered) -> Mapping[str, int]:
    """Number of objects of each class in a frame; for a whole frame, its likeliest class."""
    found: Counter[str] = Counter()
    for result in rendered.results.values():
        if isinstance(result, Label):
            found.update([result.labels[int(i)] for i in result.class_id[:1]])
        elif not isinstance(result, ClassMap):
            found.update(map(str, result.data.get("class_name", ())))
    return found


class LiveViewSink:
    """Delivers the frames of all sources to the view in ``options``.

    Args:
        target: The address of the page.
        info: The first source.
        options: ``view``.
    """

    wants_image = False  # the view has them drawn
    policy = OutletPolicy(full="newest", failing="retry")
    where = ""

    def __init__(self, target: str, info: SourceInfo, options: OutputOptions = DEFAULTS) -> None:
        self._view = options.view or LiveView()

    def opened(self, source: int, info: SourceInfo) -> None:
        """Frames of a source follow."""

    def write(self, rendered: Rendered) -> None:
        """Show a frame."""
        self._view.put(rendered)

    def close(self) -> None:
        """Nothing to finish."""
