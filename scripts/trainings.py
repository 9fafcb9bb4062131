"""Trainings that scripts start: each goes on where it was stopped, and its log has the figures."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def train(recipe: str | Path, data: Path, where: Path, settings: Sequence[str]) -> None:
    """Run `livevision train` with `name=value` settings into a folder."""
    command = [sys.executable, "-m", "livevision", "train", str(recipe)]
    command += ["--data", str(data), "--out", str(where)]
    for setting in settings:
        command += ["--set", setting]
    if (where / "last.pt").exists():
        command.append("--resume")
    subprocess.run(command, check=True)


def log_rows(where: Path) -> list[dict[str, str]]:
    """The rows of a training's log; none before it has begun."""
    log = where / "log.csv"
    if not log.exists():
        return []
    with log.open(newline="") as file:
        return list(csv.DictReader(file))
