"""Reads a checkpoint: tensors by name, from .safetensors, .tflite, model.json or a PyTorch pickle.

Pickles are read with `torch.load(weights_only=True)`, which accepts tensors and plain containers
and executes no code; anything else is refused.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from livevision.errors import ModelError

_HOLDERS = ("state_dict", "model", "net")
_WRAPPER = "module."


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, on the CPU.

    Wrappers are removed: a dictionary that holds them under "state_dict", "model" or "net", and the
    prefix "module." of data-parallel training.

    Raises:
        ModelError: The file is missing, broken, has anything but tensors, or would execute code.
    """
    if not path.is_file():
        raise ModelError(f"checkpoint {str(path)!r}: no such file")
    if path.suffix == ".tflite":
        from livevision.checkpoints.tflite_file import read_convolutions

        return read_convolutions(path)
    if path.suffix == ".json":
        from livevision.checkpoints.tfjs_file import read_layers

        return read_layers(path)
    held = _safetensors(path) if path.suffix == ".safetensors" else _pickle(path)
    while isinstance(held, Mapping):
        inner = next((held[h] for h in _HOLDERS if isinstance(held.get(h), Mapping)), None)
        if inner is None:
            break
        held = inner
    if not isinstance(held, Mapping) or not held:
        raise ModelError(
            f"checkpoint {str(path)!r} holds a {type(held).__name__}; it takes tensors by name "
            f"(a state_dict), bare or under one of: {', '.join(_HOLDERS)}"
        )
    for name, value in held.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise ModelError(
                f"checkpoint {str(path)!r}: {name!r} is a {type(value).__name__}, not a tensor; "
                "it takes tensors by name (a state_dict)"
            )
    tensors: dict[str, Tensor] = dict(held)
    while all(name.startswith(_WRAPPER) for name in tensors):
        tensors = {name.removeprefix(_WRAPPER): value for name, value in tensors.items()}
    return tensors


def _safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"checkpoint {str(path)!r} cannot be read: {error}") from error


def _pickle(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            # It warns about some pickles; they load or they do not.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"checkpoint {str(path)!r} is refused: it is no pickle of tensors alone"
            f"{_needed(error)}, and others can run any code when they are opened; where you trust "
            "it, save its state_dict alone, best as .safetensors, and import that"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ModelError(f"checkpoint {str(path)!r} cannot be read: {reason}") from error


def _needed(error: Exception) -> str:
    """The object that the file needs, if PyTorch names it."""
    marker = "Unsupported global: GLOBAL "
    _, found, rest = str(error).partition(marker)
    return f" (it asks for {rest.split()[0]})" if found and rest.split() else ""
