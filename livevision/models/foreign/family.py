"""What every family of models gives: how one is recognised, and how its outputs are read.

A family is a file with ``recognise(graph)`` and ``KINDS``: for each kind of output, as a
description names it, the task and what makes a decoder for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from livevision.models.foreign.graph_file import GraphFile, Port
from livevision.models.foreign.inside import Inside
from livevision.protocols import Decoder

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
"""ImageNet's colours in RGB on the scale 0..255."""

UNIT = {"mean": (0.0, 0.0, 0.0), "std": (255.0, 255.0, 255.0)}
"""Pixels brought to 0..1."""

RAW = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
"""Pixels as they are, 0..255."""

IMAGENET = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}


@dataclass(frozen=True, slots=True)
class Found:
    """A recognised graph.

    Attributes:
        family: Its name in words.
        fields: What is known of its description, by key.
    """

    family: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of output.

    Attributes:
        task: "detect", "segment" or "classify".
        make: Makes the decoder from a graph's outputs and, where it is known, the number of labels.
        inside: Does the same inside of the graph; None where that is never possible.
        cells: How many rows the first output has for an input of (width, height), where its boxes
            are those of a grid that the decoder adds: such a graph serves other sizes too.
        anchored: The graph adds the grid itself, from constants that other sizes replace.
    """

    task: str
    make: Callable[[Sequence[Port], int | None], Decoder]
    inside: Inside | None = None
    cells: Callable[[tuple[int, int]], int] | None = None
    anchored: bool = False


Recognise = Callable[[GraphFile], Found | None]


def cells(size: tuple[int, int], strides: Sequence[int]) -> int:
    """How many cells the grids of these strides have together, rounded up at the edges."""
    width, height = size
    return sum(-(-width // s) * -(-height // s) for s in strides)


def dims(port: Port, count: int) -> tuple[int | None, ...] | None:
    """The shape of an output that has so many dimensions; None for any other."""
    return port.shape if port.shape is not None and len(port.shape) == count else None
