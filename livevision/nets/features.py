"""Backbones as feature extractors, with maps at requested strides."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from livevision.nets import resnet, snet, stdc
from livevision.nets.layers import Backbone
from livevision.nets.mobilenetv2 import MobileNetV2
from livevision.nets.shufflenetv2 import ShuffleNetV2
from livevision.nets.xception import Xception39
from livevision.nets.xception_star import XceptionStar

# Backbones without a classifier's last layers, and the strides of their maps.
_BACKBONES: dict[str, tuple[Callable[..., Backbone], tuple[int, ...]]] = {
    "mobilenetv2": (partial(MobileNetV2, last=0), (2, 4, 8, 16, 32)),
    "resnet18": (partial(resnet.backbone, "resnet18"), (4, 8, 16, 32)),
    "resnet101": (partial(resnet.backbone, "resnet101"), (4, 8, 16, 32)),
    "shufflenetv2-0.5": (partial(ShuffleNetV2, 0.5, last=False), (4, 8, 16, 32)),
    "shufflenetv2-1.0": (partial(ShuffleNetV2, 1.0, last=False), (4, 8, 16, 32)),
    "shufflenetv2-1.5": (partial(ShuffleNetV2, 1.5, last=False), (4, 8, 16, 32)),
    "shufflenetv2-2.0": (partial(ShuffleNetV2, 2.0, last=False), (4, 8, 16, 32)),
    "snet49": (partial(snet.backbone, "snet49"), (16, 32)),
    "snet146": (partial(snet.backbone, "snet146"), (16, 32)),
    "snet535": (partial(snet.backbone, "snet535"), (16, 32)),
    "stdc1": (partial(stdc.backbone, "stdc1"), (4, 8, 16, 32)),
    "stdc2": (partial(stdc.backbone, "stdc2"), (4, 8, 16, 32)),
    "xception-star": (XceptionStar, (16, 32)),
    "xception39": (Xception39, (8, 16, 32)),
}


class Selection:
    """A forward hook that selects some of a backbone's maps."""

    def __init__(self, places: tuple[int, ...]) -> None:
        self.places = places

    def __call__(
        self, module: nn.Module, inputs: tuple[Tensor, ...], maps: tuple[Tensor, ...]
    ) -> tuple[Tensor, ...]:
        return tuple(maps[place] for place in self.places)


def features(name: str, strides: tuple[int, ...] = (8, 16, 32), **options: Any) -> Backbone:
    """Build a backbone by name that returns its last maps at these strides.

    Weights have the names of the classifier with the same name, after `backbone.`.

    Args:
        name: of a classifier that `livevision.nets.build` knows.
        strides: pixels of the image between those of each map, finest first.
        **options: passed to the backbone, such as `width` or `downsample_style`. `dilated`, if the
            backbone supports it, keeps the map of stride 32 at stride 16.

    Returns:
        A module that returns a tuple of maps, their numbers of channels in its `channels`.

    Raises:
        ValueError: the name is unknown, the backbone has no map at one of the strides, or an option
            is unknown.
    """
    if name not in _BACKBONES:
        raise ValueError(f"unknown backbone {name!r}; the backbones are: {', '.join(_BACKBONES)}")
    make, available = _BACKBONES[name]
    if not set(strides) <= set(available):
        raise ValueError(f"{name} has maps at strides {available}, not at all of {strides}")
    places = tuple(available.index(stride) for stride in strides)
    try:
        backbone = make(**options)
    except TypeError as error:
        raise ValueError(f"{name} cannot be built: {error}") from error
    backbone.channels = tuple(backbone.channels[place] for place in places)
    # A wrapping module would change the names of the weights; a hook does not.
    backbone.register_forward_hook(Selection(places))
    return backbone


def names() -> list[str]:
    """The names of the backbones, sorted."""
    return sorted(_BACKBONES)
