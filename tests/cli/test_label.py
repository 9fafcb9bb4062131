"""`livevision label` as users run it: killed and started again, and trained on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from livevision import cli
from livevision.labelling.runner import Wishes, label
from tests import small_models
from tests.datasets.making import text
from tests.labelling.making import Finder, pictures


def detector(root: Path) -> Path:
    """The small detector as training leaves it: weights with a card beside them."""
    card = small_models.CARDS["detect"]
    path = root / f"{card.name}.safetensors"
    path.write_bytes(small_models.weights("detect").read_bytes())
    text(
        path.with_suffix(".md"),
        f"---\nname: {card.name}\ntask: detect\nnet: {card.net}\ninput_size: [128, 96]\n"
        f"net_options: {{num_classes: 20}}\nfit: letterbox\nlabels: [{', '.join(card.labels)}]\n"
        "---\nSmall.\n",
    )
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_killed_run_goes_on_to_the_same_data_set(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pictures(tmp_path / "in", 20)
    flags = ["label", "--weights", str(detector(tmp_path)), "--source", str(tmp_path / "in")]
    flags += ["--flip", "--scales", "128x96,96", "--conf", "0.1", "--soft", "--engine", "torch"]
    flags += ["--threads", "1"]  # sums in another order would differ in their last digit
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert cli.main([*flags, "--output", str(whole)]) == 0
    out, _ = capfd.readouterr()
    assert out.startswith("20 pictures with ")
    told = json.loads((whole / "annotations" / "instances_train.json").read_text())
    assert any(len(row["scores"]) > 1 for row in told["annotations"])
    command = [sys.executable, "-m", "livevision", *flags, "--output", str(cut)]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal, until = cut / "labels.jsonl", time.monotonic() + 120
    while running.poll() is None and time.monotonic() < until:
        if journal.is_file() and len(journal.read_bytes().splitlines()) > 3:
            break
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
    running.wait()
    assert len(journal.read_bytes().splitlines()) < 21, "it was done before it was killed"
    assert cli.main([*flags, "--output", str(cut)]) == 0
    assert "of them before" in capfd.readouterr().out
    assert contents(cut) == contents(whole)


def test_a_net_learns_from_the_labels(tmp_path: Path) -> None:
    pictures(tmp_path / "in", 12)
    models: list[Any] = [Finder()]
    label(models, str(tmp_path / "in"), tmp_path / "set", Wishes(soft=True, unsure=0.1), False)
    flags = ["--model", "thundernet-snet49", "--imgsz", "64", "--batch", "2", "--device", "cpu"]
    flags += ["--epochs", "0.2"]
    code = cli.main(["train", str(tmp_path / "set"), *flags, "--out", str(tmp_path / "run")])
    assert code == 0
    assert (tmp_path / "run" / "best.safetensors").is_file()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--scales", "64,64"], "a size is given twice"),
        (["--scales", "big"], "give a size such as 640"),
        (["--format", "kitty"], "unknown format 'kitty'"),
        (["--classes", ","], "names none"),
        (["--model", "mobilenetv2-tiny-imagenet"], "label needs a detector or a segmenter"),
    ],
)
def test_wrong_flags_are_said_in_a_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    pictures(tmp_path / "in", 1)
    given = ["label", "--source", str(tmp_path / "in"), "--output", str(tmp_path / "out"), *flags]
    assert cli.main(given) == 2
    assert said in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
