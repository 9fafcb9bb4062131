"""How parts of a net are compiled, by device; torch.compile itself is PyTorch's to test."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from livevision.training.compiling import begin_step, compiled


def test_a_gpu_gets_graphs_of_fixed_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    begun: list[str] = []
    monkeypatch.setattr(torch, "compile", lambda part, **how: asked.append(how) or part)
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: begun.append("a step"))
    for name in ("cpu", "cuda"):
        assert compiled(len, torch.device(name)) is len
        begin_step(torch.device(name))
    assert asked == [{}, {"mode": "reduce-overhead", "dynamic": False}]
    assert begun == ["a step"]
