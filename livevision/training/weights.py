"""Copies weights between nets, averages and files."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from livevision.checkpoints.weights_file import write_weights
from livevision.errors import OutputError


class AveragedNet:
    """An exponential moving average of a net's weights and norm statistics.

    The decay grows from 0 to `decay` over the first steps, so that the random start is quickly
    forgotten.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, net: nn.Module, step: int) -> None:
        """Move towards the weights that `net` has after step number `step` (from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        ours, theirs = self.net.state_dict(), net.state_dict()
        floats = [k for k, v in ours.items() if v.is_floating_point()]
        torch._foreach_lerp_([ours[k] for k in floats], [theirs[k] for k in floats], 1 - decay)
        for name in ours.keys() - set(floats):
            ours[name].copy_(theirs[name])


def move(net: nn.Module, device: torch.device) -> nn.Module:
    """Move a net to a device, its weights channels last in memory; returns the net."""
    # PyTorch's stubs omit `memory_format`.
    moved: nn.Module = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


def save_weights(net: nn.Module, path: Path, drop: tuple[str, ...] = ()) -> None:
    """Write a net's weights as float16 safetensors, atomically.

    Args:
        net: the net.
        path: the file.
        drop: prefixes of the names of tensors to omit, such as auxiliary heads.

    Raises:
        OutputError: a value does not fit float16, or the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for name, value in net.state_dict().items():
        # The count of batches only matters to norms that average without momentum.
        if name.startswith(drop) or name.endswith("num_batches_tracked"):
            continue
        half = value.half().contiguous()
        if not half.isfinite().all():
            raise OutputError(f"{str(path)!r}: {name} holds values that float16 cannot hold")
        tensors[name] = half.cpu()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{str(path)!r} cannot be written: {error.strerror}") from error
    write_weights(tensors, path)


def put_fitting(net: nn.Module, tensors: Mapping[str, Tensor]) -> list[str]:
    """Copy every tensor that fits by name and shape; returns the other names."""
    ours = net.state_dict()
    fitting = {k: v for k, v in tensors.items() if k in ours and ours[k].shape == v.shape}
    net.load_state_dict(fitting, strict=False)
    return sorted(tensors.keys() - fitting.keys())


def load_weights(net: nn.Module, path: Path, drop: tuple[str, ...] = ()) -> None:
    """Load weights that `save_weights` wrote, as float32.

    Args:
        net: the net.
        path: the file.
        drop: prefixes of the names of tensors that the file may lack.

    Raises:
        ValueError: the file lacks a tensor, or has one that does not fit.
    """
    stored = load_file(path)
    unused = put_fitting(net, stored)
    missing = [
        name
        for name in net.state_dict()
        if name not in stored
        and not name.startswith(drop)
        and not name.endswith("num_batches_tracked")
    ]
    if unused or missing:
        raise ValueError(f"{path} does not fit the net: missing {missing}, not fitting {unused}")
