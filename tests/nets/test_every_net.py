"""What every net promises: sizes that are no multiples, one image at a time, and training."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import livevision.nets
from livevision.nets import build, names

DETECTORS = [name for name in names() if name.startswith(("light-head", "thundernet"))]
SEGMENTERS = [
    name for name in names() if name.startswith(("bisenet", "dfanet")) or name.endswith("-seg")
]
CLASSIFIERS = [name for name in names() if name not in DETECTORS + SEGMENTERS]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifier(name: str) -> None:
    net = build(name, num_classes=5)
    with torch.no_grad():
        assert net.eval()(torch.randn(1, 3, 67, 41)).shape == (1, 5)
    logits = net.train()(torch.randn(2, 3, 64, 64))
    train(net, logits)


@pytest.mark.parametrize("name", SEGMENTERS)
def test_segmenter(name: str) -> None:
    net = build(name, num_classes=5)
    with torch.no_grad():
        assert net.eval()(torch.randn(1, 3, 67, 109)).shape == (1, 5, 67, 109)
    main, *auxiliary = net.train()(torch.randn(2, 3, 64, 128))
    assert main.shape == (2, 5, 64, 128)
    assert all(logits.shape[:2] == (2, 5) for logits in auxiliary)
    train(net, main, *auxiliary)


@pytest.mark.parametrize("name", DETECTORS)
def test_detector(name: str) -> None:
    net = build(name, num_classes=5)
    with torch.no_grad():
        boxes, scores, classes = net.eval()(torch.randn(1, 3, 67, 109))
    assert boxes.shape == (1, 100, 4)
    assert scores.shape == classes.shape == (1, 100)
    assert classes.dtype == torch.int64
    assert ((scores == -1) | ((scores > 0) & (scores <= 1))).all()
    assert (boxes >= 0).all()
    assert (boxes <= torch.tensor([109.0, 67, 109, 67])).all()
    maps, objectness, codes = net.train().features(torch.randn(2, 3, 64, 64))
    assert objectness.shape[1] == codes.shape[1] == len(net.anchors(maps))
    proposals = torch.tensor([[[5.0, 8, 50, 60], [0, 0, 20, 64]]]).expand(2, -1, -1)
    train(net, objectness, codes, *net.second_stage(maps, proposals))


def train(net: nn.Module, *outputs: Tensor) -> None:
    """A backward pass leaves a finite gradient on every weight."""
    sum(x.square().mean() for x in outputs).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_nets_import_torch_and_nets_alone() -> None:
    allowed = {"torch", *sys.stdlib_module_names}
    for file in Path(livevision.nets.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            elif isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            else:
                continue
            for module in modules:
                assert module.split(".")[0] in allowed or module.startswith("livevision.nets"), file
