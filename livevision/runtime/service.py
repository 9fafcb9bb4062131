"""A run as a systemd service: reports readiness, liveness and status.

See sd_notify(3); does nothing if ``NOTIFY_SOCKET`` is not set.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING

from livevision.runtime.health import Health

if TYPE_CHECKING:
    from livevision.runtime.run import Run

log = logging.getLogger(__name__)

_EVERY_S = 2.0


class Service:
    """Notifies systemd of a run's state, while the context lasts.

    ``READY`` is sent once the nets are loaded, not with the first frame: a camera that is off must
    not fail the unit. ``WATCHDOG`` is sent as long as captured frames are delivered.

    Args:
        run: The run.
        health: Judges it.
    """

    def __init__(self, run: Run, health: Health) -> None:
        self._run, self._health = run, health
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._go, name="service", daemon=True)

    def __enter__(self) -> Service:
        if self._address:
            self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        if self._address:
            self._ended.set()
            self._thread.join(1.0)
            self.tell("STOPPING=1")

    def reloading(self) -> None:
        """The settings are being reloaded; ``reloaded`` follows."""
        self.tell(
            f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"
        )

    def reloaded(self, words: str) -> None:
        """They were reloaded, or not."""
        self.tell(f"READY=1\nSTATUS={words}")

    def tell(self, message: str) -> None:
        """Send a message; failures are ignored."""
        if not self._address:
            return
        # A leading @ is Linux's abstract namespace.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as wire:
                wire.sendto(message.encode(), address)
        except OSError as error:
            log.debug("systemd cannot be told: %s", error)

    def _go(self) -> None:
        while not self._run.pipeline.ready and not self._ended.wait(0.1):
            pass
        if self._ended.is_set():
            return
        self.tell("READY=1")
        every = min(_EVERY_S, self._watchdog_s() / 2)
        told = ""
        while True:
            verdict = self._health.look()
            if verdict.moving:
                self.tell("WATCHDOG=1")
            words = f"{verdict.live} of {verdict.wanted} sources live"
            if words != told:
                told = words
                self.tell(f"STATUS={words}")
            if self._ended.wait(every):
                return

    @staticmethod
    def _watchdog_s() -> float:
        """Seconds between watchdog messages; large without a watchdog."""
        asked, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
        if not asked.isdecimal() or (pid and pid != str(os.getpid())):
            return 60.0
        return max(0.02, int(asked) / 1e6)
