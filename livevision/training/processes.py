"""Training in several processes, started by torchrun, and the device of each.

`torchrun --nproc-per-node 2 -m livevision train ...` trains on twice the recipe's batch. On CPUs
two processes of one thread each are faster than one of two: processes wait for each other once a
step, threads at every layer.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from livevision.errors import UsageError


@dataclass(frozen=True)
class Group:
    """This process among the training processes.

    Attributes:
        rank: number of this process; rank 0 evaluates and writes for all.
        count: number of processes.
        device: device of this process.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process evaluates and writes."""
        return self.rank == 0

    def share(self, net: nn.Module, stop: bool) -> bool:
        """Average the gradients over all processes.

        Args:
            net: its gradients are modified in place.
            stop: whether this process was asked to stop.

        Returns:
            Whether any process was asked, so that all stop after the same step.
        """
        if self.count == 1:
            return stop
        gradients = [p.grad for p in net.parameters() if p.grad is not None]
        asked = torch.tensor([float(stop)], device=self.device)
        together = torch.cat([asked, *(g.flatten() for g in gradients)])
        distributed.all_reduce(together)
        parts = together[1:].div_(self.count).split([g.numel() for g in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))
        return bool(together[0] > 0)


def join(device: str = "auto") -> Group:
    """Join the other processes, if any, and choose this one's device.

    Args:
        device: as a recipe names it.

    Raises:
        UsageError: the device does not exist.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = choose_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if count > 1 and not distributed.is_initialized():
        distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    return Group(distributed.get_rank() if count > 1 else 0, count, chosen)


def leave() -> None:
    """Leave the process group at the end of a run."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """The device of a name; with several GPUs each process of a machine takes its own.

    Raises:
        UsageError: the name is invalid, or this machine has no such GPU.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    kind, colon, number = name.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (colon and (kind != "cuda" or not number.isdigit())):
        raise UsageError(f"device is {name!r}; it takes auto, cpu, cuda or cuda:NUMBER")
    if kind == "cpu" or (kind == "auto" and not gpus):
        return torch.device("cpu")
    index = int(number) if number else local_rank
    if index >= gpus:
        raise UsageError(
            f"device is {name!r}, but PyTorch sees {gpus} GPUs here; use cpu, or a PyTorch built "
            "for this machine's GPU"
        )
    return torch.device("cuda", index)


def sum_over_processes(x: Tensor) -> Tensor:
    """The sum of every process's `x`; gradients flow back to all processes."""
    if not (distributed.is_initialized() and distributed.get_world_size() > 1):
        return x
    apply: Callable[[Tensor], Tensor] = _Sum.apply
    return apply(x)


class _Sum(torch.autograd.Function):
    """Sum whose gradient is the sum of all processes' gradients."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total
