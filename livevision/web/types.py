"""The API's JSON types: bodies, query parameters and responses.

They validate what comes in, and the OpenAPI document is generated from them.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from livevision.capture.life import State

Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[
    str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]*[A-Za-z0-9_][A-Za-z0-9_.-]*$")
]
ClassName = Annotated[str, Field(min_length=1, max_length=100)]


class Input(BaseModel):
    """Base of bodies and query parameters: no unknown keys, no conversion of types."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Output(BaseModel):
    """Base of responses."""

    model_config = ConfigDict(extra="forbid")


Point = Annotated[list[Share], Field(min_length=2, max_length=2)]
ShapeName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^\S(.*\S)?$")]
Corners = Annotated[list[Point], Field(min_length=2, max_length=100)]


class ScenePatch(Input):
    """Corners of zones and lines by name, as fractions of the picture; null deletes one."""

    zones: dict[ShapeName, Corners | None] = Field(default={}, max_length=100)
    lines: dict[ShapeName, Corners | None] = Field(default={}, max_length=100)


class ShapeRow(Output):
    """A zone or a line."""

    points: list[list[float]] = Field(description="x and y as fractions of the picture.")
    classes: list[str]
    anchor: str


class ZoneRow(ShapeRow):
    """A zone."""

    inside: int


class LineRow(ShapeRow):
    """A line."""

    crossed_in: int
    crossed_out: int


class SceneRow(Output):
    """The scene of a source."""

    zones: dict[str, ZoneRow]
    lines: dict[str, LineRow]
    ignore: list[list[list[float]]]
    rules: list[str]
    file: str | None = Field(description="The file that changes are written to; null for none.")


class EventRow(Output):
    """An event of a rule."""

    model_config = ConfigDict(extra="allow")

    id: str
    source: str
    time: str
    rule: str
    phase: str


class Problem(Output):
    """An error in one line."""

    error: str


class Done(Output):
    """Success."""

    ok: bool = True


class Login(Input):
    """A token to exchange for a cookie."""

    token: str = Field(min_length=1, max_length=500)


class Session(Output):
    """The client's role."""

    role: Literal["watch", "operate"]
    open: bool = Field(description="Whether no token is needed.")


class LiveSettingsPatch(Input):
    """Settings of a source to change; missing ones stay."""

    conf: Share | None = Field(default=None, description="Minimum confidence of a detection.")
    iou: Share | None = Field(default=None, description="IoU threshold of NMS.")
    classes: list[ClassName] | None = Field(
        default=None, max_length=1000, description="Classes to keep; an empty list keeps all."
    )
    paused: bool | None = Field(default=None, description="Whether its frames are skipped.")


class LiveSettingsRow(Output):
    """Settings of a source that may change during the run."""

    conf: float
    iou: float
    classes: list[str | int]
    paused: bool


class NewSource(Input):
    """A source to add."""

    name: Name
    uri: str = Field(min_length=1, max_length=2000, description="A camera or a stream.")
    conf: Share | None = None
    iou: Share | None = None
    classes: list[ClassName] | None = Field(default=None, max_length=1000)
    models: list[str] | None = Field(default=None, min_length=1, max_length=20)


class RatesRow(Output):
    """Recent rates of a source; null if unknown."""

    capture_fps: float | None
    delivered_fps: float | None
    model_fps: float | None
    latency_ms: float | None = Field(description="Time from capture to delivery.")
    lag_ms: float | None = Field(description="Lag behind the source's own clock.")


class RecordingRow(Output):
    """A current recording."""

    file: str
    since_s: float
    error: str | None


class RecordRow(Output):
    """The recording of a source in segments (``--record``)."""

    mode: Literal["continuous", "on-event"]
    file: str | None = Field(description="The segment being written; null between segments.")
    segments: int = Field(description="Finished segments.")
    failures: int = Field(description="How often recording failed.")
    error: str | None = Field(description="Why it does not record now; it is retried.")


class RecordingFile(Output):
    """The file of a recording."""

    file: str
    bytes: int
    modified: str = Field(description="Time of the last write, UTC, ISO 8601.")


class SegmentEvent(Output):
    """An event that a segment shows."""

    id: str
    time: str
    rule: str
    phase: str


class SegmentRow(Output):
    """A segment of a recording."""

    file: str = Field(description="Its path below /segments.")
    source: str
    start: str = Field(description="UTC, ISO 8601.")
    end: str
    bytes: int
    complete: bool = Field(description="False while it is written, or if it was cut off.")
    events: list[SegmentEvent]


class SourceRow(Output):
    """A source with its current figures."""

    id: int
    name: str
    kind: str
    state: State | Literal["paused"]
    words: str = Field(description='The state as text, such as "reconnecting, 12 s".')
    since_s: float
    retries: int
    why: str = Field(description="Cause of the last retry or of the end.")
    live: bool | None
    size: list[int] | None
    age_s: float | None = Field(description="Seconds since the newest frame was captured.")
    rates: RatesRow
    frames_in: int
    frames_out: int
    dropped: dict[str, int] = Field(description="Dropped frames by stage and cause.")
    losses: dict[str, int] = Field(description="Losses before decoding, by cause.")
    error: str | None
    counts: dict[str, int] = Field(description="Objects of each class in the newest frame.")
    settings: LiveSettingsRow
    recording: RecordingRow | None = Field(description="A recording by request; null for none.")
    record: RecordRow | None = Field(description="Recording in segments; null if not set.")


class HealthRow(Output):
    """Whether any source delivers frames."""

    healthy: bool
    why: str


class ReadyRow(Output):
    """Whether all sources that are not paused deliver frames."""

    ready: bool
    live: int
    sources: int
    why: str


class ModelRow(Output):
    """A model of the run."""

    name: str
    task: str
    labels: list[str]


class RunRow(Output):
    """The run."""

    version: str
    models: list[ModelRow]
    engine: str | None
    device: str | None
    precision: str | None
    up_s: float
    stopping: bool
    events: bool = Field(description="Whether the run stores events.")
    records: bool = Field(description="Whether sources are recorded in segments.")
    video: bool = Field(description="Whether sources can be watched as H.264.")
    settings_error: str = Field(description='Error of the last reload of settings; "" for none.')


class Detection(Output):
    """A detection, in pixels of the picture."""

    model_config = ConfigDict(extra="allow")

    box: list[float] = Field(description="x1 y1 x2 y2")


class Found(Output):
    """Results of a picture, by the tasks of the run's models."""

    model_config = ConfigDict(extra="allow")

    width: int
    height: int
    detections: list[dict[str, Any]] | None = None
    segments: dict[str, Any] | None = None
    labels: list[dict[str, Any]] | None = None


class PictureQuery(Input):
    """Parameters of a picture."""

    model_config = ConfigDict(extra="forbid", strict=False)

    width: int | None = Field(default=None, ge=16, le=8192, description="Minimum width in pixels.")


class ResultsQuery(Input):
    """Parameters of results."""

    model_config = ConfigDict(extra="forbid", strict=False)

    source: int | None = Field(default=None, ge=0, le=1_000_000, description="Only this source.")


class DetectQuery(Input):
    """Parameters of detection."""

    model_config = ConfigDict(extra="forbid", strict=False)

    conf: Share | None = None


class EventsQuery(Input):
    """Parameters that filter events."""

    model_config = ConfigDict(extra="forbid", strict=False)

    source: str | None = Field(default=None, max_length=200)
    rule: str | None = Field(default=None, max_length=200)
    class_: str | None = Field(
        default=None, alias="class", max_length=200, description="Class of one of its tracks."
    )
    day: date | None = Field(default=None, description="Day in the machine's time zone.")
    limit: int = Field(default=100, ge=1, le=1000)


class SegmentsQuery(Input):
    """Filters for segments."""

    model_config = ConfigDict(extra="forbid", strict=False)

    source: str | None = Field(default=None, max_length=200)
    day: date | None = Field(default=None, description="Day in the machine's time zone.")
    limit: int = Field(default=100, ge=1, le=1000)


class Empty(Input):
    """No parameters."""


class Report(Output):
    """An object with any keys."""

    model_config = ConfigDict(extra="allow")


class ClassLabel(RootModel[str]):
    """Name of a class."""
