"""Nets trained with another pixel normalisation than ours.

Folding the difference into the first convolution would be inexact: its padding would have another
colour than in training. For weights to start training from, it is good enough.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class OnOtherPixels(nn.Module):
    """A net preceded by the conversion from our normalisation to its own, `(x / 255 - mean) / std`.

    Args:
        net: takes RGB images in its own normalisation.
        mean, std: its normalisation, for pixels of 0 to 1, RGB.
        our_mean, our_std: normalisation of the incoming images.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        net: nn.Module,
        mean: Sequence[float],
        std: Sequence[float],
        our_mean: Sequence[float],
        our_std: Sequence[float],
    ) -> None:
        super().__init__()
        self.net = net
        changes = pixel_change(mean, std, our_mean, our_std)
        for name, values in zip(("scale", "shift"), changes, strict=True):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The net's output."""
        given: Tensor | tuple[Tensor, ...] = self.net(images * self.scale + self.shift)
        return given


def pixel_change(
    mean: Sequence[float],
    std: Sequence[float],
    our_mean: Sequence[float],
    our_std: Sequence[float],
) -> tuple[list[float], list[float]]:
    """Scale and shift of each colour that convert our normalisation to theirs."""
    scale = [ours / theirs for ours, theirs in zip(our_std, std, strict=True)]
    shift = [(o - t) / s for o, t, s in zip(our_mean, mean, std, strict=True)]
    return scale, shift
