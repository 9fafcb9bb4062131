"""The settings of a run.

The fields of `Settings` are the single source of truth: the flags of the command line, the keys of
a YAML file and the keywords of `livevision.run` take their types, bounds, defaults and help from
them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from livevision.config.event_places import is_lines, is_store
from livevision.config.flags import Flag, allowed, flag_of
from livevision.config.habits import instead_of
from livevision.config.sources import SourceSettings, check_name
from livevision.config.values import (
    CLASSES,
    RECORD_MODES,
    bytes_of,
    class_list,
    plain,
    record_mode,
    seconds_of,
    text,
    texts,
)
from livevision.errors import UsageError, unknown
from livevision.media.codecs import DECODERS, ENCODERS, SOFTWARE, SOFTWARE_ENCODER
from livevision.redact import redact, redact_uri
from livevision.registry import ENGINES, OVERLAYS, STYLES, TRACKERS, entry_points

NO_SOURCE = "no source was given: name one, such as --source webcam or --source video.mp4"

_ON = "ray, or ray:// with host and port of a cluster"
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


class Settings(BaseModel):
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
        tuple[int, int] | None,
        Flag(INPUT, "N|WxH", allowed="a size from 32 to 4096 such as 640 or 640x352"),
    ] = Field(default=None, description="Input size of the net; default: the model's own.")
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
    on: Annotated[str | None, Flag(BACKLOG, "ray[://HOST:PORT]", allowed=_ON)] = Field(
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
            raise UsageError(_explain(error.errors()[0], where)) from None

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

    @field_validator(
        *("source", "model", "weights", "output", "overlay", "events", "web_host"), mode="before"
    )
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return texts(value)

    @field_validator(
        *("report", "scene", "clips", "recordings", "web_cert", "web_key"),
        *("web_token_file", "web_watch_token_file"),
        mode="before",
    )
    @classmethod
    def _home(cls, value: Any) -> Any:
        return text(value)

    @field_validator("clip_before", "clip_after", "keep", "segment", "part", mode="before")
    @classmethod
    def _duration(cls, value: Any) -> Any:
        return seconds_of(value)

    @field_validator("record", mode="before")
    @classmethod
    def _record_mode(cls, value: Any) -> Any:
        return record_mode(value)

    @field_validator("max_disk", mode="before")
    @classmethod
    def _bytes(cls, value: Any) -> Any:
        return bytes_of(value)

    @field_validator(
        *("weights", "report", "scene", "recordings", "web_cert", "web_key"),
        *("web_token_file", "web_watch_token_file"),
    )
    @classmethod
    def _named(cls, value: Any) -> Any:
        for path in value if isinstance(value, tuple) else (value,):
            if path == Path():
                raise ValueError("a file name is needed")
        return value

    @field_validator("source", "output", "model", "events")
    @classmethod
    def _distinct(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if any(not item.strip() for item in value):
            raise ValueError(f"an empty {info.field_name} was given")
        if info.field_name in ("output", "events") and len(set(value)) < len(value):
            raise ValueError(f"the same {info.field_name} was given twice")
        return value

    @field_validator("blur", mode="before")
    @classmethod
    def _name_list(cls, value: Any) -> Any:
        items = value if isinstance(value, list | tuple) else (value,)
        if not all(isinstance(item, str) for item in items):
            raise ValueError(f"{value!r} is not {allowed(cls.model_fields['blur'])}")
        names = tuple(part.strip() for item in items for part in item.split(","))
        if "" in names:
            raise ValueError(f"{value!r} is not {allowed(cls.model_fields['blur'])}")
        return names

    @field_validator("track", mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        """Accept true and false in YAML and Python in place of a tracker's name."""
        if not isinstance(value, bool):
            return value
        return flag_of(cls.model_fields["track"]).bare if value else None

    @field_validator(
        "task",
        "engine",
        "precision",
        "mode",
        "decoder",
        "encoder",
        "preset",
        "track",
        "style",
        "record",
        "log_format",
    )
    @classmethod
    def _known(cls, value: str | None, info: ValidationInfo) -> str | None:
        name = info.field_name or ""
        choices = flag_of(cls.model_fields[name]).choices
        if value is None or value in choices:
            return value
        if name == "engine":
            choices = (*choices, *entry_points.names(ENGINES.group, ENGINES))
        if value not in choices:
            raise ValueError(unknown(name, value, choices))
        return value

    @field_validator("overlay")
    @classmethod
    def _installed(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        there = entry_points.names(OVERLAYS.group, OVERLAYS) if value else []
        for name in value:
            if not there:
                raise ValueError(f"unknown overlay {name!r}: no installed package has overlays")
            if name not in there:
                raise ValueError(unknown("overlay", name, there))
        return value

    @field_validator("device", mode="before")
    @classmethod
    def _device_number(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("device")
    @classmethod
    def _device(cls, value: str) -> str:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", value):
            number = value.removeprefix("gpu").lstrip(":")
            gpu = f"; for GPU {number}: cuda:{number}" if number.isdecimal() else ""
            raise ValueError(f"{value!r} is not {allowed(cls.model_fields['device'])}{gpu}")
        return value

    @field_validator("on")
    @classmethod
    def _cluster(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"ray(://[^/\s]+:\d+)?", value):
            raise ValueError(f"{value!r} is not {_ON}")
        return value

    @field_validator("imgsz", mode="before")
    @classmethod
    def _size(cls, value: Any) -> Any:
        parts = re.split(r"[x×]", value) if isinstance(value, str) else value
        if isinstance(parts, int) and not isinstance(parts, bool):
            parts = (parts,)
        if parts is None or not isinstance(parts, list | tuple):
            return parts
        return tuple(parts) * 2 if len(parts) == 1 else tuple(parts)

    @field_validator("imgsz")
    @classmethod
    def _size_bounds(cls, value: tuple[int, int] | None) -> tuple[int, int] | None:
        if value is not None and not all(32 <= side <= 4096 for side in value):
            given = "x".join(map(str, value))
            raise ValueError(f"{given!r} is not {allowed(cls.model_fields['imgsz'])}")
        return value

    @field_validator("target_latency", mode="before")
    @classmethod
    def _milliseconds(cls, value: Any) -> Any:
        return value.strip().removesuffix("ms").strip() if isinstance(value, str) else value

    @field_validator("classes", mode="before")
    @classmethod
    def _class_list(cls, value: Any) -> Any:
        return class_list(value)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not self.source and not self.sources:
            raise ValueError(NO_SOURCE)
        for name in self.sources:
            check_name(name)
        pages = [place for place in self.output if place.lower().startswith("web:")]
        if len(pages) > 1:
            raise ValueError(f"{' and '.join(pages)}: a run has one page")
        for name in ("web_token_file", "web_watch_token_file", "web_cert", "web_host"):
            if getattr(self, name) and not pages:
                flag = name.replace("_", "-")
                raise ValueError(f"{flag} is for a page: add --output web://127.0.0.1:8080")
        if (self.web_cert is None) != (self.web_key is None):
            raise ValueError("web-cert and web-key go together: give both, or none for http")
        if self.verbose and self.quiet:
            raise ValueError("verbose and quiet were both given: choose one")
        scenes = self.scene is not None or any(s.scene is not None for s in self.sources.values())
        if self.style == "trace" and self.track is None and not scenes:
            raise ValueError("style trace draws the paths of tracks; add track")
        stores = [place for place in self.events if is_store(place)]
        if len(stores) > 1:
            raise ValueError("several stores of events were given; give one")
        for place in self.events:
            if not stores and not is_lines(place):
                raise ValueError(
                    f"events: {redact_uri(place)} is sent from a store, which keeps events until "
                    "they are delivered: add --events events.sqlite"
                )
        if self.events and not scenes:
            raise ValueError(
                "events come from the rules of a scene, and no scene was given: add --scene FILE"
            )
        if self.record == "on-event" and not scenes:
            raise ValueError(
                "record on-event waits for events, which come from the rules of a scene, and no "
                "scene was given: add --scene FILE, or use record continuous"
            )
        if self.clips is not None and not self.events:
            raise ValueError(
                "clips are of events, and nothing says where these go: add --events events.sqlite"
            )
        crops = [place for place in self.output if place.startswith("crops:")]
        if crops and self.track is None and not scenes:
            raise ValueError(f"output {crops[0]}: crops are of tracks: add --track")
        if self.track is not None and self.task_given and "detect" not in self.tasks:
            raise ValueError(
                f"track follows boxes, and task {self.task} has none: use task detect or both"
            )
        if self.preset != "auto" and self.encoder not in ("auto", SOFTWARE_ENCODER):
            raise ValueError(
                f"preset {self.preset} is for {SOFTWARE_ENCODER}, and encoder {self.encoder} was "
                "given: leave one out"
            )
        if self.target_latency is not None:
            if self.mode == "every-frame":
                raise ValueError(
                    "target-latency drops frames, and mode every-frame drops none: use mode "
                    "freshest, or a live source with mode auto"
                )
            if self.batch is not None and self.batch > 1:
                raise ValueError("batch and target-latency were both given: choose one")
        most = max(len(self.tasks), len(self.model))
        if len(self.weights) > most:
            raise ValueError(
                f"{len(self.weights)} values of weights were given, and task {self.task!r} takes "
                f"{most}; for boxes and class maps together use task both; for several models of "
                "one task name each with --model"
            )
        return self


def _explain(error: ErrorDetails, where: Callable[[str], str]) -> str:
    """The message, one line, for one invalid setting."""
    name = str(error["loc"][0]) if error["loc"] else ""
    if name == "sources" and len(error["loc"]) > 1:
        return _explain_source(error, where)
    if error["type"] == "extra_forbidden":
        instead = instead_of(name)
        if instead is not None:
            return f"unknown setting {name!r}. Here, as flag or setting: {instead}"
        return unknown("setting", name, Settings.model_fields)
    place = f"{where(name)}: " if name else ""
    if error["type"] == "value_error":
        return f"{place}{redact(str(error['ctx']['error']))}"
    return f"{place}{redact(repr(error['input']))} is not {allowed(Settings.model_fields[name])}"


def _explain_source(error: ErrorDetails, where: Callable[[str], str]) -> str:
    """The message, one line, for one invalid setting of a source."""
    source, key = str(error["loc"][1]), str(error["loc"][2]) if len(error["loc"]) > 2 else ""
    place = where(".".join(("sources", source, key)).rstrip("."))
    if error["type"] == "extra_forbidden":
        names = [name.replace("_", "-") for name in SourceSettings.model_fields]
        return f"{place}: {unknown('setting of a source', key.replace('_', '-'), names)}"
    if error["type"] == "missing":
        return f"{place}: a source needs a {key}, such as rtsp://camera/stream or a file"
    if error["type"] == "value_error":
        return f"{place}: {redact(str(error['ctx']['error']))}"
    if not key:
        return (
            f"{place}: {redact(repr(error['input']))} is no source; write 'uri: …' below its name"
        )
    return f"{place}: {redact(repr(error['input']))}: {error['msg'].lower()}"
