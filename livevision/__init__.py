"""livevision: boxes and class maps on live video, with honest times and rates.

    import livevision

    model = livevision.load("thundernet-snet49")
    detections = model(image)                       # uint8 H×W×3 BGR -> sv.Detections

    for frame in livevision.run(source="in.mp4", task="segment"):
        frame.index, frame.time, frame.image, frame.class_map

The names below are imported when they are first used, so that ``import livevision`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from livevision.version import __version__

if TYPE_CHECKING:
    from livevision.app import frames as run
    from livevision.model import Model, load
    from livevision.results import ClassMap, Label

__all__ = ["ClassMap", "Label", "Model", "__version__", "load", "run"]

_HOMES = {
    "ClassMap": "livevision.results:ClassMap",
    "Label": "livevision.results:Label",
    "Model": "livevision.model:Model",
    "load": "livevision.model:load",
    "run": "livevision.app:frames",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'livevision' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value
