"""Events to an MQTT broker, with discovery messages for Home Assistant.

Topics, under a prefix that is ``livevision`` by default:

    livevision/status                     online or offline, retained; offline is also the last will
    livevision/events/SOURCE/RULE         each event as JSON
    livevision/state/SOURCE/RULE          ON or OFF, retained, of rules with a duration
    livevision/picture/SOURCE/RULE        the picture of the last event, as JPEG, retained
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
_RESEND_S, _MAX_RESEND = 3.0, 200  # what is published again after a disconnect: seconds, events
_MAX_REASON_CODES = 1000
_POLL_S = 0.3
_SUBSCRIBERS_S = 60.0  # time for subscribers to come back after a disconnect
_NO_SUBSCRIBERS = 16  # reason code of MQTT 5: acknowledged, but no matching subscribers
_OLD_PROTOCOL = "Unsupported protocol version"


class _Message(NamedTuple):
    """An event to publish: its position in the store, by which it is sorted, topic and JSON."""

    seq: int
    topic: str
    text: str


class MqttSender(Sender):
    """Publishes events with QoS 1: each is delivered once the broker has acknowledged it.

    A broker that is killed may lose what it has just acknowledged, and subscribers may reconnect
    later than this client. So events acknowledged in the last seconds before a disconnect are
    published again. If there were subscribers before, nothing is published until there are some
    again, for a minute at most.

    Args:
        url: mqtt://[USER:PASSWORD@]HOST[:PORT][/PREFIX], or mqtts:// for TLS.
        discovery: Prefix of Home Assistant's discovery topics; "" for no discovery.
        certificates: File of the trusted authorities; None for the machine's.
        pictures: Whether to publish the pictures of events.

    Raises:
        UsageError: The URL is invalid.
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
            raise UsageError(
                f"{self.name!r}: the address of a broker has the form mqtt://broker.local:1883"
            )
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
        self._recent: deque[tuple[float, _Message]] = deque(maxlen=_MAX_RESEND)
        self._to_resend: list[_Message] = []
        self._states: dict[str, str] = {}
        self._reason_codes: dict[int, int] = {}
        self._had_subscribers = False
        self._check_until = self._disconnected_at = 0.0
        self._was_connected = False
        self._client = self._new_client()
        self._online = threading.Event()
        self._refused = ""
        self._running = False

    def send(self, events: Sequence[Stored]) -> None:
        """Publish events, and wait until the broker has acknowledged them.

        Raises:
            SendError: The broker cannot be reached, or does not acknowledge in time.
        """
        self._ensure_connected()
        self._resend()
        messages = []
        for event in events:
            levels = f"{topic_of(str(event.body['source']))}/{topic_of(str(event.body['rule']))}"
            if event.body.get("kind") != "dwell" and "way" not in event.body:
                state = "ON" if event.body["phase"] == "began" else "OFF"
                self._states[f"{self._prefix}/state/{levels}"] = state
                self._client.publish(f"{self._prefix}/state/{levels}", state, qos=1, retain=True)
            picture = _picture(event.body) if self._pictures else None
            if picture is not None:
                self._client.publish(f"{self._prefix}/picture/{levels}", picture, 1, retain=True)
            messages.append(_Message(event.seq, f"{self._prefix}/events/{levels}", event.text))
        self._publish(messages)

    def _resend(self) -> None:
        try:
            self._publish(self._to_resend)
        except SendError as error:
            error.done, error.reached = 0, True  # none of the new events is delivered
            raise
        self._to_resend = []

    def _publish(self, messages: Sequence[_Message]) -> None:
        """Publish in order; after a reconnect first one message, until there are subscribers.

        Raises:
            SendError: Not all were acknowledged.
        """
        if not messages:
            return
        alone = 0
        if time.monotonic() < self._check_until:
            alone = 1
            answer = self._published(messages[:1], 0)
            while answer == _NO_SUBSCRIBERS and time.monotonic() < self._check_until:
                time.sleep(_POLL_S)
                answer = self._published(messages[:1], 0)
            self._had_subscribers = answer != _NO_SUBSCRIBERS
        self._check_until = 0.0
        if messages[alone:]:
            self._had_subscribers = self._published(messages[alone:], alone) != _NO_SUBSCRIBERS

    def _published(self, messages: Sequence[_Message], before: int) -> int:
        """Publish all at once; returns the reason code of the last message.

        Raises:
            SendError: Not all were acknowledged.
        """
        published = [self._client.publish(each.topic, each.text, qos=1) for each in messages]
        answer = 0
        for number, (message, info) in enumerate(zip(messages, published, strict=True)):
            self._wait_for(info, before + number)
            answer = self._reason_codes.pop(info.mid, 0)
            self._recent.append((time.monotonic(), message))
        return answer

    def _wait_for(self, message: Any, done: int) -> None:
        """Wait until the broker has acknowledged a message.

        Raises:
            SendError: It does not in time.
        """
        end = time.monotonic() + _ACK_S
        try:
            while not message.is_published():
                if not self._online.is_set() or time.monotonic() > end:
                    self._restart()
                    raise SendError("the broker does not acknowledge", done, reached=True)
                message.wait_for_publish(0.1)
        except (RuntimeError, ValueError) as error:
            self._restart()
            raise SendError(f"cannot publish: {error}", done) from None

    def rules_changed(self, source: str, rules: Sequence[Rule]) -> None:
        """Announce the rules of a source to Home Assistant, and remove its former ones."""
        before = self._config_of(source, self._rules.get(source, ()))
        self._rules[source] = tuple(rules)
        after = self._config_of(source, rules)
        if self._online.is_set():
            for topic in before.keys() - after.keys():
                self._client.publish(topic, "", qos=1, retain=True)
            self._announce(self._client, after)

    def keep_alive(self) -> None:
        """Stay connected, so that Home Assistant shows the rules before the first event."""
        self._ensure_connected()
        self._resend()

    def close(self) -> None:
        """Publish the status offline and disconnect."""
        if self._running:
            if self._online.is_set():
                offline = self._client.publish(f"{self._prefix}/status", "offline", 1, retain=True)
                offline.wait_for_publish(1.0)
            self._client.disconnect()
            self._client.loop_stop()
            self._running = False

    def _new_client(self) -> Any:
        """A client; a new one after each failure, so that no unsent messages accumulate in it."""
        from paho.mqtt import client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion

        protocol = mqtt.MQTTv5 if self._mqtt5 else mqtt.MQTTv311
        # The client must not reconnect by itself: lost messages are sent first, see ``send``.
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, protocol=protocol, reconnect_on_failure=False
        )
        self._reason_codes.clear()
        client.max_inflight_messages_set(50)
        if self._login is not None:
            client.username_pw_set(*self._login)
        if self._tls:
            client.tls_set(self._certificates, tls_version=ssl.PROTOCOL_TLS_CLIENT)
        client.will_set(f"{self._prefix}/status", "offline", qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        return client

    def _ensure_connected(self) -> None:
        if self._running and not self._online.is_set():
            self._restart()
        if not self._running:
            self._client = self._new_client()
            try:
                self._client.connect(self._host, self._port, keepalive=30)
            except (OSError, ValueError) as error:
                raise SendError(f"cannot be reached: {error}") from None
            self._client.loop_start()
            self._running = True
        if not self._online.wait(_CONNECT_S):
            refused, self._refused = self._refused, ""
            if _OLD_PROTOCOL in refused:
                self._mqtt5 = False
            self._restart()
            raise SendError(refused or "cannot be reached")

    def _restart(self) -> None:
        """Drop the connection; the next attempt makes a new one."""
        self._note_disconnect()
        self._client.disconnect()
        self._client.loop_stop()
        self._running = False
        self._online.clear()

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason: Any, more: Any) -> None:
        if client is not self._client:
            return
        if reason.is_failure:
            self._refused = f"the broker refuses: {reason}"
            return
        self._refused = ""
        if self._was_connected:
            first = self._disconnected_at - _RESEND_S
            recent = [message for at, message in self._recent if at > first]
            self._to_resend = sorted({*self._to_resend, *recent})[-_MAX_RESEND:]
            if self._had_subscribers and not self._check_until:
                self._check_until = time.monotonic() + _SUBSCRIBERS_S
        self._was_connected = True
        for topic, state in list(self._states.items()):
            client.publish(topic, state, qos=1, retain=True)
        for source, rules in list(self._rules.items()):
            self._announce(client, self._config_of(source, rules))
        client.publish(f"{self._prefix}/status", "online", qos=1, retain=True)
        self._online.set()

    def _config_of(self, source: str, rules: Sequence[Rule]) -> dict[str, dict[str, Any]]:
        return discovery(source, rules, self._discovery, self._prefix, self._pictures)

    @staticmethod
    def _announce(client: Any, contents: Mapping[str, Any]) -> None:
        for topic, content in contents.items():
            client.publish(topic, json.dumps(content), qos=1, retain=True)

    def _on_publish(self, client: Any, _: Any, mid: int, reason: Any, *more: Any) -> None:
        if client is self._client:
            while len(self._reason_codes) > _MAX_REASON_CODES:
                self._reason_codes.pop(next(iter(self._reason_codes)))
            self._reason_codes[mid] = int(reason.value)

    def _on_disconnect(self, client: Any, *_: Any) -> None:
        if client is self._client:
            self._note_disconnect()
            self._online.clear()

    def _note_disconnect(self) -> None:
        if self._online.is_set():
            self._disconnected_at = time.monotonic()


def discovery(
    source: str,
    rules: Sequence[Rule],
    discovery_prefix: str,
    prefix: str,
    pictures: bool = False,
) -> dict[str, dict[str, Any]]:
    """Discovery messages of a source for Home Assistant: by topic, the configuration of a rule.

    The source is a device. A rule with a duration is a binary sensor, any other is an event. If
    events have pictures, each rule is also a camera.
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
            image = {"unique_id": f"{node}_{name}_picture"}
            image["topic"] = f"{prefix}/picture/{camera}/{name}"
            found[f"{discovery_prefix}/camera/{node}/{name}/config"] = {**common, **image}
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
    """The picture of an event that begins; None if it has none or the file is gone."""
    if event["phase"] != "began" or not event.get("picture"):
        return None
    try:
        return Path(str(event["picture"])).read_bytes()
    except OSError:
        return None


def topic_of(name: str) -> str:
    """A name as one level of a topic: letters, digits, - and _."""
    return re.sub(r"[^\w-]", "_", name, flags=re.ASCII) or "_"
