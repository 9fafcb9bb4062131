"""Graphs in OpenVINO's format: an .xml and a .bin beside it; needs no onnx to read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from livevision.errors import ModelError, OutputError
from livevision.files import whole
from livevision.inference.description import GROUP
from livevision.inference.openvino_import import openvino as ov


def read_graph(path: Path) -> ov.Model:
    """Read the graph of an .onnx or .xml file.

    Raises:
        ModelError: OpenVINO cannot read it.
    """
    try:
        return ov.Core().read_model(str(path))
    except RuntimeError as error:
        raise ModelError(f"OpenVINO cannot open {str(path)!r}: {error}") from error


def write_graph(
    model: ov.Model, description: Mapping[str, str], output: Path, *, half: bool = False
) -> None:
    """Write a graph with its description; both files appear when they are complete.

    Args:
        model: The graph; its ``rt_info`` is modified.
        description: The description, by the keys of ``description``.
        output: The .xml file.
        half: Store weights as float16, half the size; they are computed in fp32.

    Raises:
        OutputError: The files cannot be written.
    """
    for key, value in description.items():
        model.set_rt_info(value, [GROUP, key])
    try:
        with whole(output) as part:
            # OpenVINO derives the name of the weights from that of the .xml.
            weights = part.with_suffix(".bin")
            try:
                ov.save_model(model, str(part), compress_to_fp16=half)
                weights.replace(output.with_suffix(".bin"))
            finally:
                weights.unlink(missing_ok=True)
    except RuntimeError as error:
        raise OutputError(f"OpenVINO cannot write {str(output)!r}: {error}") from error
    except OSError as error:
        raise OutputError(f"cannot write {str(output)!r}: {error.strerror}") from error
