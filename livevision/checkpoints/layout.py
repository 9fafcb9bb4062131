"""A layout: which module of another project's net goes where in ours.

Modules are named, not tensors: a convolution, a norm or a linear layer has the same tensors in
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

IMAGENET_TERMS = "ImageNet's terms (non-commercial research) come on top"


@dataclass(frozen=True)
class Target:
    """What a checkpoint becomes.

    Attributes:
        net: Name of our net.
        options: What `livevision.nets.build` takes besides.
        modules: Our module for each of theirs.
        task: "classify", "segment" or "features".
        input_size: (width, height) in pixels that the card gives.
        data: What it was trained on, as far as its layout tells.
        licence: Of the weights, the terms of their data included.
        ignored: Beginnings of the names of tensors that only training has a use for.
        bgr: Their nets take blue first: first convolutions, named here by our names, are turned.
        zeros: Our tensors that theirs do without, which is the same as zeros.
        folded_pixels: For blocks of ours that see the image first, "mean" and "std" of the pixels
            that theirs take, for `livevision.nets.pixels`; the difference goes into their weights.
        folded: Their convolutions that hold the norm behind them too, and our norm: it gets their
            bias and adds it, and does nothing else.
        left_out: What the ignored tensors are, for the card; "" for those of training.
        notes: What else a user has to know, for the card.
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
    """The way a project names the tensors of a family of nets.

    Attributes:
        name: Of the project and the net, for messages and cards.
        telltales: Names of tensors that all its files have, and no other layout has all of.
        absent: Names of tensors that none of its files has.
        target: What a file's tensors become. Raises ModelError, with the reason, where this is
            none of our nets, and KeyError where a tensor is missing that tells the net's shape.
        rivals: Why it cannot become another of our nets, by beginnings of their names; what
            `--net` asks for in vain is answered with this.
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
    """A convolution and the norm after it, which are one block of ours."""
    return {conv: f"{ours}.0", norm: f"{ours}.1"}


def blocks(theirs: Mapping[str, str], conv: str = "conv", norm: str = "bn") -> Modules:
    """`conv_norm` for blocks that hold their two layers under the same names."""
    found: Modules = {}
    for block, ours in theirs.items():
        found |= conv_norm(f"{block}.{conv}", f"{block}.{norm}", ours)
    return found


def prefixed(modules: Modules, theirs: str, ours: str) -> Modules:
    """The same table with something put before the names of both sides."""
    return {theirs + key: ours + value for key, value in modules.items()}
