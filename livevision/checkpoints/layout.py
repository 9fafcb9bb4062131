"""A layout: maps the modules of another project's net to ours.

Modules are mapped, not tensors: a convolution, a norm or a linear layer has the same tensors in
every project that uses PyTorch (`weight`, `bias`, `running_mean`, `running_var`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

Tensors = Mapping[str, Tensor]
Modules = dict[str, str]

CLASSIFIED_IMAGE = (224, 224)

IMAGENET_TERMS = "ImageNet's terms (non-commercial research) apply as well"


@dataclass(frozen=True)
class Target:
    """The net that a checkpoint is converted to.

    Attributes:
        net: Name of our net.
        options: Further arguments of `livevision.nets.build`.
        modules: Our module for each of theirs.
        task: "classify", "segment" or "features".
        input_size: (width, height) in pixels, for the card.
        data: Training data, as far as the layout implies it.
        licence: Licence of the weights, including the terms of their data.
        ignored: Prefixes of tensors that are only used in training.
        bgr: Their nets take BGR: the first convolutions, by our names, are reordered.
        zeros: Our tensors that theirs lack, which is equivalent to zeros.
        folded_pixels: For our blocks that see the image first, "mean" and "std" of their pixels,
            see `livevision.nets.pixels`; the difference is folded into the weights.
        folded: Their convolutions that include the following norm, and our norm: it gets their
            bias and only adds it.
        left_out: Description of the ignored tensors, for the card; "" for those of training.
        notes: Further notes for the card.
    """

    net: str
    options: Mapping[str, Any]
    modules: Modules
    task: str
    input_size: tuple[int, int]
    data: str
    licence: str
    ignored: tuple[str, ...] = ()
    bgr: tuple[str, ...] = ()
    zeros: tuple[str, ...] = ()
    folded_pixels: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    folded: Mapping[str, str] = field(default_factory=dict)
    left_out: str = ""
    notes: str = ""


@dataclass(frozen=True)
class Layout:
    """How a project names the tensors of a family of nets.

    Attributes:
        name: Project and net, for messages and cards.
        telltales: Tensor names that all its files have; no other layout has all of them.
        absent: Tensor names that none of its files has.
        target: Computes the target from a file's tensors. Raises ModelError, with the reason, if it
            is none of our nets, and KeyError if a tensor that determines the shape is missing.
        rivals: Why it cannot become another of our nets, by prefix of their names; shown if
            `--net` requests one.
    """

    name: str
    telltales: tuple[str, ...]
    target: Callable[[Tensors], Target]
    absent: tuple[str, ...] = ()
    rivals: Mapping[str, str] = field(default_factory=dict)

    def matches(self, tensors: Tensors) -> bool:
        """Whether a file has this layout."""
        return all(t in tensors for t in self.telltales) and not any(
            t in tensors for t in self.absent
        )


def conv_norm(conv: str, norm: str, ours: str) -> Modules:
    """A convolution and its norm, which are one block of ours."""
    return {conv: f"{ours}.0", norm: f"{ours}.1"}


def blocks(theirs: Mapping[str, str], conv: str = "conv", norm: str = "bn") -> Modules:
    """`conv_norm` for blocks whose two layers always have the same names."""
    found: Modules = {}
    for block, ours in theirs.items():
        found |= conv_norm(f"{block}.{conv}", f"{block}.{norm}", ours)
    return found


def prefixed(modules: Modules, theirs: str, ours: str) -> Modules:
    """The same table with prefixes on both sides."""
    return {theirs + key: ours + value for key, value in modules.items()}
