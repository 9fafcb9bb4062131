"""The way into a data set: its format recognised, checked, in the classes of the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from livevision.datasets.entry import DataEntry
from livevision.datasets.samples import DataSet, Kind


def open_dataset(
    entry: DataEntry | Any,
    root: Path | None = None,
    kind: Kind = "detect",
    labels: Sequence[str] | None = None,
    default_split: str = "val",
) -> DataSet:
    """Find and check labelled pictures; none is decoded yet.

    Every label file is read, and the size of every picture looked up, so that what is broken is
    told now and not in the middle of a run.

    Args:
        entry: A `DataEntry`, a mapping with its fields, or a path.
        root: Folder that a relative path is counted from; the current one by default.
        kind: The task whose labels are wanted; a folder may hold several.
        labels: The model's table of class names; None takes the data set's own.
        default_split: The split where the entry names none and the data set has splits.

    Raises:
        UsageError: The entry is wrong, or the tables of classes do not fit.
        DataError: Nothing is there, or it is broken; with file and line.
    """
    raise NotImplementedError
