"""Senders with real receivers on this machine: files, an HTTP server, a broker."""

from __future__ import annotations

import base64
import csv
import hashlib
import hmac
import json
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from livevision.config.scene import scene_of
from livevision.errors import OutputError, UsageError
from livevision.events.files import FileSender
from livevision.events.notices import NoticeSender, notice_text
from livevision.events.sending import Delivery, SendError
from livevision.events.store import EventStore, Stored
from livevision.events.webhook import WebhookSender, is_public
from tests.events.making import event, until

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    made = EventStore(tmp_path / "events.sqlite")
    yield made
    made.close()


def test_jsonl_and_csv_files(tmp_path: Path, store: EventStore) -> None:
    files = [tmp_path / "e.jsonl", tmp_path / "e.csv"]
    events = [event(n, way="in" if n % 2 else None) for n in range(20)]
    for half in (events[:10], events[10:]):
        deliveries = [Delivery(store, FileSender(file)) for file in files]
        for each in half:
            store.add(each)
        for delivery in deliveries:
            delivery.close()
    lines = [json.loads(line) for line in files[0].read_text(encoding="utf-8").splitlines()]
    assert lines == [each.to_dict() for each in events]
    with files[1].open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [each.id for each in events]
    assert (rows[3]["tracks"], rows[3]["classes"]) == ("1 2 3", "person;person;cañon")
    assert (rows[3]["way"], rows[2]["way"], rows[3]["lasted"]) == ("in", "", "")
    with pytest.raises(OutputError, match=r"\.jsonl or \.csv"):
        FileSender(tmp_path / "e.txt")


class Receiver(ThreadingHTTPServer):
    """An HTTP server with given responses; records what it acknowledged."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answer: Any = lambda number: 200
        self.requests = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?a=1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests += 1
        status = self.server.answer(self.server.requests)
        if status is None:
            self.close_connection = True
            return
        if 200 <= abs(status) < 300:
            self.server.got.append((dict(self.headers.items()), body))
        if status < 0:
            self.close_connection = True  # taken, but the answer is lost on its way
            return
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.shutdown()
    server.server_close()


def test_a_randomly_failing_server_gets_every_event_in_order(
    receiver: Receiver, store: EventStore
) -> None:
    luck = random.Random(4)
    receiver.answer = lambda number: luck.choice([200] * 12 + [500, 503, 429, None, -200])
    sender = WebhookSender(receiver.url, "whsec_" + base64.b64encode(b"key").decode(), private=True)
    delivery = Delivery(store, sender, first=0.005)
    events = [event(n) for n in range(400)]
    for each in events:
        store.add(each)
    until(lambda: delivery.sent == 400, 60)
    delivery.close()
    names = [headers["webhook-id"] for headers, _ in receiver.got]
    assert list(dict.fromkeys(names)) == [each.id for each in events]
    assert len(names) > 400, "answers were lost, and so there are repeats"
    for headers, body in receiver.got[:20]:
        assert headers["Idempotency-Key"] == headers["webhook-id"] == json.loads(body)["id"]
        content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        mac = base64.b64encode(hmac.new(b"key", content, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{mac}"
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 100


def stored(*numbers: int) -> list[Stored]:
    return [Stored(n, f"id{n}", json.dumps(event(n).to_dict())) for n in numbers]


def test_refused_events_are_skipped_and_others_retried(receiver: Receiver) -> None:
    sender = WebhookSender(receiver.url, private=True)
    for status, refused in ((400, True), (404, True), (408, False), (429, False), (500, False)):
        receiver.answer = lambda number, status=status: status
        with pytest.raises(SendError, match=str(status)) as caught:
            sender.send(stored(1))
        assert caught.value.refused is refused
    # A redirect may lead anywhere, and is not followed.
    before = receiver.requests
    receiver.answer = lambda number: 302
    with pytest.raises(SendError, match="302"):
        sender.send(stored(1))
    assert receiver.requests == before + 1
    sender.close()


def test_private_addresses_are_refused(receiver: Receiver) -> None:
    port = receiver.server_port
    for host in ("127.0.0.1", "localhost"):
        sender = WebhookSender(f"http://{host}:{port}/")
        with pytest.raises(SendError, match="private network"):
            sender.send(stored(1))
    assert receiver.requests == 0
    for host in (
        *("10.0.0.1", "172.16.3.4", "192.168.1.1", "127.9.9.9", "0.0.0.0", "169.254.169.254"),
        *("100.64.0.1", "224.0.0.1", "::1", "::", "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1"),
    ):
        assert not is_public(host), host
    for host in ("8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"):
        assert is_public(host), host
    for url in ("ftp://example.com", "https://", "http://a:port/"):
        with pytest.raises(UsageError):
            WebhookSender(url)
    assert "secret" not in WebhookSender("https://me:secret@example.com/?token=secret").name


def test_notices_have_text_and_their_addresses_stay_secret(tmp_path: Path) -> None:
    text = notice_text(event(3, kind="share", value=0.31, tracks=(), classes=()).to_dict())
    assert text == "2026-11-29T08:15:30.042Z: till: share 31%"
    assert "count 3 (person #1, person #2, cañon #7)" in notice_text(event(7).to_dict())
    with pytest.raises(UsageError, match=r"nosuch://\*\*\*"):
        NoticeSender("nosuch://me:secret@host")


def test_only_events_that_begin_are_noticed(receiver: Receiver) -> None:
    sender = NoticeSender(f"json://127.0.0.1:{receiver.server_port}/hook")
    each = stored(1, 2)
    over = Stored(3, "id3", json.dumps(event(3, phase="ended").to_dict()))
    sender.send([each[0], over, each[1]])
    told = [json.loads(body) for _, body in receiver.got]
    assert [t["title"] for t in told] == ["long queue (door)"] * 2
    receiver.answer = lambda number: 500
    with pytest.raises(SendError):
        sender.send(each)


class Broker:
    """A mosquitto on a free port of this machine."""

    def __init__(self, folder: Path, more: str = "") -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\n{more or 'persistence true'}\n"
            f"persistence_location {folder}/\nuser root\nautosave_interval 1\n"
            f"autosave_on_changes true\n"
        )
        self.start()

    def start(self) -> None:
        null = subprocess.DEVNULL
        command = [str(MOSQUITTO), "-c", str(self._config)]
        self._process = subprocess.Popen(command, stdout=null, stderr=null)
        until(self._answers)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed (Debian package mosquitto)")
    made = Broker(tmp_path)
    yield made
    made.stop()


class Listener:
    """A subscriber that records messages, and survives restarts of the broker."""

    def __init__(self, broker: Broker, trusted: str | None = None) -> None:
        from paho.mqtt import client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion

        self.heard: list[tuple[str, str]] = []
        self._raw: list[tuple[str, bytes]] = []
        self.client = mqtt.Client(
            CallbackAPIVersion.VERSION2, "listener", clean_session=False, protocol=mqtt.MQTTv311
        )
        self.client.reconnect_delay_set(1, 1)
        self.client.on_message = self._hear
        if trusted is not None:
            self.client.tls_set(trusted)
        self.client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()
        until(lambda: self.client.is_connected())

    def _hear(self, client: Any, userdata: Any, message: Any) -> None:
        self._raw.append((message.topic, message.payload))
        self.heard.append((message.topic, message.payload.decode(errors="replace")))

    def raw(self, topic: str) -> list[bytes]:
        return [payload for heard, payload in self._raw if heard == topic]

    def of(self, topic: str) -> list[str]:
        return [payload for heard, payload in self.heard if heard == topic]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


RULES = scene_of(
    {
        "zones": {"till": {"points": [[0, 0], [1, 0], [1, 1]]}},
        "lines": {"gate": {"points": [[0, 0], [1, 1]]}},
        "rules": {
            "long queue": {"when": {"zone": "till", "count": ">= 3"}},
            "came in": {"when": {"line": "gate"}},
        },
    }
).rules


def test_a_broker_gets_every_event_after_an_outage(broker: Broker, store: EventStore) -> None:
    from livevision.events.mqtt import MqttSender

    listener = Listener(broker)
    sender = MqttSender(f"mqtt://127.0.0.1:{broker.port}/shop")
    delivery = Delivery(store, sender, first=0.05)
    events = [event(n, phase="began" if n % 2 == 0 else "ended") for n in range(300)]
    for each in events[:100]:
        store.add(each)
    until(lambda: len(listener.of("shop/events/door/long_queue")) >= 100)
    broker.stop()
    for each in events[100:200]:
        store.add(each)
    time.sleep(0.3)
    broker.start()
    until(lambda: listener.client.is_connected())
    for each in events[200:]:
        store.add(each)
    until(lambda: delivery.sent == 300, 40)
    until(lambda: events[-1].id in str(listener.heard[-40:]))
    names = [json.loads(text)["id"] for text in listener.of("shop/events/door/long_queue")]
    assert list(dict.fromkeys(names)) == [each.id for each in events]
    assert listener.of("shop/state/door/long_queue")[-1] == "OFF"
    assert listener.of("shop/status")[-1] == "online"
    delivery.close()
    until(lambda: listener.of("shop/status")[-1] == "offline")
    listener.close()


def test_home_assistant_discovery_is_published_and_updated(
    broker: Broker, store: EventStore
) -> None:
    from livevision.events.mqtt import MqttSender

    delivery = Delivery(store, MqttSender(f"mqtt://127.0.0.1:{broker.port}"))
    delivery.rules_changed("door", RULES)
    delivery.rules_changed("yard", RULES[:1])
    # It is told before anything happens.
    early = Listener(broker)
    until(lambda: bool(early.of("homeassistant/event/livevision_door/came_in/config")))
    assert early.of("livevision/state/door/long_queue") == []
    early.close()
    store.add(event(0))
    until(lambda: delivery.sent == 1)
    # One that comes later is told too: what Home Assistant needs is kept by the broker.
    listener = Listener(broker)
    queue = "homeassistant/binary_sensor/livevision_door/long_queue/config"
    until(lambda: bool(listener.of(queue)) and bool(listener.of("livevision/status")))
    told = json.loads(listener.of(queue)[0])
    assert told["unique_id"] == "livevision_door_long_queue"
    assert told["availability_topic"] == "livevision/status"
    assert set(listener.of(told["state_topic"])) == {"ON"}
    assert told["device"]["name"] == "door"
    one_off = json.loads(listener.of("homeassistant/event/livevision_door/came_in/config")[0])
    assert one_off["state_topic"] == "livevision/events/door/came_in"
    # Each camera is a device with a state of its own.
    other = "homeassistant/binary_sensor/livevision_yard/long_queue/config"
    assert json.loads(listener.of(other)[0])["state_topic"] == "livevision/state/yard/long_queue"
    assert listener.of("livevision/state/yard/long_queue") == []
    delivery.rules_changed("yard", ())
    until(lambda: listener.of(other)[-1] == "")
    # Where the connection breaks without a word the broker tells that we are gone.
    sender: Any = delivery._sender
    sender._client.socket().shutdown(socket.SHUT_RDWR)
    until(lambda: "offline" in listener.of("livevision/status"))
    delivery.close()
    listener.close()


def test_an_unreachable_broker_is_retried(store: EventStore) -> None:
    from livevision.events.mqtt import MqttSender

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(SendError, match="cannot be reached"):
        MqttSender(f"mqtt://127.0.0.1:{port}").send(stored(1))
    with pytest.raises(UsageError, match="mqtt://broker"):
        MqttSender("http://broker")


# TLS ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An authority, its certificate for 127.0.0.1, and another authority; valid for a day."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    names = {name: folder / name for name in ("ca.pem", "ca.key", "us.pem", "us.key", "other.pem")}

    def run(*arguments: object) -> None:
        command = [openssl, *map(str, arguments)]
        subprocess.run(command, check=True, capture_output=True, cwd=folder)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 1)
    for ca, private in (("ca.pem", "ca.key"), ("other.pem", "other.key")):
        run("req", "-x509", *key, "-keyout", private, "-out", ca, "-subj", f"/CN={ca}")
    run("req", *key[:4], "-nodes", "-keyout", "us.key", "-out", "us.csr", "-subj", "/CN=127.0.0.1")
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext")
    run("x509", "-req", "-in", "us.csr", *signed, "-days", 1, "-out", "us.pem")
    return names


def test_a_tls_broker_is_trusted_only_by_its_certificate(
    tmp_path: Path,
    certificates: dict[str, Path],
    store: EventStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from livevision.events.mqtt import MqttSender

    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed (Debian package mosquitto)")
    broker = Broker(
        tmp_path,
        f"cafile {certificates['ca.pem']}\ncertfile {certificates['us.pem']}\n"
        f"keyfile {certificates['us.key']}\n",
    )
    try:
        url = f"mqtts://127.0.0.1:{broker.port}/shop"
        with pytest.raises(SendError, match="CERTIFICATE_VERIFY_FAILED"):
            MqttSender(url, certificates=str(certificates["other.pem"])).send(stored(1))
        with pytest.raises(SendError, match="CERTIFICATE_VERIFY_FAILED"):
            MqttSender(url).send(stored(1))
        with pytest.raises(SendError, match="cannot be reached"):
            MqttSender(url.replace("mqtts", "mqtt")).send(stored(1))
        trusted = str(certificates["ca.pem"])
        listener = Listener(broker, trusted)
        # What a user does whose broker has an authority of its own.
        monkeypatch.setenv("SSL_CERT_FILE", trusted)
        delivery = Delivery(store, MqttSender(url))
        for n in range(20):
            store.add(event(n))
        until(lambda: len(listener.of("shop/events/door/long_queue")) == 20)
        delivery.close()
        until(lambda: listener.of("shop/status")[-1] == "offline")
        listener.close()
    finally:
        broker.stop()


def test_pictures_of_events_are_published_and_shown_as_cameras(
    tmp_path: Path, broker: Broker, store: EventStore
) -> None:
    from livevision.events.mqtt import MqttSender

    picture = tmp_path / "a.jpg"
    picture.write_bytes(b"\xff\xd8 a picture \xff\xd9")
    sender = MqttSender(f"mqtt://127.0.0.1:{broker.port}", pictures=True)
    sender.rules_changed("door", RULES)
    delivery = Delivery(store, sender)
    store.add(event(0, picture=str(picture), clip="a.mp4"))
    store.add(event(1, picture=str(tmp_path / "gone.jpg")))
    store.add(event(2, phase="ended", picture=str(picture)))
    until(lambda: delivery.sent == 3)
    listener = Listener(broker)
    place = "homeassistant/camera/livevision_door/long_queue/config"
    until(lambda: bool(listener.of(place)))
    told = json.loads(listener.of(place)[0])
    assert told["device"]["name"] == "door"
    until(lambda: bool(listener.raw(told["topic"])))
    assert listener.raw(told["topic"]) == [picture.read_bytes()]
    delivery.close()
    listener.close()


def test_events_a_killed_broker_lost_are_published_again_to_subscribers(
    tmp_path: Path, store: EventStore
) -> None:
    from livevision.events.mqtt import MqttSender

    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed (Debian package mosquitto)")
    broker = Broker(tmp_path, "persistence false\n")
    listener = Listener(broker)
    delivery = Delivery(store, MqttSender(f"mqtt://127.0.0.1:{broker.port}/shop"), first=0.05)
    events = [event(n) for n in range(60)]
    topic = "shop/events/door/long_queue"
    for each in events[:20]:
        store.add(each)
    until(lambda: len(listener.of(topic)) == 20)
    # It forgets who listened, and whoever comes first finds nobody.
    listener.close()
    for each in events[20:40]:
        store.add(each)  # acknowledged by a broker that keeps them for the listener
    until(lambda: delivery.sent == 40)
    broker.kill()
    broker.start()
    for each in events[40:]:
        store.add(each)
    time.sleep(1.5)
    assert delivery.sent == 40, "nobody would have had them"
    again = Listener(broker)
    until(lambda: delivery.sent == 60)
    until(lambda: events[-1].id in str(again.of(topic)[-1:]))
    names = [json.loads(text)["id"] for text in (*listener.of(topic), *again.of(topic))]
    assert list(dict.fromkeys(names)) == [each.id for each in events]
    delivery.close()
    again.close()
    broker.stop()


def test_without_subscribers_nothing_is_delayed(broker: Broker, store: EventStore) -> None:
    from livevision.events.mqtt import MqttSender

    delivery = Delivery(store, MqttSender(f"mqtt://127.0.0.1:{broker.port}"), first=0.05)
    store.add(event(0))
    until(lambda: delivery.sent == 1)
    broker.kill()
    broker.start()
    store.add(event(1))
    until(lambda: delivery.sent == 2)
    delivery.close()


def test_the_documented_receiver_works(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "tracking.md").read_text()
    text = page.partition("### From nothing to a webhook")[2].partition("```python\n")[2]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = tmp_path / "receiver.py"
    program.write_text(text.partition("```")[0].replace("8900", str(port)))
    command = [sys.executable, "-u", str(program)]
    pipe = subprocess.PIPE
    receiver = subprocess.Popen(command, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
    try:
        until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        url = f"http://127.0.0.1:{port}/"
        WebhookSender(url, "a long secret", private=True).send(stored(1, 2, 1))
        with pytest.raises(SendError, match="401"):
            WebhookSender(url, "a guess", private=True).send(stored(3))
    finally:
        receiver.terminate()
        told = receiver.communicate()[0].splitlines()
    assert told == ["2026-11-29T08:15:30.042Z door long queue None"] * 2
