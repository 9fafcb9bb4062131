"""Training in several processes side by side, as torchrun starts them.

`torchrun --nproc-per-node 2 -m livevision.training.run ...` trains on twice the recipe's batch.
On CPUs this is quicker than one process with as many threads: the processes wait for each other
once a step, the threads at every layer.
"""

from __future__ import annotations

import os

import torch
from torch import distributed, nn


def join() -> tuple[int, int]:
    """Join the other processes, if there are any; returns this one's rank and their number."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count > 1 and not distributed.is_initialized():
        distributed.init_process_group("gloo")
    return (distributed.get_rank(), count) if count > 1 else (0, 1)


def average_gradients(net: nn.Module, count: int) -> None:
    """Give every process the mean of all processes' gradients."""
    if count == 1:
        return
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    together = torch.cat([g.flatten() for g in gradients])
    distributed.all_reduce(together)
    together /= count
    parts = together.split([g.numel() for g in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view(gradient.shape))
