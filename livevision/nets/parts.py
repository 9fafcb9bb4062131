"""Groups a net's modules into the parts of its paper.

A net's class has a table `PARTS`: the name of each direct module and the part it belongs to, "" for
operations of the net itself. Modules used only in training are not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from livevision.nets import build
from livevision.nets.pixels import OnOtherPixels

PIXELS = "pixels"
"""The part that converts an image's pixels to the net's input."""


def parts(net: nn.Module) -> list[str]:
    """The names of a net's parts, in the order of its table."""
    before = [PIXELS] if isinstance(net, OnOtherPixels) else []
    return [*before, *dict.fromkeys(_table(net).values())]


def part_of(net: nn.Module, path: str) -> str:
    """The part of a module, or of an operation by the names of the modules around it.

    Args:
        net: one of `livevision.nets.names()`, or of a family.
        path: such as "rpn.pointwise.0"; "" for the net itself.
    """
    if isinstance(net, OnOtherPixels):
        inner = path.partition(".")[2]
        return part_of(net.net, inner) if path.startswith("net") else PIXELS
    table = _table(net)
    return table.get(path.partition(".")[0], table[""])


def without_numbers(name: str, options: Mapping[str, Any]) -> nn.Module:
    """A net in eval mode on the device "meta": names and sizes, at no cost."""
    with torch.device("meta"):
        return build(name, **options).eval()


def _table(net: nn.Module) -> Mapping[str, str]:
    table: Mapping[str, str] = (net.net if isinstance(net, OnOtherPixels) else net).PARTS  # type: ignore[assignment]
    return table
