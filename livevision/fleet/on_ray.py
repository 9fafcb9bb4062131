"""A pool of workers on a Ray cluster: one actor each, with its models kept loaded."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from livevision import cores
from livevision.errors import LivevisionError, ModelError, OutputError
from livevision.fleet.films import Done, Task
from livevision.fleet.pool import Ended
from livevision.fleet.worker import Job, Worker, explained

if TYPE_CHECKING:
    from livevision.config import Settings

log = logging.getLogger(__name__)

_HOPELESS = 5
"""Workers in a row that ended before they took a task, after which no more are started."""

_NOBODY = "http://127.0.0.1:9/"
_COUNTED_S = 5.0
_ASKED_S = 1.0


def imported() -> Any:
    """The package ray; it is imported on use, and its types know less than it can do."""
    import ray

    return ray


def without_proxy() -> None:
    """Undo in this process what ``_alone`` set for those of a cluster."""
    if os.environ.get("HTTP_PROXY") == _NOBODY:
        for name in ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"):
            os.environ.pop(name, None)


class Actor:
    """A worker on a node of the cluster."""

    def __init__(self, job: Job) -> None:
        without_proxy()
        self._frames = 0
        self._worker = Worker(job)

    def ready(self) -> None:
        """Answer as soon as tasks can be taken."""

    def do(self, task: Task) -> Done | str:
        """Do a task; returns what came of it, or its error in one line."""
        try:
            return self._worker.do(task, self._count)
        except Exception as error:
            return explained(error)
        finally:
            self._frames = 0

    def frames(self) -> int:
        """Frames of the present task; answered while it goes on."""
        return self._frames

    def _count(self, frames: int) -> None:
        self._frames = frames


@dataclass
class _Hired:
    actor: Any
    starting: Any
    tasks: deque[tuple[Task, Any]] = field(default_factory=deque)
    ready: bool = False
    frames: int = 0
    asked: Any = None


@contextmanager
def cluster(address: str) -> Iterator[None]:
    """A connection to a cluster.

    Args:
        address: ``ray`` for the one that runs here or that RAY_ADDRESS names, or one on this
            machine alone, which ends with the connection; or ``ray://HOST:PORT``.

    Raises:
        OutputError: It cannot be reached.
        ModelError: A package for that is missing.
    """
    ray = imported()
    quiet: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": "error",
        "configure_logging": False,
    }
    try:
        if address != "ray":
            ray.init(address=address, **quiet)
        else:
            try:
                ray.init(address="auto", **quiet)
            except ConnectionError:
                with _alone(ray):
                    ray.init(num_cpus=cores.usable(), include_dashboard=False, **quiet)
    except ImportError:
        raise ModelError(f"--on {address} needs Ray's client: pip install 'ray[client]'") from None
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise OutputError(f"--on {address}: the cluster cannot be reached: {reason}") from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _alone(ray: Any) -> Iterator[None]:
    """Context in which a cluster is started that neither listens to nor asks other machines.

    Ray's switch for systems without clusters puts its servers on 127.0.0.1. Even with its reports
    disabled it asks the addresses of clouds which of them it is in, and sends word that reports are
    disabled; its processes are given a proxy and an address that nobody serves.
    """
    given = {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_REPORT_URL": _NOBODY,
        "RAY_worker_niceness": "0",  # as the processes of ``--workers`` have
        "HTTP_PROXY": _NOBODY,
        "http_proxy": _NOBODY,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
    before = {name: os.environ.get(name) for name in given}
    constants = ray._private.ray_constants
    enabled = getattr(constants, "ENABLE_RAY_CLUSTER", True)
    constants.ENABLE_RAY_CLUSTER = False
    os.environ.update(given)
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = enabled
        _restore(before)


def _restore(before: Mapping[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def rooms(cpus: float, gpus: float) -> int:
    """How many workers the nodes of the cluster have room for."""
    ray, number = imported(), 0
    for node in ray.nodes():
        if node["Alive"]:
            has = node["Resources"]
            fits = has.get("CPU", 0.0) // cpus
            number += int(min(fits, has.get("GPU", 0.0) // gpus) if gpus else fits)
    return number


class RayPool:
    """Actors of a cluster; see ``pool.Pool``.

    A worker of a lost node is replaced where there is room. Without ``workers`` their number
    follows the cluster.

    Args:
        job: What the workers know.
        settings: ``on``, ``workers``, ``cpus_per_worker`` and ``gpus_per_worker``.

    Raises:
        OutputError: The cluster cannot be reached, or has no room for one worker.
    """

    def __init__(self, job: Job, settings: Settings) -> None:
        assert settings.on is not None
        self._ray = ray = imported()
        self._cluster = cluster(settings.on)
        self._cluster.__enter__()
        self._wanted = settings.workers
        self._cpus, self._gpus = settings.cpus_per_worker, settings.gpus_per_worker
        self._job = ray.put(job)
        self._kind = ray.remote(
            num_cpus=self._cpus,
            num_gpus=self._gpus or None,
            max_restarts=0,
            scheduling_strategy="SPREAD",
            concurrency_groups={"watch": 1},
        )(Actor)
        self._hired: dict[int, _Hired] = {}
        self._started = self._hopeless = 0
        self._counted = self._polled = 0.0
        self.most = 0
        self._fill()
        if not self.most:
            self.close()
            raise OutputError(
                f"--on {settings.on}: no node of the cluster has {self._cpus:g} CPUs"
                + (f" and {self._gpus:g} GPUs" if self._gpus else "")
            )

    def workers(self) -> list[int]:
        return [number for number, one in self._hired.items() if one.ready]

    def give(self, worker: int, task: Task) -> None:
        one = self._hired[worker]
        one.tasks.append((task, one.actor.do.remote(task)))

    def wait(self, seconds: float) -> list[Ended]:
        self._fill()
        refs = {}
        for number, one in self._hired.items():
            if not one.ready:
                refs[one.starting] = number
            elif one.tasks:
                refs[one.tasks[0][1]] = number
        if not refs:
            time.sleep(seconds)
            return []
        try:
            found, _ = self._ray.wait(list(refs), num_returns=1, timeout=seconds)
        except ConnectionError as error:
            raise LivevisionError(f"the cluster is lost: {error}; run it again to go on") from None
        ended: list[Ended] = []
        for ref in found:
            number = refs[ref]
            one = self._hired[number]
            try:
                answer = self._ray.get(ref)
            except self._ray.exceptions.RayError as error:
                ended += self._lost(number, error)
                continue
            if not one.ready:
                one.ready, self._hopeless = True, 0
                continue
            task, _ = one.tasks.popleft()
            one.frames = 0
            done = answer if isinstance(answer, Done) else None
            ended.append(Ended(number, task, done, answer if done is None else ""))
        return ended

    def frames(self) -> int:
        now = time.monotonic()
        if now - self._polled > _ASKED_S:
            self._polled = now
            for one in self._hired.values():
                self._ask(one)
        return sum(one.frames for one in self._hired.values() if one.tasks)

    def close(self) -> None:
        for one in self._hired.values():
            with suppress(self._ray.exceptions.RayError):
                self._ray.kill(one.actor)
        self._hired.clear()
        self._cluster.__exit__(None, None, None)

    def _ask(self, one: _Hired) -> None:
        """Ask a worker for its frames, without waiting for the answer."""
        if one.asked is not None:
            found, _ = self._ray.wait([one.asked], timeout=0)
            if not found:
                return
            with suppress(self._ray.exceptions.RayError):
                one.frames = self._ray.get(one.asked)
            one.asked = None
        if one.tasks:
            one.asked = one.actor.frames.options(concurrency_group="watch").remote()

    def _fill(self) -> None:
        """Hire workers where some are missing."""
        now = time.monotonic()
        if now - self._counted < _COUNTED_S and len(self._hired) >= self.most:
            return
        self._counted = now
        room = rooms(self._cpus, self._gpus)
        self.most = min(self._wanted or room, max(room, 1)) if room else len(self._hired)
        while len(self._hired) < self.most:
            actor = self._kind.remote(self._job)
            self._hired[self._started] = _Hired(actor, actor.ready.remote())
            self._started += 1

    def _lost(self, number: int, error: Exception) -> list[Ended]:
        one = self._hired.pop(number)
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(one.actor)
        why = " ".join(str(error).split())
        self._hopeless += not one.ready
        if self._hopeless >= max(_HOPELESS, self.most):
            raise LivevisionError(f"workers end before they take a task: {why}")
        if one.tasks:
            log.warning("a worker is lost; what it had is done again")
            log.debug("it was lost: %s", why)
        return [
            Ended(number, task, None, f"its worker was lost: {why}", charged=position == 0)
            for position, (task, _) in enumerate(one.tasks)
        ]
