"""Batch norms in training: per process, synchronised, or frozen.

Norms of imported weights can be measured before training: see `measure_norms`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from livevision.nets.layers import statistics
from livevision.training.processes import sum_over_processes

_FOLDED = 1e-4  # from 1, of the variance: some files leave out what a norm adds to it


def prepare_norms(net: nn.Module, how: str) -> None:
    """Set up a net's norms by a recipe's `norm`; names of weights stay.

    Args:
        net: modified in place.
        how: "batch", "sync" or "frozen".
    """
    if how == "frozen":
        for norm in _norms(net):
            for parameter in norm.parameters():
                parameter.requires_grad_(False)
    if how == "sync":
        for module in list(net.modules()):
            for name, child in module.named_children():
                if isinstance(child, _BatchNorm):
                    setattr(module, name, SyncedNorm(child))


def enter_training(net: nn.Module) -> None:
    """Put a net in train mode, with frozen norms in eval mode."""
    net.train()
    for norm in _norms(net):
        if norm.weight is not None and not norm.weight.requires_grad:
            norm.eval()


@torch.no_grad()
def measure_norms(net: nn.Module, beginnings: Sequence[str], run: Callable[[], object]) -> int:
    """Set norms to the statistics of their inputs; the net in eval mode computes the same.

    Files for inference have norms folded into convolutions, leaving a norm that only adds a bias.
    In training, which uses the batch's own statistics, such a norm would change the result. With
    measured statistics, and scale and shift set to compensate, it does not.

    Args:
        net: modified in place.
        beginnings: prefixes of the names of the norms.
        run: runs pictures through the net, in eval mode, once.

    Returns:
        The number of norms measured.
    """
    named = [(n, m) for n, m in net.named_modules() if n.startswith(tuple(beginnings))]
    measured = {n: m for n, m in named if isinstance(m, _BatchNorm)}
    sums: dict[str, Tensor] = {}

    def adder(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def add(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = inputs[0].double()
            axes = [0, *range(2, x.ndim)]
            count = x.new_full((x.shape[1],), x.numel() / x.shape[1])
            new = torch.stack((x.sum(axes), x.square().sum(axes), count))
            sums[name] = sums[name] + new if name in sums else new

        return add

    hooks = [m.register_forward_pre_hook(adder(n)) for n, m in measured.items()]
    was_training = net.training
    try:
        net.eval()
        run()
    finally:
        net.train(was_training)
        for hook in hooks:
            hook.remove()
    for name in sorted(sums):  # the same order in all processes
        total, square, count = sum_over_processes(sums[name])
        mean = total / count
        _restate(measured[name], mean, square / count - mean.square())
    return len(sums)


def folded_norms(net: nn.Module) -> list[str]:
    """Names of the norms that will be trained and only add a bias: mean 0, variance 1.

    Such a norm was folded into its convolution. Trained, it would use the batch's statistics and
    change what the net computes; `measure_norms` undoes that.
    """
    return [
        name
        for name, norm in net.named_modules()
        if isinstance(norm, _BatchNorm)
        and norm.weight is not None
        and norm.weight.requires_grad
        and norm.bias.any()
        and not statistics(norm)[0].any()
        and bool((statistics(norm)[1] - 1).abs().max() < _FOLDED)
    ]


def _restate(norm: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    """Set mean and variance, and scale and shift so that the result is unchanged."""
    running_mean, running_variance = statistics(norm)
    scale = norm.weight.double() / (running_variance.double() + norm.eps).sqrt()
    shift = norm.bias.double() - running_mean.double() * scale
    # A value that is constant in these pictures may vary in others.
    variance = variance.clamp(min=1e-6)
    norm.weight.copy_(scale * (variance + norm.eps).sqrt())
    norm.bias.copy_(shift + mean * scale)
    running_mean.copy_(mean)
    running_variance.copy_(variance)


def _norms(net: nn.Module) -> list[_BatchNorm]:
    return [m for m in net.modules() if isinstance(m, _BatchNorm)]


class SyncedNorm(_BatchNorm):
    """Batch norm with statistics over all processes' batches, on any device.

    PyTorch's own works on GPUs only. With it, several processes compute what one would on all of
    their pictures, and batches of one picture per process have useful statistics.

    Args:
        like: the norm it replaces, and whose weights it takes over.
    """

    def __init__(self, like: _BatchNorm) -> None:
        super().__init__(like.num_features, like.eps, like.momentum)
        self.weight, self.bias = like.weight, like.bias
        for name, buffer in like.named_buffers():
            setattr(self, name, buffer)

    def _check_input_dim(self, input: Tensor) -> None:
        """Accept maps and vectors."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        x = input.float()
        axes = [0, *range(2, x.ndim)]
        count = x.new_full((1,), x.numel() / x.shape[1])
        sums = sum_over_processes(torch.cat((x.sum(axes), x.square().sum(axes), count)))
        total = sums[-1].detach()
        mean, square = sums[:-1].div(total).chunk(2)
        variance = (square - mean.square()).clamp(min=0)
        with torch.no_grad():
            momentum = self.momentum or 0.1
            running_mean, running_variance = statistics(self)
            running_mean.lerp_(mean, momentum)
            running_variance.lerp_(variance * total / (total - 1).clamp(min=1), momentum)
        shape = (1, -1) + (1,) * (x.ndim - 2)
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        return (x * scale.view(shape) + shift.view(shape)).to(input.dtype)
