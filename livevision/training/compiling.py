"""What torch.compile makes of parts of a net: on a GPU graphs that replay without Python."""

from __future__ import annotations

from typing import Any

import torch


def compiled(part: Any, device: torch.device) -> Any:
    """A net or function, compiled for a device.

    On a GPU every shape gets CUDA graphs of its own (`reduce-overhead`), since a light net's many
    small kernels take longer to launch than to compute. None of it has run on a GPU yet.
    """
    if device.type == "cuda":
        return torch.compile(part, mode="reduce-overhead", dynamic=False)
    return torch.compile(part)


def begin_step(device: torch.device) -> None:
    """Say that what graphs computed in the last step is not needed any more."""
    if device.type == "cuda":
        torch.compiler.cudagraph_mark_step_begin()
