"""Uses torch.compile for parts of a net; on a GPU with CUDA graphs."""

from __future__ import annotations

from typing import Any

import torch


def compiled(part: Any, device: torch.device) -> Any:
    """Compile a net or function for a device.

    On a GPU every shape gets its own CUDA graphs (`reduce-overhead`), since the many small kernels
    of a light net take longer to launch than to compute. Not tested on a GPU yet.
    """
    if device.type == "cuda":
        return torch.compile(part, mode="reduce-overhead", dynamic=False)
    return torch.compile(part)


def begin_step(device: torch.device) -> None:
    """Declare that outputs of the last step's graphs are no longer needed."""
    if device.type == "cuda":
        torch.compiler.cudagraph_mark_step_begin()
