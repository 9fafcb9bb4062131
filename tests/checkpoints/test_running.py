"""An imported net runs like any other, by its file alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from livevision.cli import main
from tests.checkpoints.classifiers import megvii_shufflenetv2
from tests.checkpoints.standins import Standin


def test_the_card_beside_the_weights_tells_what_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    standin = Standin()
    with torch.no_grad():
        megvii_shufflenetv2(standin, torch.zeros(1, 3, 32, 32), width=0.5)
    torch.save(standin.tensors, "theirs.pth")
    Path("names.txt").write_text("\n".join(f"thing {i}" for i in range(1000)))
    assert main(["import", "theirs.pth", "--as", "mine", "--labels", "names.txt"]) == 0
    run = ["--source", "synthetic", "--max-frames", "1", "--engine", "torch", "--headless"]
    code = main([*run, "--weights", "mine.safetensors", "--output", "out.jsonl"])
    assert code == 0
    (line,) = Path("out.jsonl").read_text().splitlines()
    assert json.loads(line)["labels"][0]["class"].startswith("thing ")
