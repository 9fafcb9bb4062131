"""Livevision's nodes around a third-party graph, so that all engines run it like its own graphs.

In front: cast, normalisation, channel order and layout, for the input ``image``, uint8 1×H×W×3 BGR.
Behind, if shapes are fixed: decoding and NMS, with the outputs of ``inference.graph`` and the
metadata of ``inference.description``. Otherwise the outputs stay, and a decoder reads them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from livevision.errors import ModelError
from livevision.files import MOST_BYTES, cache_folder, passing_folder, prune
from livevision.models.foreign import openvino_graph
from livevision.models.foreign.counting import multiply_adds, parameters
from livevision.models.foreign.description import Description
from livevision.models.foreign.family import Kind
from livevision.models.foreign.graph_file import GraphFile, Port, port_of
from livevision.models.foreign.in_graph import IOU, NotInGraph
from livevision.models.foreign.node_builder import OLDEST, PREFIX, NodeBuilder
from livevision.preprocess.fit import with_resize
from livevision.version import __version__

_IR_WITH_CONSTANTS = 4
"""The IR version of ONNX from which constants need not be inputs."""

_WRITTEN = 5  # to be increased when the written graphs change
_OURS = ("image", IOU, "boxes", "scores", "classes", "class_map", "probabilities")
"""Names reserved for the inputs and outputs of a wrapped graph."""

_DTYPES = {"boxes": "float32", "scores": "float32", "probabilities": "float32"} | {
    "classes": "int32", "class_map": "uint8"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A graph file for the engines.

    Attributes:
        path: The file.
        outputs: Names of its outputs if they need a decoder; empty if they are those of
            livevision's own graphs.
    """

    path: Path
    outputs: tuple[str, ...] = ()


def wrapped_file(
    graph: GraphFile,
    description: Description,
    kind: Kind,
    names: Sequence[str],
    size: tuple[int, int],
) -> Wrapped:
    """A graph file for images of a size, from the cache or written now.

    Args:
        graph: The third-party graph.
        description: Its description.
        kind: Kind of its outputs.
        names: Class names.
        size: (width, height) in pixels.

    Raises:
        ModelError: It cannot be written.
    """
    how = repr((_WRITTEN, __version__, description, tuple(names), size)).encode()
    by_openvino = graph.path.suffix in openvino_graph.SUFFIXES
    content = (
        _bytes_of(graph.path) if by_openvino else graph.model.SerializeToString(deterministic=True)
    )
    key = hashlib.sha256(content + how).hexdigest()[:16]
    folder = cache_folder("foreign") or passing_folder()
    outputs = tuple(port.name for port in graph.outputs)
    start = f"{graph.path.stem}-{size[0]}x{size[1]}-{key}"
    if by_openvino:
        return _by_openvino(graph, description, size, folder / f"{start}.xml", outputs)
    whole, open_ended = folder / f"{start}.onnx", folder / f"{start}.open.onnx"
    if whole.is_file():
        return Wrapped(whole)
    if open_ended.is_file():
        return Wrapped(open_ended, outputs)
    model = wrapped(graph, description, size)
    try:
        model = with_ending(model, graph, description, kind, names, size)
        describe(model, graph, description, kind, names, size)
        made = Wrapped(whole)
    except NotInGraph:
        model = wrapped(graph, description, size)  # again, since the first one was modified
        made = Wrapped(open_ended, outputs)
    path = made.path
    half_made = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        half_made.write_bytes(model.SerializeToString())
        half_made.replace(path)
    except (OSError, ValueError) as error:
        raise ModelError(f"{str(graph.path)!r} cannot be written to the cache: {error}") from error
    finally:
        half_made.unlink(missing_ok=True)
    prune(folder, MOST_BYTES)
    return made


def _by_openvino(
    graph: GraphFile,
    description: Description,
    size: tuple[int, int],
    path: Path,
    outputs: tuple[str, ...],
) -> Wrapped:
    """A file for OpenVINO, wrapped by OpenVINO's preprocessing."""
    if not (path.is_file() and path.with_suffix(".bin").is_file()):
        from livevision.inference.openvino_file import write_graph

        try:
            write_graph(openvino_graph.wrapped(graph, description, size), {}, path)
        except RuntimeError as error:
            first = " ".join(str(error).split())[:300]
            raise ModelError(
                f"{str(graph.path)!r} cannot be resized to {size[0]}x{size[1]}: {first}"
            ) from error
    prune(path.parent, MOST_BYTES)
    return Wrapped(path, outputs)


def _bytes_of(path: Path) -> bytes:
    """The content of a file for OpenVINO, and of its weights."""
    weights = path.with_suffix(".bin")
    try:
        return path.read_bytes() + (weights.read_bytes() if path.suffix == ".xml" else b"")
    except OSError as error:
        raise ModelError(f"{str(path)!r} cannot be read: {error.strerror}") from error


def wrapped(graph: GraphFile, description: Description, size: tuple[int, int]) -> Any:
    """The graph with the nodes in front, as an ``onnx.ModelProto``."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    inner = model.graph
    width, height = size
    builder = NodeBuilder(opset_of(model), "in")
    image, renamed = "image", graph.image.name
    taken = {n.name for n in inner.initializer} | {o for n in inner.node for o in n.output}
    if image in taken or renamed == image:
        _rename(inner, image, PREFIX + "their_image")
        renamed = PREFIX + "their_image" if renamed == image else renamed
    at = image
    mean, std = np.array(description.mean), np.array(description.std)
    if description.colour == "RGB":  # the pixels come as BGR
        mean, std = mean[::-1], std[::-1]
    if graph.image.dtype != "uint8":
        at = _normalised(builder, builder.cast(at, "float32"), mean, std, size)
        if graph.image.dtype == "float16":
            at = builder.cast(at, "float16")
    axis = 3
    if graph.layout != "NHWC":
        at, axis = builder.node("Transpose", at, perm=[0, 3, 1, 2]), 1
    if description.colour == "RGB":
        at = builder.gather(at, builder.constant([2, 1, 0], np.int64), axis)
    if graph.layout == "CHW":
        at = builder.reshape(at, 3, height, width)
    builder.named(at, renamed)
    if graph.sizes is not None:
        kind = getattr(np, graph.sizes.dtype)
        target = numpy_helper.from_array(np.array([[width, height]], kind), graph.sizes.name)
        builder.constants.append(target)
    ours = helper.make_tensor_value_info(image, TensorProto.UINT8, [1, height, width, 3])
    # Old files list constants among the inputs, which prevents constant folding.
    del inner.input[:]
    inner.input.extend([ours])
    model.ir_version = max(model.ir_version, _IR_WITH_CONSTANTS)
    theirs = list(inner.node)
    del inner.node[:]
    inner.node.extend([*builder.nodes, *theirs])
    inner.initializer.extend(builder.constants)
    # Stored shapes of another size or batch would be taken as true.
    del inner.value_info[:]
    if graph.fixed_size != size:
        for output in inner.output:
            for dim in output.type.tensor_type.shape.dim:
                dim.Clear()
    return model


def _normalised(builder: NodeBuilder, at: str, mean: Any, std: Any, size: tuple[int, int]) -> str:
    """(pixel - mean) / std, by whole rows, since three channels are too few for SIMD."""
    width, height = size
    scale, shift = 1 / std, -mean / std
    alike = len(set(scale)) == 1 and len(set(shift)) == 1
    if alike:
        scale, shift = scale[:1], shift[:1]
    else:
        at = builder.reshape(at, 1, height, 3 * width)
        scale, shift = np.tile(scale, width), np.tile(shift, width)
    if np.any(scale != 1):
        at = builder.times(at, scale)
    if np.any(shift != 0):
        at = builder.plus(at, shift)
    return at if alike else builder.reshape(at, 1, height, width, 3)


def with_ending(
    model: Any,
    graph: GraphFile,
    description: Description,
    kind: Kind,
    names: Sequence[str],
    size: tuple[int, int],
) -> Any:
    """A graph from ``wrapped`` with its outputs decoded in it.

    Raises:
        NotInGraph: They cannot be.
    """
    from onnx import TensorProto, helper

    if kind.in_graph is None or opset_of(model) < OLDEST:
        raise NotInGraph("this kind of output is decoded outside")
    inner = model.graph
    builder = NodeBuilder(opset_of(model), "out")
    ports = [_as_floats(inner, port) for port in _ends(model, graph)]
    values = dict(kind.in_graph(builder, ports, size, len(names)))
    if kind.task == "detect":
        inner.input.insert(1, helper.make_tensor_value_info(IOU, TensorProto.FLOAT, [1]))
        if not any(IOU in node.input for node in builder.nodes):
            # Without NMS the IoU is an input all the same; no score is above 1.
            most = builder.plus(IOU, 1.0)
            values["scores"] = builder.node("Min", values["scores"], most)
    _free_names(inner, builder, values)
    del inner.output[:]
    for name, value in values.items():
        builder.named(value, name)
        dtype = helper.np_dtype_to_tensor_dtype(np.dtype(_DTYPES[name]))
        inner.output.append(helper.make_tensor_value_info(name, dtype, None))
    inner.node.extend(builder.nodes)
    inner.initializer.extend(builder.constants)
    return _shaped(model)


def _ends(model: Any, graph: GraphFile) -> list[Port]:
    """The outputs with the shapes inferred from the input.

    Where nothing is inferred, the shape in the file is used, and enforced by a ``Reshape``.
    """
    import onnx

    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    for output in bare.graph.output:
        output.type.tensor_type.ClearField("shape")
    from_input = {value.name: port_of(value).shape for value in _inferred(bare).graph.output}
    inferred = {value.name: port_of(value).shape for value in _inferred(model).graph.output}
    ends = []
    for port in graph.outputs:
        shape = inferred[port.name] or port.shape
        if shape is not None and all(shape) and from_input[port.name] != shape:
            _renamed_through(model.graph, port.name, "Reshape", np.array(shape, np.int64))
        ends.append(replace(port, shape=shape))
    return ends


def _renamed_through(inner: Any, name: str, kind: str, constant: Any = None, **more: Any) -> None:
    """Insert a node before an output; the output keeps its name."""
    from onnx import helper, numpy_helper

    raw = f"{PREFIX}{kind.lower()}_{name}"
    _rename(inner, name, raw)
    for output in inner.output:
        if output.name == raw:
            output.name = name
    inputs = [raw]
    if constant is not None:
        inputs.append(f"{raw}_constant")
        inner.initializer.append(numpy_helper.from_array(constant, inputs[-1]))
    inner.node.append(helper.make_node(kind, inputs, [name], f"{raw}_node", **more))


def _inferred(model: Any) -> Any:
    import onnx

    try:
        return onnx.shape_inference.infer_shapes(model, data_prop=True)
    except (onnx.shape_inference.InferenceError, ValueError):  # the latter: more than 2 GB
        return model


def _as_floats(inner: Any, port: Port) -> Port:
    """An output of another float type as float32 under the same name."""
    from onnx import TensorProto

    if not port.dtype.startswith("float") or port.dtype == "float32":
        return port
    _renamed_through(inner, port.name, "Cast", to=TensorProto.FLOAT)
    return replace(port, dtype="float32")


def _free_names(inner: Any, builder: NodeBuilder, values: dict[str, str]) -> None:
    """Rename values of the third-party graph that have reserved names."""
    taken = {name for node in inner.node for name in node.output}
    taken |= {tensor.name for tensor in inner.initializer}
    for name in sorted(set(_OURS[1:]) & taken):
        new = f"{PREFIX}their_{name}"
        _rename(inner, name, new)
        for node in builder.nodes if name != IOU else ():
            node.input[:] = [new if given == name else given for given in node.input]
        values |= {key: new for key, value in values.items() if value == name}


def _shaped(model: Any) -> Any:
    """The model with the shapes of its outputs.

    Raises:
        NotInGraph: A shape is dynamic.
    """
    found = {value.name: value for value in _inferred(model).graph.output}
    for output in model.graph.output:
        port = port_of(found[output.name])
        if port.shape is None or not all(port.shape):
            raise NotInGraph(f"{port} has no fixed shape")
        output.CopyFrom(found[output.name])
    return model


def describe(
    model: Any,
    graph: GraphFile,
    description: Description,
    kind: Kind,
    names: Sequence[str],
    size: tuple[int, int],
) -> None:
    """Write the metadata of a wrapped graph, see ``inference.description``."""
    from onnx import helper

    params, madds = counts(model, graph)
    card = {
        "params": params,
        "madds": madds,
        "data": "",
        "score": {},
        "licence": description.licence,
    }
    kept = {"fill": str(description.fill)} if description.fit.startswith("letterbox") else {}
    props = {
        "livevision": __version__,
        "name": graph.path.stem,
        "task": kind.task,
        "net": "",
        "input_size": f"{size[0]}x{size[1]}",
        "fit": with_resize(description.fit, description.resize),
        **kept,
        "colour_order": "BGR",
        "labels": json.dumps(list(names), ensure_ascii=False),
        "card": json.dumps(card, ensure_ascii=False),
        "weights_sha256": hashlib.sha256(
            graph.model.SerializeToString(deterministic=True)
        ).hexdigest(),
    }
    del model.metadata_props[:]
    helper.set_model_props(model, props)


def counts(model: Any, graph: GraphFile) -> tuple[int, int]:
    """Parameters of a third-party graph, and multiply-adds of its wrapped model."""
    return parameters(graph.model), multiply_adds(_inferred(model))


def opset_of(model: Any) -> int:
    """The version of ONNX's operators that a graph uses."""
    return max((e.version for e in model.opset_import if e.domain in ("", "ai.onnx")), default=0)


def _rename(inner: Any, old: str, new: str) -> None:
    """Rename a value of a graph everywhere."""
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
