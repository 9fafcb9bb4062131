"""The web server: uvicorn on a thread of its own."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livevision.errors import OutputError, missing_package
from livevision.runtime.health import Health
from livevision.runtime.reloading import Reloading
from livevision.web.page_options import (
    ListenAddress,
    access_of,
    certificate_of,
    listen_address,
    page_of,
)

if TYPE_CHECKING:
    from livevision.output.live_view import LiveView
    from livevision.runtime.run import Run
    from livevision.web.endpoint import Endpoint, Services
    from livevision.web.run_facade import RunFacade

log = logging.getLogger(__name__)

_END_S = 2.0


@dataclass(frozen=True)
class Served:
    """A running web server.

    Attributes:
        address: Its address, such as ``http://127.0.0.1:8080/``.
        services: What its handlers use.
    """

    address: str
    services: Services


@contextmanager
def served(
    run: Run,
    config_file: Path | None = None,
    health: Health | None = None,
    reloading: Reloading | None = None,
    facade: Callable[[LiveView], RunFacade] | None = None,
    more: Sequence[Endpoint] = (),
) -> Iterator[Served | None]:
    """A context that serves the page of a run; None if the run has no page.

    Args:
        run: The run.
        config_file: The file of ``--config``, which changed zones are written to.
        health: Judges the health of the run; None creates it.
        reloading: Reads its settings again; None for a run without ``--config``.
        facade: Creates the object that the handlers use; None for that of the run.
        more: Additional endpoints.

    Raises:
        UsageError: The address is invalid, or needs a token.
        OutputError: The port is in use, the certificate is invalid, or a package is missing.
    """
    settings, view = run.settings, run.delivery.view
    uri = page_of(settings)
    if uri is None or view is None:
        yield None
        return
    listen = listen_address(uri)
    access, certificate = access_of(settings, listen), certificate_of(settings)
    try:
        from livevision.web.application import application
        from livevision.web.detecting import Detector
        from livevision.web.endpoint import Services
        from livevision.web.pictures import Pictures
        from livevision.web.protocol import config
        from livevision.web.run_facade import RunFacade
        from livevision.web.videos import Videos
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise OutputError(missing_package(package, f"output {uri}", "web")) from None
    bound = _bound(listen)
    shown = RunFacade(run, view, config_file) if facade is None else facade(view)
    pictures, detector = Pictures(view, shown.tiles), Detector(settings)
    videos = Videos(view, pictures, lambda: shown.watched)
    services = Services(
        shown,
        pictures,
        videos,
        access,
        detector,
        certificate is not None,
        health or Health(run),
        reloading or Reloading(run, None),
    )
    names = (*settings.web_host, *(() if _is_number(listen.host) else (listen.host,)))
    server = _Server(config(application(services, names, more), certificate), bound)
    shown.reloading = services.reloading
    address = _url(listen, bound.getsockname()[1], certificate is not None)
    try:
        server.start()
        log.info("the page is at %s", address)
        yield Served(address, services)
    finally:
        server.stop()
        pictures.close()
        videos.close()
        detector.close()


class _Server:
    """uvicorn on a thread."""

    def __init__(self, settings: Any, bound: socket.socket) -> None:
        import uvicorn

        self._server, self._bound = uvicorn.Server(settings), bound
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    def start(self) -> None:
        """Start serving on a thread; the socket accepts connections already."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving."""
        self._server.should_exit = True
        self._thread.join(_END_S)
        self._bound.close()

    def _run(self) -> None:
        import asyncio

        try:
            asyncio.run(self._server.serve(sockets=[self._bound]))
        except Exception:
            log.exception("the web server has failed")


def _bound(listen: ListenAddress) -> socket.socket:
    """A listening socket.

    Raises:
        OutputError: The port is in use, or the host is not of this machine.
    """
    try:
        found = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM)
    except OSError:
        raise OutputError(f"cannot serve a page on {listen.host}: there is no such host") from None
    family, kind, protocol, _, address = found[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        # Two sockets may be bound to a port; only the first to listen gets it.
        bound.listen(128)
    except OSError as error:
        bound.close()
        what = f"cannot serve a page on {listen.host}:{listen.port}"
        raise OutputError(f"{what}: {_reason(error)}; use another port, or 0 for any") from None
    return bound


def _reason(error: OSError) -> str:
    import errno

    if error.errno == errno.EADDRINUSE:
        return "the port is in use"
    return (error.strerror or str(error)).lower()


def _url(listen: ListenAddress, port: int, secure: bool) -> str:
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    return f"{'https' if secure else 'http'}://{host}:{port}/"


def _is_number(host: str) -> bool:
    from ipaddress import ip_address

    try:
        ip_address(host)
    except ValueError:
        return False
    return True
