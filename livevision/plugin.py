"""Public names for packages that extend livevision; see docs/extending.md.

    from livevision.plugin import Frame, Life, SourceInfo, SourceOptions

These names keep their meaning between minor versions. ``Source``, ``Sink``, ``Engine`` and
``Overlay`` are protocols for type checkers: nothing has to inherit from them.
"""

from livevision.capture.life import BackOff, Life, Vitals
from livevision.capture.options import SourceOptions
from livevision.errors import (
    LivevisionError,
    ModelError,
    OutputError,
    SourceError,
    UsageError,
)
from livevision.frame import Batch, Frame, Image, Rendered
from livevision.inference.model_files import ModelFiles
from livevision.output.options import OutputOptions
from livevision.overlay.room import Rect, Room
from livevision.protocols import (
    Attentive,
    Engine,
    EngineSpec,
    Overlapping,
    Overlay,
    Pending,
    Shared,
    Sink,
    Source,
    SourceInfo,
    StopRequested,
    TensorSpec,
)
from livevision.results import ClassMap, Label, Result

__all__ = [
    "Attentive",
    "BackOff",
    "Batch",
    "ClassMap",
    "Engine",
    "EngineSpec",
    "Frame",
    "Image",
    "Label",
    "Life",
    "LivevisionError",
    "ModelError",
    "ModelFiles",
    "OutputError",
    "OutputOptions",
    "Overlapping",
    "Overlay",
    "Pending",
    "Rect",
    "Rendered",
    "Result",
    "Room",
    "Shared",
    "Sink",
    "Source",
    "SourceError",
    "SourceInfo",
    "SourceOptions",
    "StopRequested",
    "TensorSpec",
    "UsageError",
    "Vitals",
]
