"""The server: uvicorn on a thread of its own, with bounds on connections and on their patience."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livevision.errors import OutputError, missing_package
from livevision.runtime.health import Health
from livevision.runtime.reloading import Reloading
from livevision.web.place import Place, access_of, certificate_of, page_of, place_of

if TYPE_CHECKING:
    from livevision.runtime.run import Run
    from livevision.web.endpoint import Rooms

log = logging.getLogger(__name__)

_END_S = 2.0


@dataclass(frozen=True)
class Served:
    """A page that is served.

    Attributes:
        address: Of it, such as ``http://127.0.0.1:8080/``.
        rooms: What its handlers work with.
    """

    address: str
    rooms: Rooms


@contextmanager
def served(
    run: Run,
    config_file: Path | None = None,
    health: Health | None = None,
    reloading: Reloading | None = None,
) -> Iterator[Served | None]:
    """The page of a run, while it goes on; None where there is no page.

    Args:
        run: It.
        health: What judges it; made here where there is none.
        reloading: What reads its settings again.
        config_file: That of ``--config``, into which zones are written back.

    Raises:
        UsageError: The output is not written as a page, or is not allowed without a token.
        OutputError: The port is in use, a certificate does not fit, or a package is missing.
    """
    settings, view = run.settings, run.delivery.view
    uri = page_of(settings)
    if uri is None or view is None:
        yield None
        return
    place = place_of(uri)
    access, certificate = access_of(settings, place), certificate_of(settings)
    try:
        from livevision.web.application import application
        from livevision.web.desk import Desk
        from livevision.web.detecting import Detector
        from livevision.web.endpoint import Rooms
        from livevision.web.pictures import Pictures
        from livevision.web.protocol import config
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise OutputError(missing_package(package, f"output {uri}", "web")) from None
    bound = _bound(place)
    desk = Desk(run, view, config_file)
    pictures, detector = Pictures(view, desk.tiles), Detector(settings)
    rooms = Rooms(
        desk,
        pictures,
        access,
        detector,
        certificate is not None,
        health or Health(run),
        reloading or Reloading(run, None),
    )
    names = (*settings.web_host, *(() if _is_number(place.host) else (place.host,)))
    server = _Server(config(application(rooms, names), certificate), bound)
    desk.reloading = rooms.reloading
    address = _address(place, bound.getsockname()[1], certificate is not None)
    try:
        server.start()
        log.info("the page is at %s", address)
        yield Served(address, rooms)
    finally:
        server.stop()
        pictures.close()
        detector.close()


class _Server:
    """uvicorn on a thread."""

    def __init__(self, settings: Any, bound: socket.socket) -> None:
        import uvicorn

        self._server, self._bound = uvicorn.Server(settings), bound
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def start(self) -> None:
        """Serve; returns once connections are taken."""
        self._thread.start()

    def stop(self) -> None:
        """Serve no more."""
        self._server.should_exit = True
        self._thread.join(_END_S)
        self._bound.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._bound]))
        except Exception:
            log.exception("the page has ended")


def _bound(place: Place) -> socket.socket:
    """A socket at a place.

    Raises:
        OutputError: It is taken, or is none of this machine.
    """
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except OSError:
        raise OutputError(f"cannot serve a page on {place.host}: there is no such host") from None
    family, kind, protocol, _, address = found[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        # Of two that may share a port, the one that listens first has it.
        bound.listen(128)
    except OSError as error:
        bound.close()
        what = f"cannot serve a page on {place.host}:{place.port}"
        raise OutputError(f"{what}: {_reason(error)}; take another, or 0 for any") from None
    return bound


def _reason(error: OSError) -> str:
    import errno

    if error.errno == errno.EADDRINUSE:
        return "the port is in use"
    return (error.strerror or str(error)).lower()


def _address(place: Place, port: int, secure: bool) -> str:
    host = f"[{place.host}]" if ":" in place.host else place.host
    return f"{'https' if secure else 'http'}://{host}:{port}/"


def _is_number(host: str) -> bool:
    from ipaddress import ip_address

    try:
        ip_address(host)
    except ValueError:
        return False
    return True
