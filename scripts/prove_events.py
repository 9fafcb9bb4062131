"""Events under stress: a broker and a server that fail, kill -9, a million tracks.

delivery    events by MQTT and by webhook, the broker killed and the server failing at random
kills       a process that keeps events, killed at random moments, its store checked each time
speed       events a second into the store, and from there into a file
tracks      memory over a million tracks, with lines, zones and rules
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from livevision.analysis.event import Event, Ulids, as_text, utc_time

_ulids = Ulids()


def event(number: int) -> Event:
    """An event as a run makes it."""
    moment = utc_time(time.monotonic())
    return Event(
        id=_ulids(moment.timestamp()),
        source=f"camera {number % 4}",
        time=as_text(moment),
        rule="came in",
        phase="began",
        place="gate",
        kind="crosses",
        value=1,
        tracks=(number,),
        classes=("person",),
        frame=number,
        frame_time=number / 25,
        way="in",
    )


# A broker and a server that fail at random --------------------------------------------------------


class Broker:
    """mosquitto on a free port; ``kill`` is kill -9."""

    def __init__(self, folder: Path) -> None:
        # Debian has it where only root looks.
        places = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
        program = shutil.which("mosquitto", path=places)
        if program is None:
            raise SystemExit("mosquitto is not installed (Debian package mosquitto)")
        self.port, self._program = free_port(), program
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\n"
            f"persistence true\npersistence_location {folder}/\n"
            "autosave_interval 1\nautosave_on_changes true\nmax_queued_messages 0\n"
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = [self._program, "-c", str(self._config)]
        null = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdout=null, stderr=null)
        wait_for(lambda: connects(self.port), 20)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Listener:
    """A client of the broker as Home Assistant is one: QoS 1, and a session that is kept."""

    def __init__(self, port: int) -> None:
        from paho.mqtt import client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion

        self.heard: list[dict[str, Any]] = []
        self.client = mqtt.Client(
            CallbackAPIVersion.VERSION2, "listener", clean_session=False, protocol=mqtt.MQTTv311
        )
        self.client.reconnect_delay_set(1, 2)
        self.client.on_connect = lambda client, *_: client.subscribe("livevision/events/#", qos=1)
        self.client.on_message = lambda _, __, m: self.heard.append(json.loads(m.payload))
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        wait_for(self.client.is_connected, 20)


class Server(ThreadingHTTPServer):
    """Answers with an error, breaks off, or takes an event and loses the answer, as luck has it."""

    daemon_threads = True

    def __init__(self, luck: random.Random) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.luck, self.got, self.failed = luck, list[dict[str, Any]](), 0
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert body["id"] == self.headers["Idempotency-Key"]
        what = self.server.luck.choices(
            ["takes", "error", "breaks off", "loses the answer"], [90, 4, 3, 3]
        )[0]
        self.server.failed += what != "takes"
        if what in ("takes", "loses the answer"):
            self.server.got.append(body)
        if what in ("breaks off", "loses the answer"):
            self.close_connection = True
            return
        self.send_response(200 if what == "takes" else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def delivery(
    folder: Path, events: int, seed: int = 1, lives: tuple[float, float] = (2.0, 12.0)
) -> dict[str, Any]:
    """Of so many events, how many came, in which order, and how often twice.

    Args:
        folder: For the store, and what the broker keeps.
        events: How many.
        seed: Of all that is left to chance.
        lives: Seconds, at least and at most, after which the broker is killed again.

    Raises:
        AssertionError: One is missing, out of order in its source, or has two bodies.
    """
    from livevision.events.mqtt import MqttSender
    from livevision.events.sending import Delivery
    from livevision.events.store import EventStore
    from livevision.events.webhook import WebhookSender

    luck = random.Random(seed)
    broker, server = Broker(folder), Server(luck)
    listener = Listener(broker.port)
    store = EventStore(folder / "events.sqlite")
    address = f"http://127.0.0.1:{server.server_port}/"
    senders = [
        Delivery(store, MqttSender(f"mqtt://127.0.0.1:{broker.port}"), first=0.05),
        Delivery(store, WebhookSender(address, "secret", private=True), first=0.005),
    ]
    made: list[Event] = []
    begun, kills = time.monotonic(), 0

    def keep() -> None:
        for number in range(events):
            made.append(event(number))
            store.add(made[-1])
            time.sleep(luck.expovariate(100))

    keeping = threading.Thread(target=keep)
    keeping.start()
    while keeping.is_alive() or any(each.sent < events for each in senders):
        time.sleep(luck.uniform(*lives))
        if senders[0].sent < events:
            broker.kill()
            kills += 1
            time.sleep(luck.uniform(0.0, 1.5))
            broker.start()
        if time.monotonic() - begun > 1500:
            break
    wait_for(lambda: len({each["id"] for each in listener.heard}) >= events, 30, fails=False)
    told = {"events": events, "seconds": round(time.monotonic() - begun, 1), "broker killed": kills}
    for name, heard in (("mqtt", listener.heard), ("webhook", server.got)):
        told |= {f"{name} {key}": value for key, value in judged(made, heard).items()}
    told["server failed"] = server.failed
    for each in senders:
        each.close()
    store.close()
    listener.client.disconnect()
    listener.client.loop_stop()
    server.shutdown()
    broker.kill()
    return told


def judged(made: list[Event], heard: list[dict[str, Any]]) -> dict[str, int]:
    """What came of the events: none is missing, and repeats are the same."""
    bodies: dict[str, dict[str, Any]] = {}
    repeats = 0
    for body in heard:
        assert bodies.setdefault(body["id"], body) == body, "one id, two events"
    repeats = len(heard) - len(bodies)
    missing = [each.id for each in made if each.id not in bodies]
    assert not missing, f"{len(missing)} are missing, the first {missing[0]}"
    for source in {each.source for each in made}:
        came = [name for name, body in bodies.items() if body["source"] == source]
        assert came == sorted(came), f"{source}: out of order"
    return {"missing": 0, "repeats": repeats}


# kill -9 ------------------------------------------------------------------------------------------

KEEPER = """
import sys
sys.path.insert(0, sys.argv[3])
from pathlib import Path
from livevision.events.files import FileSender
from livevision.events.sending import Delivery
from livevision.events.store import EventStore
from prove_events import event
store = EventStore(Path(sys.argv[1]))
delivery = Delivery(store, FileSender(Path(sys.argv[2])))
for number in range(1_000_000):
    each = event(number)
    store.add(each)
    print(each.id, flush=True)
"""


def kills(folder: Path, times: int, seed: int = 1) -> dict[str, Any]:
    """Kill a process that keeps and delivers events so many times; check the store each time.

    Raises:
        AssertionError: The store is damaged, an event is lost that was stored or delivered, or ids
            do not rise.
    """
    from livevision.events.files import FileSender
    from livevision.events.sending import Delivery
    from livevision.events.store import EventStore

    luck = random.Random(seed)
    path, table = folder / "killed.sqlite", folder / "killed.jsonl"
    told: list[str] = []
    command = [sys.executable, "-c", KEEPER, str(path), str(table), str(Path(__file__).parent)]
    for _ in range(times):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        told.append(process.stdout.readline().strip())
        wait = threading.Timer(luck.uniform(0.0, 0.5), process.send_signal, [signal.SIGKILL])
        wait.start()
        told += [line.strip() for line in process.stdout if len(line) == 27]
        wait.join()
        process.wait()
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        kept = [row[0] for row in connection.execute("SELECT id FROM events ORDER BY seq")]
        connection.close()
        assert kept == sorted(kept), "ids rise"
        assert set(told) <= set(kept), "one that was stored is lost"
    store = EventStore(path)
    last = Delivery(store, FileSender(table))
    wait_for(lambda: store.after(store.position(str(table))) == [], 60)
    last.close()
    rows = [json.loads(line)["id"] for line in table.read_text().splitlines()]
    once = list(dict.fromkeys(rows))
    count = store.count()
    store.close()
    assert once == [row for row in kept if row in set(once)], "out of order"
    assert len(once) == count == len(kept), "one that was stored was not delivered"
    return {
        "killed": times, "stored": count, "acknowledged": len(told), "lost": 0,
        "delivered twice": len(rows) - len(once),
    }  # fmt: skip


# Speed and memory ---------------------------------------------------------------------------------


def speed(folder: Path, events: int) -> dict[str, Any]:
    """How many events a second one by one come into the store, and from there into a file."""
    from livevision.events.files import FileSender
    from livevision.events.sending import Delivery
    from livevision.events.store import EventStore

    rates = []
    for turn in range(5):
        store = EventStore(folder / f"speed{turn}.sqlite")
        made = [event(number) for number in range(events // 5)]
        begun = time.perf_counter()
        for each in made:
            store.add(each)
        rates.append(len(made) / (time.perf_counter() - begun))
        store.close()
    store = EventStore(folder / "speed0.sqlite")
    begun = time.perf_counter()
    delivered = Delivery(store, FileSender(folder / "speed.jsonl"))
    wait_for(lambda: delivered.sent >= events // 5, 120)
    sent = delivered.sent / (time.perf_counter() - begun)
    delivered.close()
    store.close()
    return {
        "stored a second": round(statistics.median(rates)),
        "slowest of five turns": round(min(rates)),
        "delivered a second": round(sent),
    }


def tracks(folder: Path, number: int) -> dict[str, Any]:
    """Memory after a tenth of so many tracks, and after all of them.

    Raises:
        AssertionError: It grew by more than 3 %.
    """
    import numpy as np
    import psutil
    import supervision as sv

    from livevision.analysis.stage import Analysis
    from livevision.config.scene import scene_of
    from livevision.events.store import EventStore
    from livevision.frame import Frame, Inferred
    from livevision.protocols import SourceInfo

    scene = scene_of(
        {
            "lines": {"gate": {"points": [[0.5, 0], [0.5, 1]]}},
            "zones": {"left": {"points": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}},
            "rules": {
                "busy": {"when": {"zone": "left", "count": ">= 3"}, "cooldown": "1m"},
                "stays": {"when": {"zone": "left", "dwell": "> 100ms"}},
            },
        }
    )
    store = EventStore(folder / "tracks.sqlite", keep=20_000)
    stage = Analysis("bytetrack", scene, store.add, emit_passage=store.add_passage)
    stage.opened(0, SourceInfo("made", live=True, size=(640, 480)))
    picture, process = np.zeros((480, 640, 3), np.uint8), psutil.Process()
    at_once, luck = 20, np.random.default_rng(0)
    index, seen, early = 0, 0, 0
    while seen < number:
        name = ("person", "car", "dog")[seen // at_once % 3]
        # Twenty that were never there before, for four frames; no box is near an earlier one.
        corners = luck.uniform((0, 0), (600, 420), (at_once, 2))
        for step in range(4):
            boxes = np.hstack([corners, corners + np.array((30, 50))]) + 2.0 * step
            found = sv.Detections(
                xyxy=boxes.astype(np.float32),
                confidence=np.full(at_once, 0.9, np.float32),
                class_id=np.full(at_once, seen // at_once % 3),
                data={"class_name": np.full(at_once, name)},
            )
            stage(Inferred(Frame(0, index, index / 5, time.monotonic(), picture), {"net": found}))
            index += 1
        index += 15  # three seconds, in which all tracks end
        seen += at_once
        if not early and seen >= number // 10:
            early = process.memory_info().rss
    late = process.memory_info().rss
    store.close()
    grown = late / early - 1
    assert grown < 0.03, f"memory grew by {grown:.1%}"
    return {
        "tracks": seen, "MB after a tenth": round(early / 1e6, 1),
        "MB after all": round(late / 1e6, 1), "grown": f"{grown:+.1%}",
    }  # fmt: skip


# --------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def connects(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(holds: Callable[[], bool], seconds: float, *, fails: bool = True) -> None:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            if fails:
                raise AssertionError("waited for too long")
            return
        time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", nargs="*", choices=["delivery", "kills", "speed", "tracks", []])
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--tracks", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.disable(logging.ERROR)  # failures are what is meant
    parts: dict[str, Callable[[Path], dict[str, Any]]] = {
        "delivery": lambda folder: delivery(folder, options.events, options.seed),
        "kills": lambda folder: kills(folder, options.kills, options.seed),
        "speed": lambda folder: speed(folder, options.events),
        "tracks": lambda folder: tracks(folder, options.tracks),
    }
    failed = False
    for name in options.what or parts:
        with tempfile.TemporaryDirectory(prefix="livevision-events-") as folder:
            Path(folder).chmod(0o755)  # mosquitto may run as somebody else
            try:
                told = parts[name](Path(folder))
            except AssertionError as error:
                told, failed = {"FAILED": str(error)}, True
        print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in told.items()), flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    # So that what it started ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    main()
