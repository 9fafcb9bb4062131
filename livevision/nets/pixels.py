"""Nets that were trained on pixels normalised in another way than ours.

Folding the difference into the first convolution would not be exact: its padding would stand for
another colour than the one the net was trained with.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class OnOtherPixels(nn.Module):
    """A net behind the change from our normalisation to its own, `(x / 255 - mean) / std`.

    Args:
        net: takes RGB images normalised its own way.
        mean, std: that way, for pixels of 0 to 1, red first.
        our_mean, our_std: of the images that come in.
    """

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
        theirs, ours = zip(mean, std, strict=True), zip(our_mean, our_std, strict=True)
        changes = [
            (s / t_s, (m - t_m) / t_s) for (t_m, t_s), (m, s) in zip(theirs, ours, strict=True)
        ]
        for name, values in zip(("scale", "shift"), zip(*changes, strict=True), strict=True):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """What the net gives."""
        return self.net(images * self.scale + self.shift)
