"""Segmenters of other projects, see `standins`, their auxiliary heads included."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.checkpoints.classifiers import resnet_maps
from tests.checkpoints.standins import Standin, average, bilinear, enlarge, same

CLASSES = 19


def _separable(s: Standin, x: Tensor, name: str, out: int, stride: int, relu: bool) -> Tensor:
    x = s.conv(x, f"{name}.conv1", x.shape[1], 3, stride, x.shape[1])
    return s.unit(x, f"{name}.point_wise_cbr", out, activation=torch.relu if relu else same)


def _xception39_maps(s: Standin, x: Tensor, prefix: str) -> list[Tensor]:
    x = F.max_pool2d(s.unit(x, f"{prefix}conv1", 8, 3, 2), 3, 2, 1)
    maps = []
    for layer, (blocks, mid) in enumerate(((4, 16), (8, 32), (4, 64)), start=1):
        for i in range(blocks):
            name, stride = f"{prefix}layer{layer}.{i}", 2 if i == 0 else 1
            y = _separable(s, x, f"{name}.residual_branch.0", mid, stride, True)
            y = _separable(s, y, f"{name}.residual_branch.1", mid, 1, True)
            y = _separable(s, y, f"{name}.residual_branch.2", 4 * mid, 1, False)
            x = _separable(s, x, f"{name}.proj", 4 * mid, 2, False) if i == 0 else x
            x = torch.relu(x + y)
        maps.append(x)
    return maps


def torchseg_bisenet(s: Standin, x: Tensor, xception: bool = False) -> Tensor:
    """The authors' release: bilinear with aligned corners wherever it resizes."""
    if xception:
        c3, c4, c5 = _xception39_maps(s, x, "context_path.")
    else:
        _, c3, c4, c5 = resnet_maps(s, x, "context_path.", (2, 2, 2, 2), False)
    spatial = x
    for name, layout in (
        ("conv_7x7", (64, 7, 2)),
        ("conv_3x3_1", (64, 3, 2)),
        ("conv_3x3_2", (64, 3, 2)),
        ("conv_1x1", (128,)),
    ):
        spatial = s.unit(spatial, f"spatial_path.{name}", *layout)

    def head(x: Tensor, name: str, mid: int) -> Tensor:
        x = s.unit(x, f"{name}.conv_3x3", mid, 3)
        return s.conv(x, f"{name}.conv_1x1", CLASSES, bias=True)

    last = s.unit(average(c5), "global_context.1", 128)
    for i, (c, larger) in enumerate(((c5, c4), (c4, c3))):
        y = s.unit(c, f"arms.{i}.conv_3x3", 128, 3)
        gate = s.unit(average(y), f"arms.{i}.channel_attention.1", 128, activation=same)
        y = y * torch.sigmoid(gate) + last
        last = s.unit(bilinear(y, larger, aligned=True), f"refines.{i}", 128, 3)
        head(last, f"heads.{i}", 256)
    fused = s.unit(torch.cat((spatial, last), 1), "ffm.conv_1x1", 256)
    gate = torch.relu(s.conv(average(fused), "ffm.channel_attention.1.conv", 256))
    gate = torch.sigmoid(s.conv(gate, "ffm.channel_attention.2.conv", 256))
    return bilinear(head(fused + fused * gate, "heads.2", 64), x, aligned=True)


def _coincheung_head(s: Standin, x: Tensor, name: str, mid: int, bias: bool) -> Tensor:
    return s.conv(s.unit(x, f"{name}.conv", mid, 3), f"{name}.conv_out", CLASSES, bias=bias)


def coincheung_bisenet(
    s: Standin, x: Tensor, spatial_path: bool = True, old: bool = False
) -> Tensor:
    """V1; `old` as face-parsing has it, and there without `spatial_path` too."""
    _, c3, c4, c5 = resnet_maps(s, x, "cp.resnet.", (2, 2, 2, 2), False)

    def arm(x: Tensor, name: str) -> Tensor:
        x = s.unit(x, f"{name}.conv", 128, 3)
        gate = s.norm(s.conv(average(x), f"{name}.conv_atten", 128), f"{name}.bn_atten")
        return x * torch.sigmoid(gate)

    global_context = s.unit(average(c5), "cp.conv_avg", 128)
    refined32 = s.unit(enlarge(arm(c5, "cp.arm32") + global_context, 2), "cp.conv_head32", 128, 3)
    refined16 = s.unit(enlarge(arm(c4, "cp.arm16") + refined32, 2), "cp.conv_head16", 128, 3)
    spatial = c3
    if spatial_path:
        spatial = s.unit(x, "sp.conv1", 64, 7, 2)
        spatial = s.unit(spatial, "sp.conv2", 64, 3, 2)
        spatial = s.unit(spatial, "sp.conv3", 64, 3, 2)
        spatial = s.unit(spatial, "sp.conv_out", 128)
    fused = s.unit(torch.cat((spatial, refined16), 1), "ffm.convblk", 256)
    if old:
        gate = s.conv(torch.relu(s.conv(average(fused), "ffm.conv1", 64)), "ffm.conv2", 256)
    else:
        gate = s.norm(s.conv(average(fused), "ffm.conv", 256), "ffm.bn")
    fused = fused + fused * torch.sigmoid(gate)
    _coincheung_head(s, refined16, "conv_out16", 64, not old)
    _coincheung_head(s, refined32, "conv_out32", 64, not old)
    return bilinear(_coincheung_head(s, fused, "conv_out", 256, not old), x, aligned=old)


def coincheung_bisenetv2(s: Standin, x: Tensor) -> Tensor:
    image = x
    detail = x
    for stage, widths in (("S1", (64, 64)), ("S2", (64, 64, 64)), ("S3", (128, 128, 128))):
        for i, width in enumerate(widths):
            detail = s.unit(detail, f"detail.{stage}.{i}", width, 3, 2 if i == 0 else 1)
    x = s.unit(x, "segment.S1S2.conv", 16, 3, 2)
    left = s.unit(s.unit(x, "segment.S1S2.left.0", 8), "segment.S1S2.left.1", 16, 3, 2)
    x = s.unit(torch.cat((left, F.max_pool2d(x, 3, 2, 1)), 1), "segment.S1S2.fuse", 16, 3)

    def pair(x: Tensor, name: str, *layout: int, first: int = 0) -> Tensor:
        names = (f"{name}.{first}", f"{name}.{first + 1}")
        return s.block(x, *names, *layout, activation=same)

    for stage, out, layers in (("S3", 32, 2), ("S4", 64, 2), ("S5_4", 128, 4)):
        for i in range(layers):
            name, channels = f"segment.{stage}.{i}", x.shape[1]
            y = s.unit(x, f"{name}.conv1", channels, 3)
            if i == 0:
                y = pair(y, f"{name}.dwconv1", 6 * channels, 3, 2, channels)
                y = torch.relu(pair(y, f"{name}.dwconv2", 6 * channels, 3, 1, 6 * channels))
                x = pair(x, f"{name}.shortcut", channels, 3, 2, channels)
                x = pair(x, f"{name}.shortcut", out, first=2)
            else:
                y = torch.relu(pair(y, f"{name}.dwconv", 6 * channels, 3, 1, channels))
            x = torch.relu(x + pair(y, f"{name}.conv2", out))
        s.unit(x, f"aux{stage[1:]}.conv", 128, 3)
    context = s.unit(s.norm(average(x), "segment.S5_5.bn"), "segment.S5_5.conv_gap", 128)
    x = s.unit(x + context, "segment.S5_5.conv_last", 128, 3)
    left1 = s.conv(pair(detail, "bga.left1", 128, 3, 1, 128), "bga.left1.2", 128)
    left2 = F.avg_pool2d(pair(detail, "bga.left2", 128, 3, 2), 3, 2, 1)
    right1 = enlarge(pair(x, "bga.right1", 128, 3), 4)
    right2 = s.conv(pair(x, "bga.right2", 128, 3, 1, 128), "bga.right2.2", 128)
    right = enlarge(left2 * torch.sigmoid(right2), 4)
    x = torch.relu(pair(left1 * torch.sigmoid(right1) + right, "bga.conv", 128, 3))
    x = s.conv(s.unit(x, "head.conv", 1024, 3), "head.conv_out.1", CLASSES, bias=True)
    return bilinear(x, image)


def _mm_head(s: Standin, x: Tensor, name: str, mid: int) -> Tensor:
    return s.conv(s.unit(x, f"{name}.convs.0", mid, 3), f"{name}.conv_seg", CLASSES, bias=True)


def _mm_arm(s: Standin, x: Tensor, name: str) -> Tensor:
    x = s.unit(x, f"{name}.conv_layer", 128, 3)
    gate = s.unit(average(x), f"{name}.atten_conv_layer.1", 128, activation=same)
    return x * torch.sigmoid(gate)


def mmseg_bisenet(s: Standin, x: Tensor) -> Tensor:
    context = "backbone.context_path"
    _, _, c4, c5 = resnet_maps(s, x, f"{context}.backbone.", (2, 2, 2, 2), False)
    top = _mm_arm(s, c5, f"{context}.arm32") + s.unit(average(c5), f"{context}.gap_conv.1", 128)
    refined32 = s.unit(enlarge(top, 2), f"{context}.conv_head32", 128, 3)
    refined16 = enlarge(_mm_arm(s, c4, f"{context}.arm16") + refined32, 2)
    refined16 = s.unit(refined16, f"{context}.conv_head16", 128, 3)
    spatial = x
    for i, layer in enumerate(((64, 7, 2), (64, 3, 2), (64, 3, 2), (128, 1, 1)), start=1):
        spatial = s.unit(spatial, f"backbone.spatial_path.layer{i}", *layer)
    fused = s.unit(torch.cat((spatial, refined16), 1), "backbone.ffm.conv1", 256)
    gate = torch.sigmoid(s.unit(average(fused), "backbone.ffm.conv_atten.0", 256))
    _mm_head(s, refined16, "auxiliary_head.0", 64)
    _mm_head(s, refined32, "auxiliary_head.1", 64)
    return bilinear(_mm_head(s, fused + fused * gate, "decode_head", 256), x)


def mmseg_bisenetv2(s: Standin, x: Tensor) -> Tensor:
    image = detail = x
    for stage, widths in enumerate(((64, 64), (64, 64, 64), (128, 128, 128))):
        for i, width in enumerate(widths):
            name = f"backbone.detail.detail_branch.{stage}.{i}"
            detail = s.unit(detail, name, width, 3, 2 if i == 0 else 1)
    semantic = "backbone.semantic"
    x = s.unit(x, f"{semantic}.stage1.conv_first", 16, 3, 2)
    left = s.unit(x, f"{semantic}.stage1.convs.0", 8)
    left = s.unit(left, f"{semantic}.stage1.convs.1", 16, 3, 2)
    joined = torch.cat((left, F.max_pool2d(x, 3, 2, 1)), 1)
    x = s.unit(joined, f"{semantic}.stage1.fuse_last", 16, 3)
    for stage, out, layers in ((2, 32, 2), (3, 64, 2), (4, 128, 4)):
        for i in range(layers):
            name, channels = f"{semantic}.stage{stage}.{i}", x.shape[1]
            y = s.unit(x, f"{name}.conv1", channels, 3)
            wide, short = 6 * channels, f"{name}.shortcut.0"
            if i == 0:
                y = s.unit(y, f"{name}.dwconv.0", wide, 3, 2, channels, activation=same)
                y = s.unit(y, f"{name}.dwconv.1", wide, 3, 1, wide)
                x = s.unit(x, f"{short}.depthwise_conv", channels, 3, 2, channels, activation=same)
                x = s.unit(x, f"{short}.pointwise_conv", out, activation=same)
            else:
                y = s.unit(y, f"{name}.dwconv.0", wide, 3, 1, channels)
            x = torch.relu(x + s.unit(y, f"{name}.conv2.0", out, activation=same))
        _mm_head(s, x, f"auxiliary_head.{stage - 1}", 64)
    embedding = f"{semantic}.stage4_CEBlock"
    context = s.unit(s.norm(average(x), f"{embedding}.gap.1"), f"{embedding}.conv_gap", 128)
    x = s.unit(x + context, f"{embedding}.conv_last", 128, 3)

    def keep(x: Tensor, name: str) -> Tensor:
        x = s.unit(x, f"{name}.0.depthwise_conv", 128, 3, 1, 128, activation=same)
        # Without a norm this project's convolutions have a bias.
        return s.conv(x, f"{name}.0.pointwise_conv.conv", 128, bias=True)

    fine = keep(detail, "backbone.bga.detail_dwconv")
    down = s.unit(detail, "backbone.bga.detail_down.0", 128, 3, 2, activation=same)
    down = F.avg_pool2d(down, 3, 2, 1)
    up = s.unit(x, "backbone.bga.semantic_conv.0", 128, 3, activation=same)
    coarse = down * torch.sigmoid(keep(x, "backbone.bga.semantic_dwconv"))
    fine = fine * torch.sigmoid(bilinear(up, fine))
    x = s.unit(fine + bilinear(coarse, fine), "backbone.bga.conv", 128, 3)
    return bilinear(_mm_head(s, x, "decode_head", 1024), image)


def mmseg_stdc(s: Standin, x: Tensor, blocks: tuple[int, int, int] = (2, 2, 2)) -> Tensor:
    image, net, maps = x, "backbone.backbone.stages", []
    x = s.unit(s.unit(x, f"{net}.0", 32, 3, 2), f"{net}.1", 64, 3, 2)
    for stage, (out, count) in enumerate(zip((256, 512, 1024), blocks, strict=True), start=2):
        for i in range(count):
            name = f"{net}.{stage}.{i}"
            first = x = s.unit(x, f"{name}.layers.0", out // 2)
            if i == 0:
                layout = (out // 2, 3, 2, out // 2)
                x = s.unit(x, f"{name}.downsample", *layout, activation=same)
                first = F.avg_pool2d(first, 3, 2, 1)
            parts = [first]
            for n, share in ((1, 4), (2, 8), (3, 8)):
                x = s.unit(x, f"{name}.layers.{n}", out // share, 3)
                parts.append(x)
            x = torch.cat(parts, 1)
        maps.append(x)
    c3, c4, c5 = maps
    x = s.unit(average(c5), "backbone.conv_avg", 128)
    for n, c in enumerate((c5, c4)):
        x = enlarge(_mm_arm(s, c, f"backbone.arms.{n}") + x, 2)
        x = s.unit(x, f"backbone.convs.{n}", 128, 3)
        _mm_head(s, x, f"auxiliary_head.{n}", 64)
    fused = s.unit(torch.cat((c3, x), 1), "backbone.ffm.conv0", 256)
    gate = torch.relu(s.conv(average(fused), "backbone.ffm.attention.1.conv", 64))
    gate = torch.sigmoid(s.conv(gate, "backbone.ffm.attention.2.conv", 256))
    return bilinear(_mm_head(s, fused + fused * gate, "decode_head", 256), image, aligned=True)
