"""DFANet, a segmenter of three small encoders that feed each other (arXiv 1904.02216).

No code was released with the paper. What it leaves open is settled by its counts of
multiply-adds: stride 2 in the first convolution of a block, 4, 6 and 4 blocks, a decoder 32 wide
with a 3x3 fusion. A stage takes its input and the same stage of the encoder before,
concatenated, and the shortcut of its first block projects them to its own width.
DFANet A' is A on images of 512 x 1024.
"""

from __future__ import annotations

from functools import reduce

import torch
from torch import Tensor, nn

from livevision.nets import xception
from livevision.nets.layers import Classifier, ConvNorm, global_average, initialise, resize_to

# Table 1: blocks of enc2, enc3 and enc4, and the channels inside them; they give four times these.
_BLOCKS = (4, 6, 4)
_STEM = 8
_WIDTHS = {"a": (12, 24, 48), "b": (8, 16, 32)}


class Block(xception.Block):
    """Xception39's block with a plain 1x1 convolution as shortcut where the stride is 2."""

    def __init__(self, in_channels: int, mid_channels: int, stride: int) -> None:
        super().__init__(in_channels, mid_channels, stride)
        if stride > 1:
            self.shortcut = ConvNorm(in_channels, 4 * mid_channels, stride=stride, relu=False)


class FcAttention(nn.Module):
    """Weights channels by what a classifier of ImageNet's 1000 classes makes of their averages.

    The linear layer comes from the backbone's training as a classifier, and matters.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, 1000)
        self.gate = ConvNorm(1000, channels)

    def forward(self, x: Tensor) -> Tensor:
        classes: Tensor = self.fc(torch.flatten(global_average(x), 1))
        weights: Tensor = self.gate(classes[:, :, None, None])
        return x * weights


class Encoder(nn.Module):
    """enc2, enc3 and enc4: three stages that halve the size each.

    Args:
        mid_channels: inside the blocks of each stage.
        in_channels: of the input.
        follows: whether another encoder precedes, whose maps join the input of each stage.
    """

    def __init__(self, mid_channels: tuple[int, int, int], in_channels: int, follows: bool) -> None:
        super().__init__()
        enc2, enc3, enc4 = (4 * mid for mid in mid_channels)
        joined = (enc2, enc3, enc4) if follows else (0, 0, 0)
        self.enc2 = _stage(in_channels + joined[0], mid_channels[0], _BLOCKS[0])
        self.enc3 = _stage(enc2 + joined[1], mid_channels[1], _BLOCKS[1])
        self.enc4 = _stage(enc3 + joined[2], mid_channels[2], _BLOCKS[2])

    def forward(
        self, x: Tensor, previous: tuple[Tensor, ...] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The outputs of enc2, enc3 and enc4; `previous` are those of the encoder before."""
        enc2 = self.enc2(_join(x, previous, 0))
        enc3 = self.enc3(_join(enc2, previous, 1))
        return enc2, enc3, self.enc4(_join(enc3, previous, 2))


def _join(x: Tensor, previous: tuple[Tensor, ...] | None, stage: int) -> Tensor:
    return x if previous is None else torch.cat((x, previous[stage]), 1)


def _stage(in_channels: int, mid_channels: int, blocks: int) -> nn.Sequential:
    first = Block(in_channels, mid_channels, stride=2)
    rest = (Block(4 * mid_channels, mid_channels, stride=1) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


class Decoder(nn.Module):
    """Sums the encoders' enc2 maps, fuses them, and adds the sum of their attended enc4 maps.

    Args:
        enc2, enc4: channels of those maps.
        encoders: how many there are.
        width: channels inside.
        kernel_size: of the fusion.
        num_classes: classes of the segmentation.
    """

    def __init__(
        self, enc2: int, enc4: int, encoders: int, width: int, kernel_size: int, num_classes: int
    ) -> None:
        super().__init__()
        self.low = nn.ModuleList(ConvNorm(enc2, width) for _ in range(encoders))
        self.high = nn.ModuleList(ConvNorm(enc4, width) for _ in range(encoders))
        self.fusion = ConvNorm(width, width, kernel_size)
        self.classes = nn.Conv2d(width, num_classes, 1)

    def forward(self, low: list[Tensor], high: list[Tensor]) -> Tensor:
        """Logits at the size of `low[0]`, which is 1/4 of the image's."""
        fused: Tensor = self.fusion(_sum(self.low, low, low[0]))
        logits: Tensor = self.classes(fused + _sum(self.high, high, low[0]))
        return logits


def _sum(layers: nn.ModuleList, maps: list[Tensor], like: Tensor) -> Tensor:
    # Narrowed before they are enlarged, which costs a small part of the other order.
    enlarged = [_resize(layer(x), like) for layer, x in zip(layers, maps, strict=True)]
    return reduce(torch.add, enlarged)


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return resize_to(x, like, align_corners=False)


class DFANet(nn.Module):
    """DFANet on three encoders.

    An encoder's first input is the attended output of the one before, enlarged to the size of
    that one's enc2. Sizes are taken from the maps, so that images need not be multiples of 64;
    where they are, every factor is the paper's.

    Args:
        mid_channels: inside the blocks of enc2, enc3 and enc4.
        num_classes: classes of the segmentation.
        encoders: how many; the paper's choice is 3.
        width: channels of the decoder.
        fusion_kernel_size: of the decoder's fusion.
    """

    def __init__(
        self,
        mid_channels: tuple[int, int, int],
        num_classes: int,
        encoders: int = 3,
        width: int = 32,
        fusion_kernel_size: int = 3,
    ) -> None:
        super().__init__()
        enc2, _, enc4 = (4 * mid for mid in mid_channels)
        self.stem = ConvNorm(3, _STEM, 3, stride=2)
        self.encoders = nn.ModuleList(
            Encoder(mid_channels, enc4 if i else _STEM, follows=i > 0) for i in range(encoders)
        )
        self.attentions = nn.ModuleList(FcAttention(enc4) for _ in range(encoders))
        self.decoder = Decoder(enc2, enc4, encoders, width, fusion_kernel_size, num_classes)
        initialise(self)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Segment a batch.

        Returns:
            In eval mode logits, N x num_classes x H x W, at the input's size. In train mode a
            tuple of those alone: the paper has no auxiliary heads.
        """
        x = self.stem(images)
        maps: tuple[Tensor, ...] | None = None
        low, high = [], []
        for encoder, attention in zip(self.encoders, self.attentions, strict=True):
            # What the next encoder joins to its enc4 is this one's before the attention.
            maps = enc2, _, enc4 = encoder(x, maps)
            low.append(enc2)
            high.append(attention(enc4))
            x = _resize(high[-1], enc2)
        logits = _resize(self.decoder(low, high), images)
        return (logits,) if self.training else logits

    def start_from(self, classifier: nn.Module) -> None:
        """Copy the weights of a trained `xception_a` or `xception_b` wherever they fit.

        Every encoder and every attention starts from the same ones; what does not fit are the
        first convolutions of stages that take another encoder's maps too, and, if the classifier
        has not 1000 classes, the attentions' linear layers.
        """
        trained = classifier.state_dict()
        ours = self.state_dict()
        for name, value in ours.items():
            if name.startswith("encoders."):
                source = "backbone.encoder." + name.split(".", 2)[2]
            elif name.startswith("attentions."):
                source = name.split(".", 2)[2]
            else:
                source = "backbone." + name
            if source in trained and trained[source].shape == value.shape:
                ours[name] = trained[source]
        self.load_state_dict(ours)


class Xception(nn.Module):
    """XceptionA or B, the backbone alone: the stem and an encoder; returns enc2, enc3 and enc4."""

    def __init__(self, mid_channels: tuple[int, int, int]) -> None:
        super().__init__()
        self.stem = ConvNorm(3, _STEM, 3, stride=2)
        self.encoder = Encoder(mid_channels, _STEM, follows=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps: tuple[Tensor, Tensor, Tensor] = self.encoder(self.stem(images))
        return maps


def dfanet_a(num_classes: int = 19, **options: int) -> DFANet:
    """DFANet A, and A' on images of 512 x 1024."""
    return DFANet(_WIDTHS["a"], num_classes, **options)


def dfanet_b(num_classes: int = 19, **options: int) -> DFANet:
    """DFANet B."""
    return DFANet(_WIDTHS["b"], num_classes, **options)


def xception_a(num_classes: int = 1000) -> Classifier:
    """XceptionA as a classifier; its `fc` of 1000 classes is what DFANet A's attention keeps."""
    return Classifier(Xception(_WIDTHS["a"]), 4 * _WIDTHS["a"][-1], num_classes, bias=True)


def xception_b(num_classes: int = 1000) -> Classifier:
    """XceptionB as a classifier; its `fc` of 1000 classes is what DFANet B's attention keeps."""
    return Classifier(Xception(_WIDTHS["b"]), 4 * _WIDTHS["b"][-1], num_classes, bias=True)
