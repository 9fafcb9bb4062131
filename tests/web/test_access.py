"""Access: tokens, cookies, hosts and origins; and requests that the guard refuses."""

from __future__ import annotations

import datetime
import logging
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from livevision.config import Settings
from livevision.errors import OutputError, UsageError
from livevision.runtime.metering import Meter
from livevision.runtime.run import Run
from livevision.web.access import Access
from livevision.web.limits import Rate, TooMany
from livevision.web.page_options import access_of, certificate_of, listen_address
from livevision.web.server import served
from livevision.web.words import duration
from tests.web.running import LIVE, Answer, Page, page, wait_for

OPERATE, WATCH = "operate-token-0123456789", "watch-token-0123456789ab"
BEARER = {"authorization": f"Bearer {OPERATE}"}
WATCHER = {"authorization": f"Bearer {WATCH}"}


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page with a token for each role."""
    folder = tmp_path_factory.mktemp("locked")
    (folder / "operate").write_text(f"{OPERATE}\n")
    (folder / "watch").write_text(WATCH)
    with page(
        sources={"door": {"uri": LIVE.format("160x120", 5)}},
        web_token_file=str(folder / "operate"),
        web_watch_token_file=str(folder / "watch"),
        web_host="cams.example",
        recordings=str(folder / "recordings"),
    ) as one:
        yield one


EVERYTHING = [
    ("GET", "/session"), ("GET", "/run"), ("GET", "/report"), ("GET", "/sources"),
    ("POST", "/sources"), ("GET", "/sources/0"), ("DELETE", "/sources/0"),
    ("GET", "/sources/0/settings"), ("PATCH", "/sources/0/settings"),
    ("GET", "/sources/0/labels"), ("GET", "/sources/0/snapshot.jpg"),
    ("GET", "/sources/0/stream.mjpeg"), ("GET", "/grid.jpg"), ("GET", "/grid.mjpeg"),
    ("GET", "/results"), ("POST", "/sources/0/recording"), ("DELETE", "/sources/0/recording"),
    ("GET", "/sources/0/scene"), ("PATCH", "/sources/0/scene"), ("GET", "/events"),
    ("GET", "/events/E/picture.jpg"), ("GET", "/events/E/clip"),
    ("POST", "/reload"), ("GET", "/recordings"), ("GET", "/recordings/x.mp4"), ("POST", "/detect"),
    ("GET", "/segments"), ("GET", "/segments/D/x.mp4"),
]  # fmt: skip
"""Endpoints that need a token."""


@pytest.mark.parametrize(("method", "path"), EVERYTHING)
def test_every_endpoint_needs_a_token(locked: Page, method: str, path: str) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"cookie": "livevision=operate.9.x"}):
        if "authorization" in headers and path != "/sources":
            continue  # wrong tokens are counted
        answer = locked.api(method, path, headers=headers)
        assert answer.status == 401
        assert answer.json.keys() == {"error"}


def test_the_list_of_endpoints_is_complete() -> None:
    from livevision.web.endpoints import BASE, ENDPOINTS

    tried = {
        (
            m,
            p.replace("/0", "/{id}")
            .replace("x.mp4", "{file}")
            .replace("/E/", "/{event}/")
            .replace("/D/", "/{day}/"),
        )
        for m, p in EVERYTHING
    }
    for endpoint in ENDPOINTS:
        path = endpoint.path.removeprefix(BASE)
        if not endpoint.path.startswith(BASE):
            continue  # those for operations, see there
        assert (endpoint.role is None) != ((endpoint.method, path) in tried), path


def test_sockets_need_a_token_too(locked: Page) -> None:
    for path in ("live", "results/ws", "sources/0/video"):
        address = f"ws://127.0.0.1:{locked.port}/api/v1/{path}"
        with pytest.raises(InvalidStatus, match="403"), connect(address):
            pass
        with connect(address, additional_headers=WATCHER) as wire:
            assert wire.recv(timeout=10)


def test_tokens_are_accepted_in_a_header_but_not_in_the_url(locked: Page) -> None:
    assert locked.api("GET", "/session", headers=BEARER).json["role"] == "operate"
    assert locked.api("GET", "/session", headers=WATCHER).json["role"] == "watch"
    for query in (f"token={OPERATE}", f"access_token={OPERATE}", f"authorization=Bearer+{OPERATE}"):
        assert locked.api("GET", f"/sources?{query}").status == 401
        assert locked.api("GET", f"/sources?{query}", headers=BEARER).status == 422


def test_the_role_watch_changes_nothing(locked: Page) -> None:
    for method, path in EVERYTHING:
        if method == "GET" or path == "/detect":
            continue
        assert locked.api(method, path, {}, headers=WATCHER).status == 403
    assert locked.api("GET", "/sources", headers=WATCHER).status == 200
    assert locked.source_named("door", WATCHER)["settings"]["conf"] == 0.25


def _cookie(answer: Answer) -> str:
    return answer.headers["set-cookie"].partition(";")[0]


def test_a_cookie_gives_the_role_of_its_token_and_cannot_be_forged(locked: Page) -> None:
    answer = locked.api("POST", "/session", {"token": WATCH})
    assert answer.json["role"] == "watch"
    told = answer.headers["set-cookie"].lower()
    assert "httponly" in told
    assert "samesite=strict" in told
    assert WATCH not in told
    cookie = _cookie(answer)
    good = {"cookie": cookie}
    assert locked.api("GET", "/sources", headers=good).status == 200
    assert locked.api("PATCH", "/sources/0/settings", {"conf": 0.5}, headers=good).status == 403
    role, until, signature = cookie.partition("=")[2].split(".")
    for forged in (
        f"operate.{until}.{signature}",
        f"{role}.{int(until) + 1}.{signature}",
        f"{role}.{until}.{'0' * 64}",
        f"{role}.{until}.",
        f"{role}..{signature}",
        f"{role}.-1.{signature}",
        f"{role}.١٢.{signature}".encode().decode("latin-1"),
        "",
        "..",
    ):
        answer = locked.api("GET", "/sources", headers={"cookie": f"livevision={forged}"})
        assert answer.status == 401, forged
    gone = locked.api("DELETE", "/session", headers=good)
    assert "max-age=0" in gone.headers["set-cookie"].lower()


def test_a_cookie_expires_with_time_and_with_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    access = Access(OPERATE, None)
    cookie = access.cookie("operate")
    assert access.role({}, cookie, "::1") == "operate"
    assert Access(OPERATE[::-1], None).role({}, cookie, "::1") is None
    assert Access(None, OPERATE).role({}, cookie, "::1") is None
    later = time.time() + 31 * 86400
    monkeypatch.setattr("livevision.web.access.time.time", lambda: later)
    assert access.role({}, cookie, "::1") is None


def test_guessing_is_limited_for_one_client_only() -> None:
    access = Access(OPERATE, None)
    for _ in range(10):
        assert access.role_of_token("wrong", "10.0.0.1") is None
    with pytest.raises(TooMany) as stopped:
        access.role_of_token(OPERATE, "10.0.0.1")
    assert 0 < stopped.value.wait <= 60
    assert access.role_of_token(OPERATE, "10.0.0.2") == "operate"


def test_too_many_wrong_tokens_give_429_and_retry_after() -> None:
    with page(source=LIVE.format("160x120", 5), **_token()) as one:
        answers = [one.api("POST", "/session", {"token": f"guess {n}"}) for n in range(12)]
        assert [answer.status for answer in answers] == [401] * 10 + [429] * 2
        assert 0 < int(answers[-1].headers["retry-after"]) <= 60
        assert one.api("GET", "/sources", headers=BEARER).status == 429


@pytest.fixture(autouse=True)
def _no_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIVEVISION_WEB_TOKEN", raising=False)
    monkeypatch.delenv("LIVEVISION_WEB_WATCH_TOKEN", raising=False)


def _token() -> dict[str, str]:
    """Settings with a token for operating."""
    import tempfile

    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.write(OPERATE)
    return {"web_token_file": file.name}


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil",
             "", "a b", "[::1", "user@127.0.0.1", "127.0.0.1:99999999", "cams.example.evil"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/api/v1/sources", "/static/main.js", "/nothing"])
def test_requests_under_other_host_names_are_refused(locked: Page, host: str, path: str) -> None:
    headers = {**BEARER, "host": host.format(port=locked.port)}
    answer = locked.ask("GET", path, headers=headers)
    assert answer.status in (400, 421)
    assert b"door" not in answer.body


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:{port}", "127.0.0.1", "[::1]:{port}", "cams.example",
             "192.168.1.20:8080", socket.gethostname()],
    ids=["localhost", "upper", "ipv4", "ipv6", "named", "lan", "own"],
)  # fmt: skip
def test_requests_under_own_host_names_are_served(locked: Page, host: str) -> None:
    headers = {**BEARER, "host": host.format(port=locked.port)}
    assert locked.api("GET", "/sources", headers=headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "http://localhost"},
        {"origin": "file://"},
        {"origin": "http://127.0.0.1:{port}@evil.example"},
        {"origin": "http://[::1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=["site", "null", "port", "name", "file", "user", "broken", "fetch", "sibling"],
)
def test_requests_from_another_site_change_nothing(two: Page, headers: dict[str, str]) -> None:
    filled = {name: value.format(port=two.port) for name, value in headers.items()}
    for method, path, body in (
        ("PATCH", "/sources/0/settings", {"conf": 0.9}),
        ("DELETE", "/sources/0", None),
        ("POST", "/sources/0/recording", None),
    ):
        assert two.api(method, path, body, headers=filled).status == 403
    row = two.source(0)
    assert row["settings"]["conf"] == 0.02
    assert row["recording"] is None
    if "sec-fetch-site" in headers:
        assert two.api("GET", "/sources/0/snapshot.jpg", headers=filled).status == 403
        shown = {**filled, "sec-fetch-mode": "navigate"}
        assert two.ask("GET", "/", headers=shown).status == 200
        assert two.api("GET", "/sources", headers=shown).status == 403
        return
    for path in ("live", "results/ws"):
        address = f"ws://127.0.0.1:{two.port}/api/v1/{path}"
        with pytest.raises(InvalidStatus), connect(address, additional_headers=filled):
            pass


def test_form_bodies_are_not_accepted_as_json(two: Page) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
        answer = two.api(
            *("PATCH", "/sources/0/settings"),
            raw=b'{"conf": 0.9}',
            headers={"content-type": kind},
        )
        assert answer.status == 415


def test_the_page_itself_may_change_things(two: Page) -> None:
    own = {"origin": f"http://127.0.0.1:{two.port}", "sec-fetch-site": "same-origin"}
    assert two.api("PATCH", "/sources/0/settings", {"iou": 0.4}, headers=own).status == 200
    assert two.api("PATCH", "/sources/0/settings", {"iou": 0.5}, headers=own).status == 200


def test_every_response_has_security_headers(two: Page) -> None:
    for path in ("/", "/static/main.js", "/api/v1/sources", "/nothing", "/api/v1/sources/99"):
        headers = two.ask("GET", path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cross-origin-resource-policy"] == "same-origin"
    assert two.api("GET", "/sources").headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in two.api("GET", "/sources").headers


def test_the_page_has_no_inline_script_or_style_and_no_external_address() -> None:
    import re

    from livevision.web.application import STATIC

    content = (STATIC / "index.html").read_text()
    assert not re.search(r"<style|\son\w+=|\sstyle=|javascript:", content)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", content))
    for path in STATIC.iterdir():
        if path.name.startswith("uplot-"):
            continue
        addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", path.read_text()))
        # The name of a language, and where the chart library says it is at home.
        assert addresses <= {"http://www.w3.org", "https://github.com"}, path


def test_long_bodies_are_refused(two: Page) -> None:
    headers = {"content-type": "application/json"}
    answer = two.api("PATCH", "/sources/0/settings", raw=b" " * 300_000, headers=headers)
    assert answer.status == 413
    with closing(socket.create_connection(("127.0.0.1", two.port), timeout=10)) as wire:
        wire.sendall(
            b"PATCH /api/v1/sources/0/settings HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        answered = b""
        for _ in range(40):
            try:
                wire.sendall(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
            except OSError:
                break
        wire.settimeout(5)
        try:
            answered = wire.recv(1000)
        except OSError:
            answered = b"closed"
    assert answered.startswith(b"HTTP/1.1 413") or answered in (b"", b"closed")
    assert two.api("GET", "/sources").status == 200


def test_silent_and_slow_clients_are_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livevision.web.protocol.HEAD_TIMEOUT_S", 1.0)
    monkeypatch.setattr("livevision.web.guard.BODY_TIMEOUT_S", 1.0)
    with page(source=LIVE.format("160x120", 5)) as one:
        started = time.monotonic()
        silent = socket.create_connection(("127.0.0.1", one.port), timeout=10)
        slow = socket.create_connection(("127.0.0.1", one.port), timeout=10)
        body = socket.create_connection(("127.0.0.1", one.port), timeout=10)
        slow.sendall(b"GET / HTTP/1.1\r\n")
        body.sendall(
            b"PATCH /api/v1/sources/0/settings HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
        gone = False
        while time.monotonic() - started < 5 and not gone:
            try:
                slow.sendall(b"X-A: b\r\n")
                time.sleep(0.2)
            except OSError:
                gone = True
        assert gone, "a head that comes letter by letter does not come for ever"
        with closing(silent), suppress(ConnectionResetError):
            assert silent.recv(10) == b""
        assert body.recv(1000).startswith(b"HTTP/1.1 408")
        body.close()
        assert one.api("GET", "/sources").status == 200


def test_connections_of_one_client_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livevision.web.protocol.MAX_PER_PEER", 5)
    with page(source=LIVE.format("160x120", 5)) as one:
        wires = [socket.create_connection(("127.0.0.1", one.port), timeout=10) for _ in range(12)]
        time.sleep(0.3)
        alive = 0
        for wire in wires:
            try:
                wire.sendall(b"GET /api/v1/run HTTP/1.1\r\nHost: localhost\r\n\r\n")
                alive += wire.recv(100).startswith(b"HTTP/1.1 200")
            except OSError:
                pass
        assert alive == 5
        for wire in wires:
            wire.close()
        wait_for(lambda: _served(one))


def _served(one: Page) -> bool:
    try:
        return one.api("GET", "/run").status == 200
    except OSError:
        return False


def test_the_request_rate_is_limited() -> None:
    rate = Rate(burst=5, per_second=50)
    for _ in range(5):
        rate.take("10.0.0.1")
    with pytest.raises(TooMany):
        rate.take("10.0.0.1")
    rate.take("10.0.0.2")
    time.sleep(0.1)
    rate.take("10.0.0.1")


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("web://0.0.0.0:0", "other machines can reach a page on"),
        ("web://[::]:0", "other machines can reach a page on"),
        ("web://192.168.7.7:8080", "there is no token"),
        ("web://:8080", "the host is missing"),
        ("web://127.0.0.1:99999", "the address of a page has the form web://127.0.0.1:8080"),
        ("web://me:pw@127.0.0.1:8080", "the address of a page has the form"),
        ("web://127.0.0.1:8080/path", "the address of a page has the form"),
    ],
)
def test_an_invalid_page_address_is_refused_in_one_line(output: str, line: str) -> None:
    run = Run(_settings(output=output), Meter())
    with pytest.raises(UsageError, match=line) as told, served(run):
        pass
    assert "\n" not in str(told.value)
    assert "pw" not in str(told.value)


def _settings(**values: object) -> Settings:
    given = {"source": LIVE.format("160x120", 5), "model": "thundernet-snet49", "headless": True}
    return Settings.of(**{**given, **values})


def test_a_weak_or_missing_token_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen = listen_address("web://0.0.0.0:8080")
    monkeypatch.setenv("LIVEVISION_WEB_TOKEN", "short")
    with pytest.raises(UsageError, match="at least 16 characters") as told:
        access_of(_settings(output="web://0.0.0.0:8080"), listen)
    assert "short" not in str(told.value)
    monkeypatch.setenv("LIVEVISION_WEB_TOKEN", OPERATE)
    assert not access_of(_settings(output="web://0.0.0.0:8080"), listen).is_open
    monkeypatch.setenv("LIVEVISION_WEB_WATCH_TOKEN", OPERATE)
    with pytest.raises(UsageError, match="the same"):
        access_of(_settings(output="web://0.0.0.0:8080"), listen)
    missing = _settings(output="web://0.0.0.0:8080", web_token_file=tmp_path / "none")
    with pytest.raises(OutputError, match="cannot read the token"):
        access_of(missing, listen)


def test_a_port_in_use_is_one_line() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        run = Run(_settings(output=f"web://127.0.0.1:{port}"), Meter())
        with pytest.raises(OutputError, match=f"127.0.0.1:{port}: the port is in use"), served(run):
            pass


def test_a_local_proxy_may_set_the_role() -> None:
    access = Access(None, None, "X-Role")
    assert not access.is_open
    assert access.role({"x-role": "operate"}, None, "127.0.0.1") == "operate"
    assert access.role({"x-role": "watch"}, None, "::1") == "watch"
    assert access.role({"x-role": "admin"}, None, "::1") is None
    assert access.role({}, None, "127.0.0.1") is None
    assert access.role({"x-role": "operate"}, None, "192.168.1.9") is None


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def test_tls_and_invalid_certificates(tmp_path: Path) -> None:
    cert, key = _certificate(tmp_path, "one")
    _, other = _certificate(tmp_path, "other")
    with page(source=LIVE.format("160x120", 5), web_cert=str(cert), web_key=str(key)) as one:
        assert one.address.startswith("https://")
        trust = ssl.create_default_context(cafile=str(cert))
        wire = socket.create_connection(("127.0.0.1", one.port), timeout=10)
        with trust.wrap_socket(wire, server_hostname="localhost") as secure:
            secure.sendall(b"GET /api/v1/run HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert secure.recv(1000).startswith(b"HTTP/1.1 200")
    for cert_given, key_given, line in (
        (cert, other, "cannot be used: key values mismatch"),
        (key, key, "cannot be used"),
        (tmp_path / "none.pem", key, "cannot read"),
    ):
        settings = _settings(output="web://127.0.0.1:0", web_cert=cert_given, web_key=key_given)
        with pytest.raises(OutputError, match=line) as told:
            certificate_of(settings)
        assert "\n" not in str(told.value)


def test_tokens_are_in_no_log(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with page(source=LIVE.format("160x120", 5), **_token()) as one:
        one.api("GET", "/sources", headers=BEARER)
        one.api("GET", f"/sources?token={OPERATE}")
        one.api("POST", "/session", {"token": OPERATE})
        one.api("POST", "/session", {"token": [OPERATE]})
        wire = socket.create_connection(("127.0.0.1", one.port), timeout=10)
        wire.sendall(f"GET /?token={OPERATE} broken\r\n\r\n".encode())
        wire.recv(1000)
        wire.close()
    said = capfd.readouterr()
    assert OPERATE not in caplog.text + said.out + said.err


def test_durations_as_text() -> None:
    day = datetime.timedelta(days=3, hours=5).total_seconds()
    assert [duration(s) for s in (0.4, 12.9, 60, 3599, 3600, 7500, day)] == [
        "0 s", "12 s", "1 min", "59 min", "1 h", "2 h 5 min", "3 d",
    ]  # fmt: skip
