"""Processes that train side by side share gradients, stop together, and norm together."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from livevision.errors import UsageError
from livevision.training.norms import SyncedNorm, enter_training, prepare_norms
from livevision.training.processes import choose_device, join

SHARING = """
import torch
from torch import nn
from livevision.training.norms import measure_norms, prepare_norms
from livevision.training.processes import join
group = join("cpu")
net = nn.Linear(2, 1)
net.weight.grad = torch.tensor([[group.rank, 10.0 * group.rank]])
net.bias.grad = torch.tensor([4.0 - 2 * group.rank])
assert group.share(net, stop=group.rank == 1)  # one was asked to stop: both are told
assert net.weight.grad.tolist() == [[0.5, 5.0]], net.weight.grad
assert net.bias.grad.tolist() == [3.0], net.bias.grad
assert not group.share(net, stop=False)
"""

NORMING = """
torch.manual_seed(0)
images, target = torch.randn(4, 3, 5, 5), torch.randn(4, 2, 5, 5)
def make():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), nn.ReLU(), nn.Conv2d(2, 2, 1))
alone, together = make(), make()
prepare_norms(together, "sync")
(alone(images) - target).square().mean().backward()
mine = slice(2 * group.rank, 2 * group.rank + 2)
(together(images[mine]) - target[mine]).square().mean().backward()
group.share(together, False)
for a, b in zip(alone.parameters(), together.parameters()):
    torch.testing.assert_close(a.grad, b.grad)
for (name, a), b in zip(alone.named_buffers(), together.buffers()):
    if "running" in name:
        torch.testing.assert_close(a, b)
assert alone.state_dict().keys() == together.state_dict().keys()
shared = make()
measure_norms(shared, ["1"], lambda: shared(images[mine]))
torch.testing.assert_close(shared[1].running_mean, shared[0](images).mean((0, 2, 3)))
torch.distributed.destroy_process_group()
"""


def test_two_processes_compute_what_one_would() -> None:
    """Gradients shared, then batches normed together; one start, which takes most of the time."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, "--no-python", sys.executable, "-c", SHARING + NORMING],
        check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_one_process_keeps_its_own() -> None:
    group = join("cpu")
    assert (group.rank, group.count, group.leads) == (0, 1, True)
    net = nn.Linear(2, 1)
    net.weight.grad = torch.ones(1, 2)
    assert group.share(net, stop=True)
    assert net.weight.grad.tolist() == [[1, 1]]


def test_frozen_norms_stay_as_they_are() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    prepare_norms(net, "frozen")
    enter_training(net)
    before = {k: v.clone() for k, v in net[1].state_dict().items()}
    net(torch.randn(2, 1, 4, 4)).sum().backward()
    assert net[1].weight.grad is None
    assert net[0].weight.grad is not None
    for name, value in net[1].state_dict().items():
        assert torch.equal(value, before[name])


def test_norms_of_frozen_parts_keep_their_statistics() -> None:
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    net[0].requires_grad_(False)
    enter_training(net)
    net(torch.randn(2, 1, 4, 4) + 3)
    assert net[0].running_mean.tolist() == [0]
    assert net[2].running_mean.abs().sum() > 0


def test_synced_norms_norm_vectors_and_single_pictures() -> None:
    norm = SyncedNorm(nn.BatchNorm1d(3))
    x = torch.randn(8, 3)
    torch.testing.assert_close(norm(x), nn.BatchNorm1d(3)(x))
    norm.eval()
    assert norm(x[:1]).shape == (1, 3)


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:0", "cuda:99"])
def test_a_device_that_is_not_there_is_told(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        choose_device(name)
