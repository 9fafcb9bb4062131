"""Real nets for tests, made here: random weights that spread their answers, at small input sizes.

A freshly initialised net gives every class nearly the same score, so that no two engines could be
told apart by their answers. These nets' norms are set from a few pictures and their last layers
are scaled up.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from livevision.inference.model_files import ModelFiles
from livevision.models.catalog import ModelCard

CAMVID = ("sky", "building", "pole", "road", "pavement", "tree", "sign_symbol", "fence")
CAMVID += ("car", "pedestrian", "bicyclist")
VOC = ("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow")
VOC += ("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa")
VOC += ("train", "tvmonitor")

CARDS = {
    "segment": ModelCard(
        "bisenet-small",
        "segment",
        "bisenet-xception39",
        (96, 64),
        CAMVID,
        net_options={"num_classes": 11, "aux": False},
        data="noise",
        score={"text": "mIoU 0.01", "mIoU": 0.01},
        licence="none",
    ),
    "detect": ModelCard(
        "thundernet-small",
        "detect",
        "thundernet-snet49",
        (128, 96),
        VOC,
        net_options={"num_classes": 20},
        fit="letterbox",
    ),
    "classify": ModelCard(
        "shufflenetv2-small",
        "classify",
        "shufflenetv2-0.5",
        (96, 64),
        VOC,
        net_options={"num_classes": 20},
        fit="centre-crop",
    ),
}

_folder = tempfile.TemporaryDirectory(prefix="livevision-tests-")


def picture(width: int, height: int, seed: int = 0) -> Any:
    """Coloured rectangles over noise, uint8 H×W×3."""
    random = np.random.default_rng(seed)
    image = random.integers(0, 80, (height, width, 3), np.uint8)
    for _ in range(12):
        x, y = random.integers(0, width), random.integers(0, height)
        w, h = random.integers(1, width), random.integers(1, height)
        image[y : y + h // 2, x : x + w // 2] += random.integers(0, 170, 3).astype(np.uint8)
    return image


@functools.cache
def weights(task: str) -> Path:
    """A safetensors file of float16 weights for the task's net."""
    import torch
    from safetensors.torch import save_file

    from livevision import nets
    from livevision.inference.graph import Normalise

    card = CARDS[task]
    torch.set_num_threads(1)  # waiting for a second one costs more than such small nets take
    torch.manual_seed(1)
    net: Any = nets.build(card.net, **card.net_options).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.train()
            module.momentum = None  # plain averages
    width, height = card.input_size
    pictures = np.stack([picture(width, height, seed) for seed in range(4)])
    with torch.no_grad():
        x = Normalise()(torch.from_numpy(pictures))
        net(x)
        net.eval()
        if task == "detect":
            for layer in (net.fc, net.rpn.objectness, net.classes):
                layer.weight *= 3 / _spread(net, layer, x)
            net.boxes.weight *= 20
        elif task == "classify":
            net.fc.weight *= 3 / _spread(net, net.fc, x)
        else:
            net.head[1].weight *= 3 / _spread(net, net.head[1], x)
    path = Path(_folder.name) / f"{card.name}.safetensors"
    save_file(
        {k: v.half() for k, v in net.state_dict().items() if not k.endswith("batches_tracked")},
        path,
    )
    return path


def _spread(net: Any, layer: Any, x: Any) -> float:
    """Standard deviation of a layer's outputs."""
    seen = []
    hook = layer.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    net(x)
    hook.remove()
    return float(seen[0].std())


@functools.cache
def graph(task: str) -> Path:
    """The exported graph of the task's net with those weights."""
    from livevision.models.export import export_graph

    card = CARDS[task]
    path = Path(_folder.name) / f"{card.name}.onnx"
    export_graph(files(task), card, path)
    return path


def files(task: str, with_graph: bool = False) -> ModelFiles:
    """Everything an engine needs."""
    card = CARDS[task]
    return ModelFiles(
        card.name,
        task,
        card.net,
        card.input_size,
        card.net_options,
        weights(task),
        graph(task) if with_graph else None,
    )
