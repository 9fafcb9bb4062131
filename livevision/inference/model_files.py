"""The files of a model that engines open, and its description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

INPUTS = {
    "segment": ("image",),
    "detect": ("image", "iou_threshold"),
    "classify": ("image",),
}
OUTPUTS = {
    "segment": ("class_map",),
    "detect": ("boxes", "scores", "classes"),
    "classify": ("probabilities", "classes"),
}
"""Names of inputs and outputs of each task's graph; shapes are in ``graph``."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A net with its weights, its exported graph, or both.

    Engines that build nets read ``weights``; those that run exported graphs read ``graph``. The
    engine's class attribute ``reads`` says which.

    Attributes:
        name: The model's name, for messages.
        task: "detect", "segment" or "classify".
        net: Name of the net for ``livevision.nets.build``; "" if there is only a graph.
        net_options: Further arguments of ``build``.
        input_size: (width, height) of the input in pixels.
        weights: A safetensors file; None for random weights.
        graph: An ONNX or OpenVINO file, with the inputs and outputs of
            ``livevision.inference.graph``.
        precision: Precision of the graph: "fp32", "fp16" (stored weights), "bf16" (arithmetic) or
            "int8" (both).
        batch: Batch size. A graph has it in its shape; only files made from weights can have more
            than one.
        agreement: Agreement of the graph with fp32, as stored by ``agreement.Agreement``; "" if it
            is fp32 or unknown.
        outputs: Output names of a third-party graph that was only given livevision's input; empty
            for livevision's own graphs.
    """

    name: str
    task: str
    net: str
    input_size: tuple[int, int]
    net_options: Mapping[str, Any] = field(default_factory=dict)
    weights: Path | None = None
    graph: Path | None = None
    precision: str = "fp32"
    agreement: str = ""
    batch: int = 1
    outputs: tuple[str, ...] = ()

    @property
    def takes(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return ("image",) if self.outputs else INPUTS[self.task]

    @property
    def gives(self) -> tuple[str, ...]:
        """Names of the outputs."""
        return self.outputs or OUTPUTS[self.task]
