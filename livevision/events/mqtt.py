"""Events to an MQTT broker, and what lets Home Assistant show them by itself.

Topics, under a prefix that is ``livevision`` by default:

    livevision/status                     online or offline, kept; the broker says offline where
                                          we vanish
    livevision/events/SOURCE/RULE         each event as JSON
    livevision/state/SOURCE/RULE          ON or OFF, kept, of rules that last
    livevision/picture/SOURCE/RULE        the picture of the last event, as JPEG, kept
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from livevision.errors import ModelError, UsageError, missing_package
from livevision.events.sending import Sender, SendError
from livevision.events.store import Stored
from livevision.events.url import split
from livevision.redact import redact_uri
from livevision.version import __version__

if TYPE_CHECKING:
    from livevision.config.scene import Rule

_ACK_S = 10.0
_CONNECT_S = 5.0
_AGAIN_S, _MOST_AGAIN = 3.0, 200  # what is published again after a break: seconds, events
_ANSWERS = 1000
_ASK_S = 0.3
_LISTENERS_S = 60.0  # that those who listened have to come back
_NOBODY = 16  # MQTT 5: acknowledged, and nobody listens
_OLD_PROTOCOL = "Unsupported protocol version"


class _Message(NamedTuple):
    """An event on its way: its place in the store, by which it is sorted, topic and text."""

    seq: int
    topic: str
    text: str


class MqttSender(Sender):
    """Publishes events with QoS 1: each is delivered once the broker has acknowledged it.

    A broker that was killed may have lost what it acknowledged just before, and who listens may
    come back later than we do. So what was acknowledged in the last seconds before a break is
    published again, and nothing is until somebody listens, for a minute at most, where
    somebody did before.

    Args:
        url: mqtt://[USER:PASSWORD@]HOST[:PORT][/PREFIX], or mqtts:// for TLS.
        discovery: Prefix of Home Assistant's discovery; "" to tell it nothing.
        certificates: File of the authorities that are trusted; None for the machine's.
        pictures: Events have pictures, which are published too.

    Raises:
        UsageError: The URL is no such one.
        ModelError: paho-mqtt is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        discovery: str = "homeassistant",
        certificates: str | None = None,
        pictures: bool = False,
    ) -> None:
        self._pictures = pictures
        self.name = redact_uri(url)
        found = split(url, ("mqtt", "mqtts"))
        if found is None:
            raise UsageError(f"{self.name!r} is not a broker such as mqtt://broker.local:1883")
        try:
            import paho.mqtt.client  # noqa: F401
        except ModuleNotFoundError:
            raise ModelError(missing_package("paho-mqtt", "MQTT", "events")) from None
        parts, self._host, port = found
        self._port = port or (8883 if parts.scheme == "mqtts" else 1883)
        self._prefix = parts.path.strip("/") or "livevision"
        self._discovery = discovery
        self._rules: dict[str, Sequence[Rule]] = {}
        self._login = None
        if parts.username is not None:
            self._login = unquote(parts.username), unquote(parts.password or "")
        self._tls, self._certificates = parts.scheme == "mqtts", certificates
        self._mqtt5 = True
        self._recent: deque[tuple[float, _Message]] = deque(maxlen=_MOST_AGAIN)
        self._again: list[_Message] = []
        self._states: dict[str, str] = {}
        self._answers: dict[int, int] = {}
        self._listened = False
        self._unsure_until = self._broke_at = 0.0
        self._connected_before = False
        self._client = self._new()
        self._there = threading.Event()
        self._refused = ""
        self._running = False

    def send(self, events: Sequence[Stored]) -> None:
        """Publish, and wait for what the broker acknowledges.

        Raises:
            SendError: The broker cannot be reached, or does not acknowledge in time.
        """
        self._reach()
        self._send_again()
        messages = []
        for event in events:
            place = f"{topic_of(str(event.body['source']))}/{topic_of(str(event.body['rule']))}"
            if event.body.get("kind") != "dwell" and "way" not in event.body:
                state = "ON" if event.body["phase"] == "began" else "OFF"
                self._states[f"{self._prefix}/state/{place}"] = state
                self._client.publish(f"{self._prefix}/state/{place}", state, qos=1, retain=True)
            picture = _picture(event.body) if self._pictures else None
            if picture is not None:
                self._client.publish(f"{self._prefix}/picture/{place}", picture, 1, retain=True)
            messages.append(_Message(event.seq, f"{self._prefix}/events/{place}", event.text))
        self._publish(messages)

    def _send_again(self) -> None:
        try:
            self._publish(self._again)
        except SendError as error:
            error.done, error.came_near = 0, True  # none of the new events
            raise
        self._again = []

    def _publish(self, messages: Sequence[_Message]) -> None:
        """Publish in their order; the first alone while it may be that nobody listens.

        Raises:
            SendError: Not all were acknowledged.
        """
        if not messages:
            return
        alone = 0
        if time.monotonic() < self._unsure_until:
            alone = 1
            answer = self._published(messages[:1], 0)
            while answer == _NOBODY and time.monotonic() < self._unsure_until:
                time.sleep(_ASK_S)
                answer = self._published(messages[:1], 0)
            self._listened = answer != _NOBODY
        self._unsure_until = 0.0
        if messages[alone:]:
            self._listened = self._published(messages[alone:], alone) != _NOBODY

    def _published(self, messages: Sequence[_Message], before: int) -> int:
        """Publish all at once; the broker's last word on whether anybody listens.

        Raises:
            SendError: Not all were acknowledged.
        """
        published = [self._client.publish(each.topic, each.text, qos=1) for each in messages]
        answer = 0
        for number, (message, info) in enumerate(zip(messages, published, strict=True)):
            self._wait_for(info, before + number)
            answer = self._answers.pop(info.mid, 0)
            self._recent.append((time.monotonic(), message))
        return answer

    def _wait_for(self, message: Any, done: int) -> None:
        """Wait until the broker has a message.

        Raises:
            SendError: It does not come to that.
        """
        end = time.monotonic() + _ACK_S
        try:
            while not message.is_published():
                if not self._there.is_set() or time.monotonic() > end:
                    self._restart()
                    raise SendError("the broker does not acknowledge", done, came_near=True)
                message.wait_for_publish(0.1)
        except (RuntimeError, ValueError) as error:
            self._restart()
            raise SendError(f"cannot publish: {error}", done) from None

    def watching(self, source: str, rules: Sequence[Rule]) -> None:
        """Let Home Assistant show the rules of a source, and take away those it had before."""
        before = self._told_of(source, self._rules.get(source, ()))
        self._rules[source] = tuple(rules)
        after = self._told_of(source, rules)
        if self._there.is_set():
            for topic in before.keys() - after.keys():
                self._client.publish(topic, "", qos=1, retain=True)
            self._announce(self._client, after)

    def attend(self) -> None:
        """Stay connected, so that Home Assistant shows what there is before anything happens."""
        self._reach()
        self._send_again()

    def close(self) -> None:
        """Say goodbye to the broker, and let go of it."""
        if self._running:
            if self._there.is_set():
                goodbye = self._client.publish(f"{self._prefix}/status", "offline", 1, retain=True)
                goodbye.wait_for_publish(1.0)
            self._client.disconnect()
            self._client.loop_stop()
            self._running = False

    def _new(self) -> Any:
        """A client: a new one after each failure, so that nothing gathers in it."""
        from paho.mqtt import client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion

        protocol = mqtt.MQTTv5 if self._mqtt5 else mqtt.MQTTv311
        # What was lost goes first on a new connection, which is not to come by itself.
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, protocol=protocol, reconnect_on_failure=False
        )
        self._answers.clear()
        client.max_inflight_messages_set(50)
        if self._login is not None:
            client.username_pw_set(*self._login)
        if self._tls:
            client.tls_set(self._certificates, tls_version=ssl.PROTOCOL_TLS_CLIENT)
        client.will_set(f"{self._prefix}/status", "offline", qos=1, retain=True)
        client.on_connect = self._connected
        client.on_disconnect = self._gone
        client.on_publish = self._answered
        return client

    def _reach(self) -> None:
        if self._running and not self._there.is_set():
            self._restart()
        if not self._running:
            self._client = self._new()
            try:
                self._client.connect(self._host, self._port, keepalive=30)
            except (OSError, ValueError) as error:
                raise SendError(f"cannot be reached: {error}") from None
            self._client.loop_start()
            self._running = True
        if not self._there.wait(_CONNECT_S):
            refused, self._refused = self._refused, ""
            if _OLD_PROTOCOL in refused:
                self._mqtt5 = False
            self._restart()
            raise SendError(refused or "cannot be reached")

    def _restart(self) -> None:
        """Let go of the connection; the next attempt begins anew."""
        self._note_break()
        self._client.disconnect()
        self._client.loop_stop()
        self._running = False
        self._there.clear()

    def _connected(self, client: Any, userdata: Any, flags: Any, reason: Any, more: Any) -> None:
        if client is not self._client:
            return
        if reason.is_failure:
            self._refused = f"the broker refuses: {reason}"
            return
        self._refused = ""
        if self._connected_before:
            first = self._broke_at - _AGAIN_S
            recent = [message for at, message in self._recent if at > first]
            self._again = sorted({*self._again, *recent})[-_MOST_AGAIN:]
            if self._listened and not self._unsure_until:
                self._unsure_until = time.monotonic() + _LISTENERS_S
        self._connected_before = True
        for topic, state in list(self._states.items()):
            client.publish(topic, state, qos=1, retain=True)
        for source, rules in list(self._rules.items()):
            self._announce(client, self._told_of(source, rules))
        client.publish(f"{self._prefix}/status", "online", qos=1, retain=True)
        self._there.set()

    def _told_of(self, source: str, rules: Sequence[Rule]) -> dict[str, dict[str, Any]]:
        return discovery(source, rules, self._discovery, self._prefix, self._pictures)

    @staticmethod
    def _announce(client: Any, contents: Mapping[str, Any]) -> None:
        for topic, content in contents.items():
            client.publish(topic, json.dumps(content), qos=1, retain=True)

    def _answered(self, client: Any, _: Any, mid: int, reason: Any, *more: Any) -> None:
        if client is self._client:
            while len(self._answers) > _ANSWERS:
                self._answers.pop(next(iter(self._answers)))
            self._answers[mid] = int(reason.value)

    def _gone(self, client: Any, *_: Any) -> None:
        if client is self._client:
            self._note_break()
            self._there.clear()

    def _note_break(self) -> None:
        if self._there.is_set():
            self._broke_at = time.monotonic()


def discovery(
    source: str,
    rules: Sequence[Rule],
    discovery_prefix: str,
    prefix: str,
    pictures: bool = False,
) -> dict[str, dict[str, Any]]:
    """What Home Assistant is told of a source: by topic, the settings of each rule.

    The source is a device. A rule that lasts is a binary sensor, and one that tells of something
    each time an event. Where events have pictures, each rule is a camera, too.
    """
    if not discovery_prefix:
        return {}
    camera = topic_of(source)
    node = f"{topic_of(prefix)}_{camera}"
    device = {"identifiers": [node], "name": source, "manufacturer": "livevision"}
    found: dict[str, dict[str, Any]] = {}
    for rule in rules:
        name = topic_of(rule.name)
        common: dict[str, Any] = {
            "name": rule.name,
            "unique_id": f"{node}_{name}",
            "availability_topic": f"{prefix}/status",
            "device": device,
            "origin": {"name": "livevision", "sw_version": __version__},
        }
        if pictures:
            shows = {"unique_id": f"{node}_{name}_picture"}
            shows["topic"] = f"{prefix}/picture/{camera}/{name}"
            found[f"{discovery_prefix}/camera/{node}/{name}/config"] = {**common, **shows}
        content = dict(common)
        if rule.when.measure == "dwell" or (rule.when.line and not rule.when.within):
            content |= {
                "state_topic": f"{prefix}/events/{camera}/{name}",
                "event_types": ["began"],
                "value_template": '{"event_type": "{{ value_json.phase }}"}',
            }
            kind = "event"
        else:
            content |= {
                "state_topic": f"{prefix}/state/{camera}/{name}",
                "json_attributes_topic": f"{prefix}/events/{camera}/{name}",
            }
            kind = "binary_sensor"
        found[f"{discovery_prefix}/{kind}/{node}/{name}/config"] = content
    return found


def _picture(event: Mapping[str, Any]) -> bytes | None:
    """The picture of what begins, if it is still there."""
    if event["phase"] != "began" or not event.get("picture"):
        return None
    try:
        return Path(str(event["picture"])).read_bytes()
    except OSError:
        return None


def topic_of(name: str) -> str:
    """A name as one level of a topic: letters, digits, - and _."""
    return re.sub(r"[^\w-]", "_", name, flags=re.ASCII) or "_"
