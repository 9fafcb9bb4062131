"""The settings of a run as keywords of ``livevision.run``, for editors and type checkers.

`Settings` validates them; a test keeps the two in step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

if TYPE_CHECKING:
    from livevision.config.sources import SourceSettings

StrPath: TypeAlias = str | Path


class RunOptions(TypedDict, total=False):
    """Keywords of ``livevision.run`` besides ``source`` and ``task``; one for each flag."""

    sources: Mapping[str, SourceSettings | Mapping[str, Any] | str]
    decoder: str
    imgsz: int | str | tuple[int, int]
    vid_stride: int
    fps: float
    loop: bool
    retry_for: float
    model: str | Sequence[str]
    weights: StrPath | Sequence[StrPath]
    labels: str
    untrained: bool
    engine: Literal["auto", "tensorrt", "openvino", "onnx", "onnx-tensorrt", "torch"]
    device: str | int
    precision: Literal["auto", "fp32", "fp16", "bf16", "int8"]
    batch: int
    threads: int
    conf: float
    iou: float
    max_det: int
    classes: str | int | Sequence[str | int]
    class_agnostic: bool
    track: bool | str
    scene: StrPath
    output: StrPath | Sequence[StrPath]
    headless: bool
    events: StrPath | Sequence[StrPath]
    events_private: bool
    clips: StrPath
    clip_before: float | str
    clip_after: float | str
    record: Literal["off", "continuous", "on-event"]
    record_sound: bool
    record_annotated: bool
    segment: float | str
    recordings: StrPath
    max_disk: int | str
    keep: float | str
    report: StrPath
    overwrite: bool
    alpha: float
    style: str
    blur: str | Sequence[str]
    overlay: str | Sequence[str]
    hud: bool
    encoder: str
    preset: str
    web_token_file: StrPath
    web_watch_token_file: StrPath
    web_cert: StrPath
    web_key: StrPath
    web_host: str | Sequence[str]
    web_proxy_header: str
    mode: Literal["auto", "every-frame", "freshest"]
    target_latency: float
    max_frames: int
    workers: int
    on: str
    cpus_per_worker: float
    gpus_per_worker: float
    part: float | str
    progress: bool
    log_format: Literal["text", "json"]
    verbose: bool
    quiet: bool
