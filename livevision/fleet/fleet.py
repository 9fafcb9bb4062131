"""A fleet: cameras on nodes, moved where a node is lost or drained, and where one comes.

``step`` is called every half second. It never waits for a node: it asks all, and takes the answers
that are there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from livevision.analysis.event import Event
from livevision.errors import UsageError
from livevision.fleet.node import Look, Picture
from livevision.fleet.placing import Room, place, weight

if TYPE_CHECKING:
    from livevision.config import SourceSettings

log = logging.getLogger(__name__)

LOST_S = 5.0
"""A node that does not answer for so long is given up."""

_START_S = 90.0  # to load its models
_MEASURE_S = 900.0
_TOGETHER_S = 180.0  # that the first cameras wait for all nodes, so that they are spread
_AGAIN_S = 5.0  # before a camera or node that failed is tried again


class NodeLost(Exception):
    """A node is gone."""


class Answer(Protocol):
    """What a node was asked."""

    def __call__(self) -> Any:
        """What it answered; None while it has not. Raises ``NodeLost``."""


class Handle(Protocol):
    """A node that works."""

    def ask(self, method: str, *arguments: Any, **named: Any) -> Answer:
        """Call a method of ``node.NodeWorker`` or ``capacity``, without waiting."""

    def end(self) -> None:
        """End it at once."""


class Nodes(Protocol):
    """The nodes of a cluster."""

    def names(self) -> list[str]:
        """Those that are up."""

    def hire(self, name: str) -> Handle:
        """Begin to work on one."""


@dataclass
class Node:
    """A node as the fleet sees it.

    Attributes:
        name: Its name.
        handle: How to ask it.
        capacity: Cameras that it holds; None until that is known.
        heard: ``time.monotonic()`` of its last answer.
        draining: It takes no cameras, and those it has are moved.
    """

    name: str
    handle: Handle
    capacity: float | None = None
    heard: float = 0.0
    draining: bool = False
    ready: bool = False
    measuring: Answer | None = None
    looking: Answer | None = None
    acknowledged: int = 0
    report: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Camera:
    """A camera of the fleet.

    Attributes:
        id: Its number, which no other gets.
        settings: Its settings.
        node: Name of the node it is on; "" while it waits for one.
        row: Its figures, from the node.
        picture: Its newest picture.
        why: Why it waits.
    """

    id: int
    name: str
    settings: SourceSettings
    node: str = ""
    row: dict[str, Any] | None = None
    picture: Picture | None = None
    why: str = "it waits for a node"
    not_before: float = 0.0
    asked: Answer | None = None
    leaving: Answer | None = None


class Fleet:
    """Keeps cameras on nodes. Thread-safe.

    Args:
        nodes: The cluster.
        fps: Rate of the cameras that capacities count.
        capacity: Cameras of each node, if that is not to be measured.
        told: Called with each event.
        shown: Called with each new picture and its camera.
        clock: The time in seconds.
    """

    def __init__(
        self,
        nodes: Nodes,
        fps: float,
        capacity: float | None = None,
        told: Callable[[Event], None] = lambda event: None,
        shown: Callable[[Camera, Picture], None] = lambda camera, picture: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster, self._fps, self._capacity = nodes, fps, capacity
        self._told, self._shown, self._clock = told, shown, clock
        self._lock = threading.RLock()
        self._next = 0
        self.nodes: dict[str, Node] = {}
        self.cameras: dict[str, Camera] = {}
        self._drained: set[str] = set()
        self._failed: dict[str, float] = {}
        self._measured: dict[str, float] = {}
        self._first: float | None = None  # when the first node came
        self._spread = False
        self.moved = 0
        self.pictures = False

    def add(self, name: str, settings: SourceSettings) -> Camera:
        """Add a camera; it is placed as soon as there is room.

        Raises:
            UsageError: The name is in use.
        """
        with self._lock:
            if name in self.cameras:
                raise UsageError(f"a source {name!r} exists already")
            camera = self.cameras[name] = Camera(self._next, name, settings)
            self._next += 1
            return camera

    def remove(self, name: str) -> None:
        """Remove a camera."""
        with self._lock:
            camera = self.cameras.pop(name, None)
            if camera is not None and camera.node in self.nodes:
                self.nodes[camera.node].handle.ask("remove", name)

    def change(self, name: str, **values: Any) -> None:
        """Change live settings of a camera, also for nodes that it is moved to."""
        with self._lock:
            camera = self.cameras[name]
            camera.settings = camera.settings.model_copy(update=values)
            if camera.node in self.nodes:
                self.nodes[camera.node].handle.ask("change", name, **values)

    def drain(self, node: str, on: bool = True) -> None:
        """Move the cameras of a node away and give it none, or give it some again.

        Raises:
            UsageError: There is no such node.
        """
        with self._lock:
            if node not in self.nodes:
                known = ", ".join(sorted(self.nodes)) or "none"
                raise UsageError(f"there is no node {node!r}; there are: {known}")
            (self._drained.add if on else self._drained.discard)(node)
            self.nodes[node].draining = on

    def step(self) -> None:
        """Ask, take answers, and place what has no node."""
        with self._lock:
            self._hire()
            for node in list(self.nodes.values()):
                try:
                    self._ask(node)
                except NodeLost as error:
                    self._lose(node, str(error))
            self._settle()
            self._leave_draining()
            self._place()

    def close(self) -> None:
        """End all nodes."""
        with self._lock:
            for node in self.nodes.values():
                node.handle.end()
            self.nodes.clear()

    def rows(self) -> list[dict[str, Any]]:
        """The nodes, for people and programs."""
        with self._lock:
            return [
                {
                    "name": node.name,
                    "state": "draining" if node.draining else "up" if node.ready else "starting",
                    "capacity": node.capacity,
                    "sources": sorted(c.name for c in self.cameras.values() if c.node == node.name),
                }
                for node in self.nodes.values()
            ]

    def _hire(self) -> None:
        now = self._clock()
        names = self._cluster.names()
        for gone in [name for name in self.nodes if name not in names]:
            self._lose(self.nodes[gone], "it left the cluster")
        for name in names:
            if name not in self.nodes and now >= self._failed.get(name, 0.0):
                handle = self._cluster.hire(name)
                known = self._measured.get(name, self._capacity)
                node = self.nodes[name] = Node(name, handle, known, now)
                node.draining = name in self._drained
                if node.capacity is None:
                    node.measuring = handle.ask("capacity")
                log.info("node %s: joins", name)

    def _ask(self, node: Node) -> None:
        """Ask for a node's state, and take the answer to the last question."""
        now = self._clock()
        if node.measuring is not None:
            found = node.measuring()
            if found is None:
                if now - node.heard > _MEASURE_S:
                    raise NodeLost("it was not measured in time")
                return
            node.capacity, node.measuring, node.heard = float(found), None, now
            self._measured[node.name] = node.capacity  # also for when it comes back
            log.info("node %s: holds %g cameras", node.name, node.capacity)
        if node.looking is not None:
            look = node.looking()
            if look is not None:
                node.looking, node.heard, node.ready = None, now, True
                self._seen(node, look)
        if node.looking is None:
            node.looking = node.handle.ask(
                "look", acknowledged=node.acknowledged, pictures=self.pictures
            )
        elif now - node.heard > (LOST_S if node.ready else _START_S):
            raise NodeLost(f"no answer for {now - node.heard:.0f} s")

    def _seen(self, node: Node, look: Look) -> None:
        if look.error:
            raise NodeLost(look.error)
        node.report = look.report
        for number, event in look.events:
            if number > node.acknowledged:
                node.acknowledged = number
                self._told(event)
        for name, row in look.rows.items():
            camera = self.cameras.get(name)
            if camera is None or camera.node != node.name:
                node.handle.ask("remove", name)  # it is elsewhere by now
                continue
            camera.row = row
            if name in look.pictures:
                camera.picture = look.pictures[name]
                self._shown(camera, camera.picture)

    def _lose(self, node: Node, why: str) -> None:
        mine = [camera for camera in self.cameras.values() if camera.node == node.name]
        log.warning("node %s is lost, with %d cameras: %s", node.name, len(mine), why)
        del self.nodes[node.name]
        node.handle.end()
        self._failed[node.name] = self._clock() + _AGAIN_S
        for camera in mine:
            self._free(camera, "its node is lost")
            self.moved += 1

    def _settle(self) -> None:
        """Take the answers of nodes that were given a camera, or asked to let one go."""
        for camera in self.cameras.values():
            try:
                if camera.asked is not None and (error := camera.asked()) is not None:
                    camera.asked = None
                    if error:
                        log.warning("%s: %s", camera.name, error)
                        self._free(camera, error)
                        camera.not_before = self._clock() + _AGAIN_S
                if camera.leaving is not None and camera.leaving() is not None:
                    self._free(camera, "its node is drained")
                    self.moved += 1
            except NodeLost:
                pass  # noticed as the node is asked

    def _leave_draining(self) -> None:
        for camera in self.cameras.values():
            node = self.nodes.get(camera.node)
            if node is not None and node.draining and camera.leaving is None:
                camera.leaving = node.handle.ask("remove", camera.name)

    def _place(self) -> None:
        now = self._clock()
        if not self._spread:
            if not self.nodes:
                return
            self._first = now if self._first is None else self._first
            all_ready = all(node.ready for node in self.nodes.values())
            self._spread = all_ready or now - self._first > _TOGETHER_S
            if not self._spread:
                return
        waiting = [c for c in self.cameras.values() if not c.node and now >= c.not_before]
        takers = {
            node.name: Room(node.capacity, self._load(node.name))
            for node in self.nodes.values()
            if node.ready and node.capacity and not node.draining
        }
        chosen = place([(c.name, self._weight(c)) for c in waiting], takers)
        for camera in waiting:
            if camera.name not in chosen:
                camera.why = "no node has room for it" if takers else "it waits for a node"
                continue
            camera.node = chosen[camera.name]
            camera.asked = self.nodes[camera.node].handle.ask("add", camera.name, camera.settings)
            log.info("%s: on node %s", camera.name, camera.node)

    def _load(self, node: str) -> float:
        return sum(self._weight(c) for c in self.cameras.values() if c.node == node)

    def _weight(self, camera: Camera) -> float:
        return weight(camera.settings.fps, self._fps)

    def _free(self, camera: Camera, why: str) -> None:
        camera.node, camera.why, camera.row = "", why, None
        camera.asked = camera.leaving = None
