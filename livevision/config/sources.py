"""The settings of one source, for runs with several sources.

    sources:
      door:
        uri: rtsp://cam1/stream
        models: [thundernet-snet49]
        classes: [person]
        outputs: [door.mp4]
        zones: {till: {points: [[0.1, 0.2], [0.4, 0.2], [0.4, 0.9]]}}
      yard: {uri: rtsp://cam2/stream, conf: 0.4, scene: yard.yaml}

A source takes what it does not set from the run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from livevision.config.scene import PARTS, Scene, read_scene, scene_of
from livevision.config.values import RECORD_MODES, class_list, record_mode, text, texts
from livevision.errors import UsageError, unknown

_NAME = re.compile(r"[\w.-]*\w[\w.-]*")

Texts = tuple[str, ...]


class SourceSettings(BaseModel):
    """Settings of one source; they override or extend those of the run. Frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: Annotated[str, Field(min_length=1)]
    models: Texts | None = Field(
        default=None, description="Models that process this source; default: the run's."
    )
    conf: float | None = Field(default=None, ge=0, le=1)
    iou: float | None = Field(default=None, ge=0, le=1)
    classes: tuple[str | int, ...] | None = None
    outputs: Texts = Field(
        default=(), description="Outputs of this source alone, besides those of the run."
    )
    vid_stride: int | None = Field(default=None, ge=1)
    fps: float | None = Field(default=None, gt=0)
    loop: bool | None = None
    retry_for: float | None = Field(default=None, ge=0)
    decoder: str | None = None
    record: str | None = Field(
        default=None, description="off, continuous or on-event; default: as the run."
    )
    record_sound: bool | None = Field(default=None, description="Default: as the run.")
    paused: bool = Field(default=False, description="Start paused: frames are not processed.")
    scene: Path | dict[str, Any] | None = Field(
        default=None,
        description="Its lines, zones, ignored regions and rules: a YAML file, or a mapping with "
        "the same keys; default: the run's. Each of the four may also be given by its own name.",
    )

    def read_scene(self) -> Scene | None:
        """Read the source's own scene; None if it has none.

        Raises:
            UsageError: The file cannot be read, or a value is not allowed.
        """
        if self.scene is None:
            return None
        return read_scene(self.scene) if isinstance(self.scene, Path) else scene_of(self.scene)

    @model_validator(mode="before")
    @classmethod
    def _parts(cls, values: Any) -> Any:
        """Collect lines, zones, ignored regions and rules given by their own names in a scene."""
        if not isinstance(values, Mapping):
            return values
        parts = {name: values[name] for name in PARTS if name in values}
        if not parts:
            return values
        if values.get("scene") is not None:
            raise ValueError(f"scene and {next(iter(parts))} were both given: choose one")
        return {**{n: v for n, v in values.items() if n not in parts}, "scene": parts}

    @field_validator("scene", mode="before")
    @classmethod
    def _scene(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            try:
                scene_of(value, "scene")
            except UsageError as error:
                raise ValueError(str(error)) from None
            return value
        return text(value)

    @field_validator("record", mode="before")
    @classmethod
    def _record_mode(cls, value: Any) -> Any:
        return record_mode(value)

    @field_validator("record")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and value not in RECORD_MODES:
            raise ValueError(unknown("way to record", value, RECORD_MODES))
        return value

    @field_validator("uri", mode="before")
    @classmethod
    def _home(cls, value: Any) -> Any:
        return text(value)

    @field_validator("models", "outputs", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return None if value is None else texts(value)

    @field_validator("models")
    @classmethod
    def _some(cls, value: Texts | None) -> Texts | None:
        if value is not None and not value:
            raise ValueError("no model was given; leave models out to use those of the run")
        return value

    @field_validator("classes", mode="before")
    @classmethod
    def _class_list(cls, value: Any) -> Any:
        return None if value is None else class_list(value)


def check_name(name: str) -> None:
    """Check that the name of a source can name a file.

    Raises:
        UsageError: It cannot.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"a source is named {name!r}; a name has letters, digits, '-', '_' and '.' only"
        )
