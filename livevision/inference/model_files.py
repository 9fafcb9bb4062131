"""What an engine opens: the description of a net and the files that hold it."""

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
"""Names of what the graph of a task takes and gives; shapes stand in ``graph``."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A net with its weights, its exported graph, or both.

    An engine that builds nets itself reads ``weights``; one that runs exported graphs reads
    ``graph``. The class of each engine says which, as ``reads``.

    Attributes:
        name: The model's name, for messages.
        task: "detect", "segment" or "classify".
        net: Name of the net, as ``livevision.nets.build`` knows it; "" where only a graph is known.
        net_options: What ``build`` takes besides.
        input_size: (width, height) of the input in pixels.
        weights: A safetensors file; None for the net's random start.
        graph: An ONNX file, or one of OpenVINO's, laid out as ``livevision.inference.graph`` tells.
        precision: What the graph is meant for: "fp32", "fp16" (its weights are stored so), "bf16"
            (it is computed so) or "int8" (both).
        batch: Images in one call. A graph has them in its shape; only what is made from weights can
            have more than one.
        agreement: How far the graph agrees with fp32, as ``agreement.Agreement`` writes it; ""
            where it is fp32 or nobody knows.
        outputs: Names of what the graph gives, where it is somebody else's and has been given
            livevision's input alone; empty for a graph of livevision's own.
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
