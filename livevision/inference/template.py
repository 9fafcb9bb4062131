"""Template: a net's exported graph without weights, which is filled from a weights file.

A shipped model stores its weights once, in its .safetensors file. The template beside it is the
exported graph without these numbers, with a reference for each: the export reorders weights and
folds norms into the preceding convolutions. No torch is needed. ``scripts/templates`` makes them.

The file is a .npz with three arrays:

- ``graph``: bytes of the ONNX model, its weights empty;
- ``places``: int32, for each missing number its position in all tensors of the weights file,
  concatenated in the order of ``plan``; stored as differences, which compress well;
- ``plan``: bytes of JSON: ``tensors``, name and shape of each; ``weights``, name and shape of each
  initializer, and for a folded convolution whether it is the "kernel" or the "bias", and the index
  in ``norms``, each with its ``eps`` and the positions of its four tensors.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livevision.errors import ModelError
from livevision.files import write_whole

SUFFIX = ".graph.npz"

Numbers = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Weight:
    """An initializer to fill.

    Attributes:
        name, shape: Of the initializer.
        role: "" for numbers that are copied, "kernel" or "bias" of a convolution with a norm.
        norm: Index of that norm; -1 for none.
    """

    name: str
    shape: tuple[int, ...]
    role: str = ""
    norm: int = -1


@dataclass(frozen=True, slots=True)
class Norm:
    """A norm that is folded into a convolution: positions of its tensors among all numbers."""

    weight: int
    bias: int
    mean: int
    var: int
    eps: float


@dataclass(frozen=True, slots=True)
class Template:
    """A graph without weights; see the module's docstring.

    Attributes:
        graph: Bytes of the ONNX model.
        tensors: Name and shape of the tensors in the weights file, in the order of positions.
        weights: The initializers to fill, in order.
        norms: The norms that ``weights`` refers to.
        places: int32, positions of the numbers of all initializers, concatenated; for a "bias"
            the positions in its norm's ``bias``.
    """

    graph: bytes
    tensors: Mapping[str, tuple[int, ...]]
    weights: Sequence[Weight]
    norms: Sequence[Norm]
    places: NDArray[np.int32]

    def filled(self, tensors: Mapping[str, Any]) -> Any:
        """Fill in the weights; returns an ``onnx.ModelProto``.

        Args:
            tensors: Tensors of the weights file by name; others are ignored.

        Raises:
            ModelError: One is missing, or has another shape.
        """
        import onnx

        for name, shape in self.tensors.items():
            found = tensors[name].shape if name in tensors else "missing"
            if found != shape:
                raise ModelError(f"the weights do not fit the template: {name!r} is {found}")
        numbers = np.concatenate([np.asarray(tensors[n], np.float32).ravel() for n in self.tensors])
        model = onnx.load_from_string(self.graph)
        empty = {tensor.name: tensor for tensor in model.graph.initializer}
        for name, values in self._values(numbers).items():
            empty[name].raw_data = values.tobytes()
        return model

    def _values(self, numbers: Numbers) -> dict[str, Numbers]:
        """The values of the initializers by name."""
        sizes = [math.prod(weight.shape) for weight in self.weights]
        parts = np.split(self.places, np.cumsum(sizes)[:-1])
        channels = {
            weight.norm: part - self.norms[weight.norm].bias
            for weight, part in zip(self.weights, parts, strict=True)
            if weight.role == "bias"
        }
        values = {}
        for weight, part in zip(self.weights, parts, strict=True):
            if weight.role:
                norm = self.norms[weight.norm]
                own = channels[weight.norm]
                scale = numbers[norm.weight + own] / np.sqrt(
                    numbers[norm.var + own] + np.float32(norm.eps)
                )
            if weight.role == "bias":
                shift = numbers[norm.bias + own] - numbers[norm.mean + own] * scale
                values[weight.name] = shift.reshape(weight.shape)
                continue
            taken = numbers[part].reshape(weight.shape)
            if weight.role == "kernel":
                taken = taken * scale.reshape(-1, *[1] * (taken.ndim - 1))
            values[weight.name] = taken
        return values

    def write(self, path: Path) -> None:
        """Write the file; equal templates give equal bytes."""
        plan = {
            "tensors": {name: list(shape) for name, shape in self.tensors.items()},
            "weights": [[w.name, list(w.shape), w.role, w.norm] for w in self.weights],
            "norms": [[n.weight, n.bias, n.mean, n.var, n.eps] for n in self.norms],
        }
        file = io.BytesIO()
        np.savez_compressed(
            file,
            graph=np.frombuffer(self.graph, np.uint8),
            places=np.diff(self.places, prepend=np.int32(0)),
            plan=np.frombuffer(json.dumps(plan).encode(), np.uint8),
        )
        write_whole(path, file.getvalue())


def read_template(path: Path) -> Template:
    """Read a template.

    Raises:
        ModelError: The file cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            plan = json.loads(arrays["plan"].tobytes())
            return Template(
                graph=arrays["graph"].tobytes(),
                tensors={name: tuple(shape) for name, shape in plan["tensors"].items()},
                weights=[Weight(name, tuple(s), r, n) for name, s, r, n in plan["weights"]],
                norms=[Norm(*numbers) for numbers in plan["norms"]],
                places=np.cumsum(arrays["places"], dtype=np.int32),
            )
    except (OSError, ValueError, LookupError, TypeError, zipfile.BadZipFile) as error:
        raise ModelError(f"template {str(path)!r} cannot be read: {error}") from error
