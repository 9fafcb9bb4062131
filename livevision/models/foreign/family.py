"""The interface of families of models: recognition, and decoding of outputs.

A family is a module with ``recognise(graph)`` and ``KINDS``: for each kind of output in a
description, its task and its decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from livevision.models.foreign.graph_file import GraphFile, Port
from livevision.models.foreign.in_graph import InGraphDecoder
from livevision.protocols import Decoder

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
"""ImageNet's mean and standard deviation, RGB, on the scale 0..255."""

UNIT = {"mean": (0.0, 0.0, 0.0), "std": (255.0, 255.0, 255.0)}
"""Normalisation to 0..1."""

RAW = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
"""No normalisation: 0..255."""

IMAGENET = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}


@dataclass(frozen=True, slots=True)
class Recognised:
    """A recognised graph.

    Attributes:
        family: Name of the family for messages.
        fields: Known values of its description by key.
    """

    family: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of output.

    Attributes:
        task: "detect", "segment" or "classify".
        make: Creates the decoder from a graph's outputs and the number of labels, if known.
        in_graph: Adds the decoder to the graph; None if that is impossible.
        cells: Number of rows of the first output for an input of (width, height), if the decoder
            adds the grid: such a graph can be resized.
        anchored: Whether the graph adds the grid from constants, which resizing replaces.
    """

    task: str
    make: Callable[[Sequence[Port], int | None], Decoder]
    in_graph: InGraphDecoder | None = None
    cells: Callable[[tuple[int, int]], int] | None = None
    anchored: bool = False


Recognise = Callable[[GraphFile], Recognised | None]


def cells(size: tuple[int, int], strides: Sequence[int]) -> int:
    """Number of cells of the grids of these strides, rounded up at the edges."""
    width, height = size
    return sum(-(-width // s) * -(-height // s) for s in strides)


def dims(port: Port, count: int) -> tuple[int | None, ...] | None:
    """The shape of an output if it has ``count`` dimensions; otherwise None."""
    return port.shape if port.shape is not None and len(port.shape) == count else None
