"""Events to mail, chats and phones, by the package Apprise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from livevision.errors import ModelError, UsageError, missing_package
from livevision.events.sending import Sender, SendError
from livevision.events.store import Stored


class NoticeSender(Sender):
    """Sends each event that begins as a line of text, with its picture if there is one.

    Args:
        url: An address of Apprise, such as ``mailto://…`` or ``tgram://…``.

    Raises:
        UsageError: Apprise does not know such addresses.
        ModelError: Apprise is not installed.
    """

    def __init__(self, url: str) -> None:
        try:
            import apprise
        except ModuleNotFoundError:
            raise ModelError(missing_package("apprise", "notices", "events")) from None
        # The part after the service's name is often a secret.
        self.name = f"{url.partition('://')[0]}://***"
        self._services: Any = apprise.Apprise()
        if not self._services.add(url):
            raise UsageError(f"{self.name!r} is not an address that Apprise knows")

    def send(self, events: Sequence[Stored]) -> None:
        """Send events one by one; ends of events are skipped.

        Raises:
            SendError: The service did not accept one.
        """
        for done, event in enumerate(events):
            body = event.body
            if body["phase"] != "began":
                continue
            title = f"{body['rule']} ({body['source']})"
            picture = body.get("picture")
            attached = picture if picture and Path(picture).is_file() else None
            if not self._services.notify(title=title, body=notice_text(body), attach=attached):
                raise SendError("the service did not accept the notice", done)

    def close(self) -> None:
        """Nothing to close."""


def notice_text(body: dict[str, Any]) -> str:
    """An event as a line of text."""
    value = f"{body['value']:.0%}" if body["kind"] == "share" else f"{body['value']:g}"
    what = {"crosses": "crossed", "dwell": "seconds"}.get(body["kind"], body["kind"])
    tracks = ", ".join(
        f"{name} #{number}" for name, number in zip(body["classes"], body["tracks"], strict=True)
    )
    return f"{body['time']}: {body['place']}: {what} {value}" + (f" ({tracks})" if tracks else "")
