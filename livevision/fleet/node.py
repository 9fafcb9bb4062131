"""What runs on a node of a fleet: one run, to which cameras are added and removed."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2

from livevision.analysis.event import Event
from livevision.errors import LivevisionError
from livevision.runtime.metering import Meter
from livevision.runtime.run import Run
from livevision.web.run_facade import RunFacade

if TYPE_CHECKING:
    from livevision.config import Settings, SourceSettings

log = logging.getLogger(__name__)

LEASE_S = 12.0
"""A node that nobody asks for so long ends, since its cameras are placed elsewhere by then."""

_PICTURE_WIDTH = 960
_QUALITY = 80
_MAX_EVENTS = 10_000


@dataclass(frozen=True)
class Picture:
    """A camera's newest picture.

    Attributes:
        data: JPEG.
        size: (width, height) of the camera's frames.
        index: Number of the frame.
        age: Seconds since it was captured.
        row: Its results, as records have them.
    """

    data: bytes
    size: tuple[int, int]
    index: int
    age: float
    row: dict[str, Any]


@dataclass(frozen=True)
class Look:
    """The state of a node.

    Attributes:
        rows: Figures of each camera, by name.
        events: Numbered events that were not acknowledged yet.
        pictures: Newest pictures, by name, if they were asked for.
        report: The run's report.
        error: Why the run ended; "" while it goes on.
    """

    rows: Mapping[str, dict[str, Any]]
    events: Sequence[tuple[int, Event]]
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


class NodeWorker:
    """The run of a node. Thread-safe.

    Args:
        settings: Those of the fleet.
        room: Cameras that the node holds.
        silent: Called once nobody has asked for ``LEASE_S``.
    """

    def __init__(
        self, settings: Settings, room: int, silent: Callable[[], None] = lambda: None
    ) -> None:
        from livevision.output.live_view import LiveView

        given: dict[str, Any] = {"headless": True, "report": None, "events": (), "quiet": True}
        # The page is elsewhere; here its output keeps the newest frames.
        pages = tuple(o for o in settings.output if not o.lower().startswith("web:"))
        given["output"] = (*pages, "web://127.0.0.1:0")
        if settings.mode == "auto":
            given["mode"] = "freshest"
        self._events: deque[tuple[int, Event]] = deque(maxlen=_MAX_EVENTS)
        self._numbers = itertools.count(1)
        self._run = Run(
            settings.model_copy(update=given),
            Meter(),
            stay=True,
            sources=[],
            room=room,
            heard=lambda source, event: self._events.append((next(self._numbers), event)),
        )
        view = self._run.delivery.view
        assert isinstance(view, LiveView)
        self._facade = RunFacade(self._run, view)
        self._error = ""
        self._asked = time.monotonic()
        self._silent = silent
        self._over = threading.Event()
        threading.Thread(target=self._work, name="run", daemon=True).start()
        threading.Thread(target=self._watch, name="lease", daemon=True).start()

    def add(self, name: str, source: SourceSettings) -> str:
        """Add a camera; returns why that is not possible, or ""."""
        try:
            self._run.add(name, source)
        except LivevisionError as error:
            return " ".join(str(error).split())
        return ""

    def remove(self, name: str) -> str:
        """Remove a camera, if it is there."""
        for position in self._run.watched:
            if self._facade.name(position) == name:
                self._facade.remove(position)
        return ""

    def change(self, name: str, **values: Any) -> str:
        """Change live settings of a camera; returns why that is not possible, or ""."""
        for position in self._run.watched:
            if self._facade.name(position) == name:
                try:
                    self._facade.change(position, **values)
                except LivevisionError as error:
                    return " ".join(str(error).split())
        return ""

    def look(self, acknowledged: int = 0, pictures: bool = False) -> Look:
        """The present state.

        Args:
            acknowledged: Number of the last event that has arrived.
            pictures: Send pictures too.
        """
        self._asked = time.monotonic()
        while self._events and self._events[0][0] <= acknowledged:
            self._events.popleft()
        rows = {row["name"]: row for row in self._facade.sources()}
        found = {}
        if pictures:
            for position in self._run.watched:
                picture = self._picture(position)
                if picture is not None:
                    found[self._facade.name(position)] = picture
        return Look(rows, list(self._events)[:500], found, self._run.report(), self._error)

    def close(self) -> None:
        """End the run."""
        self._over.set()
        self._run.pipeline.stop()

    def _picture(self, position: int) -> Picture | None:
        shown = self._facade.view.newest(position)
        if shown is None:
            return None
        image = self._facade.view.picture(shown)
        height, width = image.shape[:2]
        scale = min(1.0, _PICTURE_WIDTH / width)
        smaller = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        _, data = cv2.imencode(".jpg", smaller, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        row = self._facade.row(position, shown)
        frame = shown.rendered.frame
        return Picture(data.tobytes(), (width, height), frame.index, shown.age, row)

    def _work(self) -> None:
        try:
            with closing(self._run.frames()) as frames:
                for _ in frames:
                    pass
            self._error = "the run has ended"
        except Exception as error:
            log.exception("the run of this node has failed")
            self._error = " ".join(str(error).split()) or type(error).__name__

    def _watch(self) -> None:
        while not self._over.wait(1.0):
            if time.monotonic() - self._asked > LEASE_S:
                self._silent()
                return


def measure(settings: Settings, size: tuple[int, int], fps: int, seconds: float, most: int) -> int:
    """Cameras that this machine holds with these settings; see ``bench.streams``."""
    from livevision.bench.serving import Served, StreamServer
    from livevision.bench.streams import Bounds, capacity
    from livevision.bench.streams import measure as measured

    given = {"output": ("null",), "headless": True, "quiet": True, "events": (), "clips": None}
    plain = settings.model_copy(update={**given, "record": "off", "sources": {}, "report": None})
    with closing(StreamServer(Served(size, fps, most))) as server:
        return capacity(lambda n: measured(server, n, plain, seconds, Bounds()), most)
