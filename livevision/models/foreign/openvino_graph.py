"""Third-party files that OpenVINO reads: its IR (.xml with a .bin) and TensorFlow Lite's.

They run only on OpenVINO. OpenVINO's own preprocessing is added to them, as nodes are to ONNX
files; a decoder reads their outputs.
"""

from __future__ import annotations

import ast
import json
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from livevision.errors import ModelError, missing_package
from livevision.models.foreign.description import Description
from livevision.models.foreign.graph_file import LARGEST, GraphFile, Port, image_graph
from livevision.models.foreign.tracing import scores_before

SUFFIXES = (".xml", ".tflite")
_MAX_METADATA = 1 << 20  # bytes

_BEFORE_MAPS = frozenset(
    {
        *("Convert", "Concat", "FakeQuantize", "Gather", "Greater", "Interpolate", "Maximum"),
        *("Reshape", "Select", "Softmax", "Split", "Squeeze", "StridedSlice", "Slice", "TopK"),
        *("Transpose", "Unsqueeze", "VariadicSplit"),
    }
)
"""Operators between the scores and a class map; layers end with an Add, the bias."""


def read_graph(path: Path) -> GraphFile:
    """Read a file and find its image input.

    Raises:
        ModelError: OpenVINO is not installed or cannot read it, or it has other inputs than one
            image.
    """
    if not path.is_file():
        raise ModelError(f"model {str(path)!r}: no such file")
    if path.stat().st_size >= LARGEST:
        raise ModelError(f"{str(path)!r} has {path.stat().st_size / 1e9:.1f} GB, too large a graph")
    if path.suffix == ".xml" and not path.with_suffix(".bin").is_file():
        weights = path.with_suffix(".bin").name
        raise ModelError(f"{str(path)!r} needs its weights in the same folder: no {weights}")
    if find_spec("openvino") is None:
        raise ModelError(missing_package("openvino", f"reading {path.suffix} files", "openvino"))
    import openvino as ov

    try:
        model = ov.Core().read_model(str(path))
    except RuntimeError as error:
        raise ModelError(
            f"{str(path)!r}: OpenVINO cannot read it ({_reason(error)}); export it to ONNX"
        ) from error
    for number, port in enumerate(model.outputs):
        if not port.get_names():
            port.get_tensor().set_names({f"output_{number}"})
    inputs = [_port(port) for port in model.inputs]
    outputs = tuple(_port(port) for port in model.outputs)
    return image_graph(path, model, inputs, outputs, _metadata(path))


def wrapped(graph: GraphFile, description: Description, size: tuple[int, int]) -> Any:
    """The graph with the input ``image``, uint8 1×H×W×3 BGR, as an ``openvino.Model``."""
    import openvino as ov
    from openvino.preprocess import ColorFormat, PrePostProcessor

    model = ov.Core().read_model(str(graph.path))
    for number, port in enumerate(model.outputs):
        if not port.get_names():
            port.get_tensor().set_names({f"output_{number}"})
    width, height = size
    shape = [1, height, width, 3] if graph.layout == "NHWC" else [1, 3, height, width]
    model.reshape(shape)
    steps = PrePostProcessor(model)
    image = steps.input()
    image.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    image.tensor().set_color_format(ColorFormat.BGR)
    image.model().set_layout(ov.Layout(graph.layout))
    if description.colour == "RGB":
        image.preprocess().convert_color(ColorFormat.RGB)
    if graph.image.dtype != "uint8":
        image.preprocess().convert_element_type(ov.Type.f32)
        image.preprocess().mean(list(description.mean)).scale(list(description.std))
    model = steps.build()
    model.inputs[0].get_tensor().set_names({"image"})
    return model


def write_scores(path: Path, made: Path, name: str, classes: int) -> bool:
    """Write a graph that outputs the scores before the arg-max of a class map.

    Returns:
        Whether the classes are the last dimension.

    Raises:
        ModelError: There are no such scores.
        OutputError: It cannot be written.
    """
    import openvino as ov

    from livevision.inference.openvino_file import write_graph

    model = ov.Core().read_model(str(path))
    nodes: dict[str, Any] = {}

    def before(key: str) -> list[str]:
        node = nodes[key]
        if node.get_type_name() not in _BEFORE_MAPS:
            return []
        return [keep(port.get_source_output()) for port in node.inputs()]

    outputs: dict[str, Any] = {}

    def keep(output: Any) -> str:
        key = f"{output.get_node().get_friendly_name()}:{output.get_index()}"
        nodes[key], outputs[key] = output.get_node(), output
        return key

    def shape_of(key: str) -> Any:
        output = outputs[key]
        real = output.get_element_type().is_real() and output.get_partial_shape().is_static
        return [int(n) for n in output.get_shape()] if real else None

    starts = [keep(port.get_node().input(0).get_source_output()) for port in model.outputs]
    key, last = scores_before(starts, before, shape_of, classes, path)
    scores = outputs[key]
    scores.get_tensor().set_names({name})
    write_graph(ov.Model([scores], model.get_parameters(), name), {}, made)
    return last


def _port(port: Any) -> Port:
    shape = port.get_partial_shape()
    lengths = (
        None
        if shape.rank.is_dynamic
        else tuple(d.get_length() if d.is_static else None for d in shape)
    )
    dtype = port.get_element_type()
    name = "no tensor" if dtype.is_dynamic() else str(np.dtype(dtype.to_dtype()).name)
    return Port(min(port.get_names() or {port.get_any_name()}), lengths, name)


def _metadata(path: Path) -> dict[str, str]:
    """Metadata of Ultralytics, in a file beside an IR or in a TensorFlow Lite file: text by key."""
    metadata: Any = None
    try:
        if path.suffix == ".xml":
            beside = path.with_name("metadata.yaml")
            if beside.is_file() and beside.stat().st_size < _MAX_METADATA:
                metadata = yaml.safe_load(beside.read_text(encoding="utf-8"))
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as notes:
                first = notes.infolist()[0]
                text = notes.read(first).decode() if first.file_size < _MAX_METADATA else ""
            metadata = json.loads(text) if text.startswith('{"') else ast.literal_eval(text)
    except (OSError, ValueError, SyntaxError, IndexError, zipfile.BadZipFile, yaml.YAMLError):
        return {}
    if not isinstance(metadata, dict):
        return {}
    names = metadata.get("names")
    if isinstance(names, dict):
        numbered = {str(key): str(name) for key, name in names.items()}
        metadata["names"] = {int(key): name for key, name in numbered.items() if key.isdigit()}
    return {
        str(k): value if isinstance(value, str) else repr(value) for k, value in metadata.items()
    }


def _reason(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [line for line in lines if not line.startswith(("Exception from", "Check '"))]
    return " ".join((causes or lines or ["no reason given"])[0].split())[:200]
