"""The queue of trainings: one after the other, past a failure, stopped and gone on with."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.training import small_data

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_queue"


def recipe(root: Path, name: str, **changes: Any) -> Path:
    file = root / f"{name}.yaml"
    file.write_text(yaml.safe_dump({**small_data.SEGMENT, **small_data.SHORT, **changes}))
    return file


def command(root: Path, *recipes: Path) -> list[str]:
    return [str(SCRIPT), "--data", str(root), "--runs", str(root / "runs"), *map(str, recipes)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    small_data.class_maps(tmp_path / "maps")
    return tmp_path


def test_recipes_follow_each_other_past_one_that_fails(root: Path) -> None:
    recipes = [recipe(root, "first", steps=2), recipe(root, "broken", net="none")]
    recipes.append(recipe(root, "last", steps=2))
    done = subprocess.run(command(root, *recipes), stderr=subprocess.PIPE, text=True, timeout=240)
    assert done.returncode == 1
    assert "broken: failed with exit code 2" in done.stderr
    runs = root / "runs"
    assert "none" in (runs / "broken" / "train.log").read_text()
    for name in ("first", "last"):
        assert (runs / name / "best.safetensors").is_file()
        assert torch.load(runs / name / "last.pt", weights_only=True)["step"] == 2


def test_a_stopped_queue_goes_on_where_it_was(root: Path) -> None:
    endless = {"steps": 100_000, "evaluate_every": 100_000, "log_every": 1}
    recipes = [recipe(root, "long", **endless), recipe(root, "never")]
    queue = subprocess.Popen(command(root, *recipes), stderr=subprocess.PIPE, text=True)
    log, last = root / "runs" / "long" / "log.csv", root / "runs" / "long" / "last.pt"
    end = time.monotonic() + 120
    while time.monotonic() < end and not (log.is_file() and len(log.read_text().split()) > 2):
        assert queue.poll() is None
        time.sleep(0.1)
    os.kill(queue.pid, signal.SIGTERM)
    told = queue.communicate(timeout=60)[1]
    assert queue.returncode == 143
    assert "long: stopped" in told
    assert not (root / "runs" / "never").exists()
    stopped_at = torch.load(last, weights_only=True)["step"]
    assert stopped_at >= 1
    # The same command with a nearer end would be another run, so only that it goes on is looked at.
    again = subprocess.Popen(command(root, *recipes), stderr=subprocess.PIPE, text=True)
    while time.monotonic() < end + 120 and f"\n{stopped_at + 2}," not in log.read_text():
        assert again.poll() is None
        time.sleep(0.1)
    os.kill(again.pid, signal.SIGTERM)
    again.communicate(timeout=60)
    assert torch.load(last, weights_only=True)["step"] > stopped_at


@pytest.mark.parametrize(("given", "told"), [([], "name the recipes"), (["--fast"], "no option")])
def test_what_cannot_be_queued_is_told(given: list[str], told: str) -> None:
    done = subprocess.run([str(SCRIPT), *given], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert told in done.stderr
