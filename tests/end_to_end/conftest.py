"""Running livevision the way a user does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from livevision.cli import main

PROGRAM = [sys.executable, "-m", "livevision"]

LIGHT = ("--model", "thundernet-snet49")
"""The lightest net that is shipped."""

NO_BOXES = ("--conf", "1", *LIGHT)
"""For tests that read a frame's number from the annotated picture, where a box might cover it.

The net is the lightest, since it finds nothing anyway.
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command left behind: exit code and standard error."""

    code: int
    err: str

    def one_line(self) -> str:
        """The one line of an error; fails where there is a traceback or more than one error."""
        assert "Traceback" not in self.err
        lines = [line for line in self.err.splitlines() if "error: " in line]
        assert len(lines) == 1, self.err
        return lines[0]


@pytest.fixture
def livevision(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run the command line in this process, without a window and with a light net."""

    def call(*arguments: object) -> Outcome:
        words = _lightly([str(argument) for argument in arguments])
        if "--source" in words and "--headless" not in words:
            words.append("--headless")
        code = main(words)
        return Outcome(code, capfd.readouterr().err)

    return call


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts livevision as a process of its own, which does not outlive the test."""
    started: list[subprocess.Popen[str]] = []

    def call(*arguments: object) -> subprocess.Popen[str]:
        words = [*PROGRAM, *_lightly([str(argument) for argument in arguments])]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True))
        return started[-1]

    yield call
    for process in started:
        process.kill()
        process.communicate()


def _lightly(words: list[str]) -> list[str]:
    """The words of a run, with the lightest net unless they choose one."""
    chosen = {"--model", "--weights", "--task", "--config", "--untrained"} & set(words)
    return [*words, *LIGHT] if words[:1] == ["--source"] and not chosen else words


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
