"""The settings of one source, where several are watched each in its own way.

    sources:
      door:
        uri: rtsp://cam1/stream
        models: [thundernet-snet49]
        classes: [person]
        outputs: [door.mp4]
      yard: {uri: rtsp://cam2/stream, conf: 0.4}

What a source does not say it takes from the run.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from livevision.config.values import class_list, text, texts
from livevision.errors import UsageError

_NAME = re.compile(r"[\w.-]*\w[\w.-]*")

Texts = tuple[str, ...]


class SourceSettings(BaseModel):
    """What one source is told beside, or in place of, what the run is told. Frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: Annotated[str, Field(min_length=1)]
    models: Texts | None = Field(
        default=None, description="Which models look at it; by default those of the run."
    )
    conf: float | None = Field(default=None, ge=0, le=1)
    iou: float | None = Field(default=None, ge=0, le=1)
    classes: tuple[str | int, ...] | None = None
    outputs: Texts = Field(
        default=(), description="Outputs of this source alone, beside those of the run."
    )
    vid_stride: int | None = Field(default=None, ge=1)
    loop: bool | None = None
    retry_for: float | None = Field(default=None, ge=0)
    decoder: str | None = None
    paused: bool = Field(default=False, description="Begin without looking at its frames.")

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
            raise ValueError("no model was given; leave it out for the run's models")
        return value

    @field_validator("classes", mode="before")
    @classmethod
    def _class_list(cls, value: Any) -> Any:
        return None if value is None else class_list(value)


def check_name(name: str) -> None:
    """Refuse a name that could not name a file.

    Raises:
        UsageError: It is none.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"a source is named {name!r}; a name has letters, digits, '-', '_' and '.' only"
        )
