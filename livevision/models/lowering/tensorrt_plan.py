"""TensorRT plans of models for this machine's GPU: fp32, fp16 and int8."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from livevision.errors import ModelError, missing_package
from livevision.inference.model_files import ModelFiles
from livevision.inference.select import why_not_on_gpu
from livevision.models.catalog import ModelCard
from livevision.models.lowering.compared import Evidence, Format, compared, with_graph
from livevision.models.lowering.frames import Frames
from livevision.models.lowering.onnx_file import make_onnx
from livevision.models.lowering.whole import write_files

if TYPE_CHECKING:
    from livevision.inference.agreement import Agreement


def write_tensorrt(
    files: ModelFiles,
    card: ModelCard,
    output: Path,
    precision: str = "fp32",
    evidence: Evidence | None = None,
    force: bool = False,
) -> Agreement | None:
    """Write a model as a TensorRT plan for this machine's GPU, if it agrees with fp32.

    Args:
        files: As for ``write_openvino``, as are the errors.
        card: The model's card, for the description.
        output: The .engine file; a .json goes beside it.
        precision: "fp32", "fp16" or "int8".
        evidence: Real frames; required for all but fp32.
        force: Keep the file even if it disagrees.
    """
    check_tensorrt()
    from livevision.inference.tensorrt_engine import write_engine

    files, description = with_graph(files, card, precision)
    assert files.graph is not None
    graph = files.graph

    def make(calibrate: Frames | None, path: Path) -> None:
        source = files
        if calibrate is not None:
            quantised = path.with_suffix(".onnx")
            make_onnx(graph, calibrate, quantised, symmetric=True)
            source = replace(files, graph=quantised, precision="int8")
        write_engine(source, precision, description, path)

    def keep(path: Path, description: Mapping[str, str]) -> None:
        import json

        beside = path.with_suffix(".json")
        described = {**json.loads(beside.read_bytes()), **description}
        text = json.dumps(described, ensure_ascii=False, indent=1).encode()
        write_files({output.with_suffix(".json"): text, output: path.read_bytes()})

    lowered = Format("tensorrt", "cuda", ".engine", make, keep)
    if precision == "fp32":
        with tempfile.TemporaryDirectory(prefix="livevision-lower-") as folder:
            path = Path(folder) / "plan.engine"
            make(None, path)
            keep(path, description)
        return None
    return compared(files, card, precision, description, lowered, evidence, force)


def check_tensorrt() -> None:
    """Check that a plan can be built here.

    Raises:
        ModelError: A package or the GPU is missing.
    """
    for module, package in (("tensorrt", "tensorrt"), ("cuda", "cuda-bindings")):
        if find_spec(module) is None:
            raise ModelError(missing_package(package, "--format tensorrt", "tensorrt"))
    reason = why_not_on_gpu("tensorrt")
    if reason is not None:
        raise ModelError(
            f"--format tensorrt builds on the GPU that will run the file: {reason}; use "
            "--format onnx here, and build there"
        )
