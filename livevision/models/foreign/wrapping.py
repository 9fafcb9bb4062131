"""Nodes in front of somebody else's graph, so that it takes what every engine here is given.

The graph then takes ``image``, uint8 1×H×W×3 BGR: cast, normalisation, channel order and layout are
in it, and its outputs are as they were.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from livevision.cache import MOST_BYTES, cache_folder, prune
from livevision.errors import ModelError
from livevision.models.foreign.description import Description
from livevision.models.foreign.graph_file import GraphFile

_WRITTEN = 1  # counted up where graphs come out otherwise
_PREFIX = "livevision_"


def wrapped_file(graph: GraphFile, told: Description, size: tuple[int, int]) -> Path:
    """A file with the graph for images of a size, made now if it is not in the cache.

    Raises:
        ModelError: It cannot be written.
    """
    how = repr((_WRITTEN, told.colour, told.mean, told.std, size)).encode()
    key = hashlib.sha256(graph.model.SerializeToString(deterministic=True) + how).hexdigest()[:16]
    folder = cache_folder("foreign") or Path(tempfile.mkdtemp(prefix="livevision-"))
    path = folder / f"{graph.path.stem}-{size[0]}x{size[1]}-{key}.onnx"
    if path.is_file():
        return path
    half_made = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        half_made.write_bytes(wrapped(graph, told, size).SerializeToString())
        half_made.replace(path)
    except (OSError, ValueError) as error:
        raise ModelError(f"{str(graph.path)!r} cannot be put into the cache: {error}") from error
    finally:
        half_made.unlink(missing_ok=True)
    prune(folder, MOST_BYTES)
    return path


def wrapped(graph: GraphFile, told: Description, size: tuple[int, int]) -> Any:
    """The graph with the nodes in front, an ``onnx.ModelProto``."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    inner = model.graph
    width, height = size
    nodes: list[Any] = []
    constants: list[Any] = []

    def constant(name: str, values: Any) -> str:
        constants.append(numpy_helper.from_array(values, _PREFIX + name))
        return str(_PREFIX + name)

    def node(kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"{_PREFIX}{kind.lower()}_{len(nodes)}"
        nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    image = "image"
    taken = {n.name for n in inner.initializer} | {o for n in inner.node for o in n.output}
    renamed = graph.image.name
    if image in taken or renamed == image:
        _rename(inner, image, _PREFIX + "their_image")
        renamed = _PREFIX + "their_image" if renamed == image else renamed
    at = image
    mean, std = np.array(told.mean), np.array(told.std)
    if told.colour == "RGB":  # the pixels come as BGR
        mean, std = mean[::-1], std[::-1]
    if graph.image.dtype != "uint8":
        at = node("Cast", at, to=TensorProto.FLOAT)
        if np.any(std != 1):
            at = node("Mul", at, constant("scale", (1 / std).astype(np.float32)))
        if np.any(mean != 0):
            at = node("Add", at, constant("shift", (-mean / std).astype(np.float32)))
        if graph.image.dtype == "float16":
            at = node("Cast", at, to=TensorProto.FLOAT16)
    axis = 3
    if graph.layout != "NHWC":
        at, axis = node("Transpose", at, perm=[0, 3, 1, 2]), 1
    if told.colour == "RGB":
        at = node("Gather", at, constant("order", np.array([2, 1, 0], np.int64)), axis=axis)
    if graph.layout == "CHW":
        at = node("Reshape", at, constant("chw", np.array([3, height, width], np.int64)))
    nodes.append(helper.make_node("Identity", [at], [renamed]))
    if graph.sizes is not None:
        kind = getattr(np, graph.sizes.dtype)
        asked = numpy_helper.from_array(np.array([[width, height]], kind), graph.sizes.name)
        constants.append(asked)
    ours = helper.make_tensor_value_info(image, TensorProto.UINT8, [1, height, width, 3])
    constant_names = {tensor.name for tensor in inner.initializer}
    # Old files list their constants among the inputs.
    rest = [i for i in inner.input if i.name in constant_names]
    del inner.input[:]
    inner.input.extend([ours, *rest])
    theirs = list(inner.node)
    del inner.node[:]
    inner.node.extend([*nodes, *theirs])
    inner.initializer.extend(constants)
    # Shapes written down for another size or batch would be believed.
    del inner.value_info[:]
    if graph.fixed_size != size:
        for output in inner.output:
            for dim in output.type.tensor_type.shape.dim:
                dim.Clear()
    return model


def _rename(inner: Any, old: str, new: str) -> None:
    """Give a value inside a graph another name, wherever it is used."""
    for value in (*inner.input, *inner.initializer, *inner.output):
        if value.name == old:
            value.name = new
    for node in inner.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new
        for attribute in node.attribute:
            for part in (attribute.g, *attribute.graphs):
                if part.node:
                    _rename(part, old, new)
