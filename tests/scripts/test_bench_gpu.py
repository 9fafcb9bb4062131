"""The comparison with the papers' GPUs, on the CPU: what is counted and what is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn


def test_the_most_is_what_takes_longer(script: Any) -> None:
    chip = script.Chip(flops=1e12, bandwidth=1e9)
    assert chip.most(madds=1e9, moved=1e3) == pytest.approx(500)  # 2 ms of arithmetic
    assert chip.most(madds=1e3, moved=1e7) == pytest.approx(100)  # 10 ms of memory


def test_bytes_are_those_of_maps_and_weights(script: Any) -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    maps, weights = 3 * 32 * 16 + 8 * 16 * 8, 8 * 3 * 9 + 2 * 8
    assert script.moved_bytes(net.eval(), (32, 16), 2) == 2 * (maps + weights)


def test_a_chip_is_timed(script: Any) -> None:
    chip = script.measure_chip(torch.device("cpu"), torch.float32, 256, 1 << 20)
    assert chip.flops > 1e8
    assert chip.bandwidth > 1e7


def test_the_best_batch_is_told_beside_batch_one(script: Any) -> None:
    row = script.Row("thundernet-snet49", (320, 320), "267 (GTX 1080 Ti)")
    cells = script.line(row, "torch cuda:0 fp16", {1: 300.0, 8: 900.0, 16: 850.0}, 1500.0)
    cells = [cell.strip() for cell in cells.strip("|").split("|")]
    assert cells[1:] == [
        "320×320", "torch cuda:0 fp16", "300.0", "20%", "900.0 (batch 8)", "60%",
        "267 (GTX 1080 Ti)",
    ]  # fmt: skip


def test_it_runs_as_a_whole(
    script: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    arguments = ["--device", "cpu", "--precision", "fp32", "--repeats", "2", "--batches", "1", "2"]
    rows = [script.Row("bisenet-xception39", (96, 64)), script.Row("thundernet-snet49", (64, 64))]
    assert script.main([*arguments, "--engine", "torch"], rows) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in told[-2:]] == [f"`{row.net}`" for row in rows]
    assert all("(batch " in line for line in told[-2:])


def test_without_a_gpu_one_line_says_so(script: Any, capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(SystemExit):
        script.main([])
    assert "no CUDA device" in capsys.readouterr().err
