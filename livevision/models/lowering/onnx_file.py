"""Lower-precision ONNX files of models: fp16 and int8."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from livevision.errors import ModelError, missing_package
from livevision.inference.model_files import ModelFiles
from livevision.models.catalog import ModelCard
from livevision.models.lowering.compared import Evidence, Format, compared, with_graph
from livevision.models.lowering.frames import Frames
from livevision.models.lowering.whole import write_files

if TYPE_CHECKING:
    from livevision.inference.agreement import Agreement


def write_onnx(
    files: ModelFiles,
    card: ModelCard,
    output: Path,
    precision: str,
    evidence: Evidence,
    force: bool = False,
) -> Agreement | None:
    """Write a model as a lower-precision ONNX file, if it agrees with fp32.

    Args:
        files: As for ``write_openvino``, as are the errors.
        card: The model's card, for the description.
        output: The .onnx file.
        precision: "fp16", which is faster on GPUs, or "int8", which is faster on CPUs.
        evidence: Real frames.
        force: Keep the file even if it disagrees.
    """
    files, description = with_graph(files, card, precision)
    assert files.graph is not None
    graph = files.graph

    def make(calibrate: Frames | None, path: Path) -> None:
        make_onnx(graph, calibrate, path)

    def keep(path: Path, description: Mapping[str, str]) -> None:
        import onnx

        model = onnx.load(path)
        onnx.helper.set_model_props(model, dict(description))
        write_files({output: model.SerializeToString()})

    return compared(
        files,
        card,
        precision,
        description,
        Format("onnx", "cpu", ".onnx", make, keep),
        evidence,
        force,
    )


def make_onnx(
    graph: Path, calibrate: Frames | None, path: Path, *, symmetric: bool = False
) -> None:
    """Write a graph in int8, or in fp16 without frames for calibration."""
    for package in ("onnx", "onnxruntime"):
        if find_spec(package) is None:
            raise ModelError(missing_package(package, "lowering an ONNX file", "export"))
    if calibrate is not None:
        from livevision.inference.onnx_int8 import quantise

        quantise(graph, calibrate.batches, path, symmetric=symmetric)
        return
    import onnx

    from livevision.inference.onnx_half import halve

    onnx.save(halve(onnx.load(graph)), path)
