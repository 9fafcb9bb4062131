"""Weights files: safetensors only, checked before use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livevision.errors import ModelError
from livevision.inference.description import GRAPHS

if TYPE_CHECKING:
    from torch import nn

_ALLOWED = (
    "give a .safetensors file, or a graph written by 'livevision export' (.onnx, .xml or .engine)"
)

_TRAINING_ONLY = "aux_heads."


def check_weights(path: Path) -> None:
    """Check a weights file by its header; fast, without torch.

    Raises:
        ModelError: The file is missing, of a refused type, broken or truncated.
    """
    if not path.is_file():
        raise ModelError(f"weights {str(path)!r}: no such file")
    if path.suffix in GRAPHS:
        return
    if path.suffix != ".safetensors":
        raise ModelError(
            f"weights {str(path)!r} are refused: a {path.suffix or 'nameless'} file may hold a "
            f"pickle, which can run any code when it is opened; {_ALLOWED}. To convert weights "
            "that you trust: safetensors.torch.save_file(state_dict, 'FILE.safetensors')"
        )
    read_header(path)


def read_header(path: Path) -> dict[str, Any]:
    """Names, dtypes, shapes and offsets of the tensors in a safetensors file.

    Raises:
        ModelError: Not a safetensors file, or it is truncated.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, 100_000_000):
            raise ModelError(f"weights {str(path)!r}: not a safetensors file, or cut short")
        text = file.read(length)
    try:
        header: dict[str, Any] = json.loads(text)
        end = max(int(v["data_offsets"][1]) for k, v in header.items() if k != "__metadata__")
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise ModelError(f"weights {str(path)!r}: not a safetensors file") from error
    if size != 8 + length + end:
        raise ModelError(
            f"weights {str(path)!r}: the file has {size} bytes, its header tells of "
            f"{8 + length + end}; it is cut short or broken"
        )
    return header


def load_weights(net: nn.Module, path: Path) -> None:
    """Load the tensors of a safetensors file into a net.

    Raises:
        ModelError: The file cannot be read, or its tensors are not exactly the net's; the message
            names the first mismatch.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    check_weights(path)
    try:
        given = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"weights {str(path)!r} cannot be read: {error}") from error
    ours = net.state_dict()
    # Training saves auxiliary heads too; the net for inference has none.
    given = {k: v for k, v in given.items() if k in ours or not k.startswith(_TRAINING_ONLY)}
    # The count of batches only matters in training; files omit it.
    wanted = {k: v for k, v in ours.items() if not k.endswith("num_batches_tracked")}
    for name, tensor in wanted.items():
        if name not in given:
            raise ModelError(f"weights {str(path)!r} do not fit the net: {name!r} is missing")
        if given[name].shape != tensor.shape:
            raise ModelError(
                f"weights {str(path)!r} do not fit the net: {name!r} is "
                f"{tuple(given[name].shape)}, the net takes {tuple(tensor.shape)}"
            )
    for name in sorted(given.keys() - ours.keys()):
        raise ModelError(f"weights {str(path)!r} do not fit the net: it has no {name!r}")
    net.load_state_dict(given, strict=False)
