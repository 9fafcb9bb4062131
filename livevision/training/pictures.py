"""The pictures of a run's data sets, in memory if they fit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch

from livevision.datasets.samples import BoxSample, ClassMapSample, DataSet, Sample
from livevision.training.ragged import Ragged

_TRIED = 32  # pictures read to estimate the size of all


class Pictures:
    """Decoded pictures, uint8, indexed over all data sets in order.

    A class map is a picture's fourth channel. If all pictures exceed the limit, requested ones are
    read each time.

    Args:
        sets: data sets of one kind.
        device: where the pictures are stored.
        limit: maximum bytes.

    Attributes:
        held: all pictures, if they are in memory.
    """

    def __init__(self, sets: Sequence[DataSet], device: torch.device, limit: float) -> None:
        self.samples: list[Sample] = [s for data_set in sets for s in data_set.samples]
        self.device = device
        count = len(self.samples)
        chosen = [self.samples[i * count // _TRIED] for i in range(_TRIED)][:count]
        tried = [_read(sample) for sample in chosen]
        self.bytes = sum(p.nbytes for p in tried) // len(tried) * count
        self.held: Ragged | None = None
        if self.bytes <= limit:
            expected = _pixels(self.samples) or int(1.1 * self.bytes) // tried[0].shape[2]
            with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
                self.held = Ragged.of(pool.map(_read, self.samples), device, expected)

    def __len__(self) -> int:
        return len(self.samples)

    def __str__(self) -> str:
        size = f"{len(self)} pictures, {self.bytes / 2**30:.2g} GiB decoded,"
        if self.held is not None:
            return f"{size} held in memory on {self.device}"
        return f"{size} more than memory_gb allows: read anew for every batch"

    def some(self, indices: Sequence[int]) -> Ragged:
        """Some of the pictures, on the device."""
        if self.held is not None:
            return self.held.some(indices)
        pictures = [_read(self.samples[i]) for i in indices]
        return Ragged.of(pictures, self.device, sum(p.shape[0] * p.shape[1] for p in pictures))


def _pixels(samples: Sequence[Sample]) -> int:
    """Total pixels of the pictures, if known without reading them; else 0."""
    if not all(isinstance(s, BoxSample) for s in samples):
        return 0
    return sum(s.width * s.height for s in samples if isinstance(s, BoxSample))


def _read(sample: Sample) -> npt.NDArray[np.uint8]:
    """A picture, H x W x 3, or H x W x 4 with its class map."""
    if isinstance(sample, ClassMapSample):
        image, labels = sample.read()
        return np.dstack((image, labels))
    return np.ascontiguousarray(sample.read())
