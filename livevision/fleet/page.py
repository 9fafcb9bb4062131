"""The page of a fleet: that of a run, with the cameras of all nodes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from livevision.capture.life import State, Vitals
from livevision.capture.locate import expand
from livevision.config import SourceSettings
from livevision.errors import SourceError, UsageError
from livevision.fleet.fleet import Camera, Fleet
from livevision.fleet.node import Picture
from livevision.frame import Frame, LiveSettings, Rendered
from livevision.output.live_view import LiveView, Shown
from livevision.runtime.health import Health, Verdict
from livevision.web.pictures import Tile
from livevision.web.run_facade import ADDABLE_KINDS, NotFound, RunFacade

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from livevision.runtime.run import Run

_NOT_HERE = "the cameras of a fleet are on other machines: do it in its file, or on the node"


@dataclass
class Desk:
    """A fleet with the view that its page shows; made before the page is."""

    fleet: Fleet
    view: LiveView | None = None

    def show(self, camera: Camera, picture: Picture) -> None:
        """Show a camera's new picture."""
        if self.view is None:
            return
        shown = self.view.newest(camera.id)
        if shown is not None and shown.rendered.frame.index == picture.index:
            return
        image = cv2.imdecode(np.frombuffer(picture.data, np.uint8), cv2.IMREAD_COLOR)
        if image is not None:
            captured = time.monotonic() - picture.age
            pixels = np.asarray(image, np.uint8)
            frame = Frame(camera.id, picture.index, 0.0, captured, pixels)
            self.view.put(Rendered(frame, {}, pixels))


class FleetFacade(RunFacade):
    """Reads and changes a fleet.

    Args:
        run: A run with the fleet's settings and models, which is not started.
        view: Holds the newest pictures.
        desk: The fleet.
    """

    def __init__(self, run: Run, view: LiveView, desk: Desk) -> None:
        super().__init__(run, view)
        self.fleet = desk.fleet
        desk.view = view

    def tiles(self) -> list[Tile]:
        return [Tile(c.id, c.name, self._said(c)) for c in self._cameras()]

    def sources(self) -> list[dict[str, Any]]:
        return [self._row(camera) for camera in self._cameras()]

    def source(self, source: int) -> dict[str, Any]:
        return self._row(self._camera(source))

    def report(self) -> dict[str, Any]:
        rows = self.sources()
        return {
            "frames_in": sum(row["frames_in"] for row in rows),
            "frames_out": sum(row["frames_out"] for row in rows),
            "sources": rows,
            "nodes": self.fleet.rows(),
            "moved": self.fleet.moved,
        }

    def row(self, source: int, shown: Shown) -> dict[str, Any]:
        picture = self._camera(source).picture
        return {"id": source} if picture is None else {**picture.row, "id": source}

    @property
    def watched(self) -> list[int]:
        return [camera.id for camera in self._cameras()]

    def name(self, source: int) -> str:
        return self._camera(source).name

    def vitals(self, source: int) -> Vitals:
        row = self._row(self._camera(source))
        state: State = "live" if row["state"] == "paused" else row["state"]
        return Vitals(state, time.monotonic() - row["since_s"])

    def labels(self, source: int) -> list[str]:
        self.check(source)
        return list(dict.fromkeys(name for m in self._run.models for name in m.labels))

    def check(self, source: int) -> None:
        self._camera(source)

    def change(self, source: int, **values: Any) -> LiveSettings:
        camera = self._camera(source)
        unknown = [name for name in values.get("classes") or () if name not in self.labels(source)]
        if unknown:
            raise UsageError(f"unknown class {unknown[0]!r}")
        self.fleet.change(camera.name, **values)
        own, run = camera.settings, self._run.settings
        return LiveSettings(
            conf=run.conf if own.conf is None else own.conf,
            iou=run.iou if own.iou is None else own.iou,
            classes=tuple(run.classes if own.classes is None else own.classes),
            paused=own.paused,
        )

    def scene(self, source: int) -> dict[str, Any]:
        self.check(source)
        return {"zones": {}, "lines": {}, "ignore": [], "rules": [], "file": None}

    def change_scene(self, source: int, zones: Any, lines: Any) -> dict[str, Any]:
        self.check(source)
        raise UsageError(f"zones and lines: {_NOT_HERE}")

    def add(self, name: str, uri: str, **values: Any) -> int:
        kinds = [kind for kind, _ in expand([uri])]
        if kinds[0] not in ADDABLE_KINDS or len(kinds) != 1:
            raise UsageError("only a camera or a stream (rtsp://, http://, …) can be added here")
        return self.fleet.add(name, SourceSettings(uri=uri, **values)).id

    def remove(self, source: int) -> None:
        self.fleet.remove(self._camera(source).name)
        self.view.forget(source)

    def record(self, source: int) -> Any:
        self.check(source)
        raise UsageError(f"recordings: {_NOT_HERE}")

    def end_recording(self, source: int) -> Any:
        self.check(source)
        raise NotFound("it is not being recorded here")

    def metrics(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        rows = self.fleet.rows()
        up = GaugeMetricFamily("livevision_node_up", "Whether a node works.", labels=["node"])
        room = GaugeMetricFamily("livevision_node_capacity", "Cameras it holds.", labels=["node"])
        has = GaugeMetricFamily("livevision_node_sources", "Cameras it has.", labels=["node"])
        for row in rows:
            up.add_metric([row["name"]], float(row["state"] == "up"))
            room.add_metric([row["name"]], row["capacity"] or 0.0)
            has.add_metric([row["name"]], len(row["sources"]))
        waiting = sum(not camera.node for camera in self._cameras())
        yield from (up, room, has)
        yield GaugeMetricFamily("livevision_fleet_waiting", "Cameras without node.", value=waiting)
        yield GaugeMetricFamily("livevision_fleet_moved", "Moves.", value=self.fleet.moved)

    def _cameras(self) -> list[Camera]:
        return sorted(self.fleet.cameras.values(), key=lambda camera: camera.id)

    def _camera(self, source: int) -> Camera:
        for camera in self._cameras():
            if camera.id == source:
                return camera
        raise NotFound(f"there is no source {source}")

    def _row(self, camera: Camera) -> dict[str, Any]:
        if camera.row is not None:
            return {**camera.row, "id": camera.id}
        own, run = camera.settings, self._run.settings
        return {
            **dict.fromkeys(("live", "size", "age_s", "error", "recording", "record")),
            "id": camera.id,
            "name": camera.name,
            "kind": _kind(camera),
            "state": "connecting",
            "words": self._said(camera),
            "since_s": 0.0,
            "retries": 0,
            "why": camera.why,
            "rates": dict.fromkeys(
                ("capture_fps", "delivered_fps", "model_fps", "latency_ms", "lag_ms")
            ),
            "frames_in": 0,
            "frames_out": 0,
            "dropped": {},
            "losses": {},
            "counts": {},
            "settings": {
                "conf": run.conf if own.conf is None else own.conf,
                "iou": run.iou if own.iou is None else own.iou,
                "classes": list(run.classes if own.classes is None else own.classes),
                "paused": own.paused,
            },
        }

    def nodes(self) -> list[dict[str, Any]]:
        """The nodes, with their cameras."""
        return self.fleet.rows()

    def drain(self, node: str, on: bool) -> None:
        """Move the cameras of a node away, or give it some again.

        Raises:
            NotFound: There is no such node.
        """
        try:
            self.fleet.drain(node, on)
        except UsageError as error:
            raise NotFound(str(error)) from None

    def _said(self, camera: Camera) -> str:
        """The words on a camera's last picture."""
        if camera.row is not None:
            return "" if camera.row["state"] == "live" else str(camera.row["words"])
        return camera.why if not camera.node else f"connecting on {camera.node}"


class FleetHealth(Health):
    """The health of a fleet: whether frames come of its cameras."""

    def __init__(self, run: Run, fleet: Fleet) -> None:
        super().__init__(run)
        self._fleet = fleet
        self._begun = time.monotonic()

    def look(self) -> Verdict:
        cameras = list(self._fleet.cameras.values())
        wanted = [camera for camera in cameras if not camera.settings.paused]
        live = sum(c.row is not None and c.row["state"] == "live" for c in wanted)
        healthy = bool(live) or not wanted or time.monotonic() - self._begun < 60.0
        why = "" if live == len(wanted) else f"{len(wanted) - live} of {len(wanted)} have no frames"
        if not self._fleet.nodes:
            why = "no node is up"
        return Verdict(healthy, bool(wanted) and live == len(wanted), True, live, len(wanted), why)


def _kind(camera: Camera) -> str:
    try:
        return expand([camera.settings.uri])[0][0]
    except (SourceError, UsageError):
        return "stream"
