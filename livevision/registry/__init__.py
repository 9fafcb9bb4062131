"""Tables of names and the classes behind them, as text, so that each is imported on use.

A new source, sink, engine or overlay is one file and one line here. Other packages add theirs
through entry points (``registry/entry_points.py``).
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
    """Names and the location of each class, ``module:Class``; the classes are of type ``Kind``.

    Attributes:
        group: Entry-point group through which other packages add names; "" for none.
    """

    def __init__(self, places: Mapping[str, str], group: str = "") -> None:
        super().__init__(places)
        self.group = group


class SourceClass(Protocol):
    """The type of source classes."""

    def __call__(self, uri: str, options: SourceOptions) -> Source: ...


class EngineClass(Protocol):
    """The type of engine classes.

    Attributes:
        reads: Which of a model's files it reads: "weights" or "graph".
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
    """The type of task classes; the settings are those of detection."""

    def __call__(self, labels: Sequence[str], fit: Fit, **settings: Any) -> Task: ...


class OverlayClass(Protocol):
    """The type of overlay classes; each has its own options."""

    def __call__(self, **options: Any) -> Overlay: ...


class SinkClass(Protocol):
    """The type of sink classes.

    Attributes:
        wants_image: As for its sinks.
    """

    wants_image: bool

    def __call__(self, target: str, info: SourceInfo, options: OutputOptions) -> Sink: ...


class TrackerMaker(Protocol):
    """Creates a tracker for a source of ``rate`` frames per second.

    A box with a score of at least ``activation`` starts a track; a track that is not seen for
    ``lost_for`` seconds ends.
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
        "stream": "livevision.output.stream:StreamSink",
        "hls": "livevision.output.stream:HlsSink",
        "images": "livevision.output.images:ImagesSink",
        "crops": "livevision.output.crops:CropsSink",
        "heatmap": "livevision.output.heat_map:HeatMapSink",
        "records": "livevision.output.records:RecordsSink",
        "null": "livevision.output.null:NullSink",
        "web": "livevision.output.live_view:LiveViewSink",
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
"""Drawing styles of detections."""


def resolve(table: Table[Kind], name: str, kind: str) -> Kind:
    """Import the class behind a name: livevision's own, else that of another package.

    Raises:
        UsageError: The name is unknown.
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
    """Import the class that another installed package adds under a name.

    Raises:
        UsageError: No package adds that name.
        LivevisionError: The class cannot be used.
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
    """Whether another installed package adds this name and livevision has none of that name."""
    return name not in table and entry_points.find(table.group, name) is not None
