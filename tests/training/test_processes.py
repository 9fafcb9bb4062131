"""Processes that train side by side share their gradients."""

from __future__ import annotations

import subprocess
import sys

import torch
from torch import nn

from livevision.training.processes import average_gradients, join

PROGRAM = """
import torch
from torch import nn
from livevision.training.processes import average_gradients, join
rank, count = join()
net = nn.Linear(2, 1)
net.weight.grad = torch.tensor([[rank, 10.0 * rank]])
net.bias.grad = torch.tensor([4.0 - 2 * rank])
average_gradients(net, count)
assert net.weight.grad.tolist() == [[0.5, 5.0]], net.weight.grad
assert net.bias.grad.tolist() == [3.0], net.bias.grad
torch.distributed.destroy_process_group()
"""


def test_two_processes_get_the_mean_of_their_gradients() -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, "--no-python", sys.executable, "-c", PROGRAM],
        check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_one_process_keeps_its_own() -> None:
    assert join() == (0, 1)
    net = nn.Linear(2, 1)
    net.weight.grad = torch.ones(1, 2)
    average_gradients(net, 1)
    assert net.weight.grad.tolist() == [[1, 1]]
