"""DFANet, a segmenter of three small encoders that feed each other (arXiv 1904.02216).

No code was released with the paper. What it leaves open is inferred from its counts of
multiply-adds: stride 2 in the first convolution of a block; 4, 6 and 4 blocks; a decoder 32 wide
with a 3x3 fusion. A stage takes the concatenation of its input and the same stage of the previous
encoder, and the shortcut of its first block projects it to the stage's width. DFANet A' is A on
images of 512 x 1024.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from typing import ClassVar

import torch
from torch import Tensor, nn

from livevision.nets import xception
from livevision.nets.layers import (
    Backbone,
    Classifier,
    ConvNorm,
    Step,
    global_average,
    initialise,
    resize_to,
)

# Table 1: blocks of enc2, enc3 and enc4, and their inner channels; outputs have four times these.
_BLOCKS = (4, 6, 4)
_STEM = 8
_WIDTHS = {"a": (12, 24, 48), "b": (8, 16, 32)}


class Block(xception.Block):
    """Xception39's block with a plain 1x1 convolution as shortcut at stride 2."""

    def __init__(self, in_channels: int, mid_channels: int, stride: int) -> None:
        super().__init__(in_channels, mid_channels, stride)
        if stride > 1:
            self.shortcut = ConvNorm(in_channels, 4 * mid_channels, stride=stride, relu=False)


class FcAttention(nn.Module):
    """Weights channels by a linear function of an ImageNet classifier's output on their averages.

    The linear layer comes from the backbone's training as a classifier, and matters. The weights
    start near 1: initialised like others, the gate would close half of the channels, different
    ones in each image.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, 1000)
        self.gate = ConvNorm(1000, channels)

    def begin_open(self) -> None:
        """Initialise the gate to pass every channel, nearly unchanged."""
        norm = self.gate.norm
        nn.init.constant_(norm.weight, 0.1)
        nn.init.ones_(norm.bias)

    def forward(self, x: Tensor) -> Tensor:
        classes: Tensor = self.fc(torch.flatten(global_average(x), 1))
        weights: Tensor = self.gate(classes[:, :, None, None])
        return x * weights


@dataclass(frozen=True)
class Plan:
    """Configuration of a DFANet's encoders.

    Attributes:
        stem: creates the layers before the first encoder, which halve the size.
        stem_channels: its output channels.
        channels: output channels of enc2, enc3 and enc4.
        stages: create enc2, enc3 and enc4, each halving the size; called with the channels of the
            stage's input and whether another encoder's map is concatenated.
        sources: prefixes of "stem.", "enc2.", "enc3." and "enc4." in a classifier's weights.
    """

    stem: Callable[[], nn.Module]
    stem_channels: int
    channels: tuple[int, int, int]
    stages: tuple[Callable[[int, bool], nn.Module], ...]
    sources: Mapping[str, str]


class Encoder(nn.Module):
    """enc2, enc3 and enc4: three stages that halve the size each.

    Args:
        plan: their configuration.
        in_channels: of the input.
        follows: whether another encoder precedes, whose maps are concatenated to each input.
    """

    def __init__(self, plan: Plan, in_channels: int, follows: bool) -> None:
        super().__init__()
        inputs = (in_channels, *plan.channels[:2])
        self.enc2, self.enc3, self.enc4 = (
            make(channels + joined * follows, follows)
            for make, channels, joined in zip(plan.stages, inputs, plan.channels, strict=True)
        )

    def forward(
        self, x: Tensor, previous: tuple[Tensor, ...] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The outputs of enc2, enc3 and enc4; `previous` are those of the encoder before."""
        enc2 = self.enc2(_join(x, previous, 0))
        enc3 = self.enc3(_join(enc2, previous, 1))
        return enc2, enc3, self.enc4(_join(enc3, previous, 2))


def _join(x: Tensor, previous: tuple[Tensor, ...] | None, stage: int) -> Tensor:
    return x if previous is None else torch.cat((x, previous[stage]), 1)


def _stage(mid_channels: int, blocks: int, in_channels: int, joins: bool) -> nn.Sequential:
    first = Block(in_channels, mid_channels, stride=2)
    rest = (Block(4 * mid_channels, mid_channels, stride=1) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


def xception_plan(variant: str) -> Plan:
    """Encoders of XceptionA or B, by their letter."""
    mid_channels = _WIDTHS[variant]
    enc2, enc3, enc4 = (4 * mid for mid in mid_channels)
    return Plan(
        stem=partial(ConvNorm, 3, _STEM, 3, stride=2),
        stem_channels=_STEM,
        channels=(enc2, enc3, enc4),
        stages=tuple(
            partial(_stage, mid, blocks) for mid, blocks in zip(mid_channels, _BLOCKS, strict=True)
        ),
        sources={"stem.": "backbone.stem."}
        | {f"enc{i}.": f"backbone.encoder.enc{i}." for i in (2, 3, 4)},
    )


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
    # Channels are reduced before enlarging, at a fraction of the cost.
    enlarged = [_resize(layer(x), like) for layer, x in zip(layers, maps, strict=True)]
    return reduce(torch.add, enlarged)


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return resize_to(x, like, align_corners=False)


class DFANet(nn.Module):
    """DFANet on three encoders.

    An encoder's first input is the attended output of the previous one, enlarged to the size of its
    enc2. Sizes are taken from the maps, so that images need not be multiples of 64; if they are,
    every factor is the paper's.

    Args:
        plan: configuration of the encoders.
        num_classes: classes of the segmentation.
        encoders: how many; the paper's choice is 3.
        width: channels of the decoder.
        fusion_kernel_size: of the decoder's fusion.
    """

    PARTS: ClassVar[dict[str, str]] = {
        "stem": "encoders",
        "encoders": "encoders",
        "": "encoders",
        "attentions": "fc attention",
        "decoder": "decoder",
        "enlarge": "upsampling",
    }

    def __init__(
        self,
        plan: Plan,
        num_classes: int,
        encoders: int = 3,
        width: int = 32,
        fusion_kernel_size: int = 3,
    ) -> None:
        super().__init__()
        enc2, _, enc4 = plan.channels
        self.sources = plan.sources
        self.stem = plan.stem()
        self.encoders = nn.ModuleList(
            Encoder(plan, enc4 if i else plan.stem_channels, follows=i > 0) for i in range(encoders)
        )
        attentions = [FcAttention(enc4) for _ in range(encoders)]
        self.attentions = nn.ModuleList(attentions)
        self.enlarge = Step(_resize)
        self.decoder = Decoder(enc2, enc4, encoders, width, fusion_kernel_size, num_classes)
        initialise(self)
        for attention in attentions:
            attention.begin_open()

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
            # The next encoder gets this enc4 before the attention.
            maps = enc2, _, enc4 = encoder(x, maps)
            low.append(enc2)
            high.append(attention(enc4))
            x = _resize(high[-1], enc2)
        logits: Tensor = self.enlarge(self.decoder(low, high), images)
        return (logits,) if self.training else logits

    def start_from(self, trained: Mapping[str, Tensor]) -> None:
        """Copy the weights of a trained classifier of the same backbone wherever they fit.

        Every encoder and every attention starts from the same weights. Excepted are the first
        convolutions of stages that take another encoder's maps too, and the attentions' linear
        layers unless the classifier has 1000 classes and enc4's channels before them.
        """
        ours = self.state_dict()
        for name, value in ours.items():
            # "encoders.1.enc2.0.…" starts from the classifier's "enc2.0.…".
            part = name.split(".", 2)[2] if name.startswith(("encoders.", "attentions.")) else name
            for start, place in self.sources.items():
                if part.startswith(start):
                    part = place + part.removeprefix(start)
                    break
            if part in trained and trained[part].shape == value.shape:
                ours[name] = trained[part]
        self.load_state_dict(ours)


class Xception(Backbone):
    """XceptionA or B, the backbone alone: the stem and an encoder; returns enc2, enc3 and enc4."""

    def __init__(self, variant: str) -> None:
        super().__init__()
        plan = xception_plan(variant)
        self.channels = plan.channels
        self.stem = plan.stem()
        self.encoder = Encoder(plan, plan.stem_channels, follows=False)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps: tuple[Tensor, Tensor, Tensor] = self.encoder(self.stem(images))
        return maps


def dfanet_a(num_classes: int = 19, **options: int) -> DFANet:
    """DFANet A, and A' on images of 512 x 1024."""
    return DFANet(xception_plan("a"), num_classes, **options)


def dfanet_b(num_classes: int = 19, **options: int) -> DFANet:
    """DFANet B."""
    return DFANet(xception_plan("b"), num_classes, **options)


def xception_a(num_classes: int = 1000) -> Classifier:
    """XceptionA as a classifier; its `fc` of 1000 classes is what DFANet A's attention keeps."""
    return _classifier("a", num_classes)


def xception_b(num_classes: int = 1000) -> Classifier:
    """XceptionB as a classifier; its `fc` of 1000 classes is what DFANet B's attention keeps."""
    return _classifier("b", num_classes)


def _classifier(variant: str, num_classes: int) -> Classifier:
    net = Xception(variant)
    return Classifier(net, net.channels[-1], num_classes, bias=True)
