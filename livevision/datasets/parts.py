"""Divides one split into train and val, for data sets without a val split.

Every tenth picture is for val: the same ones on every machine and in every run, wherever the folder
is, chosen by a hash of the pictures' names, so that their order does not matter. Both parts have
the same proportions of classes, and val has at least one picture of each class of a classifier.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from livevision.datasets.by_name import name_below
from livevision.datasets.samples import BoxSample, ClassSample, DataSet, Sample
from livevision.errors import DataError

_EVERY = 10


def part_of(data_set: DataSet, part: str, root: Path) -> DataSet:
    """The pictures of "train" or "val", in the data set's order.

    Args:
        data_set: All pictures.
        part: Which part.
        root: Folder of the data set; names are relative to it.

    Raises:
        DataError: There are too few pictures for two parts.
    """
    samples = data_set.samples
    val = _val(samples, root)
    chosen = [s for i, s in enumerate(samples) if (i in val) == (part == "val")]
    if not val or len(val) == len(samples):
        raise DataError(
            f"{data_set.name}: has no val part, and {len(samples)} pictures are too few to set "
            "some aside for it; label more"
        )
    return replace(data_set, samples=chosen, name=f"{data_set.name}, its part {part}")


def _val(samples: Sequence[Sample], root: Path) -> set[int]:
    """Indices of the pictures for val."""
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, group in enumerate(_groups(samples)):
        groups[group].append(index)
    by_hash = {
        i: hashlib.sha256(name_below(s, root).encode()).digest() for i, s in enumerate(samples)
    }
    each = isinstance(samples[0], ClassSample) if samples else False
    val: set[int] = set()
    row: list[int] = []
    for group in sorted(groups):
        ordered = sorted(groups[group], key=by_hash.__getitem__)
        if each:
            val.update(_tenth(ordered))
        elif group == _EMPTY:
            val.update(ordered[_EVERY // 2 :: _EVERY])
        else:
            row += ordered  # one class after the other, for equal proportions
    return val | set(_tenth(row))


_EMPTY = (-1, -1)


def _groups(samples: Sequence[Sample]) -> list[tuple[int, int]]:
    """A group for each picture: its class, or the rarest of those in it."""
    counts = Counter(
        int(c) for s in samples if isinstance(s, BoxSample) for c in set(s.classes.tolist())
    )
    groups = []
    for sample in samples:
        if isinstance(sample, ClassSample):
            groups.append((0, sample.class_id))
        elif isinstance(sample, BoxSample):
            shown = [(counts[c], c) for c in set(sample.classes.tolist())]
            groups.append(min(shown, default=_EMPTY))
        else:
            groups.append((0, 0))
    return groups


def _tenth(ordered: list[int]) -> list[int]:
    """Every tenth; at least one of two or more."""
    chosen = ordered[_EVERY // 2 :: _EVERY]
    return chosen or ordered[len(ordered) // 2 :][: len(ordered) > 1]
