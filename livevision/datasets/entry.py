"""A data set as described in a recipe or on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from livevision.errors import UsageError, unknown

FORMATS = ("auto", "coco", "voc", "yolo", "class-maps", "class-folders")
PARTS = ("train", "val")
OTHERS = "others"
"""In place of a class name: every class that is not named elsewhere."""


@dataclass(frozen=True)
class DataEntry:
    """Location of labelled pictures, and the mapping of their classes to the model's.

    Attributes:
        path: A folder, a data.yaml, a COCO JSON file or a zip of class folders.
        split: "train", "val" and so on; None for the caller's default, or all pictures of a data
            set without splits.
        format: One of `FORMATS`; "auto" recognises it.
        rename: Mapping from their class names to ours. The key "others" is every class not named.
        coarse: Their classes that are any of several of ours, for class maps: {"vehicle": ["car",
            "truck"]}. Where one is marked, the sum of ours is learned.
        ignore: Their classes to ignore: their boxes and pictures are dropped, their pixels are
            void. For index PNGs also values. The word "others" alone is every class that the
            model's table lacks.
        part: "train" or "val" of a split that serves as both: every tenth picture is for val, see
            `livevision.datasets.parts`; empty for all of it.
        names: Names of the stored numbers, for index PNGs without their own table.
        files: Patterns of picture names, such as "0016E5*" or "night/*.jpg": only pictures that fit
            one of them are taken. Empty for all pictures.
        repeat: How often an epoch of training has each picture.
    """

    path: Path
    split: str | None = None
    format: str = "auto"
    rename: Mapping[str, str] = field(default_factory=dict)
    coarse: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ignore: Sequence[str] | Literal["others"] = ()
    names: Sequence[str] = ()
    part: str = ""
    files: Sequence[str] = ()
    repeat: int = 1

    @classmethod
    def of(cls, given: Any) -> DataEntry:
        """Make one from a mapping, as in YAML, or from a path.

        Raises:
            UsageError: A key is unknown or missing, or a value has a wrong type.
        """
        if isinstance(given, DataEntry):
            return given
        if isinstance(given, str | Path):
            return cls(Path(given))
        if not isinstance(given, Mapping):
            raise UsageError(
                f"data entry {given!r}: it takes a path, or {{path: …, split: …, rename: …}}"
            )
        known = [f.name for f in fields(cls)]
        for key in given:
            if key not in known:
                raise UsageError(f"data entry {_short(given)}: {unknown('key', str(key), known)}")
        if not given.get("path"):
            raise UsageError(f"data entry {_short(given)} has no path")
        values = dict(given)
        if values.get("format", "auto") not in FORMATS:
            raise UsageError(
                f"data entry {_short(given)}: {unknown('format', str(values['format']), FORMATS)}"
            )
        rename = values.get("rename") or {}
        if not isinstance(rename, Mapping):
            raise UsageError(f"data entry {_short(given)}: rename takes {{theirs: ours}}")
        coarse = values.get("coarse") or {}
        if not isinstance(coarse, Mapping):
            raise UsageError(f"data entry {_short(given)}: coarse takes {{theirs: [ours, ours]}}")
        part = str(values.get("part") or "")
        if part not in ("", *PARTS):
            raise UsageError(f"data entry {_short(given)}: {unknown('part', part, PARTS)}")
        repeat = values.get("repeat", 1)
        if not isinstance(repeat, int) or isinstance(repeat, bool) or repeat < 1:
            raise UsageError(
                f"data entry {_short(given)}: repeat {repeat!r} is not a whole number of at least 1"
            )
        split = values.get("split")
        return cls(
            path=Path(str(values["path"])),
            split=None if split is None else str(split),
            format=values.get("format", "auto"),
            rename={str(theirs): str(ours) for theirs, ours in rename.items()},
            coarse={str(theirs): _strings(coarse, theirs) for theirs in coarse},
            ignore="others" if values.get("ignore") == OTHERS else _strings(values, "ignore"),
            names=_strings(values, "names"),
            part=part,
            files=_strings(values, "files"),
            repeat=repeat,
        )


def _strings(values: Mapping[str, Any], key: str) -> tuple[str, ...]:
    given = values.get(key) or ()
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise UsageError(f"data entry {_short(values)}: {key} takes a list, such as [{given}]")
    return tuple(map(str, given))


def _short(given: Mapping[str, Any]) -> str:
    return str(given.get("path") or dict(given))
