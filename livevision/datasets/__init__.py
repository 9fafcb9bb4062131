"""Labelled pictures on disk in many formats: opened, checked, and read one by one."""

from livevision.datasets.entry import DataEntry
from livevision.datasets.opening import kinds_of, open_dataset, splits_of
from livevision.datasets.samples import (
    IGNORED,
    BoxSample,
    ClassMapSample,
    ClassSample,
    DataSet,
    Kind,
    Sample,
)

__all__ = [
    "IGNORED",
    "BoxSample",
    "ClassMapSample",
    "ClassSample",
    "DataEntry",
    "DataSet",
    "Kind",
    "Sample",
    "kinds_of",
    "open_dataset",
    "splits_of",
]
