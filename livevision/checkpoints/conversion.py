"""Strict conversion of a checkpoint's tensors to those of one of our nets.

Every tensor of the file is used or ignored by a rule, every tensor of the net is filled, and shapes
are equal; otherwise nothing is converted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from livevision.checkpoints.layout import Target, Tensors
from livevision.errors import ModelError, UsageError
from livevision.nets import IMAGE_MEAN, IMAGE_STD, build
from livevision.nets.pixels import pixel_change

# Only used by norms that average without momentum.
_COUNT = "num_batches_tracked"
_SHOWN = 4
_EPS = 1e-5  # added to a norm's variance


@dataclass(frozen=True)
class Converted:
    """Tensors that fit a net, and the ignored ones.

    Attributes:
        tensors: By our names; floating point, in the file's precision.
        left_out: Ignored tensors of the file, without counts of batches.
    """

    tensors: dict[str, Tensor]
    left_out: list[str]


def convert(tensors: Tensors, target: Target) -> Converted:
    """Rename the tensors for our net.

    Raises:
        ModelError: Tensors do not fit; the message has the first mismatches by name and shape.
        UsageError: An option of the net is unknown.
    """
    wanted = _shapes(target)
    prefix = "net." if "pixels" in target.options else ""
    found: dict[str, Tensor] = {}
    left_out: list[str] = []
    misfits: list[str] = []
    for name, tensor in tensors.items():
        if name.startswith(target.ignored):
            left_out.append(name)
            continue
        module, _, leaf = name.rpartition(".")
        if leaf == _COUNT:
            continue
        if leaf == "bias" and module in target.folded:
            norm = prefix + target.folded[module]
            found |= _adding(tensor, norm)
            if tuple(tensor.shape) != wanted[f"{norm}.bias"]:
                misfits.append(f"{name!r} is {tuple(tensor.shape)}, not {wanted[f'{norm}.bias']}")
            continue
        ours = f"{prefix}{target.modules[module]}.{leaf}" if module in target.modules else ""
        if ours not in wanted:
            misfits.append(f"there is no place for {name!r} {tuple(tensor.shape)}")
        elif tuple(tensor.shape) != wanted[ours]:
            misfits.append(f"{name!r} is {tuple(tensor.shape)}, the net takes {wanted[ours]}")
        elif not tensor.is_floating_point() or not tensor.isfinite().all():
            misfits.append(f"{name!r} has values that are not finite")
        else:
            found[ours] = tensor
    for name in target.zeros:
        found[prefix + name] = torch.zeros(wanted[prefix + name])
    if not misfits:
        theirs = {f"{prefix}{v}": k for k, v in target.modules.items()}
        for ours in wanted.keys() - found.keys():
            module, _, leaf = ours.rpartition(".")
            misfits.append(f"{theirs.get(module, module) + '.' + leaf!r} {wanted[ours]} is missing")
        misfits.sort()
    if misfits:
        more = f"; and {len(misfits) - _SHOWN} more" if len(misfits) > _SHOWN else ""
        raise ModelError(
            f"it does not fit the net {target.net}: {'; '.join(misfits[:_SHOWN])}{more}"
        )
    for name in target.bgr:
        weight = f"{prefix}{name}.weight"
        found[weight] = found[weight].flip(1)
    for block, theirs_take in target.folded_pixels.items():
        _fold_pixels(found, prefix + block, **theirs_take)
    return Converted(found, left_out)


def _fold_pixels(
    tensors: dict[str, Tensor], block: str, mean: Sequence[float], std: Sequence[float]
) -> None:
    """Fold the change of pixel normalisation into a convolution and its norm; modifies `tensors`.

    The effect of the pixels' shift on the output is subtracted from the norm's mean.
    """
    change = pixel_change(mean, std, IMAGE_MEAN, IMAGE_STD)
    scale, shift = (torch.tensor(values).view(1, -1, 1, 1) for values in change)
    weight, running_mean = f"{block}.0.weight", f"{block}.1.running_mean"
    tensors[running_mean] = tensors[running_mean] - (tensors[weight] * shift).sum((1, 2, 3))
    tensors[weight] = tensors[weight] * scale


def _adding(bias: Tensor, norm: str) -> dict[str, Tensor]:
    """The tensors of a norm that only adds a bias."""
    ones = torch.ones_like(bias, dtype=torch.float32)
    return {
        f"{norm}.weight": ones,
        f"{norm}.bias": bias,
        f"{norm}.running_mean": ones * 0,
        f"{norm}.running_var": ones - _EPS,
    }


def _shapes(target: Target) -> dict[str, tuple[int, ...]]:
    """Shapes of the net's tensors by name; nothing is initialised or computed."""
    options: dict[str, Any] = dict(target.options)
    try:
        with torch.device("meta"):
            net = build(target.net, **options)
    except (TypeError, ValueError) as error:
        raise UsageError(f"net {target.net} with {options}: {error}") from error
    return {k: tuple(v.shape) for k, v in net.state_dict().items() if not k.endswith(_COUNT)}
