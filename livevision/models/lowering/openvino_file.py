"""OpenVINO files of models: fp32, fp16, bf16 and int8."""

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

if TYPE_CHECKING:
    from livevision.inference.agreement import Agreement


def write_openvino(
    files: ModelFiles,
    card: ModelCard,
    output: Path,
    precision: str = "fp32",
    evidence: Evidence | None = None,
    force: bool = False,
) -> Agreement | None:
    """Write a model in OpenVINO's format, if it agrees with fp32.

    Args:
        files: The model: its fp32 graph if it has one, else its weights, which are exported first.
        card: The model's card, for the description.
        output: The .xml file; the .bin goes beside it.
        precision: "fp32", "fp16" (half the size; computed in fp32), "bf16" (stored in fp32 and
            computed in bf16) or "int8".
        evidence: Real frames; required for all but fp32.
        force: Keep the file even if it disagrees or cannot be compared.

    Returns:
        The agreement with fp32; None for fp32, and if it cannot be compared.

    Raises:
        ModelError: A package is missing, or the graph is rejected.
        OutputError: The file cannot be written.
    """
    from livevision.inference.openvino_file import read_graph, write_graph

    files, description = with_graph(files, card, precision)
    assert files.graph is not None
    graph = files.graph
    if precision == "fp32":
        write_graph(read_graph(graph), description, output)
        return None

    def make(calibrate: Frames | None, path: Path) -> None:
        if calibrate is None:
            write_graph(read_graph(graph), {}, path, half=True)
            return
        if find_spec("nncf") is None:
            raise ModelError(missing_package("nncf", "--precision int8", "int8"))
        from livevision.inference.int8 import quantise

        write_graph(quantise(read_graph(graph), calibrate.batches), {}, path)

    def keep(path: Path, description: Mapping[str, str]) -> None:
        write_graph(read_graph(path), description, output, half=precision == "fp16")

    lowered = Format("openvino", "cpu", ".xml", make, keep)
    return compared(files, card, precision, description, lowered, evidence, force)
