"""Operating a run: health, metrics, reloading, logs and systemd."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from livevision.config.yaml_file import load
from livevision.runtime.health import Health
from livevision.runtime.reloading import Reloading
from livevision.runtime.service import Service
from tests.docs.pages import ROOT
from tests.web.running import LIGHT, LIVE, Page, page, wait_for

OPERATE = "operate-token-0123456789"


def figures(one: Page, headers: dict[str, str] | None = None) -> dict[str, list[Any]]:
    """The samples of /metrics by their names."""
    answer = one.ask("GET", "/metrics", headers=headers)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found: dict[str, list[Any]] = {}
    for family in text_string_to_metric_families(answer.body.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


def test_metrics_follow_the_naming_convention_and_are_correct(two: Page) -> None:
    found = figures(two)
    units = ("_total", "_seconds", "_bytes", "_bucket", "_sum", "_count", "_info", "_created")
    ours = {name for name in found if name.startswith("livevision_")}
    assert len(ours) > 20
    for family in text_string_to_metric_families(two.ask("GET", "/metrics").body.decode()):
        assert family.documentation, family.name
        assert re.fullmatch(r"[a-z][a-z0-9_]*", family.name)
        assert not re.search(r"_(ms|milliseconds|percent|kb|mb)$", family.name)
        if family.type == "counter":
            assert all(s.name.endswith(("_total", "_created")) for s in family.samples)
    assert any(name.endswith(units) for name in ours)
    door = two.source(0)
    (captured,) = [
        s for s in found["livevision_captured_frames_total"] if s.labels == {"source": "door"}
    ]
    assert 0 < captured.value <= door["frames_in"]
    states = {
        s.labels["state"]: s.value
        for s in found["livevision_source_state"]
        if s.labels["source"] == "door"
    }
    assert states == {"connecting": 0, "live": 1, "retrying": 0, "ended": 0, "paused": 0}
    buckets = [
        s.value for s in found["livevision_latency_seconds_bucket"] if s.labels["source"] == "door"
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] > 0
    assert {s.labels["stage"] for s in found["livevision_stage_seconds_count"]} >= {
        "capture", "preprocess", "inference", "overlay", "output",
    }  # fmt: skip
    assert found["livevision_healthy"][0].value == 1
    assert "process_resident_memory_bytes" in found
    again = figures(two)
    (later,) = [
        s for s in again["livevision_captured_frames_total"] if s.labels == {"source": "door"}
    ]
    assert later.value >= captured.value


def test_a_failed_recording_is_reported_and_the_run_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livevision.runtime.open_segment._CHECK_S", 0.1)
    monkeypatch.setattr("livevision.runtime.segment_writer._SURE_S", 0.3)
    folder = tmp_path / "recordings"
    uri = LIVE.format("160x120", 10)
    sources = {"door": {"uri": uri}, "yard": {"uri": uri, "record": "off"}}
    with page(sources=sources, record="continuous", recordings=str(folder), segment=1) as one:

        def record() -> Any:
            return one.source(0)["record"]

        def up() -> list[tuple[str, float]]:
            return [(s.labels["source"], s.value) for s in figures(one)["livevision_record_up"]]

        wait_for(lambda: record() and record()["segments"] > 0)
        assert record()["mode"] == "continuous"
        assert one.source(1)["record"] is None
        assert up() == [("door", 1.0)]
        assert figures(one)["livevision_record_bytes"][0].value > 0
        assert figures(one)["livevision_record_disk_free_bytes"][0].value > 0
        folder.rename(tmp_path / "away")
        folder.write_text("")
        error = wait_for(lambda: record()["error"])
        assert str(folder) in error
        wait_for(lambda: up() == [("door", 0.0)])
        seen = one.source(0)["frames_out"]
        wait_for(lambda: one.source(0)["frames_out"] > seen + 5)
        folder.unlink()
        (tmp_path / "away").rename(folder)
        wait_for(lambda: record()["error"] is None)
        before = record()["segments"]
        wait_for(lambda: record()["segments"] > before)
        wait_for(lambda: up() == [("door", 1.0)])
    found = figures_of_index(folder)
    assert len(found) > 2
    assert found == sorted(path.name for path in folder.glob("*/*Z.mp4"))


def test_an_unplugged_disk_stops_the_recording_and_not_the_watching(tmp_path: Path) -> None:
    apart = ["unshare", "-Urm"]
    if not shutil.which("unshare") or subprocess.run([*apart, "true"], check=False).returncode:
        pytest.skip("this machine lets no process mount anything for itself")
    done = subprocess.run(
        [*apart, sys.executable, "-m", "tests.web.unplugged", str(tmp_path)],
        capture_output=True, text=True, cwd=ROOT, timeout=150, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["before"], told["unplugged"], told["plugged in"]) == (1, 0, 1)
    assert "cannot record into" in told["error"]
    assert told["goes on"]
    assert told["healthy"] == 200
    assert told["left in the empty folder"] == [], "nothing is written to another disk"
    assert told["segments"] > 1


def figures_of_index(folder: Path) -> list[str]:
    """Names of the segments in an index, by time."""
    read = sqlite3.connect(folder / "index.sqlite")
    rows = read.execute("SELECT file FROM segments ORDER BY start_utc").fetchall()
    read.close()
    return [Path(row[0]).name for row in rows]


def test_sources_of_one_name_are_distinguished() -> None:
    uri = LIVE.format("160x120", 5)
    with page(source=[uri, uri]) as one:
        wait_for(lambda: one.source(1)["frames_out"] > 0)
        told = figures(one)["livevision_captured_frames_total"]
        assert [s.labels["source"] for s in told] == [f"{uri}#0", f"{uri}#1"]


def test_the_dashboard_and_the_alerts_use_existing_metrics(two: Page) -> None:
    there = set(figures(two))
    for family in text_string_to_metric_families(two.ask("GET", "/metrics").body.decode()):
        there.add(f"{family.name}_total" if family.type == "counter" else family.name)
    folder = ROOT / "configs" / "monitoring"
    dashboard = json.loads((folder / "grafana.json").read_text())
    told = [t["expr"] for panel in dashboard["panels"] for t in panel.get("targets", [])]
    assert len(told) >= 10
    for name in ("record_bytes", "record_disk_free_bytes", "record_up", "record_failures_total"):
        assert any(f"livevision_{name}" in expression for expression in told)
    rules = yaml.safe_load((folder / "alerts.yaml").read_text())
    told += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    told += [v["query"] for v in dashboard["templating"]["list"] if v["type"] == "query"]
    for expression in told:
        named = re.findall(r"\b(?:livevision|process)_\w+", expression)
        assert named, expression
        assert set(named) <= there, expression
    places = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_health_needs_no_token_and_metrics_do(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(OPERATE)
    with page(
        sources={"door": {"uri": LIVE.format("160x120", 10)}},
        web_token_file=str(tmp_path / "token"),
    ) as one:
        wait_for(lambda: one.ask("GET", "/readyz").status == 200)
        assert one.ask("GET", "/healthz").json == {"healthy": True, "why": ""}
        assert b"door" not in one.ask("GET", "/readyz").body
        assert one.ask("GET", "/metrics").status == 401
        figures(one, {"authorization": f"Bearer {OPERATE}"})


def test_health_fails_when_frames_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livevision.runtime.health.READY_S", 1.0)
    monkeypatch.setattr("livevision.runtime.health.HEALTHY_S", 3.0)
    uri = LIVE.format("160x120", 10)
    with page(sources={"door": {"uri": uri}, "yard": {"uri": f"{uri}&frames=5"}}) as one:
        wait_for(lambda: one.source(1)["state"] == "ended")
        wait_for(lambda: one.ask("GET", "/readyz").status == 503)
        answer = one.ask("GET", "/readyz").json
        assert (answer["live"], answer["sources"]) == (1, 2)
        assert "1 of 2 sources" in answer["why"]
        assert one.ask("GET", "/healthz").status == 200
        one.api("DELETE", "/sources/1")
        wait_for(lambda: one.ask("GET", "/readyz").status == 200)
        one.api("PATCH", "/sources/0/settings", {"paused": True})
        time.sleep(1.5)
        assert one.ask("GET", "/readyz").status == 200, "a pause is no failure"
        one.api("PATCH", "/sources/0/settings", {"paused": False})
        wait_for(lambda: one.ask("GET", "/readyz").status == 200)
        # Frames come in, and none comes out any more.
        frozen = threading.Event()
        monkeypatch.setattr(one.run.delivery.view, "put", lambda rendered: frozen.wait(20))
        try:
            wait_for(lambda: one.ask("GET", "/healthz").status == 503)
            assert "none came out" in one.ask("GET", "/healthz").json["why"]
            assert not one.services.health.look().moving
        finally:
            frozen.set()


def _config(folder: Path, **sources: str) -> Path:
    file = folder / "run.yaml"
    listed = "".join(f"  {name}: {text}\n" for name, text in sources.items())
    file.write_text(f"model: {LIGHT}\nsources:\n{listed}")
    return file


def _source(rate: int = 5, more: str = "") -> str:
    return f"{{uri: '{LIVE.format('160x120', rate)}'{more}}}"


@pytest.fixture
def reloaded(tmp_path: Path) -> Iterator[tuple[Page, Path, Reloading]]:
    """A run with a config file, and the reloading of the file."""
    file = _config(tmp_path, door=_source(), yard=_source())
    settings = load(file, {})
    with page(sources=settings.sources, model=settings.model) as one:
        wait_for(lambda: one.source(1)["frames_out"] > 0)
        reloading = Reloading(one.run, lambda: load(file, {"output": one.run.settings.output}))
        one.services.facade.reloading = reloading
        yield one, file, reloading


def test_settings_that_cannot_change_stay(
    reloaded: tuple[Page, Path, Reloading], caplog: pytest.LogCaptureFixture
) -> None:
    one, file, reloading = reloaded
    report = one.run.settings.report
    file.write_text(f"{file.read_text()}report: elsewhere.json\n")
    assert reloading().error == ""
    assert one.run.settings.report == report
    assert "report changes with the next start alone" in caplog.text


def names(one: Page) -> dict[str, int]:
    return {row["name"]: row["id"] for row in one.api("GET", "/sources").json}


def test_a_reload_applies_only_what_changed_in_the_file(
    reloaded: tuple[Page, Path, Reloading], tmp_path: Path
) -> None:
    one, _, reloading = reloaded
    one.api("POST", "/sources", {"name": "guest", "uri": LIVE.format("160x120", 5)})
    one.api("PATCH", "/sources/0/settings", {"iou": 0.33})
    zone = "zones: {mat: {points: [[0, 0], [1, 0], [1, 1]]}}"
    _config(tmp_path, door=_source(more=f", conf: 0.6, {zone}"), gate=_source())
    assert reloading().error == ""
    assert names(one).keys() == {"door", "guest", "gate"}
    door = one.source(0)
    assert door["settings"]["conf"] == 0.6
    assert door["settings"]["iou"] == 0.33, "what was changed on the page stays"
    assert list(one.api("GET", "/sources/0/scene").json["zones"]) == ["mat"]
    gate = names(one)["gate"]
    wait_for(lambda: one.source(gate)["frames_out"] > 0)
    before = door["frames_out"]
    wait_for(lambda: one.source(0)["frames_out"] > before)
    # Another address is another source under the same name.
    _config(tmp_path, door=_source(8), gate=_source())
    assert reloading().error == ""
    wait_for(lambda: names(one)["door"] > gate)
    anew = names(one)["door"]
    wait_for(lambda: one.source(anew)["frames_out"] > 0)
    assert one.source(anew)["settings"]["conf"] == 0.25
    assert reloading.outcome.done == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sources: {door: [", "not valid YAML"),
        ("sources: {door: {uri: synthetic, conf: 7}}", "conf"),
        ("sources: {door: {uri: synthetic, cnf: 1}}", "conf"),
        (f"sources: {{door: {_source(more=', classes: [persn]')}, yard: {_source()}}}", "person"),
        (f"sources: {{door: {_source(more=', conf: 0.9')}, new: {{uri: /not/there.mp4}}}}", "no"),
        ("sources: {door: {uri: synthetic, scene: nowhere.yaml}}", "nowhere"),
        ("", "no source"),
    ],
    ids=["yaml", "value", "key", "class", "added", "scene", "empty"],
)
def test_an_invalid_file_changes_nothing_and_is_reported_on_the_page(
    reloaded: tuple[Page, Path, Reloading], text: str, words: str
) -> None:
    one, file, reloading = reloaded
    before = one.api("GET", "/sources").json
    file.write_text(text)
    outcome = reloading()
    assert words in outcome.error
    assert "\n" not in outcome.error
    assert (outcome.done, outcome.failed) == (0, 1)
    after = one.api("GET", "/sources").json
    assert [(r["id"], r["settings"]) for r in after] == [(r["id"], r["settings"]) for r in before]
    assert one.api("GET", "/run").json["settings_error"] == outcome.error
    wait_for(lambda: one.source(0)["frames_out"] > before[0]["frames_out"])
    _config(file.parent, door=_source(more=", conf: 0.5"), yard=_source())
    assert reloading().error == ""
    assert one.api("GET", "/run").json["settings_error"] == ""
    assert one.source(0)["settings"]["conf"] == 0.5


class Systemd:
    """The other end of ``NOTIFY_SOCKET``."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self._wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._wire.bind(self.path)
        self.heard: list[str] = []

    def hear(self, word: str, seconds: float = 60) -> None:
        """Wait for a message that contains a word."""
        until = time.monotonic() + seconds
        while not any(word in message for message in self.heard):
            self._wire.settimeout(max(0.01, until - time.monotonic()))
            self.heard.append(self._wire.recv(4096).decode())

    def close(self) -> None:
        self._wire.close()


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")
def test_a_service_reports_to_systemd_reloads_ends_and_logs_json(tmp_path: Path) -> None:
    file = _config(tmp_path, door=_source())
    systemd = Systemd(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "livevision", "--config", str(file), "--headless",
         "--output", "web://127.0.0.1:0", "--log-format", "json"],
        env={**os.environ, "NOTIFY_SOCKET": systemd.path, "WATCHDOG_USEC": "400000"},
        stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        start_new_session=True,  # without a terminal, as a service
    )  # fmt: skip
    try:
        systemd.hear("READY=1")
        systemd.hear("WATCHDOG=1")
        systemd.hear("STATUS=1 of 1 sources live")
        file.write_text("sources: {door: [")
        process.send_signal(signal.SIGHUP)
        systemd.hear("RELOADING=1")
        systemd.hear("not valid YAML")
        _config(tmp_path, door=_source(more=", conf: 0.5"))
        process.send_signal(signal.SIGHUP)
        systemd.hear("STATUS=settings were read again")
        process.send_signal(signal.SIGTERM)
        systemd.hear("STOPPING=1")
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
        systemd.close()
    assert process.returncode == 143
    rows = [json.loads(line) for line in said.splitlines()]
    assert all({"time", "level", "logger", "message"} <= row.keys() for row in rows)
    levels = {row["message"]: row["level"] for row in rows}
    assert "info" in levels.values()
    assert any("not valid YAML" in text and level == "error" for text, level in levels.items())
    (report,) = [row["report"] for row in rows if "report" in row]
    assert report["frames_out"] > 0
    address = next(
        re.search(r"http://\S+", row["message"]) for row in rows if "the page is" in row["message"]
    )
    assert address


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")
def test_sighup_ends_a_run_without_a_config_file(tmp_path: Path) -> None:
    systemd = Systemd(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "livevision", "--source", LIVE.format("160x120", 5), "--headless",
         "--model", LIGHT, "--output", "out.jsonl"],
        env={**os.environ, "NOTIFY_SOCKET": systemd.path},
        stderr=subprocess.PIPE, text=True, cwd=tmp_path, start_new_session=True,
    )  # fmt: skip
    try:
        systemd.hear("READY=1")
        process.send_signal(signal.SIGHUP)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
        systemd.close()
    assert process.returncode == 129, said


def test_the_watchdog_is_not_notified_if_the_run_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "100000")
    systemd = Systemd(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.path)
    with page(source=LIVE.format("160x120", 5)) as one:
        health = Health(one.run)
        with Service(one.run, health):
            systemd.hear("WATCHDOG=1")
            stuck = health.look()
            monkeypatch.setattr(
                Health, "look", lambda self: type(stuck)(False, False, False, 0, 1, "stuck")
            )
            time.sleep(0.3)
            systemd.heard.clear()
            with pytest.raises(TimeoutError):
                systemd.hear("WATCHDOG=1", 0.6)
    systemd.close()


def test_with_log_format_json_an_error_is_a_line_of_json(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "livevision", "--source", "none.mp4", "--log-format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 3
    (row,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert row["level"] == "error"
    assert "none.mp4" in row["message"]


def test_the_systemd_unit_uses_existing_options(tmp_path: Path) -> None:
    file = ROOT / "configs" / "monitoring" / "livevision.service"
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(file)
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert service["Restart"] == "on-failure"
    assert int(service["WatchdogSec"]) >= 10
    assert service["ExecReload"] == "kill -HUP $MAINPID"
    words = service["ExecStart"].split()
    from livevision import cli

    config = _config(tmp_path, door=_source())
    given = [str(config) if word.endswith(".yaml") else word for word in words[1:]]
    assert cli.main([*given, "--print-config"]) == 0
    if shutil.which("systemd-analyze"):
        text = file.read_text().replace(words[0], sys.executable)
        (tmp_path / "livevision.service").write_text(text)
        done = subprocess.run(
            ["systemd-analyze", "verify", str(tmp_path / "livevision.service")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "Unknown key" not in done.stderr


def test_the_api_reloads_the_settings(
    reloaded: tuple[Page, Path, Reloading],
) -> None:
    one, _, _ = reloaded
    answer = one.api("POST", "/reload")
    assert answer.status == 422
    assert "without --config" in answer.json["error"]
    with urllib.request.urlopen(f"{one.address}healthz", timeout=10) as healthy:
        assert healthy.status == 200
