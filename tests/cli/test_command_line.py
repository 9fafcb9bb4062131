"""The command line from outside: help, exit codes, suggestions, what is imported, what is said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from livevision import cli
from livevision.cli.commands import COMMANDS
from livevision.config import Settings
from livevision.config.flags import has_flag
from livevision.errors import ModelError, OutputError, SourceError, UsageError
from livevision.models import catalog
from livevision.version import __version__

HEAVY = {"torch", "cv2", "av", "numpy", "openvino", "onnxruntime", "supervision", "tqdm"}
Run = Callable[[Settings], int]


def livevision(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "livevision", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "COLUMNS": "100", **environment},
        check=False,
    )


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Callable[[Run], None]:
    """Put a function in the place of the application."""

    def stand_in(run: Run) -> None:
        module = types.ModuleType("livevision.app")
        module.run = lambda settings, own_process, **_: run(settings)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "livevision.app", module)

    return stand_in


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"]])
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from livevision.cli import main; "
        f"code = main({arguments!r}); print(*sys.modules, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert done.stdout
    assert not HEAVY & set(done.stderr.split())


def test_version() -> None:
    done = livevision("--version")
    assert (done.returncode, done.stdout) == (0, f"livevision {__version__}\n")


def test_help_shows_every_setting_and_every_command() -> None:
    text = livevision("--help").stdout
    shown = {word.strip(",") for word in text.split() if word.startswith("--")}
    for name, field in Settings.model_fields.items():
        if not has_flag(field):
            continue
        flag = name.replace("_", "-")
        assert (f"--[no-]{flag}" if field.default is True else f"--{flag}") in shown
    for command in COMMANDS:
        assert f"\n  {command} " in text
    assert "livevision --source webcam --task segment" in text


def test_every_flag_is_a_setting() -> None:
    from livevision.cli.run import command

    own = {"config", "print_config"}
    fields = {name for name, field in Settings.model_fields.items() if has_flag(field)}
    assert {p.name for p in command.params} - own == fields
    assert set(Settings.model_fields) - fields == {"sources"}


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help(name: str) -> None:
    done = livevision(name, "--help")
    assert done.returncode == 0, done.stderr
    assert f"livevision {name}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["rnu"], ["unknown command 'rnu'", "Did you mean 'run'?"]),
        (["in.mp4"], ["--source"]),
        (["--tsk", "detect"], ["--tsk", "Did you mean", "'--task'"]),
        (["--source"], ["--source", "requires an argument"]),
        (["--source", "--task", "detect"], ["--source needs a value"]),
        (["--source", "a.mp4", "b.mp4"], ["'b.mp4'", "quote a glob"]),
        (["--source", "a", "rtsp://me:secret@cam/1"], ["rtsp://***@cam/1"]),
        (["--source", "a", "--task", "detct"], ["--task", "Did you mean 'detect'?"]),
        (["--source", "a", "--conf", "1.5"], ["--conf", "'1.5'", "from 0 to 1"]),
        (["--source", "a", "--weights", "x", "--weights", "y"], ["2 values of weights"]),
        (["--source", "a", "-v", "-q"], ["verbose and quiet"]),
        (["--task", "detect"], ["no source was given", "--source webcam"]),
        (["--config", "none.yaml"], ["'none.yaml'", "webcam-segment"]),
        (["models", "--jsn"], ["--jsn", "Did you mean '--json'?"]),
        (["doctor", "now"], ["now"]),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], parts: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("livevision: error: ")
    assert err.count("\n") == 1
    assert "secret" not in err
    for part in parts:
        assert part in err


def test_the_exit_code_reaches_the_shell() -> None:
    done = livevision("--source", "a", "--task", "detct")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1


def test_nothing_given_shows_the_help_as_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert "--source" in err


@pytest.mark.parametrize("first", [[], ["run"]])
def test_settings_reach_the_application(app: Callable[[Run], None], first: list[str]) -> None:
    seen = []
    app(lambda settings: seen.append(settings) or 0)  # type: ignore[func-returns-value]
    flags = "--source a.mp4 --source 1 --task both --conf 0.4 --vid-stride 3 --no-progress -q"
    assert cli.main([*first, *flags.split(), "--classes", "person,2", "--imgsz=640x352"]) == 0
    assert seen == [
        Settings.of(
            source=["a.mp4", "1"],
            task="both",
            conf=0.4,
            vid_stride=3,
            progress=False,
            quiet=True,
            classes=["person", 2],
            imgsz=(640, 352),
        )
    ]


def test_a_switch_of_a_file_can_be_turned_off(app: Callable[[Run], None], tmp_path: Path) -> None:
    seen = []
    app(lambda settings: seen.append(settings.headless) or 0)  # type: ignore[func-returns-value]
    file = tmp_path / "run.yaml"
    file.write_text("source: a\nheadless: true\n")
    cli.main(["--config", str(file)])
    cli.main(["--config", str(file), "--no-headless"])
    assert seen == [True, False]


def test_print_config_prints_yaml_and_runs_nothing(
    app: Callable[[Run], None], capfd: pytest.CaptureFixture[str]
) -> None:
    app(lambda settings: pytest.fail("the application ran"))
    assert cli.main(["--config", "webcam-segment", "--conf", "0.3", "--print-config"]) == 0
    printed = yaml.safe_load(capfd.readouterr().out)
    assert printed["conf"] == 0.3
    assert printed["task"] == "segment"
    assert set(printed) == {name.replace("_", "-") for name in Settings.model_fields}


@pytest.mark.parametrize(
    ("error", "code"),
    [(UsageError("x"), 2), (SourceError("x"), 3), (ModelError("x"), 4), (OutputError("x\ny"), 5)],
)
def test_each_error_has_its_exit_code_and_one_line(
    app: Callable[[Run], None],
    capfd: pytest.CaptureFixture[str],
    error: Exception,
    code: int,
) -> None:
    def fail(settings: Settings) -> int:
        raise error

    app(fail)
    assert cli.main(["--source", "a"]) == code
    err = capfd.readouterr().err
    assert err.startswith("livevision: error: x")
    assert err.count("\n") == 1


@pytest.mark.parametrize(("flag", "debug"), [("--verbose", "0"), ("--headless", "1")])
def test_a_traceback_on_request(
    app: Callable[[Run], None],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    flag: str,
    debug: str,
) -> None:
    def fail(settings: Settings) -> int:
        raise SourceError("gone")

    app(fail)
    monkeypatch.setenv("LIVEVISION_DEBUG", debug)
    assert cli.main(["--source", "a", flag]) == 3
    err = capfd.readouterr().err
    assert "Traceback" in err
    assert err.endswith("livevision: error: gone\n")


def test_a_bug_keeps_its_traceback_and_asks_for_a_report(
    app: Callable[[Run], None], capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(settings: Settings) -> int:
        raise ZeroDivisionError("oops")

    app(fail)
    assert cli.main(["--source", "a"]) == 1
    err = capfd.readouterr().err
    assert "Traceback" in err
    assert "livevision: internal error: ZeroDivisionError: oops" in err


def test_ctrl_c_before_the_pipeline_runs(
    app: Callable[[Run], None], capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(settings: Settings) -> int:
        signal.raise_signal(signal.SIGINT)
        return 0

    app(interrupted)
    assert cli.main(["--source", "a"]) == 130
    assert "Traceback" not in capfd.readouterr().err


def test_sigterm_before_the_pipeline_runs(
    app: Callable[[Run], None], capfd: pytest.CaptureFixture[str]
) -> None:
    def terminated(settings: Settings) -> int:
        signal.raise_signal(signal.SIGTERM)
        return 0

    app(terminated)
    before = signal.getsignal(signal.SIGTERM)
    assert cli.main(["--source", "a"]) == 143
    assert signal.getsignal(signal.SIGTERM) is before
    assert "Traceback" not in capfd.readouterr().err


def test_a_reader_that_went_away_is_no_error() -> None:
    """As in `livevision --help | head -0`: no traceback, and the exit code of SIGPIPE."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "livevision", "--source", "a", "--print-config"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_behind_stdout_is_told() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "livevision", "--source", "a", "--print-config"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 5
    assert done.stderr == (
        "livevision: error: cannot write standard output: No space left on device\n"
    )


def test_doctor_tells_of_every_part_and_of_missing_weights(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("livevision.models.catalog.weights_folder", lambda: tmp_path)
    assert cli.main(["doctor", "--json"]) == 1
    told = json.loads(capfd.readouterr().out)
    assert told["ok"] is False
    names = {row["name"] for row in told["checks"]}
    assert names >= {"packages", "processor", "memory", "gpu", "engine", "opencv", "h264", "cache"}
    bad = [row for row in told["checks"] if row["status"] == "fail"]
    assert {row["name"] for row in bad} == {"model"}
    texts = " ".join(row["text"] for row in bad)
    assert all(name in texts for name in catalog.DEFAULTS.values())


def test_doctor_warns_of_two_opencv_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    from livevision.cli import machine

    wheels = {"opencv-python": "4.14.0.94", "opencv-python-headless": "4.14.0.94"}
    monkeypatch.setattr(machine, "opencv_wheels", lambda: wheels)
    status, text, remedy = machine.opencv()
    assert status == "warn"
    assert "overwrite" in text
    assert "pip uninstall opencv-python opencv-python-headless" in remedy


def test_doctor_is_content_with_shipped_models(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    two = ["thundernet-snet49", "shufflenetv2-1.0-tiny-imagenet"]  # all: tests/test_without_torch
    monkeypatch.setattr("livevision.models.catalog.names", lambda: two)
    defaults = {"detect": two[0], "classify": two[1]}
    monkeypatch.setattr("livevision.models.catalog.DEFAULTS", defaults)
    assert cli.main(["doctor", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    models = [row["text"] for row in told["checks"] if row["name"] == "model"]
    assert len(models) == 2
    assert all("a test image went through" in text for text in models)


def test_a_check_that_breaks_off_does_not_hide_the_others(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from livevision.cli import machine

    monkeypatch.setattr("livevision.models.catalog.weights_folder", lambda: tmp_path)

    def broken() -> str:
        raise OSError("no such register")

    monkeypatch.setattr(machine, "processor", broken)
    assert cli.main(["doctor"]) == 1
    out = capfd.readouterr().out
    assert "no such register" in out
    assert "h264" in out
