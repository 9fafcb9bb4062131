"""Every net learns: two steps, finite losses, and a gradient for every weight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from livevision.nets import build, names
from livevision.nets.two_stage import TwoStageDetector
from livevision.training.jobs import make_job
from livevision.training.norms import enter_training
from livevision.training.optimizers import make_optimizer, set_rate
from livevision.training.processes import Group
from livevision.training.starting import build_net
from tests.training import small_data

ALONE = Group(0, 1, torch.device("cpu"))

# Options by which the nets have everything that training uses.
OPTIONS: dict[str, dict[str, Any]] = {
    "stdc1-seg": {"detail": True},
    "stdc2-seg": {"detail": True},
    "bisenetv2": {"head_channels": 64},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_data.all_kinds(tmp_path_factory.mktemp("data"))


def kind_of(name: str) -> dict[str, Any]:
    with torch.device("meta"):
        net = build(name).eval()
        if isinstance(net, TwoStageDetector):
            return small_data.DETECT
        shape = net(torch.zeros(1, 3, 64, 64)).shape
    return small_data.SEGMENT if len(shape) == 4 else small_data.CLASSIFY


@pytest.mark.parametrize("name", names())
def test_a_net_learns(name: str, data: Path) -> None:
    torch.manual_seed(0)
    kind = kind_of(name)
    recipe = small_data.recipe(kind, net=name, net_options=OPTIONS.get(name, {}), optimizer="sgd")
    job = make_job(recipe, data, ALONE)
    net = build_net(recipe, len(job.labels))
    optimizer = make_optimizer(recipe, net)
    before = {k: v.detach().clone() for k, v in net.named_parameters()}
    reached = set()
    for step in range(2):
        set_rate(optimizer, recipe, step)
        enter_training(net)
        parts = job.loss(net, job.batch(step))
        loss = torch.stack(list(parts.values())).sum()
        assert loss.isfinite()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        reached |= {k for k, p in net.named_parameters() if p.grad is not None}
    assert reached == before.keys()
    changed = sum(not torch.equal(before[k], v) for k, v in net.named_parameters())
    assert changed > 0.9 * len(before)
    expected = {"segment": {"main"}, "detect": {"object", "anchor", "class", "box"}}
    assert parts.keys() >= expected.get(recipe.task, {"main"})
    if hasattr(net, "aux_heads"):
        assert len([k for k in parts if k.startswith("aux")]) == len(net.aux_heads)
    assert ("detail" in parts) == (getattr(net, "detail_head", None) is not None)
