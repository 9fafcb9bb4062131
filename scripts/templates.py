"""Makes the templates of shipped models; see scripts/templates and inference/template.py.

A net whose every number is its own place among all of them is exported like any other, so that the
exported graph tells where each number went. Norms become ones that change nothing, and where a
convolution's bias has the places of a norm's it was folded into that convolution.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnx import numpy_helper
from safetensors.numpy import load_file
from torch import nn

from livevision.inference.graph import build_graph
from livevision.inference.model_files import ModelFiles
from livevision.inference.template import SUFFIX, Norm, Template, Weight
from livevision.models import catalog
from livevision.models.choice import files_of
from livevision.models.export import traced

_MOST = 1 << 24  # float32 holds whole numbers up to here
_TOLERANCE = 1e-5  # norms are folded by torch in C++ and by numpy, which round differently


def make_template(files: ModelFiles) -> tuple[Template, float]:
    """The template of a model with weights, and how far a graph made of it is from torch's.

    Raises:
        ValueError: The exporter does more with the weights than templates can tell.
    """
    assert files.weights is not None
    exported = traced(build_graph(files), files)
    graph: Any = build_graph(files)
    tensors, norms = _number(graph.net, set(load_file(files.weights)))
    numbered = traced(graph, files)
    real = {t.name: numpy_helper.to_array(t) for t in exported.graph.initializer}
    places = {t.name: numpy_helper.to_array(t) for t in numbered.graph.initializer}
    # The exporter keeps one of several tensors that are equal, as biases of zeros may be. Numbered
    # ones never are, so that their graph is one for any weights.
    if not real.keys() <= places.keys():
        raise ValueError("the exporter made another graph of other weights")
    taken = {
        name: found.astype(np.int64).ravel() - 1
        for name, found in places.items()
        if name not in real or not np.array_equal(found, real[name])
    }
    weights = {name: Weight(name, tuple(places[name].shape)) for name in taken}
    used: list[Norm] = []
    for node in numbered.graph.node:
        if node.op_type == "Conv" and len(node.input) == 3 and node.input[2] in taken:
            kernel, bias = node.input[1:]
            first = taken[bias][0]
            norm = next((n for at, n in norms.items() if first in at), None)
            if norm is not None:
                shape = weights[kernel].shape, weights[bias].shape
                weights[kernel] = Weight(kernel, shape[0], "kernel", len(used))
                weights[bias] = Weight(bias, shape[1], "bias", len(used))
                used.append(norm)
    for tensor in numbered.graph.initializer:
        if tensor.name in taken:
            tensor.ClearField("raw_data")
            tensor.ClearField("float_data")
    del numbered.metadata_props[:]
    template = Template(
        graph=numbered.SerializeToString(deterministic=True),
        tensors=tensors,
        weights=list(weights.values()),
        norms=used,
        places=np.concatenate([taken[name] for name in weights]).astype(np.int32),
    )
    return template, apart(template, real, files.weights)


def _number(
    net: nn.Module, stored: set[str]
) -> tuple[dict[str, tuple[int, ...]], dict[range, Norm]]:
    """Put into each number of a net its place among all, from 1, as 0 stands for no place.

    Returns:
        Name and shape of the tensors in their order, and the norms by the places of their bias,
        from 0.
    """
    starts, tensors, end = {}, {}, 0
    for name, tensor in net.state_dict().items():
        if name in stored:
            starts[name], tensors[name] = end, tuple(tensor.shape)
            with torch.no_grad():
                tensor.copy_(torch.arange(end + 1, end + 1 + tensor.numel()).view(tensor.shape))
            end += tensor.numel()
    if end >= _MOST:
        raise ValueError(f"{end} numbers are more than float32 can count")
    norms = {}
    for name, module in net.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            parts = ("weight", "bias", "running_mean", "running_var")
            norm = Norm(*(starts[f"{name}.{part}"] for part in parts), module.eps)
            norms[range(norm.bias, norm.bias + module.num_features)] = norm
            module.eps = 0.0
            with torch.no_grad():
                module.weight.fill_(1)
                module.running_mean.fill_(0)
                module.running_var.fill_(1)
    return tensors, norms


def apart(template: Template, exported: dict[str, Any], weights: Path) -> float:
    """How far the filled template's initializers are from exported ones, against the largest.

    Raises:
        ValueError: They differ by more than rounding.
    """
    filled = template.filled(load_file(weights))
    found = {t.name: numpy_helper.to_array(t) for t in filled.graph.initializer}
    worst = 0.0
    for name, right in exported.items():
        if right.dtype.kind != "f":
            worst = max(worst, float(not np.array_equal(found[name], right)))
        elif right.size:
            worst = max(worst, float(abs(found[name] - right).max() / (abs(right).max() + 1e-12)))
    if not worst <= _TOLERANCE:
        raise ValueError(f"weights differ by {worst:.2g} of the largest")
    return worst


def main(names: list[str]) -> None:
    for name in names or catalog.names():
        card = catalog.find(name)
        if card.weights is None:
            continue
        files = replace(files_of(card, None, None, untrained=False), graph=None)
        template, worst = make_template(files)
        path = card.weights.with_name(f"{name}{SUFFIX}")
        template.write(path)
        print(f"{path.name}: {path.stat().st_size} bytes, weights within {worst:.1g}")


if __name__ == "__main__":
    main(sys.argv[1:])
