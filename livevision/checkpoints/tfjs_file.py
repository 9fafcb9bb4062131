"""Reads the convolutions and norms of a TensorFlow.js graph model: model.json and its shards.

TensorFlow names a layer's tensors by its scope. `SCOPE.conv` is its convolution here and
`SCOPE.norm` its norm. The converter may have folded a norm's scale into the convolution and the
rest into one addition; that norm only adds its bias.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from livevision.errors import ModelError

_LAYERS = {
    "/Conv2D/merged_input": "conv.weight",  # the norm's scale is in it
    "/weights": "conv.weight",
    "/depthwise_weights": "conv.weight",
    "/biases": "conv.bias",
    "/BatchNorm/batchnorm/mul": "norm.weight",
    "/BatchNorm/batchnorm/sub": "norm.bias",
    "/BatchNorm/gamma": "norm.weight",
    "/BatchNorm/beta": "norm.bias",
    "/BatchNorm/moving_mean": "norm.running_mean",
    "/BatchNorm/moving_variance": "norm.running_var",
}
_DEPTHWISE = "/depthwise_weights"
_TYPES = {
    "float32": "<f4",
    "int32": "<i4",
    "bool": "?",
    "float16": "<f2",
    "uint8": "u1",
    "uint16": "<u2",
}


def read_layers(path: Path) -> dict[str, Tensor]:
    """Weights (out, in / groups, height, width) and norms of a model.json's layers, float32.

    Shards are read from the folder of model.json alone.

    Raises:
        ModelError: A file is missing, broken or of another format, or there are no convolutions.
    """
    tensors: dict[str, Tensor] = {}
    for name, values in _stored(path).items():
        end = next((e for e in _LAYERS if name.endswith(e)), None)
        if end is None:
            continue
        value = torch.from_numpy(values.astype(np.float32))
        if value.ndim == 4:  # height, width, in, out; or height, width, channels, multiplier
            value = value.permute(2, 3, 0, 1) if end == _DEPTHWISE else value.permute(3, 2, 0, 1)
            value = value.flatten(0, 1)[:, None] if end == _DEPTHWISE else value
        tensors[f"{name.removesuffix(end)}.{_LAYERS[end]}"] = value.contiguous()
    scopes = [name.removesuffix(".norm.bias") for name in tensors if name.endswith(".norm.bias")]
    for scope in scopes:
        ones = torch.ones_like(tensors[f"{scope}.norm.bias"])
        for leaf, value in (("weight", ones), ("running_mean", ones * 0), ("running_var", ones)):
            tensors.setdefault(f"{scope}.norm.{leaf}", value.clone())
    if not any(name.endswith(".conv.weight") for name in tensors):
        raise ModelError(f"checkpoint {str(path)!r} has no convolutions with weights")
    return tensors


def _stored(path: Path) -> dict[str, np.ndarray]:
    """All tensors of the file by their own names."""
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))["weightsManifest"]
        return {
            name: values
            for group in manifest
            for name, values in _group(path.parent, group).items()
        }
    except OSError as error:
        raise ModelError(
            f"checkpoint {str(path)!r}: cannot read {error.filename}: {error.strerror}"
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = str(error) if type(error) is ValueError else "it is no TensorFlow.js graph model"
        raise ModelError(f"checkpoint {str(path)!r} cannot be read: {reason}") from error


def _group(folder: Path, group: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The tensors of the shards that are read as one."""
    for shard in group["paths"]:
        if Path(shard).name != shard:
            raise ValueError(f"the shard {shard!r} is not in its folder")
    data = b"".join((folder / shard).read_bytes() for shard in group["paths"])
    found: dict[str, np.ndarray] = {}
    at = 0
    for weight in group["weights"]:
        packed = weight.get("quantization", {})
        kind = packed.get("dtype", weight["dtype"])
        if kind not in _TYPES:
            raise ValueError(f"{weight['name']!r} is of the type {kind!r}")
        dtype, count = np.dtype(_TYPES[kind]), math.prod(weight["shape"])
        if at + count * dtype.itemsize > len(data):
            raise ValueError(f"its shards end within {weight['name']!r}")
        values = np.frombuffer(data, dtype, count, at).reshape(weight["shape"])
        if "scale" in packed:
            values = values * np.float32(packed["scale"]) + np.float32(packed["min"])
        found[weight["name"]] = values
        at += count * dtype.itemsize
    if at != len(data):
        raise ValueError(f"its shards have {len(data)} bytes, its tensors {at}")
    return found
