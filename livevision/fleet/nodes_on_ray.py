"""The nodes of a fleet on a Ray cluster: one actor on each."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livevision import cores
from livevision.fleet.fleet import Answer, NodeLost
from livevision.fleet.node import Look, NodeWorker, measure
from livevision.fleet.on_ray import imported, without_proxy

if TYPE_CHECKING:
    from livevision.config import Settings, SourceSettings


class NodeActor:
    """Works on one node."""

    def __init__(self, settings: Settings, name: str, threads: int, measuring: Measuring) -> None:
        without_proxy()
        cores.limit(threads)
        given = {"recordings": settings.recordings / name, "threads": settings.threads or threads}
        self._settings = settings.model_copy(update=given)
        self._measuring = measuring
        self._worker: NodeWorker | None = None
        self._room = measuring.most

    def capacity(self) -> int:
        """Measure how many cameras this node holds."""
        self._room = self._measuring(self._settings)
        return self._room

    def look(self, acknowledged: int, pictures: bool) -> Look:
        """See ``NodeWorker.look``."""
        return self._run.look(acknowledged, pictures)

    def add(self, name: str, source: SourceSettings) -> str:
        """See ``NodeWorker.add``."""
        return self._run.add(name, source)

    def remove(self, name: str) -> str:
        """See ``NodeWorker.remove``."""
        return self._run.remove(name)

    def change(self, name: str, **values: Any) -> str:
        """See ``NodeWorker.change``."""
        return self._run.change(name, **values)

    @property
    def _run(self) -> NodeWorker:
        if self._worker is None:
            # The head is gone, or cannot be reached and has given this node up.
            self._worker = NodeWorker(self._settings, self._room, silent=lambda: os._exit(1))
        return self._worker


class Measuring:
    """Measures how many cameras a node holds.

    Args:
        size: (width, height) of their pictures.
        fps: Their rate.
        seconds: Length of each try.
        most: The largest number to try.
    """

    def __init__(self, size: tuple[int, int], fps: int, seconds: float, most: int) -> None:
        self.size, self.fps, self.seconds, self.most = size, fps, seconds, most

    def __call__(self, settings: Settings) -> int:
        return measure(settings, self.size, self.fps, self.seconds, self.most)


class RayHandle:
    """A node of the cluster; see ``fleet.Handle``."""

    def __init__(self, actor: Any) -> None:
        self._ray, self._actor = imported(), actor

    def ask(self, method: str, *arguments: Any, **named: Any) -> Answer:
        ref = getattr(self._actor, method).remote(*arguments, **named)

        def answer() -> Any:
            found, _ = self._ray.wait([ref], timeout=0)
            if not found:
                return None
            try:
                return self._ray.get(ref)
            except self._ray.exceptions.RayError as error:
                raise NodeLost(" ".join(str(error).split())[:300]) from None

        return answer

    def end(self) -> None:
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(self._actor)


class RayNodes:
    """The nodes of a cluster that has been connected to; see ``fleet.Nodes``.

    Args:
        settings: Those of the fleet.
        measuring: How capacities are measured.
        cpus: Processors that the fleet takes of each node; None takes all.
    """

    def __init__(self, settings: Settings, measuring: Measuring, cpus: float | None) -> None:
        self._ray = imported()
        self._settings, self._measuring, self._cpus = settings, measuring, cpus
        self._ids: dict[str, tuple[str, float]] = {}

    def names(self) -> list[str]:
        nodes = [node for node in self._ray.nodes() if node["Alive"]]
        hosts = [node["NodeManagerHostname"] for node in nodes]
        self._ids = {}
        for node, host in zip(nodes, hosts, strict=True):
            cpus = node["Resources"].get("CPU", 0.0)
            alone = hosts.count(host) == 1
            name = host if alone else f"{host}-{node['NodeID'][:6]}"
            if cpus >= (self._cpus or 1):
                self._ids[name] = node["NodeID"], cpus
        return list(self._ids)

    def hire(self, name: str) -> RayHandle:
        node, cpus = self._ids[name]
        strategies = self._ray.util.scheduling_strategies
        kind = self._ray.remote(
            num_cpus=self._cpus or cpus,
            max_restarts=0,
            scheduling_strategy=strategies.NodeAffinitySchedulingStrategy(node, soft=False),
        )(NodeActor)
        threads = max(1, round(self._cpus or cpus))
        settings = self._settings.model_copy(update={"recordings": _absolute(self._settings)})
        return RayHandle(kind.remote(settings, name, threads, self._measuring))


def _absolute(settings: Settings) -> Path:
    return settings.recordings.absolute()
