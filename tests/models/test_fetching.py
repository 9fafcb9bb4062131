"""Models of others that are fetched: from a server on this machine that may cut off or lie."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import livevision
from livevision.cli.models import command
from livevision.errors import ModelError, OutputError
from livevision.models import catalog, fetching, imported, keeping, pinned
from tests.models.foreign import making

NAME = "yolox-nano"


class Server:
    """Serves one file; how, tells ``manner``.

    Attributes:
        content: The file.
        manner: "whole", "cut" (a thousand bytes a request), "deaf" (to Range), "redirect", "404",
            "longer" or "elsewhere" (a range that begins elsewhere).
        asked: Path and Range of each request.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.manner = "whole"
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/file"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.asked.append((handler.path, wanted))
        if self.manner == "404":
            handler.send_error(404)
            return
        if self.manner == "redirect" and handler.path == "/file":
            handler.send_response(302)
            handler.send_header("Location", "/moved")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        start = 0
        if wanted and self.manner not in ("deaf",):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            handler.send_response(206)
            shown = start + 1 if self.manner == "elsewhere" else start
            end = len(self.content) - 1
            handler.send_header("Content-Range", f"bytes {shown}-{end}/{len(self.content)}")
        else:
            handler.send_response(200)
        rest = self.content[start:]
        told = len(rest) + (7 if self.manner == "longer" else 0)
        handler.send_header("Content-Length", str(told))
        handler.end_headers()
        if self.manner == "cut":
            handler.wfile.write(rest[:1000])
            handler.close_connection = True
        else:
            handler.wfile.write(rest)
            handler.close_connection = self.manner == "longer"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    rows = np.zeros((1, 84, 85), np.float32)
    rows[0, 64 + 1] = [0.5, 0.25, 0, 0, 0.9, *[0.8] + [0.1] * 79]
    content = making.fixed(tmp_path / "served.onnx", {"output": rows}).read_bytes()
    opened = Server(content)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    if "server" not in request.fixturenames:
        return
    served: Server = request.getfixturevalue("server")
    digest = hashlib.sha256(served.content).hexdigest()
    known = replace(pinned.PINNED[NAME], sha256=digest, size=len(served.content))
    monkeypatch.setitem(pinned.PINNED, NAME, known)
    monkeypatch.setattr(pinned.Pinned, "url", property(lambda self: served.url))


def _part() -> Path:
    return imported.folder() / f".{NAME}.part"


def test_it_is_fetched_kept_and_run(server: Server) -> None:
    told: list[int] = []
    path = keeping.get(NAME, progress=told.append)
    assert path.read_bytes() == server.content
    assert told[0] == 0
    assert told[-1] == len(server.content)
    with livevision.load(NAME, "onnx") as model:
        assert (model.name, model.card.licence) == (NAME, "Apache-2.0")
        assert model(np.zeros((64, 64, 3), np.uint8)).data["class_name"].tolist() == ["person"]
    assert [p.name for p in imported.folder().glob(".*")] == []


def test_nothing_is_fetched_unasked(server: Server) -> None:
    with pytest.raises(ModelError, match=r"livevision models get yolox-nano.*Apache-2\.0"):
        livevision.load(NAME)
    with pytest.raises(ModelError, match="livevision models get"):
        catalog.find(NAME)
    assert not server.asked


def test_redirections_are_followed(server: Server) -> None:
    server.manner = "redirect"
    assert keeping.get(NAME).read_bytes() == server.content
    assert [path for path, _ in server.asked] == ["/file", "/moved"]


def test_it_goes_on_where_it_broke_off(server: Server) -> None:
    server.manner = "cut"
    with pytest.raises(ModelError, match=r"broke off at 3,000 of .* run the same command"):
        keeping.get(NAME)
    assert [wanted for _, wanted in server.asked] == [None, "bytes=1000-", "bytes=2000-"]
    assert imported.path_of(NAME) is None
    server.manner = "whole"
    assert keeping.get(NAME).read_bytes() == server.content
    assert server.asked[-1][1] == "bytes=3000-"
    assert not _part().exists()


@pytest.mark.parametrize("manner", ["deaf", "elsewhere"])
def test_a_server_that_does_not_go_on(manner: str, server: Server) -> None:
    """What it sends instead is not put behind what is there."""
    imported.folder().mkdir(parents=True)
    _part().write_bytes(server.content[:500])
    server.manner = manner
    if manner == "deaf":
        assert keeping.get(NAME).read_bytes() == server.content
    else:
        with pytest.raises(ModelError):
            keeping.get(NAME)
        assert imported.path_of(NAME) is None


def test_a_file_that_is_another_one(server: Server) -> None:
    good = server.content
    server.content = good[:-1] + bytes([good[-1] ^ 1])
    with pytest.raises(ModelError, match="another file than expected: SHA-256"):
        keeping.get(NAME)
    assert imported.path_of(NAME) is None
    assert not _part().exists()
    server.content = good
    assert keeping.get(NAME).read_bytes() == good


def test_another_length_is_seen_before_it_is_fetched(server: Server) -> None:
    server.manner = "longer"
    with pytest.raises(ModelError, match="it is another file"):
        keeping.get(NAME)
    assert not _part().exists()


def test_a_server_that_has_it_not(server: Server) -> None:
    server.manner = "404"
    with pytest.raises(ModelError, match=r"answers 404 .*--from FILE"):
        keeping.get(NAME)


def test_no_server(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.close()
    with pytest.raises(ModelError, match="broke off at 0 of"):
        keeping.get(NAME)
    monkeypatch.setattr(server, "close", lambda: None)


def test_from_a_file(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "by-hand.onnx"
    file.write_bytes(server.content)
    assert keeping.get(NAME, file).read_bytes() == server.content
    assert not server.asked
    with pytest.raises(OutputError, match="--overwrite"):
        keeping.get(NAME, file)
    file.write_bytes(server.content + b" ")
    with pytest.raises(ModelError, match=r"--from .* is another file"):
        keeping.get(NAME, file, overwrite=True)
    with pytest.raises(ModelError, match="no such file"):
        keeping.get(NAME, tmp_path / "none", overwrite=True)
    assert imported.path_of(NAME) is not None  # what was there stays


def test_the_command(server: Server) -> None:
    result = CliRunner().invoke(command, ["get", NAME], catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout.strip() == str(imported.path_of(NAME))
    assert "licence: Apache-2.0" in result.stderr
    listed = CliRunner().invoke(command, ["--json"], catch_exceptions=False).stdout
    assert '"name": "yolox-nano"' in listed
    card = CliRunner().invoke(command, [NAME], catch_exceptions=False).stdout
    assert "fetched from https://github.com/" in card
    for words, says in ((["get"], "give one of"), (["get", "yolox"], "Did you mean 'yolox-nano'")):
        refused = CliRunner().invoke(command, words)
        assert says in str(refused.exception)


def test_what_is_known_of_each() -> None:
    for name, model in pinned.PINNED.items():
        assert name == model.name
        assert len(model.sha256) == 64
        assert len(model.commit) == 40
        assert model.url.startswith("https://raw.githubusercontent.com/")
        assert name not in catalog.every_name()
    assert (
        fetching.sha256_of(Path(__file__))
        == hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    )
