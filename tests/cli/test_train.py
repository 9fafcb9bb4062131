"""`livevision train` from outside: to weights that run, stopped and resumed, and refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from livevision import cli
from tests.training import small_data


def recipe(root: Path, **changes: Any) -> Path:
    """A short recipe and its data; gives the file."""
    small_data.class_maps(root / "maps")
    file = root / "mine.yaml"
    file.write_text(yaml.safe_dump({**small_data.SEGMENT, **small_data.SHORT, **changes}))
    return file


def run(*arguments: object) -> int:
    return cli.main([*map(str, arguments)])


def test_from_pictures_to_weights_that_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file, out = recipe(tmp_path), tmp_path / "out"
    flags = ("--data", tmp_path, "--out", out, "--set", "steps=2")
    assert run("train", file, *flags) == 0
    assert capfd.readouterr().out.startswith("best after step 2: mIoU ")
    best = out / "best.safetensors"
    flags = ("--weights", best, "--data", tmp_path / "maps", "--engine", "torch")
    assert run("eval", *flags, "--json") == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["model"], list(told["classes"])) == ("mine", ["dark", "bright"])
    picture, found = tmp_path / "maps" / "images" / "val" / "1000.jpg", tmp_path / "found.jsonl"
    flags = ("--weights", best, "--engine", "torch", "--output", found, "--headless")
    assert run("--source", picture, *flags) == 0
    assert set(json.loads(found.read_text())["segments"]) <= {"dark", "bright"}


def test_ctrl_c_ends_it_with_130_and_it_goes_on(tmp_path: Path) -> None:
    file, out = recipe(tmp_path, steps=100_000, evaluate_every=100_000, log_every=1), tmp_path / "o"
    command = [sys.executable, "-m", "livevision", "train", str(file), "--data", str(tmp_path)]
    command += ["--out", str(out)]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ})
    log = out / "log.csv"
    end = time.monotonic() + 120
    while time.monotonic() < end and not (log.is_file() and len(log.read_text().split()) > 2):
        assert run.poll() is None, run.communicate()[1]
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130, said
    assert (out / "last.pt").is_file()
    done = len(log.read_text().split()) - 1
    assert done >= 2
    # It goes on with what was stopped, and with nothing else.
    again = subprocess.run(
        [*command, "--resume", "--set", "seed=1"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert again.returncode == 2, again.stderr
    assert "seed" in again.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["thundernet-snet94"], 2, "Did you mean 'thundernet-snet49'?"),
        (["mine.yaml", "--set", "stepz=3"], 2, "stepz"),
        (["mine.yaml", "--set", "steps=some"], 2, "steps"),
        (["mine.yaml", "--set", "steps"], 2, "steps"),
        (["mine.yaml", "--data", "none"], 2, "--data none: there is no such folder"),
        (["mine.yaml", "--data", "maps"], 3, "maps/maps: there is no such data set"),
        (["mine.yaml", "--set", "data.val=[{path: maps, rename: {bright: lit}}]"], 2, "'lit'"),
        (["mine.yaml", "--set", "net=bisenet"], 2, "bisenet"),
        (["mine.yaml", "--set", "initial_weights=none.safetensors"], 2, "none.safetensors"),
        (["mine.yaml", "--set", "task_options.soft_labels={}"], 2, "has no soft labels"),
        (["mine.yaml", "--set", "task_options.soft_labels={weight: 2}"], 2, "soft_labels.weight"),
    ],
)
def test_what_is_wrong_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    told: str,
) -> None:
    recipe(tmp_path)
    monkeypatch.chdir(tmp_path)
    got = run("train", *arguments)
    out, err = capfd.readouterr()
    assert got == code, err
    assert out == ""
    assert told in err.splitlines()[-1]
    assert err.count("error: ") == 1
    assert not (tmp_path / "runs").exists()


def test_soft_labels_of_other_classes_end_it_with_3(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = recipe(tmp_path)
    small_data.soft_labels(tmp_path / "maps")
    path = tmp_path / "maps" / "logits" / "train" / "2.npz"
    np.savez_compressed(path, logits=np.zeros((5, 16, 24), np.float16))
    flags = ("--data", tmp_path, "--out", tmp_path / "out", "--set", "task_options.soft_labels={}")
    assert run("train", file, *flags) == 3
    (line,) = capfd.readouterr().err.splitlines()
    assert f"{path}: has logits of 5 classes, and the data set has 2" in line
    assert not (tmp_path / "out").exists()


def test_a_recipe_may_extend_a_shipped_one(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("extends: xception-b-tiny-imagenet\nsteps: 3\n")
    assert run("train", file, "--data", tmp_path) == 3
    (line,) = capfd.readouterr().err.splitlines()
    assert line.endswith("photos: there is no such data set")
