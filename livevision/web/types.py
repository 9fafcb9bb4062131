"""What the interface for programs takes and gives, as types.

The OpenAPI document is made of them, and what comes in is judged by them.
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


class Taken(BaseModel):
    """What comes in: nothing unknown, and each value of its own type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Given(BaseModel):
    """What goes out."""

    model_config = ConfigDict(extra="forbid")


Point = Annotated[list[Share], Field(min_length=2, max_length=2)]
ShapeName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^\S(.*\S)?$")]
Corners = Annotated[list[Point], Field(min_length=2, max_length=100)]


class ScenePatch(Taken):
    """Corners of zones and lines by name, as fractions of the picture; null takes one away."""

    zones: dict[ShapeName, Corners | None] = Field(default={}, max_length=100)
    lines: dict[ShapeName, Corners | None] = Field(default={}, max_length=100)


class ShapeRow(Given):
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


class SceneRow(Given):
    """What is watched in a source's pictures."""

    zones: dict[str, ZoneRow]
    lines: dict[str, LineRow]
    ignore: list[list[list[float]]]
    rules: list[str]
    file: str | None = Field(description="Where changes are kept; null: nowhere.")


class EventRow(Given):
    """An event of a rule."""

    model_config = ConfigDict(extra="allow")

    id: str
    source: str
    time: str
    rule: str
    phase: str


class Problem(Given):
    """Why a request was refused, in one line."""

    error: str


class Done(Given):
    """It was done."""

    ok: bool = True


class Login(Taken):
    """A token, for a cookie."""

    token: str = Field(min_length=1, max_length=500)


class Session(Given):
    """Who asks."""

    role: Literal["watch", "operate"]
    open: bool = Field(description="No token is needed.")


class LiveSettingsPatch(Taken):
    """Settings of a source to change; those left out stay."""

    conf: Share | None = Field(default=None, description="Lowest score of a box that is kept.")
    iou: Share | None = Field(default=None, description="Overlap from which boxes are one object.")
    classes: list[ClassName] | None = Field(
        default=None, max_length=1000, description="Keep these alone; none keeps all."
    )
    paused: bool | None = Field(default=None, description="Look at no frame of it.")


class LiveSettingsRow(Given):
    """Settings of a source that may change while it is watched."""

    conf: float
    iou: float
    classes: list[str | int]
    paused: bool


class NewSource(Taken):
    """A source to watch."""

    name: Name
    uri: str = Field(min_length=1, max_length=2000, description="A camera or a stream.")
    conf: Share | None = None
    iou: Share | None = None
    classes: list[ClassName] | None = Field(default=None, max_length=1000)
    models: list[str] | None = Field(default=None, min_length=1, max_length=20)


class RatesRow(Given):
    """Recent rates of a source; null where one is not known."""

    capture_fps: float | None
    delivered_fps: float | None
    model_fps: float | None
    latency_ms: float | None = Field(description="Capture to delivery.")
    lag_ms: float | None = Field(description="Behind the source's own clock.")


class RecordingRow(Given):
    """A recording that goes on."""

    file: str
    since_s: float
    error: str | None


class RecordRow(Given):
    """The recording of a source in segments, by the setting record."""

    mode: Literal["continuous", "on-event"]
    file: str | None = Field(description="The segment being written; null between segments.")
    segments: int = Field(description="Finished segments.")
    failures: int = Field(description="How often the recording stopped.")
    error: str | None = Field(description="Why it is stopped; it is tried again.")


class RecordingFile(Given):
    """A recording on the disk."""

    file: str
    bytes: int
    modified: str = Field(description="UTC, as ISO 8601 writes it.")


class SourceRow(Given):
    """A source with its figures of this moment."""

    id: int
    name: str
    kind: str
    state: State | Literal["paused"]
    words: str = Field(description='The state for people: "reconnecting, 12 s".')
    since_s: float
    retries: int
    why: str = Field(description="What brought the last loss or the end.")
    live: bool | None
    size: list[int] | None
    age_s: float | None = Field(description="Seconds since the newest frame was captured.")
    rates: RatesRow
    frames_in: int
    frames_out: int
    dropped: dict[str, int] = Field(description="Dropped frames by stage and cause.")
    losses: dict[str, int]
    error: str | None
    counts: dict[str, int] = Field(description="Objects of each class in the newest frame.")
    settings: LiveSettingsRow
    recording: RecordingRow | None = Field(description="Of the annotated picture, as requested.")
    record: RecordRow | None = Field(description="In segments; null for a source without.")


class HealthRow(Given):
    """Whether frames come, of any source."""

    healthy: bool
    why: str


class ReadyRow(Given):
    """Whether frames come of all sources that are not paused."""

    ready: bool
    live: int
    sources: int
    why: str


class ModelRow(Given):
    """A model of the run."""

    name: str
    task: str
    labels: list[str]


class RunRow(Given):
    """The run."""

    version: str
    models: list[ModelRow]
    engine: str | None
    device: str | None
    precision: str | None
    up_s: float
    stopping: bool
    events: bool = Field(description="The run keeps events.")
    settings_error: str = Field(description='Why settings were not read again; "" for nothing.')


class Detection(Given):
    """An object, in pixels of the picture."""

    model_config = ConfigDict(extra="allow")

    box: list[float] = Field(description="x1 y1 x2 y2")


class Found(Given):
    """What was found in a picture; of each kind that the run's models look for."""

    model_config = ConfigDict(extra="allow")

    width: int
    height: int
    detections: list[dict[str, Any]] | None = None
    segments: dict[str, Any] | None = None
    labels: list[dict[str, Any]] | None = None


class PictureQuery(Taken):
    """Which picture."""

    model_config = ConfigDict(extra="forbid", strict=False)

    width: int | None = Field(default=None, ge=16, le=8192, description="Of the picture, about.")


class ResultsQuery(Taken):
    """Which results."""

    model_config = ConfigDict(extra="forbid", strict=False)

    source: int | None = Field(default=None, ge=0, le=1_000_000, description="Of this one alone.")


class DetectQuery(Taken):
    """How to look at a picture."""

    model_config = ConfigDict(extra="forbid", strict=False)

    conf: Share | None = None


class EventsQuery(Taken):
    """Which events."""

    model_config = ConfigDict(extra="forbid", strict=False)

    source: str | None = Field(default=None, max_length=200)
    rule: str | None = Field(default=None, max_length=200)
    class_: str | None = Field(
        default=None, alias="class", max_length=200, description="Of one of its tracks."
    )
    day: date | None = Field(default=None, description="In the time zone of the machine.")
    limit: int = Field(default=100, ge=1, le=1000)


class Empty(Taken):
    """No parameters."""


class Report(Given):
    """An object with keys of its own."""

    model_config = ConfigDict(extra="allow")


class ClassLabel(RootModel[str]):
    """Name of a class."""
