"""DFANet with MobileNetV2 and ShuffleNetV2 backbones.

The paper only has XceptionA and B. As with those, the stages at 1/4, 1/8 and 1/16 form an encoder,
nothing is pooled before the first, and a classifier's weights initialise every encoder.
Concatenated maps make a stage's input wide enough that MobileNetV2's first block there has
expansion 1.
"""

from __future__ import annotations

from functools import partial

from torch import nn

from livevision.nets.dfanet import DFANet, Plan
from livevision.nets.layers import ConvNorm
from livevision.nets.mobilenetv2 import InvertedResidual, scale_channels
from livevision.nets.shufflenetv2 import channels_at, stage

# MobileNetV2's rows at 1/4, 1/8 and 1/16: channels and blocks, the first of stride 2.
_MOBILE_ROWS = (((24, 2),), ((32, 3),), ((64, 4), (96, 3)))
_SHUFFLE_UNITS = (4, 8, 4)


def _mobile_stem(first: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        ConvNorm(3, first, 3, stride=2, relu6=True),
        nn.Sequential(InvertedResidual(first, channels, 1, expansion=1)),
    )


def _mobile_stage(
    rows: tuple[tuple[int, int], ...], in_channels: int, joins: bool
) -> nn.Sequential:
    blocks: list[nn.Module] = []
    for channels, count in rows:
        for _ in range(count):
            stride = 1 if blocks else 2
            expansion = 1 if joins and not blocks else 6
            blocks.append(InvertedResidual(in_channels, channels, stride, expansion))
            in_channels = channels
    return nn.Sequential(*blocks)


def mobilenetv2_plan(width: float = 1.0) -> Plan:
    """Encoders of MobileNetV2's blocks up to the 96 channels at 1/16."""
    rows = [
        tuple((scale_channels(channels, width), count) for channels, count in row)
        for row in _MOBILE_ROWS
    ]
    stem = scale_channels(16, width)
    return Plan(
        stem=partial(_mobile_stem, scale_channels(32, width), stem),
        stem_channels=stem,
        channels=(rows[0][-1][0], rows[1][-1][0], rows[2][-1][0]),
        stages=tuple(partial(_mobile_stage, row) for row in rows),
        sources={"stem.0.": "backbone.stem.", "stem.1.": "backbone.stages.0."}
        | {f"enc{i}.": f"backbone.stages.{i - 1}." for i in (2, 3, 4)},
    )


def _shuffle_stage(channels: int, units: int, in_channels: int, joins: bool) -> nn.Sequential:
    return stage(in_channels, channels, units, 3, "torchvision")


def shufflenetv2_plan(width: float = 0.5) -> Plan:
    """Encoders of ShuffleNetV2's stages 2 to 4, at 1/4 to 1/16 without the pooling before them.

    The units are torchvision's: megvii's of stride 2 cannot have fewer channels than they take.
    """
    stem, enc2, enc3, enc4, _ = channels_at(width)
    return Plan(
        stem=partial(ConvNorm, 3, stem, 3, stride=2),
        stem_channels=stem,
        channels=(enc2, enc3, enc4),
        stages=tuple(
            partial(_shuffle_stage, channels, units)
            for channels, units in zip((enc2, enc3, enc4), _SHUFFLE_UNITS, strict=True)
        ),
        sources={"stem.": "backbone.stem.0."}
        | {f"enc{i}.": f"backbone.stage{i}." for i in (2, 3, 4)},
    )


def dfanet_mobilenetv2(num_classes: int = 19, width: float = 1.0, **options: int) -> DFANet:
    """DFANet of MobileNetV2's blocks; options as of `DFANet`."""
    return DFANet(mobilenetv2_plan(width), num_classes, **options)


def dfanet_shufflenetv2(num_classes: int = 19, width: float = 0.5, **options: int) -> DFANet:
    """DFANet of ShuffleNetV2's units, by default those of the 0.5x net."""
    return DFANet(shufflenetv2_plan(width), num_classes, **options)
