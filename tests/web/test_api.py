"""The API, used by a plain client during a run."""

from __future__ import annotations

import json
import socket
import struct
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests import clips
from tests.web.running import LIVE, Page, page, wait_for


def picture(data: bytes) -> Any:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


def test_sources_are_listed_with_their_figures(two: Page) -> None:
    rows = two.api("GET", "/sources").json
    assert [(row["id"], row["name"], row["words"]) for row in rows] == [
        (0, "door", "live"), (1, "yard", "live"),
    ]  # fmt: skip
    door = two.source(0)
    assert door["size"] == [320, 240]
    assert 0 < door["rates"]["capture_fps"] < 20
    assert 0 <= door["age_s"] < 5
    lost = sum(door["dropped"].values())
    assert door["frames_in"] >= door["frames_out"] + lost
    assert two.api("GET", "/run").json["models"][0]["name"] == "thundernet-snet49"
    assert "person" in two.api("GET", "/sources/0/labels").json
    assert two.api("GET", "/sources/7").status == 404
    assert two.api("GET", "/sources/x").status == 404


def test_a_snapshot_is_the_newest_picture_in_the_requested_size(two: Page) -> None:
    first = two.api("GET", "/sources/0/snapshot.jpg")
    assert first.headers["content-type"] == "image/jpeg"
    assert picture(first.body).shape == (240, 320, 3)
    wait_for(lambda: two.api("GET", "/sources/0/snapshot.jpg").body != first.body)
    grid = picture(two.api("GET", "/grid.jpg?width=640").body)
    assert grid.shape[1] == 640
    assert two.api("GET", "/sources/0/snapshot.jpg?width=4").status == 422


def test_settings_change_detections_and_invalid_ones_say_what_is_allowed(two: Page) -> None:
    wait_for(lambda: two.source(1)["counts"])
    assert two.api("PATCH", "/sources/1/settings", {"conf": 1.0}).json["conf"] == 1.0
    wait_for(lambda: not two.source(1)["counts"])
    assert two.api("PATCH", "/sources/1/settings", {"conf": 0.02}).status == 200
    wait_for(lambda: two.source(1)["counts"])
    for body in ({"conf": 2}, {"conf": "1"}, {"confidence": 0.5}, {"classes": ["persn"]}, [1]):
        answer = two.api("PATCH", "/sources/1/settings", body)
        assert answer.status == 422
        assert "\n" not in answer.json["error"]
    assert (
        "Did you mean 'person'"
        in two.api("PATCH", "/sources/1/settings", {"classes": ["persn"]}).json["error"]
    )
    two.api("PATCH", "/sources/1/settings", {"paused": True})
    wait_for(lambda: two.source(1)["words"] == "paused")
    time.sleep(0.5)
    before = two.source(1)["frames_out"]
    dimmed = picture(two.api("GET", "/sources/1/snapshot.jpg").body)
    time.sleep(0.6)
    assert two.source(1)["frames_out"] == before
    two.api("PATCH", "/sources/1/settings", {"paused": False})
    wait_for(lambda: two.source(1)["frames_out"] > before)
    bright = picture(two.api("GET", "/sources/1/snapshot.jpg").body)
    assert dimmed.mean() < 0.6 * bright.mean()


def test_sources_are_added_and_removed(two: Page) -> None:
    uri = LIVE.format("160x120", 10)
    added = two.api("POST", "/sources", {"name": "gate", "uri": uri})
    assert added.status == 201
    position = added.json["id"]
    wait_for(lambda: two.source(position)["frames_out"] > 1)
    again = two.api("POST", "/sources", {"name": "gate", "uri": uri})
    assert again.status == 422
    assert "exists already" in again.json["error"]
    for wrong in ({"classes": ["persn"]}, {"models": ["none"]}):
        refused = two.api("POST", "/sources", {"name": "wrong", "uri": uri, **wrong})
        assert refused.status == 422
        assert len(two.api("GET", "/sources").json) == 3
    right = two.api("POST", "/sources", {"name": "right", "uri": uri}).json["id"]
    wait_for(lambda: two.source(right)["frames_out"] > 1)
    assert two.api("DELETE", f"/sources/{right}").status == 200
    assert two.api("DELETE", f"/sources/{position}").status == 200
    assert two.api("GET", f"/sources/{position}").status == 404
    assert two.api("GET", f"/sources/{position}/snapshot.jpg").status == 404


@pytest.mark.parametrize(
    "uri",
    ["/etc/passwd", "file:///etc/passwd", "gst:filesrc location=/etc/passwd ! fakesink", "-", "*",
     "../in.mp4", "csi://0", "FILE:/etc/passwd", "concat:/etc/passwd|x", "\x00", "/dev/video../x"],
)  # fmt: skip
def test_files_and_pipelines_cannot_be_added(two: Page, uri: str) -> None:
    answer = two.api("POST", "/sources", {"name": "evil", "uri": uri})
    assert answer.status in (409, 422)
    assert "root:" not in answer.json["error"]
    assert [row["name"] for row in two.api("GET", "/sources").json] == ["door", "yard"]


def test_a_recording_is_started_stopped_listed_and_downloaded(two: Page) -> None:
    begun = two.api("POST", "/sources/0/recording")
    assert begun.status == 201
    assert two.api("POST", "/sources/0/recording").status == 422
    wait_for(lambda: two.source(0)["recording"]["since_s"] > 1)
    ended = two.api("DELETE", "/sources/0/recording").json
    assert ended["error"] is None
    assert two.api("DELETE", "/sources/0/recording").status == 404
    name = ended["file"]
    listed = [row["file"] for row in two.api("GET", "/recordings").json]
    assert name in listed
    path = two.run.delivery.recordings.folder / name
    assert two.api("GET", f"/recordings/{name}").body == path.read_bytes()
    frames = clips.read_clip(path)
    assert 5 <= len(frames) < 60
    times = [frame.time for frame in frames]
    assert times == sorted(set(times))
    assert frames[-1].time - frames[0].time == pytest.approx(1, abs=0.7)


@pytest.mark.parametrize(
    "name",
    ["../secret.txt", "..%2fsecret.txt", "%2e%2e/secret.txt", "....//secret.txt", "%00.mp4",
     "..%5csecret.txt", "%2fetc%2fpasswd", "link.mp4", "other.txt"],
)  # fmt: skip
def test_only_recordings_can_be_downloaded(two: Page, name: str) -> None:
    folder = two.run.delivery.recordings.folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder.parent / "secret.txt").write_text("secret")
    (folder / "other.txt").write_text("secret")
    if not (folder / "link.mp4").is_symlink():
        (folder / "link.mp4").symlink_to(folder.parent / "secret.txt")
    answer = two.api("GET", f"/recordings/{name}")
    assert answer.status == 404
    assert b"secret" not in answer.body


def test_the_runs_models_detect_in_a_posted_picture(two: Page) -> None:
    image = clips.numbered(3, (320, 240))
    data = cv2.imencode(".png", image)[1].tobytes()
    png = {"content-type": "image/png"}
    found = two.api("POST", "/detect?conf=0", raw=data, headers=png).json
    assert (found["width"], found["height"]) == (320, 240)
    assert found["detections"]
    scores = sorted((each["confidence"] for each in found["detections"]), reverse=True)
    middle = (scores[0] + scores[-1]) / 2
    some = two.api("POST", f"/detect?conf={middle}", raw=data, headers=png).json["detections"]
    assert [each["confidence"] for each in some] == [score for score in scores if score >= middle]
    assert {"box", "class", "class_id", "confidence"} <= found["detections"][0].keys()
    fewer = two.api("POST", "/detect?conf=0.99", raw=data, headers=png).json
    assert fewer["detections"] == []
    assert two.api("POST", "/detect", raw=b"no picture", headers=png).status == 422
    assert two.api("POST", "/detect", raw=data[:200], headers=png).status == 422
    assert two.api("POST", "/detect", raw=data).status == 415
    head = data[:16] + struct.pack(">II", 60000, 60000) + data[24:]  # a bomb
    assert two.api("POST", "/detect", raw=head, headers=png).status == 422


def _lines(two: Page, path: str, seconds: float = 10) -> list[bytes]:
    with closing(socket.create_connection(("127.0.0.1", two.port), timeout=10)) as wire:
        wire.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        data, until = b"", time.monotonic() + seconds
        while data.count(b"\ndata: ") < 3 and time.monotonic() < until:
            data += wire.recv(65536)
    return data.splitlines()


def test_results_are_streamed_as_server_sent_events_and_over_a_websocket(two: Page) -> None:
    lines = _lines(two, "/api/v1/results?source=0")
    assert any(line.lower().startswith(b"content-type: text/event-stream") for line in lines)
    rows = [json.loads(line[6:]) for line in lines if line.startswith(b"data: ")][:3]
    assert [row["id"] for row in rows] == [0, 0, 0]
    assert rows[1]["frame"] > rows[0]["frame"]
    assert rows[0]["source"] == "door"
    assert "detections" in rows[0]
    with connect(f"ws://127.0.0.1:{two.port}/api/v1/results/ws") as wire:
        names = {json.loads(wire.recv(timeout=10))["source"] for _ in range(20)}
    assert names == {"door", "yard"}


def test_the_openapi_document_has_every_endpoint_and_responses_match_it(two: Page) -> None:
    described = two.api("GET", "/openapi.json").json
    assert described["openapi"].startswith("3.1")
    paths = described["paths"]
    assert {"get", "post"} <= paths["/api/v1/sources"].keys()
    row = described["components"]["schemas"]["SourceRow"]
    assert two.source(0).keys() == row["properties"].keys()
    for path, operations in paths.items():
        known = {name.upper() for name in operations}
        for method in {"PUT", "TRACE"} - known:
            filled = path.replace("{id}", "0").replace("{file}", "x")
            assert two.ask(method, filled).status == 405


def _mjpeg_parts(wire: socket.socket, seconds: float) -> int:
    data, until = b"", time.monotonic() + seconds
    while time.monotonic() < until:
        data += wire.recv(65536)
    return data.count(b"\xff\xd8\xff")


def _viewer(two: Page, path: str) -> socket.socket:
    wire = socket.create_connection(("127.0.0.1", two.port), timeout=10)
    wire.sendall(f"GET /api/v1{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return wire


def test_pictures_are_encoded_only_for_viewers_and_once_for_all() -> None:
    sources = {"door": {"uri": LIVE.format("320x240", 10)}}
    with page(sources=sources, conf=0.02) as one:
        wait_for(lambda: one.source(0)["frames_out"] > 5)
        pictures = one.services.pictures
        assert pictures.encoded == 0
        wires = [_viewer(one, "/sources/0/stream.mjpeg") for _ in range(5)]
        wait_for(lambda: pictures.viewers == 5)
        before, frames = pictures.encoded, one.source(0)["frames_out"]
        parts = _mjpeg_parts(wires[0], 2)
        encoded, frames = pictures.encoded - before, one.source(0)["frames_out"] - frames
        assert parts >= 5
        assert encoded <= frames + 2, "once, not five times"
        for wire in wires:
            wire.close()
        wait_for(lambda: pictures.viewers == 0)
        at_rest = pictures.encoded
        time.sleep(0.7)
        assert pictures.encoded == at_rest


def test_a_head_request_ends(two: Page) -> None:
    for path in ("/sources/0/stream.mjpeg", "/grid.mjpeg", "/results", "/sources"):
        assert two.api("HEAD", path).status == 200
    wait_for(lambda: two.services.pictures.viewers == 0)


def test_a_viewer_that_stops_reading_slows_nobody_and_is_disconnected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("livevision.web.streaming.SEND_TIMEOUT_S", 1.0)
    sources = {"door": {"uri": LIVE.format("640x480", 20)}}
    with page(sources=sources, conf=1.0) as one:
        wait_for(lambda: one.source(0)["frames_out"] > 5)
        pictures = one.services.pictures
        dead = socket.socket()
        dead.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        dead.connect(("127.0.0.1", one.port))
        dead.sendall(b"GET /api/v1/sources/0/stream.mjpeg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_for(lambda: pictures.viewers == 1)
        with closing(_viewer(one, "/sources/0/stream.mjpeg")) as quick:
            assert _mjpeg_parts(quick, 2) >= 4
        before = one.source(0)
        wait_for(lambda: pictures.viewers == 0, 60)
        assert one.source(0)["frames_out"] > before["frames_out"] + 5
        dead.close()


def test_a_page_that_stops_acknowledging_gets_no_more_pictures(two: Page) -> None:
    with connect(f"ws://127.0.0.1:{two.port}/api/v1/live") as wire:
        wire.send(json.dumps({"watch": {"0": 320, "1": 320, "999": 320}}))
        pictures, told = 0, 0
        until = time.monotonic() + 3
        while time.monotonic() < until:
            message = wire.recv(timeout=5)
            pictures += isinstance(message, bytes)
            told += isinstance(message, str)
        assert pictures == 2, "until the page has shown them"
        assert told >= 2
        wire.send(json.dumps({"seen": 1}))
        while not isinstance(message := wire.recv(timeout=5), bytes):
            pass
        length = struct.unpack(">I", message[:4])[0]
        head = json.loads(message[4 : 4 + length])
        assert head["source"] in (0, 1)
        assert 0 <= head["age_ms"] < 5000
        assert picture(message[4 + length :]).shape[1] == head["size"][0]
    for nonsense in ("{", "[]", '{"watch": 3}', '{"watch": {"x": 1}}', "[" * 5000):
        with connect(f"ws://127.0.0.1:{two.port}/api/v1/live") as wire:
            wire.send(nonsense)
            with suppress(ConnectionClosed):
                list(wire)  # until it is closed
            assert wire.close_code in (1007, 1009)
    assert two.api("GET", "/run").status == 200


def test_the_number_of_websockets_is_limited(two: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livevision.web.application.MAX_SOCKETS", 2)
    address = f"ws://127.0.0.1:{two.port}/api/v1/live"
    with connect(address) as one, connect(address) as other:
        assert one.recv(timeout=5)
        assert other.recv(timeout=5)
        with pytest.raises(InvalidStatus, match="403"), connect(address):
            pass
    wait_for(lambda: two.services.pictures.viewers == 0)
    with connect(address) as again:
        assert again.recv(timeout=5)


def test_the_state_of_a_missing_source_is_given_as_text(tmp_path: Path) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        uri = f"rtsp://user:s3cret@127.0.0.1:{taken.getsockname()[1]}/x"
        with page(source=uri) as one:
            wait_for(lambda: one.source(0)["words"].startswith("reconnecting, "))
            row = one.source(0)
            assert row["state"] == "retrying"
            assert row["why"]
            assert "s3cret" not in json.dumps(row)
            wait_for(lambda: one.source(0)["retries"] > 0)
            assert one.api("DELETE", "/sources/0").status == 200
            assert one.api("GET", "/sources").json == []
