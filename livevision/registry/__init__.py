"""Names and the classes behind them, as text, so that nothing is imported before it is used.

A new source, sink, engine or overlay is one file and one line here. Other packages add theirs by
entry points (``registry/entry_points.py``).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from livevision.errors import UsageError, unknown
from livevision.registry import entry_points

if TYPE_CHECKING:
    from livevision.analysis.trackers import Tracker
    from livevision.capture.options import SourceOptions
    from livevision.inference.model_files import ModelFiles
    from livevision.output.options import OutputOptions
    from livevision.protocols import Engine, Fit, Overlay, Sink, Source, SourceInfo, Task

Kind = TypeVar("Kind")


class Table(dict[str, str], Generic[Kind]):
    """Names, and where the class behind each is: ``module:Class``, which is a ``Kind``.

    Attributes:
        group: Of the entry points by which other packages add to them; "" where none may.
    """

    def __init__(self, places: Mapping[str, str], group: str = "") -> None:
        super().__init__(places)
        self.group = group


class SourceClass(Protocol):
    """A class of sources."""

    def __call__(self, uri: str, options: SourceOptions) -> Source: ...


class EngineClass(Protocol):
    """A class of engines.

    Attributes:
        reads: What it takes of a model's files: "weights" or "graph".
    """

    reads: str

    def __call__(
        self,
        files: ModelFiles,
        device: str,
        precision: str,
        threads: int | None = None,
        **options: bool,
    ) -> Engine: ...


class TaskClass(Protocol):
    """A class of tasks; the settings are those of detection."""

    def __call__(self, labels: Sequence[str], fit: Fit, **settings: Any) -> Task: ...


class OverlayClass(Protocol):
    """A class of overlays, each with options of its own."""

    def __call__(self, **options: Any) -> Overlay: ...


class SinkClass(Protocol):
    """A class of sinks.

    Attributes:
        wants_image: As of its sinks.
    """

    wants_image: bool

    def __call__(self, target: str, info: SourceInfo, options: OutputOptions) -> Sink: ...


class TrackerMaker(Protocol):
    """Makes a tracker for a source of ``rate`` frames per second.

    A box begins a track from a score of ``activation`` on, and a track that is not seen ends after
    ``lost_for`` seconds.
    """

    def __call__(self, rate: float, activation: float, lost_for: float) -> Tracker: ...


SOURCES: Table[SourceClass] = Table(
    {
        "camera": "livevision.capture.camera:CameraSource",
        "video_file": "livevision.capture.video_file:VideoFileSource",
        "stream": "livevision.capture.stream:StreamSource",
        "images": "livevision.capture.images:ImagesSource",
        "gstreamer": "livevision.capture.gstreamer:GStreamerSource",
        "synthetic": "livevision.capture.synthetic:SyntheticSource",
    },
    entry_points.SOURCES,
)

ENGINES: Table[EngineClass] = Table(
    {
        "tensorrt": "livevision.inference.tensorrt_engine:TensorRTEngine",
        "openvino": "livevision.inference.openvino_engine:OpenVINOEngine",
        "onnx": "livevision.inference.onnx_engine:OnnxEngine",
        "onnx-tensorrt": "livevision.inference.onnx_engine:OnnxTensorRTEngine",
        "torch": "livevision.inference.torch_engine:TorchEngine",
    },
    entry_points.ENGINES,
)

TASKS: Table[TaskClass] = Table(
    {
        "detect": "livevision.inference.detect:DetectTask",
        "segment": "livevision.inference.segment:SegmentTask",
        "classify": "livevision.inference.classify:ClassifyTask",
    }
)

OVERLAYS: Table[OverlayClass] = Table(
    {
        "segment": "livevision.overlay.class_map:ClassMapOverlay",
        "detect": "livevision.overlay.boxes:BoxOverlay",
        "classify": "livevision.overlay.labels:LabelsOverlay",
        "hud": "livevision.overlay.hud:HudOverlay",
        "scene": "livevision.overlay.scene:SceneOverlay",
        "hide": "livevision.overlay.hiding:HidingOverlay",
        "style": "livevision.overlay.styles:styled",
    },
    entry_points.OVERLAYS,
)

SINKS: Table[SinkClass] = Table(
    {
        "window": "livevision.output.window:WindowSink",
        "video_file": "livevision.output.video_file:VideoFileSink",
        "images": "livevision.output.images:ImagesSink",
        "crops": "livevision.output.crops:CropsSink",
        "records": "livevision.output.records:RecordsSink",
        "null": "livevision.output.null:NullSink",
    },
    entry_points.SINKS,
)

TRACKERS: Table[TrackerMaker] = Table(
    {
        "bytetrack": "livevision.analysis.trackers:bytetrack",
        "ocsort": "livevision.analysis.trackers:ocsort",
        "botsort": "livevision.analysis.trackers:botsort",
        "sort": "livevision.analysis.trackers:sort",
    }
)

STYLES = ("box", "corner", "mask", "blur", "pixelate", "heatmap", "trace", "dot", "none")
"""Looks of what is detected."""


def resolve(table: Table[Kind], name: str, kind: str) -> Kind:
    """The class behind a name, imported now: livevision's own, else that of another package.

    Raises:
        UsageError: Nothing has that name.
        LivevisionError: The other package cannot be used.
    """
    if name not in table:
        return added(table, name, kind)
    if table.group:
        entry_points.keep(table.group, name)
    module, _, attribute = table[name].partition(":")
    found: Kind = getattr(importlib.import_module(module), attribute)
    return found


def added(table: Table[Kind], name: str, kind: str) -> Kind:
    """The class that another installed package offers under a name.

    Raises:
        UsageError: None does.
        LivevisionError: It cannot be used.
    """
    plugin = entry_points.find(table.group, name) if table.group and name not in table else None
    if plugin is None:
        others = entry_points.names(table.group) if table.group else []
        raise UsageError(unknown(kind, name, dict.fromkeys([*table, *others])))
    found: Kind = _loaded(plugin)
    return found


@cache
def _loaded(plugin: entry_points.Plugin) -> Any:
    return plugin.load_class()


def is_added(table: Table[Any], name: str) -> bool:
    """Whether another installed package offers something under a name that is not taken here."""
    return name not in table and entry_points.find(table.group, name) is not None
