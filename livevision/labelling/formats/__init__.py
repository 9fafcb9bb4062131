"""Label formats: one module each, with `PICTURES`, `KIND` and `write`.

`PICTURES` is the folder of the pictures in the data set, `KIND` the task of the labels. All write
record by record: supervision's exporters hold all labels in memory, decode every picture, and have
no crowds and scores.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, cast

from livevision.errors import UsageError, unknown
from livevision.labelling.record import Record

FORMATS = {
    "coco": "livevision.labelling.formats.coco",
    "yolo": "livevision.labelling.formats.yolo",
    "voc": "livevision.labelling.formats.voc",
    "cvat": "livevision.labelling.formats.cvat",
    "masks": "livevision.labelling.formats.masks",
}
DEFAULTS = {"detect": "coco", "segment": "masks"}


class Format(Protocol):
    """A module of this folder."""

    PICTURES: str
    KIND: str

    def write(self, folder: Path, labels: Sequence[str], records: Sequence[Record]) -> None:
        """Write the labels; the pictures are there already."""


def format_of(name: str) -> Format:
    """A format by name.

    Raises:
        UsageError: The name is unknown.
    """
    if name not in FORMATS:
        raise UsageError(unknown("format", name, FORMATS))
    return cast(Format, importlib.import_module(FORMATS[name]))
