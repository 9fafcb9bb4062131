"""A real run with its page on a free port, in this process, and plain clients for it."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from livevision.config import Settings
from livevision.runtime.metering import Meter
from livevision.runtime.run import Run
from livevision.web.endpoint import Services
from livevision.web.server import served

LIGHT = "thundernet-snet49"
LIVE = "synthetic://{}@{}?paced=1"


@dataclass(frozen=True)
class Answer:
    """A response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Page:
    """A served page.

    Attributes:
        run: The run.
        address: ``http://127.0.0.1:PORT/``.
        services: What its handlers use.
    """

    run: Run
    address: str
    services: Services

    @property
    def port(self) -> int:
        return int(urlsplit(self.address).port or 0)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """Send a request on its own connection; ``body`` is sent as JSON, ``raw`` as is."""
        given = dict(headers or {})
        content = raw
        if body is not None:
            content = json.dumps(body).encode()
            given.setdefault("content-type", "application/json")
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, content, given)
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, names, answer.read())

    def api(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        """Send a request to the API."""
        return self.ask(method, f"/api/v1{path}", body, **more)

    def source_named(self, name: str, headers: dict[str, str]) -> Any:
        """A source by name."""
        rows = self.api("GET", "/sources", headers=headers).json
        return next(row for row in rows if row["name"] == name)

    def source(self, position: int) -> Any:
        """A source with its figures."""
        return self.api("GET", f"/sources/{position}").json


@contextmanager
def page(**settings: Any) -> Iterator[Page]:
    """A run with a page while the context lasts."""
    given = {"model": LIGHT, "output": "web://127.0.0.1:0", "headless": True, **settings}
    run = Run(Settings.of(**given), Meter(), stay=True)
    errors: list[BaseException] = []

    def go() -> None:
        try:
            for _ in run.frames():
                pass
        except BaseException as error:
            errors.append(error)

    running = threading.Thread(target=go)
    with served(run) as there:
        assert there is not None
        running.start()
        try:
            yield Page(run, there.address, there.services)
        finally:
            run.pipeline.stop()
            running.join()
    assert not errors, errors


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """The value of a condition, once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "the condition never became true"
        time.sleep(0.05)
    return found
