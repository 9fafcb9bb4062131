"""Destinations of events: JSON-lines files, a store, and the senders that read it."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from livevision.analysis.event import Event
from livevision.analysis.passage import Passage
from livevision.config.event_places import is_lines, is_store
from livevision.config.scene import Rule
from livevision.errors import OutputError
from livevision.files import with_home
from livevision.output.events_file import EventsFile
from livevision.redact import redact_uri

if TYPE_CHECKING:
    from livevision.events.sending import Delivery, Sender
    from livevision.events.store import EventStore

SECRET = "LIVEVISION_WEBHOOK_SECRET"
"""Environment variable with the key that signs webhooks."""

_CLOSE_S = 0.6  # for deliveries at the end of a run; the next run delivers the rest


class Telling:
    """Takes the events of a run, on any thread.

    Args:
        places: .jsonl files; a .sqlite store; and senders that read it: .csv files, mqtt://,
            http:// and https://, and addresses of Apprise.
        overwrite: Replace existing .jsonl files.
        private: Allow webhooks to private network addresses.
        pictures: Events have pictures.

    Raises:
        UsageError: An address is invalid, or a store is missing.
        OutputError: A file cannot be created.
        ModelError: A package is not installed.
    """

    def __init__(
        self,
        places: Sequence[str],
        overwrite: bool = False,
        private: bool = False,
        pictures: bool = False,
    ) -> None:
        self._lock = threading.Lock()
        self._store: EventStore | None = None
        self._deliveries: list[Delivery] = []
        stores = [place for place in places if is_store(place)]
        files = [place for place in places if is_lines(place)]
        others = [place for place in places if place not in (*stores, *files)]
        senders = [_sender(place, private, pictures) for place in others]
        self._files = [EventsFile(with_home(file), overwrite) for file in files]
        self.where = [*files, *stores]
        if stores:
            from livevision.events.sending import Delivery
            from livevision.events.store import EventStore

            self._store = EventStore(with_home(stores[0]))
            self._deliveries = [Delivery(self._store, sender) for sender in senders]

    def take(self, event: Event) -> None:
        """Store an event.

        Raises:
            OutputError: A JSON-lines file can no longer be written.
        """
        with self._lock:
            if self._store is not None:
                self._store.add(event)
            for file in self._files:
                file.write(event)

    def add_passage(self, passage: Passage) -> None:
        """Store a crossing or a visit, for reports."""
        if self._store is not None:
            self._store.add_passage(passage)

    def rules_changed(self, source: str, rules: Sequence[Rule]) -> None:
        """Notify receivers that want to know which rules a source now has."""
        for delivery in self._deliveries:
            delivery.rules_changed(source, rules)

    def close(self) -> None:
        """Finish the files and deliver what can be delivered soon; the store keeps the rest.

        Raises:
            OutputError: A file cannot be finished.
        """
        for delivery in self._deliveries:
            delivery.close(_CLOSE_S)
        if self._store is not None:
            self._store.close()
        for file in self._files:
            file.close()


def _sender(place: str, private: bool, pictures: bool) -> Sender:
    scheme = place.partition("://")[0].lower() if "://" in place else ""
    if not scheme:
        from livevision.events.files import FileSender

        return FileSender(with_home(place))
    if scheme in ("mqtt", "mqtts"):
        from livevision.events.mqtt import MqttSender

        return MqttSender(place, pictures=pictures)
    if scheme in ("http", "https"):
        from livevision.events.webhook import WebhookSender

        return WebhookSender(place, os.environ.get(SECRET), private=private)
    if scheme == "file":
        raise OutputError(f"cannot send events to {redact_uri(place)}: give the path alone")
    from livevision.events.notices import NoticeSender

    return NoticeSender(place)
