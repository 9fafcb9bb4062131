"""The data sets that a task trains on and is scored on, and their pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from livevision.datasets import DataEntry, DataSet, Sample, open_dataset
from livevision.errors import DataError
from livevision.training.batches import batch_number, indices_of
from livevision.training.coarse import with_common_numbers
from livevision.training.pictures import Pictures
from livevision.training.processes import Group
from livevision.training.recipe import Recipe
from livevision.training.repeats import repeat_factors, repeated


class Material:
    """The data sets of a recipe, mapped to its labels.

    Args:
        recipe: of the run; without labels those of the first data set are used.
        data: base folder of relative paths.
        group: the training processes.

    Raises:
        UsageError: an entry is invalid, or its classes do not match the labels.
        DataError: a data set is missing, broken or empty.
    """

    def __init__(self, recipe: Recipe, data: Path, group: Group) -> None:
        self.recipe, self.group = recipe, group
        self.labels = list(recipe.labels)
        opened = [self._open(entry, data, "train") for entry in recipe.data.train]
        self.train, self.coarse = with_common_numbers(opened)
        self.val = [self._open(entry, data, "val") for entry in recipe.data.val]
        self.reserved = 0  # bytes that a task needs beside the pictures, if there is room
        sizes = [len(s) for s in self.train]
        self._ends = np.cumsum(sizes)
        self._times = np.repeat([DataEntry.of(e).repeat for e in recipe.data.train], sizes)
        self.epoch = np.repeat(np.arange(len(self._times)), self._times)

    def _open(self, entry: dict[str, Any], data: Path, split: str) -> DataSet:
        kind: Any = self.recipe.task
        opened = open_dataset(entry, data, kind, self.labels or None, split)
        if not len(opened):
            raise DataError(f"{opened.name}: it has no pictures")
        self.labels = self.labels or list(opened.labels)
        return opened

    @cached_property
    def pictures(self) -> Pictures:
        """The training pictures, read on first use."""
        return Pictures(self.train, self.group.device, self.recipe.memory_gb * 2**30)

    @cached_property
    def val_pictures(self) -> Pictures:
        """The validation pictures; a score needs each once, so few are cached."""
        left = self.memory_left
        return Pictures(
            self.val, self.group.device, left - self.reserved if self.reserved <= left else left
        )

    @property
    def memory_left(self) -> float:
        """Bytes of `memory_gb` that the training pictures leave."""
        pictures = self.pictures.bytes if self.pictures.held is not None else 0
        return self.recipe.memory_gb * 2**30 - pictures

    def about(self) -> list[str]:
        """Lines that describe the training data."""
        named = list(zip(map(name_of, self.recipe.data.train), self.train, strict=True))
        sets = ", ".join(f"{name} ({len(s)})" for name, s in named)
        lines = [f"training on {sets}", str(self.pictures), *self._seen_before()]
        for name, data_set in named:
            missing = [n for i, n in enumerate(self.labels) if i not in data_set.marked]
            if missing:
                lines.append(f"{name} does not mark {', '.join(missing)}: masked there")
            lines += [f"{name}: {t} is any of {self._names(c)}" for t, c in data_set.coarse.items()]
        return lines

    def _names(self, labels: Iterable[int]) -> str:
        return ", ".join(self.labels[label] for label in sorted(labels))

    def _seen_before(self) -> list[str]:
        """A warning if validation pictures are also trained on."""
        learned = {place_of(sample) for data_set in self.train for sample in data_set.samples}
        places = [place_of(sample) for data_set in self.val for sample in data_set.samples]
        count = sum(place in learned for place in places)
        if not count:
            return []
        return [f"{count} of the {len(places)} val pictures are trained on too: scores flatter"]

    def scored_on(self) -> str:
        """The validation pictures, as described on the card."""
        count = sum(len(s) for s in self.val)
        width, height = self.recipe.input_size
        sets = ", ".join(map(name_of, self.recipe.data.val))
        return f"{sets} ({count} pictures, {width}x{height})"

    def repeat_rare(self, least_share: float) -> None:
        """Repeat pictures of rare classes, see `repeats.repeat_factors`; 0 repeats none."""
        if least_share:
            factors = repeat_factors(self.train, len(self.labels), least_share, self._times)
            self.epoch = repeated(factors * self._times, self.recipe.seed)

    def indices(self, step: int) -> list[int]:
        """The training pictures of this process's batch of a step."""
        number = batch_number(step, self.group)
        recipe = self.recipe
        places = indices_of(number, recipe.batch_size, len(self.epoch), recipe.seed)
        return [int(self.epoch[place]) for place in places]

    def beside(self, index: int, random: np.random.Generator) -> int:
        """A random training picture of the same data set, possibly the same one."""
        number = self.set_of(index)
        first = int(self._ends[number]) - len(self.train[number])
        return first + int(random.integers(len(self.train[number])))

    def set_of(self, index: int) -> int:
        """The number of a training picture's data set."""
        return int(np.searchsorted(self._ends, index, side="right"))

    def val_batches(self, size: int) -> Iterator[list[int]]:
        """All validation pictures, `size` at a time."""
        total = sum(len(s) for s in self.val)
        for begin in range(0, total, size):
            yield list(range(begin, min(total, begin + size)))

    def drawn(self) -> list[int]:
        """The validation pictures on which predictions are drawn, evenly spread."""
        total = sum(len(s) for s in self.val)
        count = min(self.recipe.samples, total)
        return [i * total // count for i in range(count)]


def place_of(sample: Sample) -> tuple[Path, str]:
    """Location of a picture."""
    return sample.path, getattr(sample, "member", "")


def name_of(entry: dict[str, Any]) -> str:
    """A data set's name for people: its folder or file, and the split."""
    split = f" {entry['split']}" if entry.get("split") else ""
    part = f", its part {entry['part']}" if entry.get("part") else ""
    times = f", {entry['repeat']} times" if entry.get("repeat", 1) > 1 else ""
    path = Path(str(entry.get("path", "")))
    return f"{path.name or path.resolve().name}{split}{part}{times}"
