"""Classifiers of other projects, see `standins`; all take images their project's own way."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checkpoints.standins import Standin, average, same

_ROWS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1))
ROWS = (*_ROWS, (6, 160, 3, 2), (6, 320, 1, 1))
WIDTHS = {
    1.0: (32, 16, 24, 32, 64, 96, 160, 320),
    0.5: (16, 8, 16, 16, 32, 48, 80, 160),
    # Multiples of 4, as d-li14's narrowest has them.
    0.1: (4, 4, 4, 4, 8, 12, 16, 32),
}


def mobilenetv2(
    s: Standin, x: Tensor, nested: bool, last: str, classifier: str, width: float = 1.0
) -> Tensor:
    """torchvision's with `nested` names of a block's layers, else d-li14's."""
    relu6 = F.relu6
    stem, *widths = WIDTHS[width]
    x = s.block(x, "features.0.0", "features.0.1", stem, 3, 2, activation=relu6)
    number = 0
    for (t, _, blocks, first), out in zip(ROWS, widths, strict=True):
        for i in range(blocks):
            number += 1
            name, stride = f"features.{number}.conv", first if i == 0 else 1
            wide, channels, y, place = t * x.shape[1], x.shape[1], x, 0
            layers = [] if t == 1 else [(1, 1, 1)]
            for kernel, step, groups in [*layers, (3, stride, wide)]:
                names = (
                    (f"{name}.{place}.0", f"{name}.{place}.1")
                    if nested
                    else (f"{name}.{3 * place}", f"{name}.{3 * place + 1}")
                )
                y = s.block(y, *names, wide, kernel, step, groups, activation=relu6)
                place += 1
            place = place if nested else 3 * place
            y = s.block(y, f"{name}.{place}", f"{name}.{place + 1}", out, activation=same)
            x = x + y if stride == 1 and channels == out else y
    x = s.block(x, f"{last}.0", f"{last}.1", 1280, activation=relu6)
    features = average(x).flatten(1)
    return s.linear(features, classifier, 1000) if classifier else features


def torchvision_mobilenetv2(s: Standin, x: Tensor) -> Tensor:
    return mobilenetv2(s, x, True, "features.18", "classifier.1")


def d_li14_mobilenetv2(s: Standin, x: Tensor, width: float = 1.0) -> Tensor:
    return mobilenetv2(s, x, False, "conv", "classifier", width)


def deep_sort_mobilenetv2(s: Standin, x: Tensor) -> Tensor:
    return mobilenetv2(s, x, False, "features.18", "")


SHUFFLENETS = {0.5: (24, 48, 96, 192, 1024), 1.0: (24, 116, 232, 464, 1024)}
SHUFFLENETS[2.0] = (24, 244, 488, 976, 2048)


def _right(s: Standin, x: Tensor, name: str, mid: int, out: int, stride: int) -> Tensor:
    x = s.block(x, f"{name}.0", f"{name}.1", mid)
    x = s.block(x, f"{name}.3", f"{name}.4", mid, 3, stride, mid, activation=same)
    return s.block(x, f"{name}.5", f"{name}.6", out)


def _left(s: Standin, x: Tensor, name: str, out: int) -> Tensor:
    channels = x.shape[1]
    x = s.block(x, f"{name}.0", f"{name}.1", channels, 3, 2, channels, activation=same)
    return s.block(x, f"{name}.2", f"{name}.3", out)


def torchvision_shufflenetv2(s: Standin, x: Tensor, width: float = 1.0) -> Tensor:
    stem, *stages, last = SHUFFLENETS[width]
    x = F.max_pool2d(s.block(x, "conv1.0", "conv1.1", stem, 3, 2), 3, 2, 1)
    for stage, (out, units) in enumerate(zip(stages, (4, 8, 4), strict=True), start=2):
        for i in range(units):
            name, half = f"stage{stage}.{i}", out // 2
            if i == 0:
                left = _left(s, x, f"{name}.branch1", half)
                x = torch.cat((left, _right(s, x, f"{name}.branch2", half, half, 2)), 1)
            else:
                left, right = x.chunk(2, 1)
                x = torch.cat((left, _right(s, right, f"{name}.branch2", half, half, 1)), 1)
            # Channels of the two halves in turn.
            x = torch.stack(x.chunk(2, 1), 2).flatten(1, 2)
    x = average(s.block(x, "conv5.0", "conv5.1", last)).flatten(1)
    return s.linear(x, "fc", 1000)


def megvii_shufflenetv2(s: Standin, x: Tensor, width: float = 1.0) -> Tensor:
    """Takes pixels of 0 to 255, blue first."""
    stem, *stages, last = SHUFFLENETS[width]
    x = F.max_pool2d(s.block(x, "first_conv.0", "first_conv.1", stem, 3, 2), 3, 2, 1)
    number = 0
    for before, out, units in zip((stem, *stages), stages, (4, 8, 4), strict=False):
        for i in range(units):
            name, half = f"features.{number}", out // 2
            if i == 0:
                left = _left(s, x, f"{name}.branch_proj", before)
                right = _right(s, x, f"{name}.branch_main", half, out - before, 2)
            else:
                left = x[:, 0::2]
                right = _right(s, x[:, 1::2], f"{name}.branch_main", half, half, 1)
            x = torch.cat((left, right), 1)
            number += 1
    x = average(s.block(x, "conv_last.0", "conv_last.1", last)).flatten(1)
    return s.linear(x, "classifier.0", 1000, bias=False)


def resnet_maps(
    s: Standin, x: Tensor, prefix: str, blocks: tuple[int, ...], bottleneck: bool
) -> list[Tensor]:
    """The outputs of the four stages."""
    x = F.max_pool2d(s.block(x, f"{prefix}conv1", f"{prefix}bn1", 64, 7, 2), 3, 2, 1)
    maps = []
    for stage, (count, width) in enumerate(zip(blocks, (64, 128, 256, 512), strict=True)):
        out = 4 * width if bottleneck else width
        for i in range(count):
            name, stride = f"{prefix}layer{stage + 1}.{i}", 2 if i == 0 and stage else 1
            layers = (
                [(width, 1, 1), (width, 3, stride), (out, 1, 1)]
                if bottleneck
                else [(width, 3, stride), (out, 3, 1)]
            )
            y = x
            for n, (channels, kernel, step) in enumerate(layers, start=1):
                activation = same if n == len(layers) else torch.relu
                names = (f"{name}.conv{n}", f"{name}.bn{n}")
                y = s.block(y, *names, channels, kernel, step, activation=activation)
            if x.shape[1] != out or stride == 2:
                down = f"{name}.downsample"
                x = s.block(x, f"{down}.0", f"{down}.1", out, 1, stride, activation=same)
            x = torch.relu(x + y)
        maps.append(x)
    return maps


def resnet(
    s: Standin, x: Tensor, blocks: tuple[int, ...] = (2, 2, 2, 2), bottleneck: bool = False
) -> Tensor:
    return s.linear(average(resnet_maps(s, x, "", blocks, bottleneck)[-1]).flatten(1), "fc", 1000)


def fastestdet_backbone(s: Standin, x: Tensor, grey: Tensor | None = None) -> list[Tensor]:
    """C4 and C5 of FastestDet's ShuffleNetV2 0.5; takes pixels of 0 to 1, blue first.

    Around the picture it sees black, or `grey`, 1×3×1×1.
    """
    stem, *stages, _ = SHUFFLENETS[0.5]
    grey = torch.zeros(1, 3, 1, 1) if grey is None else grey
    framed = F.pad(x - grey, (1, 1, 1, 1)) + grey
    # The layer adds a border of its own; the outputs that see it are cut off.
    x = s.block(F.pad(framed, (1, 0, 1, 0)), "first_conv.0", "first_conv.1", stem, 3, 2)
    x = F.max_pool2d(x[:, :, 1:-1, 1:-1], 3, 2, 1)
    maps = []
    for stage, (before, out, units) in enumerate(
        zip((stem, *stages), stages, (4, 8, 4), strict=False), start=2
    ):
        for i in range(units):
            name, half = f"stage{stage}.{i}", out // 2
            if i == 0:
                left = _left(s, x, f"{name}.branch_proj", before)
                right = _right(s, x, f"{name}.branch_main", half, out - before, 2)
            else:
                left = x[:, 0::2]
                right = _right(s, x[:, 1::2], f"{name}.branch_main", half, half, 1)
            x = torch.cat((left, right), 1)
        maps.append(x)
    return maps[1:]


def _leaky(x: Tensor) -> Tensor:
    return torch.where(x < 0, 0.1 * x, x)


def nanodet_backbone(s: Standin, x: Tensor, width: float = 1.0) -> list[Tensor]:
    """C4 and C5 of NanoDet-Plus's ShuffleNetV2, norms folded; blue first, normalised our way."""
    stem, *stages, _ = SHUFFLENETS[width]

    def conv(x: Tensor, name: str, out: int, *layout: int) -> Tensor:
        return s.conv(x, name, out, *layout, bias=True)

    x = F.max_pool2d(_leaky(conv(x, "conv1.0", stem, 3, 2)), 3, 2, 1)
    maps = []
    for stage, (out, units) in enumerate(zip(stages, (4, 8, 4), strict=True), start=2):
        for i in range(units):
            name, half, stride = f"stage{stage}.{i}", out // 2, 2 if i == 0 else 1
            left, right = (x, x) if i == 0 else x.chunk(2, 1)
            if i == 0:
                left = conv(left, f"{name}.branch1.0", x.shape[1], 3, 2, x.shape[1])
                left = _leaky(conv(left, f"{name}.branch1.2", half))
            right = _leaky(conv(right, f"{name}.branch2.0", half))
            right = conv(right, f"{name}.branch2.3", half, 3, stride, half)
            right = _leaky(conv(right, f"{name}.branch2.5", half))
            x = torch.stack((left, right), 2).flatten(1, 2)
        maps.append(x)
    return maps[1:]
