"""Exports models as ONNX files that run without PyTorch, and caches them.

A file has the whole graph of ``livevision.inference.graph`` at one input size, and its description:
task, labels and input size (``livevision.inference.description``).
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import math
import os
import warnings
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from livevision.errors import ModelError, OutputError, missing_package
from livevision.files import MOST_BYTES, cache_folder, passing_folder, prune, whole
from livevision.inference.model_files import INPUTS, OUTPUTS, ModelFiles
from livevision.inference.static_shapes import fold_shapes
from livevision.inference.template import read_template
from livevision.inference.weights import read_header
from livevision.models.catalog import ModelCard
from livevision.version import __version__

_log = logging.getLogger(__name__)

OPSET = 17  # supported by TensorRT, OpenVINO and ONNX Runtime of recent years
WRITTEN = 2  # incremented when exported graphs change, so that cached ones are not used
SCORE_TOLERANCE = 2e-3
PIXEL_TOLERANCE = 5e-3


def cached_graph(files: ModelFiles, card: ModelCard) -> Path:
    """The exported graph of a model at ``files.input_size``; made if it is not cached.

    With a template for the weights this needs no torch and takes less than a second.

    Raises:
        ModelError: The weights do not fit, or a package for exporting is not installed.
    """
    several = f"-{files.batch}" if files.batch > 1 else ""
    template = _template_of(files, card)
    key = _key(files, card, template)
    name = f"{files.name}-{_size(files)}{several}-{key}.onnx"
    folder = cache_folder("graphs")
    if folder is not None and (folder / name).is_file():
        with suppress(OSError):
            os.utime(folder / name)  # last use, for `prune`
        return folder / name
    if folder is not None:
        try:
            _make(template, files, card, folder / name, f"; later starts use {folder / name}")
        except OutputError as error:
            _log.debug("the cache is not used: %s", error)
        else:
            prune(folder, MOST_BYTES)
            return folder / name
    passing = passing_folder() / name
    if not passing.is_file():
        _make(template, files, card, passing)
    return passing


def _make(
    template: Path | None, files: ModelFiles, card: ModelCard, path: Path, remark: str = ""
) -> None:
    if template is not None:
        fill_template(template, files, card, path)
        return
    _refuse_without("torch", files)
    _log.info("exporting %s at %s%s", files.name, _size(files), remark)
    export_graph(files, card, path)


def _refuse_without(package: str, files: ModelFiles) -> None:
    """Check that a package is installed before announcing an export.

    Raises:
        ModelError: It is not.
    """
    if find_spec(package) is None:
        what_for = f"making the graph of {files.name} at {_size(files)}"
        raise ModelError(missing_package(package, what_for, "torch"))


def export_graph(files: ModelFiles, card: ModelCard, output: Path) -> float | None:
    """Write a model's graph to an ONNX file, after comparing it with torch.

    If torch is not installed and the model has a template, the file is made from that.

    Args:
        files: The model; net, weights and input size are used.
        card: The model's card, for the description.
        output: The file; it appears when it is complete.

    Returns:
        The difference from torch on a test picture: for segmentation the share of differing
        pixels, else the largest difference of a score. None without torch.

    Raises:
        ModelError: The weights do not fit, a package is missing, or the file differs from torch by
            more than the tolerance.
        OutputError: The file cannot be written.
    """
    template = _template_of(files, card) if find_spec("torch") is None else None
    if template is not None:
        fill_template(template, files, card, output)
        return None
    _refuse_without("torch", files)
    _refuse_without("onnx", files)
    try:
        with whole(output) as half_made:
            _write(files, card, half_made)
            return _difference(replace(files, graph=half_made))
    except OSError as error:
        raise OutputError(f"cannot write {str(output)!r}: {error.strerror}") from error


def _template_of(files: ModelFiles, card: ModelCard) -> Path | None:
    """The template of the graph; None if torch has to export it.

    A template fits all weights of the same shapes, including a user's fine-tuned ones.
    """
    same = (files.input_size, files.batch) == (card.input_size, 1)
    if card.template is None or files.weights is None or not same:
        return None
    if files.weights == card.weights:
        return card.template
    header = read_header(files.weights)
    shapes = read_template(card.template).tensors
    there = {name: tuple(header.get(name, {}).get("shape", ())) for name in shapes}
    return card.template if there == shapes else None


def fill_template(template: Path, files: ModelFiles, card: ModelCard, output: Path) -> None:
    """Write a model's graph to an ONNX file from its template and its weights.

    Raises:
        ModelError: One of them cannot be read, or they do not fit each other.
        OutputError: The file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    assert files.weights is not None
    try:
        tensors = load_file(files.weights)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"weights {str(files.weights)!r} cannot be read: {error}") from error
    model = read_template(template).filled(tensors)
    try:
        with whole(output) as half_made:
            save(model, files, card, half_made)
    except OSError as error:
        raise OutputError(f"cannot write {str(output)!r}: {error.strerror}") from error


def _write(files: ModelFiles, card: ModelCard, path: Path) -> None:
    from livevision.inference.graph import build_graph

    save(traced(build_graph(files), files), files, card, path)


def save(model: Any, files: ModelFiles, card: ModelCard, path: Path) -> None:
    """Write an ``onnx.ModelProto`` to a file with the model's description."""
    import onnx

    onnx.helper.set_model_props(model, _description(files, card))
    model.producer_name, model.producer_version = "livevision", __version__
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def traced(graph: Any, files: ModelFiles) -> Any:
    """Trace a torch graph to an ``onnx.ModelProto``; the graph is modified.

    Args:
        graph: From ``livevision.inference.graph.build_graph``.
        files: The model; task and input size are used.
    """
    import onnx
    import torch

    from livevision.inference.graph import example_inputs

    inputs = example_inputs(files)
    for module in list(graph.modules()):
        # Norms that the exporter cannot fold itself.
        if hasattr(module, "fold_norms"):
            module.fold_norms()
    if hasattr(graph.net, "unshuffle"):
        graph.net.unshuffle()
    with warnings.catch_warnings():
        # The exporter warns that it is the legacy one, and about every size that it fixes.
        warnings.simplefilter("ignore")
        file: Any = io.BytesIO()  # accepted, against the type stubs
        torch.onnx.export(
            graph,
            tuple(inputs.values()),
            file,
            dynamo=False,
            opset_version=OPSET,
            training=torch.onnx.TrainingMode.EVAL,  # folds norms into convolutions
            input_names=list(INPUTS[files.task]),
            output_names=list(OUTPUTS[files.task]),
        )
    return fold_shapes(onnx.load_from_string(file.getvalue()))


def _description(files: ModelFiles, card: ModelCard) -> dict[str, str]:
    """The file's description, by the keys of ``livevision.inference.description``."""
    facts = {key: card.summary()[key] for key in ("params", "madds", "data", "score", "licence")}
    return {
        "livevision": __version__,
        "name": files.name,
        "task": files.task,
        "net": files.net,
        "input_size": _size(files),
        "fit": card.fit,
        "colour_order": "BGR",
        "labels": json.dumps(list(card.labels), ensure_ascii=False),
        "card": json.dumps(facts, ensure_ascii=False),
        "weights_sha256": _sha256(files.weights),
    }


def _sha256(path: Path | None) -> str:
    """Hash of a weights file; "" for random weights."""
    if path is None:
        return ""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"weights {str(path)!r}: {error.strerror}") from error


def _difference(files: ModelFiles) -> float:
    """The difference of the exported graph from torch; see ``export_graph``.

    Raises:
        ModelError: It exceeds the tolerance.
    """
    from livevision import registry
    from livevision.inference.torch_engine import TorchEngine

    names = [
        n
        for n, package in (("onnx", "onnxruntime"), ("openvino", "openvino"))
        if find_spec(package) is not None
    ]
    if not names:
        raise ModelError(missing_package("onnxruntime", "checking an exported graph", "export"))
    engine = registry.resolve(registry.ENGINES, names[0], "engine")
    engines = [kind(files, "cpu", "fp32") for kind in (TorchEngine, engine)]
    image = np.stack([sample_picture(files.input_size, seed) for seed in range(files.batch)])
    # If two boxes overlap by just the threshold, engines may disagree, and neither is wrong; a real
    # error shows at every threshold.
    overlaps = {"detect": (0.5, 0.45, 0.55)}.get(files.task, (None,))
    limit = PIXEL_TOLERANCE if files.task == "segment" else SCORE_TOLERANCE
    difference = math.inf
    for overlap in overlaps:
        batch: dict[str, Any] = {"image": image}
        if overlap is not None:
            batch["iou_threshold"] = np.array([overlap], np.float32)
        ours, theirs = (opened(batch) for opened in engines)
        if files.task == "segment":
            found = float((ours["class_map"] != theirs["class_map"]).mean())
        else:
            scores = {"detect": "scores", "classify": "probabilities"}[files.task]
            found = float(abs(ours[scores] - theirs[scores]).max())
        difference = min(difference, found)
        if difference <= limit:
            break
    for opened in engines:
        opened.close()
    if difference > limit:
        raise ModelError(
            f"the exported graph of {files.name} differs from PyTorch by {difference:.2g}, more "
            f"than {limit:g}; this is a bug of the exporter or of {names[0]}"
        )
    return difference


def sample_picture(size: tuple[int, int], seed: int = 0) -> Any:
    """A picture with edges, gradients and texture: uint8 H×W×3, BGR."""
    width, height = size
    noise = np.random.default_rng(seed).integers(0, 64, (height, width, 3))
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    shades = np.stack([x, y, (x * 8).astype(int) % 2 ^ (y * 6).astype(int) % 2], -1) * 191
    return (shades[:, :: -1 if seed % 2 else 1] + noise).astype(np.uint8)


def _key(files: ModelFiles, card: ModelCard, template: Path | None) -> str:
    """A hash of everything that an exported graph depends on."""
    made_of = [_description(files, card), dict(files.net_options), OPSET, WRITTEN]
    if template is not None:
        made_of.append(_sha256(template))
    if files.batch > 1:
        made_of.append(files.batch)
    text = json.dumps(made_of, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _size(files: ModelFiles) -> str:
    return "x".join(map(str, files.input_size))
