"""livevision: object detection and segmentation on live video.

    import livevision

    model = livevision.load("thundernet-snet49")
    detections = model(image)                       # uint8 H×W×3 BGR -> sv.Detections

    for frame in livevision.run(source="in.mp4", task="segment"):
        frame.index, frame.time, frame.image, frame.class_map

The names below are imported on first use, so that ``import livevision`` is cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from livevision import no_telemetry  # noqa: F401, first of all
from livevision.version import __version__

if TYPE_CHECKING:
    from livevision.app import frames as run
    from livevision.config import Settings, SourceSettings
    from livevision.errors import (
        DataError,
        LivevisionError,
        ModelError,
        OutputError,
        SourceError,
        UsageError,
    )
    from livevision.evaluation.models import Evaluation, evaluate
    from livevision.frame import Frame, Rendered
    from livevision.models.catalog import ModelCard
    from livevision.models.loading import load
    from livevision.models.model import Model
    from livevision.results import ClassMap, Label
    from livevision.training.run import train_recipe as train

__all__ = [
    "ClassMap",
    "DataError",
    "Evaluation",
    "Frame",
    "Label",
    "LivevisionError",
    "Model",
    "ModelCard",
    "ModelError",
    "OutputError",
    "Rendered",
    "Settings",
    "SourceError",
    "SourceSettings",
    "UsageError",
    "__version__",
    "evaluate",
    "load",
    "run",
    "train",
]

_HOMES = {
    "ClassMap": "livevision.results:ClassMap",
    "DataError": "livevision.errors:DataError",
    "Evaluation": "livevision.evaluation.models:Evaluation",
    "Frame": "livevision.frame:Frame",
    "Label": "livevision.results:Label",
    "LivevisionError": "livevision.errors:LivevisionError",
    "Model": "livevision.models.model:Model",
    "ModelCard": "livevision.models.catalog:ModelCard",
    "ModelError": "livevision.errors:ModelError",
    "OutputError": "livevision.errors:OutputError",
    "Rendered": "livevision.frame:Rendered",
    "Settings": "livevision.config:Settings",
    "SourceError": "livevision.errors:SourceError",
    "SourceSettings": "livevision.config:SourceSettings",
    "UsageError": "livevision.errors:UsageError",
    "evaluate": "livevision.evaluation.models:evaluate",
    "load": "livevision.models.loading:load",
    "run": "livevision.app:frames",
    "train": "livevision.training.run:train_recipe",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'livevision' has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    try:
        value = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        from livevision.errors import missing_module

        raise missing_module(error, f"livevision.{name}") or error from None
    globals()[name] = value
    return value
