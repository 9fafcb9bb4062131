"""Writes weights as safetensors, atomically."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from livevision.errors import OutputError
from livevision.files import write_whole


def write_weights(tensors: dict[str, Tensor], path: Path) -> None:
    """Write contiguous CPU tensors by name; an existing file is replaced when all is written.

    Raises:
        OutputError: The file cannot be written.
    """
    try:
        write_whole(path, save(tensors))
    except OSError as error:
        raise OutputError(f"{str(path)!r} cannot be written: {error.strerror}") from error
