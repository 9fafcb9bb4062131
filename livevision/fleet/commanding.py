"""Runs a fleet until it is stopped: its file, its nodes and its page."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from livevision.config.yaml_file import load
from livevision.errors import LivevisionError, UsageError
from livevision.fleet.fleet import Camera, Fleet, Nodes
from livevision.fleet.node import Picture
from livevision.redact import redact_uri
from livevision.runtime.metering import Meter
from livevision.runtime.run import Run
from livevision.runtime.telling import Telling

if TYPE_CHECKING:
    from livevision.config import Settings, SourceSettings
    from livevision.fleet.page import Desk
    from livevision.web.endpoint import Services

log = logging.getLogger(__name__)

_STEP_S = 0.5
_READ_S = 2.0
_PICTURES_S = 10.0  # between pictures while nobody looks
_STREAMS = ("rtsp://", "rtsps://", "rtmp://", "rtmps://", "srt://", "udp://", "clean:")


def check(settings: Settings) -> None:
    """Check that settings make sense for a fleet.

    Raises:
        UsageError: One does not.
    """
    if settings.source or not settings.sources:
        raise UsageError("a fleet has cameras by name: write them below sources: in its file")
    outputs = [*settings.output, *(o for own in settings.sources.values() for o in own.outputs)]
    for output in outputs:
        if not output.lower().startswith(("web:", *_STREAMS)):
            raise UsageError(
                f"output {redact_uri(output)!r}: a camera of a fleet moves from node to node, and "
                "writes streams (rtsp://…); for files record: continuous"
            )
    if settings.workers is not None:
        raise UsageError("workers is for a backlog of videos; a fleet has the nodes of its cluster")


def run(
    file: Path,
    nodes: Callable[[Settings], Nodes],
    fps: float,
    capacity: float | None,
    stopping: threading.Event | None = None,
    ready: Callable[[Fleet, str], None] = lambda fleet, address: None,
) -> int:
    """Run a fleet; returns the exit code.

    Args:
        file: Its cameras and settings; cameras are added and removed as it changes.
        nodes: Connects to the cluster.
        fps: Rate of the cameras that capacities count.
        capacity: Cameras of each node; None measures it.
        stopping: Ends the fleet; by default SIGINT and SIGTERM do.
        ready: Called once the page is served, with its address or "".

    Raises:
        LivevisionError: It cannot begin.
    """
    settings = load(file, {})
    check(settings)
    stopping = _signalled() if stopping is None else stopping
    with ExitStack() as stack:
        telling = Telling(settings.events, settings.overwrite, settings.events_private)
        stack.enter_context(closing(telling))
        page = _Page(settings)
        fleet = Fleet(nodes(settings), fps, capacity, telling.take, page.show)
        stack.callback(fleet.close)
        for name, own in settings.sources.items():
            fleet.add(name, own)
        ready(fleet, stack.enter_context(page.served(fleet)))
        seen, read, pictured = _changed(file), time.monotonic(), 0.0
        while not stopping.wait(_STEP_S):
            now = time.monotonic()
            fleet.pictures = page.viewers > 0 or now - pictured > _PICTURES_S
            pictured = now if fleet.pictures else pictured
            fleet.step()
            if now - read > _READ_S:
                read = now
                if (found := _changed(file)) != seen:
                    seen = found
                    settings = _reload(file, settings, fleet)
    log.info("the fleet has ended; its nodes let their cameras go")
    return 0


def _reload(file: Path, before: Settings, fleet: Fleet) -> Settings:
    """Read the file again, and add and remove cameras; returns the settings that hold now."""
    try:
        settings = load(file, {})
        check(settings)
    except LivevisionError as error:
        log.error("%s: nothing is changed: %s", file, error)
        return before
    update(fleet, before.sources, settings.sources)
    own = {"sources": before.sources}
    if settings.model_copy(update=own) != before:
        log.warning("%s: settings besides sources take effect when the fleet is started anew", file)
    return before.model_copy(update={"sources": settings.sources})


def update(
    fleet: Fleet, before: Mapping[str, SourceSettings], after: Mapping[str, SourceSettings]
) -> None:
    """Add, remove and replace the cameras that differ; those added elsewhere stay."""
    for name in before:
        if name not in after or after[name] != before[name]:
            fleet.remove(name)
            if name not in after:
                log.info("%s: removed", name)
    for name, own in after.items():
        if name not in before or before[name] != own:
            try:
                fleet.add(name, own)
                log.info("%s: added", name)
            except UsageError as error:
                log.error("%s", error)


class _Page:
    """The page of the fleet, if its settings have one."""

    def __init__(self, settings: Settings) -> None:
        pages = tuple(o for o in settings.output if o.lower().startswith("web:"))
        shown = {"output": pages, "headless": True, "record": "off", "clips": None}
        self._settings = settings.model_copy(update=shown)
        self._desk: Desk | None = None
        self._services: Services | None = None

    @property
    def viewers(self) -> int:
        """How many look at pictures."""
        return 0 if self._services is None else self._services.pictures.viewers

    def show(self, camera: Camera, picture: Picture) -> None:
        """Show a camera's new picture."""
        if self._desk is not None:
            self._desk.show(camera, picture)

    @contextmanager
    def served(self, fleet: Fleet) -> Iterator[str]:
        """A context that serves it; gives its address, or ""."""
        if not self._settings.output:
            yield ""
            return
        from livevision.fleet.endpoints import ENDPOINTS
        from livevision.fleet.page import Desk, FleetFacade, FleetHealth
        from livevision.web.server import served

        # A run that knows settings and models, and is not started. Events are sent elsewhere.
        run = Run(self._settings.model_copy(update={"events": ()}), Meter(), stay=True, sources=[])
        run.settings = self._settings
        self._desk = desk = Desk(fleet)
        with served(
            run,
            health=FleetHealth(run, fleet),
            facade=lambda view: FleetFacade(run, view, desk),
            more=ENDPOINTS,
        ) as page:
            assert page is not None
            self._services = page.services
            yield page.address


def _changed(file: Path) -> object:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _signalled() -> threading.Event:
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    return stopping
