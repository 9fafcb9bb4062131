"""Names and the classes behind them, as text, so that nothing is imported before it is used.

A new source, sink, engine or overlay is one file and one line here.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from livevision.errors import UsageError, unknown

SOURCES = {
    "camera": "livevision.capture.camera:CameraSource",
    "video_file": "livevision.capture.video_file:VideoFileSource",
    "stream": "livevision.capture.stream:StreamSource",
    "images": "livevision.capture.images:ImagesSource",
    "gstreamer": "livevision.capture.gstreamer:GStreamerSource",
    "synthetic": "livevision.capture.synthetic:SyntheticSource",
}

ENGINES = {
    "tensorrt": "livevision.inference.tensorrt_engine:TensorRTEngine",
    "openvino": "livevision.inference.openvino_engine:OpenVINOEngine",
    "onnx": "livevision.inference.onnx_engine:OnnxEngine",
    "onnx-tensorrt": "livevision.inference.onnx_engine:OnnxTensorRTEngine",
    "torch": "livevision.inference.torch_engine:TorchEngine",
}

TASKS = {
    "detect": "livevision.inference.detect:DetectTask",
    "segment": "livevision.inference.segment:SegmentTask",
    "classify": "livevision.inference.classify:ClassifyTask",
}

OVERLAYS = {
    "segment": "livevision.overlay.class_map:ClassMapOverlay",
    "detect": "livevision.overlay.boxes:BoxOverlay",
    "classify": "livevision.overlay.labels:LabelsOverlay",
    "hud": "livevision.overlay.hud:HudOverlay",
}

SINKS = {
    "window": "livevision.output.window:WindowSink",
    "video_file": "livevision.output.video_file:VideoFileSink",
    "images": "livevision.output.images:ImagesSink",
    "records": "livevision.output.records:RecordsSink",
    "null": "livevision.output.null:NullSink",
}


def resolve(table: Mapping[str, str], name: str, kind: str) -> Any:
    """The class behind a name, imported now.

    Raises:
        UsageError: The table has no such name.
    """
    if name not in table:
        raise UsageError(unknown(kind, name, table))
    module, _, attribute = table[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
