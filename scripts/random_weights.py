"""Random weights with which a net's answers differ from picture to picture and place to place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from livevision.models.catalog import ModelCard

RESIDUAL = 0.2


def residuals(net: Any) -> list[Any]:
    """The norms that end the residual branches which are added to their block's own input.

    Of encoders one after another also those that end a ShuffleNetV2 unit's branch, whose other half
    passes untouched.
    """
    from torch import nn

    ends, chained = [], set(getattr(net, "encoders", nn.Module()).modules())
    for block in net.modules():
        if isinstance(getattr(block, "shortcut", None), nn.Identity):  # Xception, ResNet, BiSeNetV2
            ends.append(block.residual)
        elif getattr(block, "adds_input", False):  # MobileNetV2
            ends.append(block.project)
        elif getattr(block, "concatenates", None) is False:  # Xception*
            ends.append(block.residual)
        elif block in chained and getattr(block, "shuffles_last", False) and block.stride == 1:
            ends.append(block.right)
    return [[m for m in end.modules() if isinstance(m, nn.BatchNorm2d)][-1] for end in ends]


def write_random(card: ModelCard, images: list[Any], path: Path) -> None:
    """Write weights, safetensors, for nets to be compared that nobody has trained.

    Fresh ones call all things alike: here the norms are set from pictures, and the layers that give
    the answers are scaled up. Residual branches are weak, as where a training with them begins:
    with full ones each block makes rounding errors larger, DFANet's three encoders by 1e4 together,
    and what is compared is chance.

    Args:
        card: of the net.
        images: some pictures, uint8 H×W×3 BGR.
        path: the file.
    """
    import torch
    from safetensors.torch import save_file

    from livevision import nets
    from livevision.inference.graph import Normalise
    from livevision.preprocess.fit import make_fit

    torch.manual_seed(1)
    net: Any = nets.build(card.net, **card.net_options).eval()
    fit = make_fit(card.fit, card.input_size)
    with torch.no_grad():
        for branch in residuals(net):
            branch.weight *= RESIDUAL
        x = Normalise()(torch.from_numpy(np.concatenate([fit.place(i)[0] for i in images])))
        norms = [m for m in net.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
        for norm in norms:
            norm.train()
            norm.momentum = None  # plain averages
        net(x)
        net.eval()
        linear = torch.nn.Conv2d | torch.nn.Linear
        if card.task == "detect":
            parts = (net.rpn.objectness, net.classes, net.boxes)
            *answers, boxes = ([m for m in p.modules() if isinstance(m, linear)][-1] for p in parts)
            boxes.weight *= 20
        else:
            # The last layer with as many outputs as there are classes.
            layers = [m for m in net.modules() if isinstance(m, linear)]
            answers = [m for m in layers if int(m.weight.shape[0]) == len(card.labels)][-1:]
        for layer in answers:
            seen: list[Any] = []
            hook = layer.register_forward_hook(
                lambda _m, _i, output, seen=seen: seen.append(output)
            )
            net(x[:1])
            hook.remove()
            layer.weight *= 3 / float(seen[0].std())
    save_file(
        {k: v for k, v in net.state_dict().items() if not k.endswith("batches_tracked")}, path
    )
