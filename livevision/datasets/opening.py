"""Opens a data set: recognises and checks its format, and maps its classes to the model's."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from livevision.datasets.by_name import with_names
from livevision.datasets.entry import DataEntry
from livevision.datasets.parts import part_of
from livevision.datasets.samples import DataSet, Kind
from livevision.errors import DataError, UsageError
from livevision.files import with_home

_FORMATS: dict[Kind, dict[str, str]] = {
    "detect": {
        "coco": "livevision.datasets.coco",
        "yolo": "livevision.datasets.yolo",
        "voc": "livevision.datasets.voc",
    },
    "segment": {"class-maps": "livevision.datasets.class_maps"},
    "classify": {"class-folders": "livevision.datasets.class_folders"},
}


def open_dataset(
    entry: DataEntry | Any,
    root: Path | None = None,
    kind: Kind = "detect",
    labels: Sequence[str] | None = None,
    default_split: str = "val",
) -> DataSet:
    """Find and check labelled pictures; none is decoded yet.

    Every label file is read and the size of every picture checked, so that errors are reported now
    and not in the middle of a run.

    Args:
        entry: A `DataEntry`, a mapping with its fields, or a path.
        root: Base folder of a relative path; default: the current one.
        kind: The task whose labels are wanted; a folder may have several.
        labels: The model's class names; None uses the data set's own.
        default_split: Used if the entry names no split and the data set has splits.

    Raises:
        UsageError: The entry is invalid, or the classes do not match.
        DataError: Nothing is found, or it is broken; the message has file and line.
    """
    entry = DataEntry.of(entry)
    path = with_home(entry.path)
    if root is not None:
        path = root / path
    if not path.exists():
        raise DataError(f"{path}: there is no such data set")
    if kind != "detect" and path.suffix in (".yaml", ".yml"):
        path = path.parent  # the file names the classes of its folder
    if entry.coarse and kind != "segment":
        raise UsageError(f"{path}: coarse classes are for class maps; the task is {kind}")
    reader = _reader(path, entry.format, kind)
    opened: DataSet = reader.read(
        path, entry, None if labels is None else list(labels), default_split
    )
    folder = path if path.is_dir() else path.parent
    if entry.files:
        opened = with_names(opened, entry.files, folder)
    if entry.part:
        opened = part_of(opened, entry.part, folder)
    if opened.kind == "detect" and not any(len(s.boxes) for s in opened.samples):  # type: ignore
        raise DataError(f"{opened.name}: none of its {len(opened)} pictures has a box")
    return opened


def kinds_of(path: Path) -> list[Kind]:
    """The tasks that a folder or file has labels for, by file names."""
    folder = path.parent if path.suffix in (".yaml", ".yml") else path
    found: list[Kind] = ["detect"] if _fitting(path, "detect") else []
    found += ["segment"] if _fitting(folder, "segment") else []
    # Any subfolder could be a class.
    return found or (["classify"] if _fitting(path, "classify") else [])


def splits_of(path: Path, kind: Kind, chosen: str = "auto") -> list[str]:
    """The names of a data set's splits; none for a data set without splits.

    Raises:
        UsageError, DataError: See `open_dataset`.
    """
    if kind != "detect" and path.suffix in (".yaml", ".yml"):
        path = path.parent
    found: list[str] = _reader(path, chosen, kind).splits(path)
    return found


def _fitting(path: Path, kind: Kind) -> list[str]:
    """Names of the formats that a folder or file may have."""
    modules = {name: importlib.import_module(module) for name, module in _FORMATS[kind].items()}
    return [name for name, module in modules.items() if module.recognise(path)]


def _reader(path: Path, chosen: str, kind: Kind) -> Any:
    """The module that reads a format.

    Raises:
        UsageError: The format has no labels of that kind, or several formats match.
        DataError: None matches.
    """
    formats = _FORMATS[kind]
    if chosen != "auto":
        if chosen not in formats:
            raise UsageError(
                f"{path}: the format {chosen} has no labels for the task {kind}; those that have: "
                f"{', '.join(formats)}"
            )
        return importlib.import_module(formats[chosen])
    fitting = _fitting(path, kind)
    if not fitting:
        raise DataError(
            f"{path}: no labels for the task {kind} were found there, in none of these formats: "
            f"{', '.join(formats)}"
        )
    if len(fitting) > 1:
        raise UsageError(
            f"{path}: has labels in several formats ({', '.join(fitting)}); choose one with "
            f"format: {fitting[0]}"
        )
    return importlib.import_module(formats[fitting[0]])
