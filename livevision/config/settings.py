"""The settings of a run.

The fields of `Settings` are the single source of truth: the flags of the command line, the keys of
a YAML file and the keywords of `livevision.run` take their types, bounds, defaults and help from
them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from livevision.config.combinations import check_combinations
from livevision.config.field_checks import CLUSTER, FieldChecks
from livevision.config.flags import Flag
from livevision.config.invalid import explain
from livevision.config.sources import SourceSettings
from livevision.config.values import (
    CLASSES,
    RECORD_MODES,
    plain,
)
from livevision.errors import UsageError
from livevision.media.codecs import DECODERS, ENCODERS, SOFTWARE, SOFTWARE_ENCODER
from livevision.registry import ENGINES, STYLES, TRACKERS

_TIME = "a time such as 5, 10s or 1m, up to 2 minutes before and 10 after"

INPUT, MODEL, RESULTS, OUTPUT, PAGE, PACE, BACKLOG, TALK = (
    "Input",
    "Model",
    "Results",
    "Output",
    "Page (--output web://HOST:PORT)",
    "Speed and length",
    "Backlog of videos",
    "Messages",
)


class Settings(FieldChecks):
    """All settings of a run. Frozen; build it with `of` to get errors in one line."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Annotated[tuple[str, ...], Flag(INPUT, "URI")] = Field(
        default=(),
        description="webcam, a camera number, /dev/videoN, a file, folder or glob, rtsp://…, "
        "http(s)://…, gst:PIPELINE or synthetic. May be repeated.",
    )
    sources: dict[str, SourceSettings] = Field(
        default={}, description="Sources by name, each with its own settings; YAML and Python only."
    )
    decoder: Annotated[str, Flag(INPUT, "NAME", choices=("auto", SOFTWARE, *DECODERS))] = Field(
        default="auto",
        description="Video decoder; auto: hardware if it works here, else software.",
    )
    imgsz: Annotated[
        tuple[int, int] | Literal["fit"] | None,
        Flag(INPUT, "N|WxH|fit", allowed="a size from 32 to 4096 such as 640 or 640x352, or fit"),
    ] = Field(
        default=None,
        description="Input size of the net; default: the model's own; fit: without the margins "
        "that pictures of the source's shape leave in it.",
    )
    vid_stride: Annotated[int, Flag(INPUT, "N")] = Field(
        default=1, ge=1, description="Process every Nth frame only."
    )
    fps: Annotated[float | None, Flag(INPUT, "X", allowed="a number over 0, such as 2")] = Field(
        default=None, gt=0, description="Process at most X frames a second of each source."
    )
    loop: Annotated[bool, Flag(INPUT)] = Field(
        default=False, description="Restart a file when it ends."
    )
    retry_for: Annotated[float, Flag(INPUT, "SECONDS")] = Field(
        default=30.0,
        ge=0,
        description="How long to retry a live source that is lost; inf retries forever.",
    )

    task: Annotated[str, Flag(MODEL, "TASK", choices=("detect", "segment", "both", "classify"))] = (
        Field(default="detect", description="Task to run.")
    )
    model: Annotated[tuple[str, ...], Flag(MODEL, "NAME")] = Field(
        default=(),
        description="A model that `livevision models` lists, or an ONNX file; with --task both, "
        "one for each task.",
    )
    weights: Annotated[tuple[Path, ...], Flag(MODEL, "FILE")] = Field(
        default=(),
        description="Your own weights (.safetensors, .onnx, .xml, .engine); with --task both, one "
        "file for each task.",
    )
    labels: Annotated[str | None, Flag(MODEL, "NAME|FILE")] = Field(
        default=None,
        description="Class names of a third-party ONNX file: coco80, coco91, voc20, cityscapes19, "
        "or a text file with one name a line.",
    )
    untrained: Annotated[bool, Flag(MODEL)] = Field(
        default=False, description="Run a net with random weights, to measure speed."
    )
    engine: Annotated[str, Flag(MODEL, "ENGINE", choices=("auto", *ENGINES))] = Field(
        default="auto", description="Inference engine; auto: the fastest one installed."
    )
    device: Annotated[str, Flag(MODEL, "DEVICE", allowed="auto, cpu, cuda or cuda:N")] = Field(
        default="auto", description="Device: auto, cpu or cuda:N."
    )
    precision: Annotated[
        str, Flag(MODEL, "PREC", choices=("auto", "fp32", "fp16", "bf16", "int8"))
    ] = Field(
        default="auto",
        description="Precision of the net; auto: the fastest known to agree with fp32.",
    )

    batch: Annotated[int | None, Flag(MODEL, "N")] = Field(
        default=None,
        ge=1,
        le=64,
        description="Maximum frames of several live sources in one call of the net, if that is "
        "measured to be faster; default: one of each source on a GPU, else 1.",
    )
    threads: Annotated[int | None, Flag(MODEL, "N")] = Field(
        default=None, ge=1, description="CPU threads of each net; default: the engine's choice."
    )

    conf: Annotated[float, Flag(RESULTS, "X")] = Field(
        default=0.25, ge=0, le=1, description="Minimum confidence of a box."
    )
    iou: Annotated[float, Flag(RESULTS, "X")] = Field(
        default=0.5, ge=0, le=1, description="IoU above which NMS drops the weaker box."
    )
    max_det: Annotated[int, Flag(RESULTS, "N")] = Field(
        default=100, ge=1, description="Maximum boxes in a frame."
    )
    classes: Annotated[tuple[str | int, ...], Flag(RESULTS, "A,B", allowed=CLASSES)] = Field(
        default=(), description="Keep only these classes, by name or number."
    )
    class_agnostic: Annotated[bool, Flag(RESULTS)] = Field(
        default=True,
        description="Keep only the best of overlapping boxes of different classes (IoU over 0.7).",
    )

    track: Annotated[
        str | None, Flag(RESULTS, "NAME", choices=tuple(TRACKERS), bare="bytetrack")
    ] = Field(
        default=None,
        description="Track objects: each keeps its number from frame to frame; bytetrack if no "
        "name is given.",
    )

    scene: Annotated[Path | None, Flag(RESULTS, "FILE.yaml")] = Field(
        default=None,
        description="YAML file with lines and zones to count in, regions to ignore and rules for "
        "events; tracks with bytetrack unless --track names another tracker.",
    )

    output: Annotated[tuple[str, ...], Flag(OUTPUT, "URI")] = Field(
        default=(),
        description="Video (.mp4, .mkv), results (.jsonl, .csv, or - for JSON lines on standard "
        "output), a folder (ends in /), crops:FOLDER, heatmap:FOLDER, window, "
        "or web://127.0.0.1:8080 for a page. May be repeated.",
    )
    headless: Annotated[bool, Flag(OUTPUT)] = Field(
        default=False, description="Never open a window."
    )
    events: Annotated[tuple[str, ...], Flag(OUTPUT, "URI")] = Field(
        default=(),
        description="Destination of events from --scene: a .jsonl file; a .sqlite store, and "
        "senders that read it: mqtt://…, https://…, a .csv file, any of Apprise. May be repeated.",
    )
    events_private: Annotated[bool, Flag(OUTPUT)] = Field(
        default=False, description="Allow webhooks to private network addresses."
    )
    clips: Annotated[Path | None, Flag(OUTPUT, "FOLDER")] = Field(
        default=None,
        description="Save a picture and a clip of each event, as the source sent it, with the "
        "results beside it.",
    )
    clip_before: Annotated[float, Flag(OUTPUT, "TIME", allowed=_TIME)] = Field(
        default=5.0,
        ge=0,
        le=120,
        description="Seconds of a clip, or a recording on-event, before the event.",
    )
    clip_after: Annotated[float, Flag(OUTPUT, "TIME", allowed=_TIME)] = Field(
        default=5.0,
        ge=0,
        le=600,
        description="Seconds of a clip, or a recording on-event, after the event.",
    )
    record: Annotated[str, Flag(OUTPUT, "MODE", choices=RECORD_MODES)] = Field(
        default="off",
        description="Record each source in segments, as it sent it: continuous, or on-event "
        "around events from --scene.",
    )
    record_sound: Annotated[bool, Flag(OUTPUT)] = Field(
        default=False,
        description="Keep the sound of sources in --record and --clips, where the law allows it.",
    )
    record_annotated: Annotated[bool, Flag(OUTPUT)] = Field(
        default=False, description="Record the annotated picture instead, in H.264."
    )
    segment: Annotated[
        float, Flag(OUTPUT, "TIME", allowed="a time from 1s to 24h, such as 30s or 5m")
    ] = Field(
        default=300.0,
        ge=1,
        le=86400,
        description="Length of a segment in seconds; it ends at the next key frame.",
    )
    recordings: Annotated[Path, Flag(OUTPUT, "FOLDER")] = Field(
        default=Path("recordings"),
        description="Folder of --record, and of recordings started on the page.",
    )
    max_disk: Annotated[int, Flag(OUTPUT, "SIZE", allowed="a size such as 500MB or 20GB")] = Field(
        default=10_000_000_000,
        ge=1_000_000,
        description="Disk space for clips, for crops and for segments of --record; the oldest "
        "are deleted first.",
    )
    keep: Annotated[float | None, Flag(OUTPUT, "TIME", allowed="a time such as 12h or 30d")] = (
        Field(
            default=None,
            gt=0,
            description="How long clips, crops and segments are kept; default: until max-disk is "
            "reached.",
        )
    )
    report: Annotated[Path | None, Flag(OUTPUT, "FILE")] = Field(
        default=None, description="Write rates, latencies and drops as JSON."
    )
    overwrite: Annotated[bool, Flag(OUTPUT)] = Field(
        default=False, description="Replace existing output files."
    )
    alpha: Annotated[float, Flag(OUTPUT, "X")] = Field(
        default=0.5, ge=0, le=1, description="Opacity of class maps."
    )
    style: Annotated[str, Flag(OUTPUT, "NAME", choices=STYLES)] = Field(
        default="box", description="Drawing style of detections; trace needs --track."
    )
    blur: Annotated[tuple[str, ...], Flag(OUTPUT, "A,B", allowed="class names, as person,car")] = (
        Field(
            default=(),
            description="Blur these classes in pictures and video: their boxes, or their pixels "
            "if the model segments.",
        )
    )
    hud: Annotated[bool, Flag(OUTPUT)] = Field(
        default=True,
        description="Draw rates and latency on video; on pictures only if given.",
    )
    overlay: Annotated[tuple[str, ...], Flag(OUTPUT, "NAME")] = Field(
        default=(),
        description="Add an overlay of an installed package. May be repeated.",
    )
    encoder: Annotated[str, Flag(OUTPUT, "NAME", choices=("auto", SOFTWARE_ENCODER, *ENCODERS))] = (
        Field(
            default="auto",
            description="Video encoder; auto: hardware if it works here, else libx264.",
        )
    )
    preset: Annotated[
        str,
        Flag(
            OUTPUT,
            "PRESET",
            choices=(
                "auto",
                "ultrafast",
                "superfast",
                "veryfast",
                "faster",
                "fast",
                "medium",
                "slow",
            ),
        ),
    ] = Field(
        default="auto",
        description="Encoding speed against file size; auto leaves CPU time to the net.",
    )

    web_token_file: Annotated[Path | None, Flag(PAGE, "FILE")] = Field(
        default=None,
        description="File with the token for watching and control, or the environment variable "
        "LIVEVISION_WEB_TOKEN. Required unless the page is on 127.0.0.1.",
    )
    web_watch_token_file: Annotated[Path | None, Flag(PAGE, "FILE")] = Field(
        default=None,
        description="File with the token for watching only, or LIVEVISION_WEB_WATCH_TOKEN.",
    )
    web_cert: Annotated[Path | None, Flag(PAGE, "FILE")] = Field(
        default=None, description="TLS certificate (PEM), for https://; needs --web-key."
    )
    web_key: Annotated[Path | None, Flag(PAGE, "FILE")] = Field(
        default=None, description="Key of the certificate (PEM)."
    )
    web_host: Annotated[tuple[str, ...], Flag(PAGE, "NAME")] = Field(
        default=(),
        description="Host name of the page, besides this machine's own and IP addresses. May be "
        "repeated.",
    )
    web_proxy_header: Annotated[str | None, Flag(PAGE, "NAME")] = Field(
        default=None,
        description="Header in which a reverse proxy on this machine says watch or operate.",
    )

    mode: Annotated[str, Flag(PACE, "MODE", choices=("auto", "every-frame", "freshest"))] = Field(
        default="auto",
        description="auto: every frame of a file, the freshest frame of a live source.",
    )
    target_latency: Annotated[
        float | None, Flag(PACE, "MS", allowed="milliseconds from 1 to 10000, such as 50")
    ] = Field(
        default=None,
        ge=1,
        le=10000,
        description="Keep the latency of live frames (capture to delivery) below this by adapting "
        "input size and stride.",
    )
    max_frames: Annotated[int | None, Flag(PACE, "N")] = Field(
        default=None, ge=1, description="Stop after N frames."
    )

    workers: Annotated[int | None, Flag(BACKLOG, "N")] = Field(
        default=None,
        ge=1,
        le=4096,
        description="Process video files in N worker processes; with --on, as many as the cluster "
        "has room for.",
    )
    on: Annotated[str | None, Flag(BACKLOG, "ray[://HOST:PORT]", allowed=CLUSTER)] = Field(
        default=None, description="Workers on a Ray cluster; ray starts one here if none runs."
    )
    cpus_per_worker: Annotated[float, Flag(BACKLOG, "N")] = Field(
        default=1.0, gt=0, le=1024, description="Processors of each worker."
    )
    gpus_per_worker: Annotated[float, Flag(BACKLOG, "X")] = Field(
        default=0.0, ge=0, le=64, description="Share of a GPU for each worker, such as 0.25."
    )
    part: Annotated[float, Flag(BACKLOG, "TIME", allowed="a time from 1s to 24h, such as 5m")] = (
        Field(
            default=300.0,
            ge=1,
            le=86400,
            description="Length of the parts into which longer videos are divided.",
        )
    )

    progress: Annotated[bool, Flag(TALK)] = Field(
        default=True, description="Show a progress bar on a terminal."
    )
    log_format: Annotated[str, Flag(TALK, "FORMAT", choices=("text", "json"))] = Field(
        default="text",
        description="Messages as lines of text, or as lines of JSON for programs.",
    )
    verbose: Annotated[bool, Flag(TALK, short="-v")] = Field(
        default=False, description="Show details, and tracebacks of errors."
    )
    quiet: Annotated[bool, Flag(TALK, short="-q")] = Field(
        default=False, description="Show errors only."
    )

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks by name, in drawing order: class maps below, boxes above."""
        return ("segment", "detect") if self.task == "both" else (self.task,)

    @property
    def task_given(self) -> bool:
        """Whether the user named the task; else it follows from the model or the default."""
        return "task" in self.model_fields_set

    def shows_rates(self, pictures: bool) -> bool:
        """Whether to draw rates and latency; on pictures only if the user asked for them."""
        return self.hud and (not pictures or "hud" in self.model_fields_set)

    @classmethod
    def of(cls, **values: Any) -> Self:
        """Build settings from keywords, as `livevision.run` does.

        Raises:
            UsageError: A name, type or value is not allowed.
        """
        return cls.checked(values, lambda name: name)

    @classmethod
    def checked(cls, values: Mapping[str, Any], where: Callable[[str], str]) -> Self:
        """Build settings from values by field name; ``where`` gives a field's name in messages.

        Raises:
            UsageError: A name, type or value is not allowed; one line.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise UsageError(explain(error.errors()[0], where, cls.model_fields)) from None

    def to_yaml(self) -> str:
        """All settings as YAML; `--config` reads it back to the same settings."""
        import yaml

        values = {n.replace("_", "-"): plain(n, getattr(self, n)) for n in type(self).model_fields}
        values["sources"] = {
            name: {
                key.replace("_", "-"): plain(key, value)
                for key, value in source.model_dump(exclude_defaults=True).items()
            }
            for name, source in self.sources.items()
        }
        return str(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        check_combinations(self)
        return self
