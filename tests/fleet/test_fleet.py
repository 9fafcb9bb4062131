"""A fleet: where cameras are placed, and what happens when nodes come, go and are drained."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from livevision.analysis.event import Event
from livevision.config import Settings, SourceSettings
from livevision.errors import UsageError
from livevision.fleet import commanding
from livevision.fleet.fleet import LOST_S, Fleet, NodeLost
from livevision.fleet.node import Look, NodeWorker
from livevision.fleet.placing import Room, place, weight


def test_cameras_are_placed_by_room_and_never_beyond_it() -> None:
    rooms = {"big": Room(8, 0), "small": Room(2, 0), "full": Room(3, 3)}
    chosen = place([(f"c{n}", 1.0) for n in range(12)], rooms)
    counts = [list(chosen.values()).count(name) for name in ("big", "small", "full")]
    assert counts == [8, 2, 0]
    assert len(chosen) == 10
    # Relative to their size the nodes are equally full.
    half = place([(f"c{n}", 1.0) for n in range(5)], rooms)
    assert [list(half.values()).count(name) for name in ("big", "small")] == [4, 1]
    # Of cameras with a lower rate more fit.
    slow = place([(f"c{n}", weight(2.5, 10)) for n in range(9)], {"one": Room(2, 0)})
    assert len(slow) == 8
    assert weight(None, 10) == weight(25, 10) == 1.0


class _Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class _Node:
    """A node whose state is known to the test."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.cameras = capacity, dict[str, SourceSettings]()
        self.silent = self.gone = self.ended = False
        self.events: list[tuple[int, Event]] = []
        self.refused = ""

    def ask(self, method: str, *arguments: Any, **named: Any) -> Callable[[], Any]:
        reached = not (self.gone or self.silent)
        found = getattr(self, f"_{method}")(*arguments, **named) if reached else None

        def answer() -> Any:
            if self.gone:
                raise NodeLost("killed")
            return None if self.silent else found

        return answer

    def end(self) -> None:
        self.ended = True

    def _capacity(self) -> int:
        return self.capacity

    def _look(self, acknowledged: int, pictures: bool) -> Look:
        left = [event for event in self.events if event[0] > acknowledged]
        return Look({name: {"name": name, "state": "live"} for name in self.cameras}, left)

    def _add(self, name: str, source: SourceSettings) -> str:
        if self.refused:
            return self.refused
        self.cameras[name] = source
        return ""

    def _remove(self, name: str) -> str:
        self.cameras.pop(name, None)
        return ""

    def _change(self, name: str, **values: Any) -> str:
        self.cameras[name] = self.cameras[name].model_copy(update=values)
        return ""


class _Cluster:
    def __init__(self, **capacities: int) -> None:
        self.up = {name: _Node(capacity) for name, capacity in capacities.items()}
        self.hired: list[str] = []

    def names(self) -> list[str]:
        return list(self.up)

    def hire(self, name: str) -> _Node:
        self.hired.append(name)
        return self.up[name]


def _fleet(cluster: _Cluster, cameras: int, **more: Any) -> tuple[Fleet, _Clock]:
    clock = _Clock()
    fleet = Fleet(cluster, 10.0, clock=clock, **more)
    for n in range(cameras):
        fleet.add(f"c{n}", SourceSettings(uri=f"rtsp://host/{n}"))
    return fleet, clock


def _steps(fleet: Fleet, clock: _Clock, number: int = 6, seconds: float = 0.5) -> None:
    for _ in range(number):
        fleet.step()
        clock.now += seconds


def test_a_lost_node_s_cameras_are_elsewhere_within_ten_seconds() -> None:
    cluster = _Cluster(a=4, b=4, c=4)
    fleet, clock = _fleet(cluster, 6)
    _steps(fleet, clock)
    assert sorted(len(node.cameras) for node in cluster.up.values()) == [2, 2, 2]

    cluster.up["b"].gone = True  # its process was killed
    moved = set(cluster.up["b"].cameras)
    begun = clock.now
    while moved - {*cluster.up["a"].cameras, *cluster.up["c"].cameras}:
        _steps(fleet, clock, 1)
        assert clock.now - begun < 10
    assert cluster.up["b"].ended

    cluster.up["c"].silent = True  # its network is cut
    moved, begun = set(cluster.up["c"].cameras), clock.now
    while moved - {*cluster.up["a"].cameras} and len(cluster.up["a"].cameras) < 4:
        _steps(fleet, clock, 1)
        assert clock.now - begun < 10
    assert clock.now - begun > LOST_S
    # What has no room waits, and says so.
    _steps(fleet, clock)
    waiting = [c for c in fleet.cameras.values() if not c.node]
    assert {c.why for c in waiting} == {"no node has room for it"}
    assert len(waiting) == 2
    # A node that comes back takes them.
    cluster.up["c"] = _Node(4)
    _steps(fleet, clock, 14)
    assert all(c.node for c in fleet.cameras.values())


def test_the_first_cameras_wait_for_all_nodes_but_not_for_ever() -> None:
    cluster = _Cluster(a=9, b=9)
    cluster.up["b"].silent = True  # it still measures
    fleet, clock = _fleet(cluster, 4)
    _steps(fleet, clock, 10)
    assert not cluster.up["a"].cameras
    _steps(fleet, clock, 360)
    assert len(cluster.up["a"].cameras) == 4

    both = _Cluster(a=9, b=9)
    fleet, clock = _fleet(both, 4)
    _steps(fleet, clock)
    assert [len(node.cameras) for node in both.up.values()] == [2, 2]


def test_a_node_is_measured_once() -> None:
    cluster = _Cluster(a=2)
    fleet, clock = _fleet(cluster, 1)
    _steps(fleet, clock)
    cluster.up["a"].gone = True
    _steps(fleet, clock, 2)
    cluster.up["a"] = _Node(9)
    _steps(fleet, clock, 14)
    assert cluster.hired == ["a", "a"]
    assert [(row["capacity"], row["sources"]) for row in fleet.rows()] == [(2.0, ["c0"])]


def test_a_drained_node_has_no_camera_and_gets_none() -> None:
    cluster = _Cluster(a=3, b=9)
    fleet, clock = _fleet(cluster, 4)
    _steps(fleet, clock)
    assert cluster.up["a"].cameras
    fleet.drain("a")
    _steps(fleet, clock)
    fleet.add("late", SourceSettings(uri="rtsp://host/late"))
    _steps(fleet, clock)
    assert (len(cluster.up["a"].cameras), len(cluster.up["b"].cameras)) == (0, 5)
    assert [row["state"] for row in fleet.rows()] == ["draining", "up"]
    fleet.drain("a", on=False)
    fleet.add("later", SourceSettings(uri="rtsp://host/later"))
    _steps(fleet, clock)
    assert list(cluster.up["a"].cameras) == ["later"]
    with pytest.raises(UsageError, match="there is no node 'x'; there are: a, b"):
        fleet.drain("x")


def test_cameras_are_added_changed_and_removed_while_it_runs() -> None:
    cluster = _Cluster(a=3)
    fleet, clock = _fleet(cluster, 1)
    _steps(fleet, clock)
    before = {"c0": SourceSettings(uri="rtsp://host/0")}
    after = {"c1": SourceSettings(uri="rtsp://host/1"), "c2": SourceSettings(uri="rtsp://host/2")}
    commanding.update(fleet, before, after)
    _steps(fleet, clock)
    assert sorted(cluster.up["a"].cameras) == ["c1", "c2"]
    other = {**after, "c2": SourceSettings(uri="rtsp://host/two")}
    commanding.update(fleet, after, other)
    fleet.change("c1", conf=0.7)
    _steps(fleet, clock)
    assert cluster.up["a"].cameras["c2"].uri == "rtsp://host/two"
    assert cluster.up["a"].cameras["c1"].conf == 0.7
    with pytest.raises(UsageError, match="exists already"):
        fleet.add("c1", SourceSettings(uri="rtsp://host/1"))


def test_a_camera_that_its_node_refuses_is_tried_again_after_a_pause() -> None:
    cluster = _Cluster(a=3)
    cluster.up["a"].refused = "c0: model 'x' is not loaded"
    fleet, clock = _fleet(cluster, 1)
    _steps(fleet, clock, 4)
    assert fleet.cameras["c0"].node == ""
    assert "is not loaded" in fleet.cameras["c0"].why
    cluster.up["a"].refused = ""
    _steps(fleet, clock, 14)
    assert fleet.cameras["c0"].node == "a"


def test_each_event_arrives_once_although_answers_are_repeated() -> None:
    told: list[str] = []
    cluster = _Cluster(a=3)
    fleet, clock = _fleet(cluster, 1, told=lambda event: told.append(event.id))
    events = [_event(f"id{n}") for n in range(3)]
    cluster.up["a"].events = list(enumerate(events, 1))
    _steps(fleet, clock, 5)
    cluster.up["a"].events.append((4, _event("id3")))
    _steps(fleet, clock, 3)
    assert told == ["id0", "id1", "id2", "id3"]


def _event(name: str) -> Event:
    return Event(
        name, "c0", "2026-01-01T00:00:00.000Z", "r", "began", "z", "count", 1, (), (), 0, 0
    )


class _Threads:
    """Nodes of a fleet in this process, which can be killed."""

    def __init__(self, settings: Settings, *names: str) -> None:
        self._settings, self.up = settings, list(names)
        self.workers: dict[str, NodeWorker] = {}

    def names(self) -> list[str]:
        return list(self.up)

    def hire(self, name: str) -> _Thread:
        self.workers[name] = NodeWorker(self._settings, 2)
        return _Thread(self.workers[name])

    def kill(self, name: str) -> None:
        self.up.remove(name)
        self.workers[name].close()


class _Thread:
    def __init__(self, worker: NodeWorker) -> None:
        self._worker = worker
        self._pool = ThreadPoolExecutor(1)

    def ask(self, method: str, *arguments: Any, **named: Any) -> Callable[[], Any]:
        future: Future[Any] = self._pool.submit(getattr(self._worker, method), *arguments, **named)
        return lambda: future.result() if future.done() else None

    def end(self) -> None:
        self._worker.close()
        self._pool.shutdown(wait=False, cancel_futures=True)


CAMERAS = {
    "model": "thundernet-snet49",
    "conf": 0.05,
    "output": "web://127.0.0.1:0",
    "sources": {
        "door": {
            "uri": "synthetic://96x64@5",
            "zones": {"all": {"points": [[0, 0], [1, 0], [1, 1], [0, 1]]}},
            "rules": {"some": {"when": {"zone": "all", "count": ">= 0"}}},
        },
        "yard": {"uri": "synthetic://96x64@5"},
    },
}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Path, str, Fleet, list[_Threads]]]:
    """A fleet of two nodes with a page and a store of events: file, address, fleet, cluster."""
    file = tmp_path / "cameras.yaml"
    file.write_text(yaml.safe_dump({**CAMERAS, "events": [str(tmp_path / "events.sqlite")]}))
    clusters: list[_Threads] = []
    stopping, ready = threading.Event(), threading.Event()
    found: list[Any] = []

    def nodes(settings: Settings) -> _Threads:
        clusters.append(_Threads(settings, "n1", "n2"))
        return clusters[0]

    def told(fleet: Fleet, address: str) -> None:
        found[:] = [fleet, address]
        ready.set()

    thread = threading.Thread(
        target=commanding.run, args=(file, nodes, 5.0, 2.0, stopping, told), daemon=True
    )
    thread.start()
    assert ready.wait(60)
    fleet, address = found
    yield file, address, fleet, clusters
    stopping.set()
    thread.join(20)
    assert not thread.is_alive()


def _get(address: str, path: str, method: str = "GET", body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"} if data else {}
    request = urllib.request.Request(f"{address}{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        content = answer.read()
        is_json = "json" in answer.headers["content-type"]
        return json.loads(content) if is_json else content


def _until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def test_the_page_shows_the_cameras_of_all_nodes_wherever_they_are(
    running: tuple[Path, str, Fleet, list[_Threads]],
) -> None:
    file, address, _, (cluster,) = running

    def live() -> list[str]:
        rows = _get(address, "api/v1/sources")
        return sorted(row["name"] for row in rows if row["state"] == "live" and row["frames_out"])

    _until(lambda: live() == ["door", "yard"])
    by_node = {row["name"]: row["sources"] for row in _get(address, "api/v1/nodes")}
    assert sorted(map(len, by_node.values())) == [1, 1]
    ids = {row["name"]: row["id"] for row in _get(address, "api/v1/sources")}
    picture = f"api/v1/sources/{ids['door']}/snapshot.jpg"
    _until(lambda: _found(address, picture))
    assert _get(address, picture)[:2] == b"\xff\xd8"
    _get(address, f"api/v1/sources/{ids['yard']}/settings", "PATCH", {"conf": 0.9})
    metrics = _get(address, "metrics").decode()
    assert 'livevision_source_state{source="door",state="live"} 1.0' in metrics
    assert 'livevision_node_capacity{node="n1"} 2.0' in metrics

    # A node is gone: its camera is on the other one, with what was changed on the page.
    (gone,) = [name for name, cameras in by_node.items() if cameras == ["yard"]]
    cluster.kill(gone)
    (left,) = cluster.up
    _until(lambda: _nodes(address) == {left: ["door", "yard"]} and live() == ["door", "yard"])
    (yard,) = [row for row in _get(address, "api/v1/sources") if row["name"] == "yard"]
    assert yard["settings"]["conf"] == 0.9

    # A node that comes takes what a drained one had; cameras come and go with the file.
    cluster.up.append("n3")
    _until(lambda: "n3" in _nodes(address))
    _get(address, f"api/v1/nodes/{left}/drain", "POST")
    _until(lambda: _nodes(address) == {left: [], "n3": ["door", "yard"]})
    content = yaml.safe_load(file.read_text())
    del content["sources"]["yard"]
    content["sources"]["gate"] = {"uri": "synthetic://96x64@5"}
    file.write_text(yaml.safe_dump(content))
    _until(lambda: live() == ["door", "gate"])
    # Events of all nodes are in the fleet's store.
    _until(lambda: _get(address, "api/v1/events"))
    assert {row["source"] for row in _get(address, "api/v1/events")} == {"door"}


def _nodes(address: str) -> dict[str, list[str]]:
    return {row["name"]: row["sources"] for row in _get(address, "api/v1/nodes")}


def _found(address: str, path: str) -> bool:
    try:
        _get(address, path)
    except urllib.error.HTTPError:
        return False
    return True


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"source": "a.mp4"}, "a fleet has cameras by name"),
        ({"sources": {"a": {"uri": "rtsp://x/y"}}, "output": "out.mp4"}, "writes streams"),
        ({"sources": {"a": {"uri": "rtsp://x/y"}}, "workers": 2}, "workers is for a backlog"),
    ],
    ids=["no names", "a file", "workers"],
)
def test_what_is_no_fleet_is_one_line(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        commanding.check(Settings.of(**values))
