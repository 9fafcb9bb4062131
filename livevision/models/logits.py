"""Logits of a segmenter: a score for each class, before the arg-max.

Graphs only output the class map, which is all that a run needs. The scores are an inner tensor,
mostly smaller than the class map; this makes a graph that outputs them.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from livevision import registry
from livevision.files import MOST_BYTES, cache_folder, passing_folder, prune, whole
from livevision.frame import Image, Placement
from livevision.models.foreign.tracing import scores_before

if TYPE_CHECKING:
    from livevision.models.model import Model

NAME = "logits"

_PASSED = frozenset(
    {
        *("ArgMax", "Cast", "Clip", "Concat", "DequantizeLinear", "Equal", "Gather", "Greater"),
        *("Identity", "LogSoftmax", "Max", "QuantizeLinear", "Reshape", "Resize", "Slice"),
        *("Softmax", "Split", "Squeeze", "TopK", "Transpose", "Unsqueeze", "Upsample", "Where"),
    }
)
"""Operators between the scores and the class map."""


class Logits:
    """A segmenter that outputs its scores.

    Args:
        model: The segmenter; it is not opened.

    Raises:
        ModelError: Its graph has no scores, or is not available.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        files = model.files
        path = files.graph
        if path is None or path.suffix not in (".onnx", ".xml"):
            from livevision.models.export import cached_graph

            path = cached_graph(replace(files, graph=None), model.card)
        made, self._last = _scores_file(path, len(model.labels))
        engine = "openvino" if made.suffix == ".xml" else "onnx"
        kind = registry.resolve(registry.ENGINES, engine, "engine")
        self._engine = kind(replace(files, graph=made, outputs=(NAME,)), "cpu", "fp32", None)

    def __call__(self, image: Image) -> NDArray[np.float32]:
        """Scores of an image, uint8 H×W×3 BGR: float32, classes×h×w; h×w covers the image."""
        batch, placement = self._model.prepare(image)
        found = np.asarray(self._engine({"image": batch["image"]})[NAME][0], np.float32)
        planes = np.moveaxis(found, -1, 0) if self._last else found
        return covering(planes, placement)

    def close(self) -> None:
        """Release the net."""
        self._engine.close()


def covering(planes: NDArray[np.float32], placement: Placement) -> NDArray[np.float32]:
    """Planes over an input, cropped to the image: C×h×w, resampled if they do not coincide."""
    height, width = planes.shape[1:]
    cells = width / placement.input_size[0], height / placement.input_size[1]
    spans = [
        length * scale * cell
        for length, scale, cell in zip(placement.image_size, placement.scale, cells, strict=True)
    ]
    counts = [max(1, round(span)) for span in spans]
    columns, rows = (
        ((np.arange(count) + 0.5) * span / count + offset * cell - 0.5).astype(np.float32)
        for count, span, offset, cell in zip(counts, spans, placement.offset, cells, strict=True)
    )
    if (counts[0], counts[1]) == (width, height) and not any(placement.offset):
        return planes
    at = np.meshgrid(columns, rows)
    sampled = [
        cv2.remap(plane, at[0], at[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for plane in planes
    ]
    return np.stack(sampled).astype(np.float32)


def _scores_file(path: Path, classes: int) -> tuple[Path, bool]:
    """A graph that outputs the scores, and whether their last dimension is the classes."""
    folder = cache_folder(NAME) or passing_folder()
    if path.suffix == ".xml":
        from livevision.models.foreign.openvino_graph import write_scores

        made = folder / f"{path.stem}-{_key(path, path.with_suffix('.bin'))}.xml"
        last = write_scores(path, made, NAME, classes)
    else:
        made = folder / f"{path.stem}-{_key(path)}.onnx"
        last = _write_onnx(path, made, classes)
    prune(folder, MOST_BYTES)
    return made, last


def _key(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _write_onnx(path: Path, made: Path, classes: int) -> bool:
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(path)
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*inferred.graph.value_info, *inferred.graph.output)
        if value.type.tensor_type.elem_type in (TensorProto.FLOAT, TensorProto.FLOAT16)
    }
    makers = {name: node for node in model.graph.node for name in node.output}

    def before(name: str) -> list[str]:
        node = makers.get(name)
        return list(node.input) if node is not None and node.op_type in _PASSED else []

    starts = [output.name for output in model.graph.output]
    name, last = scores_before(starts, before, shapes.get, classes, path)
    del model.graph.output[:]
    model.graph.node.append(
        helper.make_node("Cast", [name], [NAME], "livevision_logits", to=TensorProto.FLOAT)
    )
    output = helper.make_tensor_value_info(NAME, TensorProto.FLOAT, shapes[name])
    model.graph.output.append(output)
    del model.metadata_props[:]
    with whole(made) as part:
        part.write_bytes(model.SerializeToString())
    return last
