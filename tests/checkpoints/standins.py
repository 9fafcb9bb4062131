"""Stand-ins for checkpoints that cannot be had here: other projects' nets with random weights.

A net is written once, as a function that calls the layers of a `Standin` by the names its project
gives them. The first call draws every tensor that it comes across, so the function yields the
checkpoint and is the reference for what comes out of it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Activation = Callable[[Tensor], Tensor]


def same(x: Tensor) -> Tensor:
    return x


class Standin:
    """Layers by name; `tensors` holds what a checkpoint would, counts of batches included."""

    def __init__(self, seed: int = 0) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._random = torch.Generator().manual_seed(seed)

    def _draw(self, name: str, shape: tuple[int, ...], scale: float, centre: float = 0.0) -> Tensor:
        if name not in self.tensors:
            drawn = torch.randn(shape, generator=self._random)
            self.tensors[name] = drawn.clamp(-2, 2) * scale + centre
        return self.tensors[name]

    def conv(
        self,
        x: Tensor,
        name: str,
        out: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        bias: bool = False,
    ) -> Tensor:
        shape = (out, x.shape[1] // groups, kernel, kernel)
        weight = self._draw(f"{name}.weight", shape, (2 / (shape[1] * kernel**2)) ** 0.5)
        shift = self._draw(f"{name}.bias", (out,), 0.1) if bias else None
        return F.conv2d(x, weight, shift, stride, kernel // 2, 1, groups)

    def norm(self, x: Tensor, name: str) -> Tensor:
        shape = (x.shape[1],)
        weight = self._draw(f"{name}.weight", shape, 0.1, 1.0)
        bias = self._draw(f"{name}.bias", shape, 0.1)
        mean = self._draw(f"{name}.running_mean", shape, 0.1)
        variance = self._draw(f"{name}.running_var", shape, 0.1, 1.0)
        self.tensors[f"{name}.num_batches_tracked"] = torch.tensor(7)
        return F.batch_norm(x, mean, variance, weight, bias)

    def block(
        self,
        x: Tensor,
        conv: str,
        norm: str,
        out: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        activation: Activation = torch.relu,
    ) -> Tensor:
        """A convolution, its norm and an activation."""
        return activation(self.norm(self.conv(x, conv, out, kernel, stride, groups), norm))

    def unit(
        self, x: Tensor, name: str, *layout: int, activation: Activation = torch.relu
    ) -> Tensor:
        """A `block` whose layers are called `conv` and `bn`."""
        return self.block(x, f"{name}.conv", f"{name}.bn", *layout, activation=activation)

    def linear(self, x: Tensor, name: str, out: int, bias: bool = True) -> Tensor:
        weight = self._draw(f"{name}.weight", (out, x.shape[1]), x.shape[1] ** -0.5)
        return F.linear(x, weight, self._draw(f"{name}.bias", (out,), 0.1) if bias else None)


def average(x: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(x, 1)


def enlarge(x: Tensor, times: int) -> Tensor:
    return F.interpolate(x, scale_factor=times, mode="nearest")


def bilinear(x: Tensor, like: Tensor, aligned: bool = False) -> Tensor:
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=aligned)


def numbered(net: nn.Module, heads: dict[int, tuple[int, ...]]) -> dict[str, Tensor]:
    """What is read of a TFLite graph with a net's convolutions and, at these places, others.

    Weights and biases are about the convolution's number.
    """
    shapes = [m.weight.shape for m in net.modules() if isinstance(m, nn.Conv2d)]
    for place, shape in heads.items():
        shapes.insert(place, shape)
    random = torch.Generator().manual_seed(0)
    tensors: dict[str, Tensor] = {}
    for n, shape in enumerate(shapes):
        out = torch.ones(shape[0])
        tensors |= {
            f"conv.{n}.weight": torch.full(tuple(shape), float(n))
            + torch.randn(tuple(shape), generator=random) / 100,
            f"norm.{n}.weight": out,
            f"norm.{n}.bias": out * n,
            f"norm.{n}.running_mean": out * 0,
            f"norm.{n}.running_var": out,
        }
    return tensors
