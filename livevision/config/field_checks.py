"""Checks and conversions of single settings, as flags, YAML and Python give them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationInfo, field_validator

from livevision.config.flags import allowed, flag_of
from livevision.config.values import bytes_of, class_list, record_mode, seconds_of, text, texts
from livevision.errors import unknown
from livevision.registry import ENGINES, OVERLAYS, entry_points

CLUSTER = "ray, or ray:// with host and port of a cluster"


class FieldChecks(BaseModel):
    """The validators of `Settings`, whose fields they name."""

    @field_validator(
        *("source", "model", "weights", "output", "overlay", "events", "web_host"),
        mode="before",
        check_fields=False,
    )
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return texts(value)

    @field_validator(
        *("report", "scene", "clips", "recordings", "web_cert", "web_key"),
        *("web_token_file", "web_watch_token_file"),
        mode="before",
        check_fields=False,
    )
    @classmethod
    def _home(cls, value: Any) -> Any:
        return text(value)

    @field_validator(
        "clip_before", "clip_after", "keep", "segment", "part", mode="before", check_fields=False
    )
    @classmethod
    def _duration(cls, value: Any) -> Any:
        return seconds_of(value)

    @field_validator("record", mode="before", check_fields=False)
    @classmethod
    def _record_mode(cls, value: Any) -> Any:
        return record_mode(value)

    @field_validator("max_disk", mode="before", check_fields=False)
    @classmethod
    def _bytes(cls, value: Any) -> Any:
        return bytes_of(value)

    @field_validator(
        *("weights", "report", "scene", "recordings", "web_cert", "web_key"),
        *("web_token_file", "web_watch_token_file"),
        check_fields=False,
    )
    @classmethod
    def _named(cls, value: Any) -> Any:
        for path in value if isinstance(value, tuple) else (value,):
            if path == Path():
                raise ValueError("a file name is needed")
        return value

    @field_validator("source", "output", "model", "events", check_fields=False)
    @classmethod
    def _distinct(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if any(not item.strip() for item in value):
            raise ValueError(f"an empty {info.field_name} was given")
        if info.field_name in ("output", "events") and len(set(value)) < len(value):
            raise ValueError(f"the same {info.field_name} was given twice")
        return value

    @field_validator("blur", mode="before", check_fields=False)
    @classmethod
    def _name_list(cls, value: Any) -> Any:
        items = value if isinstance(value, list | tuple) else (value,)
        if not all(isinstance(item, str) for item in items):
            raise ValueError(f"{value!r} is not {allowed(cls.model_fields['blur'])}")
        names = tuple(part.strip() for item in items for part in item.split(","))
        if "" in names:
            raise ValueError(f"{value!r} is not {allowed(cls.model_fields['blur'])}")
        return names

    @field_validator("track", mode="before", check_fields=False)
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
        check_fields=False,
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

    @field_validator("overlay", check_fields=False)
    @classmethod
    def _installed(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        there = entry_points.names(OVERLAYS.group, OVERLAYS) if value else []
        for name in value:
            if not there:
                raise ValueError(f"unknown overlay {name!r}: no installed package has overlays")
            if name not in there:
                raise ValueError(unknown("overlay", name, there))
        return value

    @field_validator("device", mode="before", check_fields=False)
    @classmethod
    def _device_number(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("device", check_fields=False)
    @classmethod
    def _device(cls, value: str) -> str:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", value):
            number = value.removeprefix("gpu").lstrip(":")
            gpu = f"; for GPU {number}: cuda:{number}" if number.isdecimal() else ""
            raise ValueError(f"{value!r} is not {allowed(cls.model_fields['device'])}{gpu}")
        return value

    @field_validator("on", check_fields=False)
    @classmethod
    def _cluster(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"ray(://[^/\s]+:\d+)?", value):
            raise ValueError(f"{value!r} is not {CLUSTER}")
        return value

    @field_validator("imgsz", mode="before", check_fields=False)
    @classmethod
    def _size(cls, value: Any) -> Any:
        if value == "fit":
            return value
        parts = re.split(r"[x×]", value) if isinstance(value, str) else value
        if isinstance(parts, int) and not isinstance(parts, bool):
            parts = (parts,)
        if parts is None or not isinstance(parts, list | tuple):
            return parts
        return tuple(parts) * 2 if len(parts) == 1 else tuple(parts)

    @field_validator("imgsz", check_fields=False)
    @classmethod
    def _size_bounds(
        cls, value: tuple[int, int] | Literal["fit"] | None
    ) -> tuple[int, int] | Literal["fit"] | None:
        if isinstance(value, tuple) and not all(32 <= side <= 4096 for side in value):
            given = "x".join(map(str, value))
            raise ValueError(f"{given!r} is not {allowed(cls.model_fields['imgsz'])}")
        return value

    @field_validator("target_latency", mode="before", check_fields=False)
    @classmethod
    def _milliseconds(cls, value: Any) -> Any:
        return value.strip().removesuffix("ms").strip() if isinstance(value, str) else value

    @field_validator("classes", mode="before", check_fields=False)
    @classmethod
    def _class_list(cls, value: Any) -> Any:
        return class_list(value)
