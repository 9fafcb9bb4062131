"""Sizes of the nets as published in the papers, for comparison with counts of ours.

Importing this module does not import torch; counting does, at negligible cost: nets are built on
the device "meta", where nothing is initialised or computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Published:
    """A row of a paper's table.

    Attributes:
        net: name for `livevision.nets.build`.
        height, width: of the image that multiply-adds are counted for.
        parameters: in `unit`; None if the paper does not state it.
        multiply_adds: in millions.
        unit: "M" for millions of parameters, "MiB" for their bytes as float32, which the papers of
            segmenters print as millions.
        options: passed to `build`.
        part: the attribute of the net that is counted; "" for all of it.
        remark: explains differences.
    """

    net: str
    height: int
    width: int
    parameters: float | None
    multiply_adds: float
    unit: str = "M"
    options: Mapping[str, Any] = field(default_factory=dict)
    part: str = ""
    remark: str = ""

    def count(self) -> tuple[float, float]:
        """Our parameters in `unit`, and our multiply-adds in millions."""
        import torch

        from livevision.nets import build
        from livevision.nets.counting import count_multiply_adds, count_parameters

        with torch.device("meta"):
            net = build(self.net, **self.options)
        counted = getattr(net, self.part) if self.part else net
        parameters = count_parameters(counted)
        return (
            parameters / 1e6 if self.unit == "M" else parameters * 4 / 2**20,
            count_multiply_adds(counted, self.height, self.width) / 1e6,
        )


_MEGVII = {"downsample_style": "megvii"}
_TORCHVISION = {"downsample_style": "torchvision"}
_NO_AUX = {"aux": False}
_RELEASE = "their release's table, which leaves out the norms'"
_ENCODER = "the paper counts the attention too, 0.4 M of it"
_SNET146 = "the paper's 146 M cannot be had from its table, which the release follows too"

PUBLISHED = (
    Published("mobilenetv2", 224, 224, 3.4, 300, remark="the paper leaves out the norms'"),
    Published(
        "mobilenetv2", 224, 224, 6.9, 585,
        options={"width": 1.4}, remark="the paper's 6.9 M is not its table's; its release has 6.06",
    ),
    Published("mobilenetv2", 224, 224, 5.34, 509, options={"width": 1.3}, remark=_RELEASE),
    Published("mobilenetv2", 224, 224, 2.61, 209, options={"width": 0.75}, remark=_RELEASE),
    Published("mobilenetv2", 224, 224, 1.95, 97, options={"width": 0.5}, remark=_RELEASE),
    Published("mobilenetv2", 224, 224, 1.66, 59, options={"width": 0.35}, remark=_RELEASE),
    Published("shufflenetv2-0.5", 224, 224, 1.4, 41, options=_MEGVII),
    Published("shufflenetv2-0.5", 224, 224, 1.4, 41, options=_TORCHVISION),
    Published("shufflenetv2-1.0", 224, 224, 2.3, 146, options=_MEGVII),
    Published("shufflenetv2-1.0", 224, 224, 2.3, 146, options=_TORCHVISION),
    Published("shufflenetv2-1.5", 224, 224, 3.5, 299, options=_MEGVII),
    Published("shufflenetv2-1.5", 224, 224, 3.5, 299, options=_TORCHVISION),
    Published("shufflenetv2-2.0", 224, 224, 7.4, 591, options=_MEGVII),
    Published("shufflenetv2-2.0", 224, 224, 7.4, 591, options=_TORCHVISION),
    Published("xception-star", 224, 224, None, 145, remark="the unit's layout is inferred"),
    Published("snet49", 224, 224, None, 49, options=_TORCHVISION),
    Published("snet49", 224, 224, None, 49, options=_MEGVII),
    Published("snet146", 224, 224, None, 146, options=_TORCHVISION, remark=_SNET146),
    Published("snet146", 224, 224, None, 146, options=_MEGVII, remark=_SNET146),
    Published("snet535", 224, 224, None, 535, options=_TORCHVISION),
    Published("snet535", 224, 224, None, 535, options=_MEGVII),
    Published("thundernet-snet49", 320, 320, None, 262, options={"num_classes": 80}),
    Published("thundernet-snet49", 320, 320, None, 250, options={"num_classes": 20}),
    Published(
        "thundernet-snet146", 320, 320, None, 473, options={"num_classes": 80}, remark=_SNET146
    ),
    Published(
        "thundernet-snet146", 320, 320, None, 461, options={"num_classes": 20}, remark=_SNET146
    ),
    Published("thundernet-snet535", 320, 320, None, 1300, options={"num_classes": 80}),
    Published("thundernet-snet535", 320, 320, None, 1287, options={"num_classes": 20}),
    Published("xception39", 360, 640, 1.2, 185.5, unit="MiB", part="backbone"),
    Published("resnet18", 360, 640, 42.7, 8300, unit="MiB", part="backbone"),
    Published("bisenet-xception39", 360, 640, 5.8, 2900, unit="MiB", options=_NO_AUX),
    Published("bisenet-resnet18", 360, 640, 49.0, 10800, unit="MiB", options=_NO_AUX),
    Published("xception-a", 1024, 1024, None, 1600, remark=_ENCODER),
    Published("xception-b", 1024, 1024, None, 830, remark=_ENCODER),
    Published(
        "dfanet-a", 1024, 1024, 7.8, 3400,
        unit="MiB", remark="about 90 k parameters of each later encoder are not accounted for",
    ),
    Published("dfanet-a", 512, 1024, 7.8, 1700, unit="MiB", remark="A' of the paper"),
    Published("dfanet-b", 1024, 1024, 4.8, 2100, unit="MiB", remark="as of dfanet-a"),
    Published(
        "bisenetv2", 512, 1024, None, 21150,
        options=_NO_AUX, remark="the head's width is not known: 24.6 G with 1024, 16.0 G with 128",
    ),
    Published(
        "bisenetv2", 512, 1024, None, 21150,
        options={**_NO_AUX, "head_channels": 128}, remark="the narrower head",
    ),
    Published("stdc1", 224, 224, None, 813),
    Published("stdc2", 224, 224, None, 1446),
)  # fmt: skip
