"""The pictures of the data sets that a run reads, in memory where they fit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from livevision.datasets.samples import IGNORED, ClassMapSample, DataSet, Sample

_TRIED = 32  # pictures by which the size of all is judged
_BESIDE = (124, 116, 104, IGNORED)  # what lies beside a picture: ImageNet's mean colour, no class


class Pictures:
    """Decoded pictures, uint8, by their place in the data sets one after another.

    A class map is a picture's fourth channel. Where all of them would take more than the limit,
    those asked for are read anew each time.

    Args:
        sets: data sets of one kind.
        device: where the pictures are kept.
        limit: bytes that they may take.
    """

    def __init__(self, sets: Sequence[DataSet], device: torch.device, limit: float) -> None:
        self.samples: list[Sample] = [s for data_set in sets for s in data_set.samples]
        self.device = device
        count = len(self.samples)
        tried = [self.samples[i * count // _TRIED] for i in range(_TRIED)][:count]
        self.bytes = sum(_read(s).nbytes for s in tried) // len(tried) * count
        self.held: list[Tensor] = []
        if self.bytes <= limit:
            with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
                self.held = [torch.from_numpy(p).to(device) for p in pool.map(_read, self.samples)]

    def __len__(self) -> int:
        return len(self.samples)

    def __str__(self) -> str:
        size = f"{len(self)} pictures, {self.bytes / 2**30:.2g} GiB decoded,"
        if self.held:
            return f"{size} held in memory on {self.device}"
        return f"{size} more than memory_gb allows: read anew for every batch"

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, npt.NDArray[np.int64]]:
        """Some of the pictures.

        Returns:
            uint8 N x H x W x C on the device, H and W those of the largest of them, ImageNet's
            mean colour and no class beside the others; and widths and heights, N x 2.
        """
        if self.held:
            parts = [self.held[i] for i in indices]
        else:
            parts = [torch.from_numpy(_read(self.samples[i])).to(self.device) for i in indices]
        sizes = np.array([(p.shape[1], p.shape[0]) for p in parts], np.int64)
        width, height = sizes.max(0)
        if (sizes == sizes[0]).all():
            return torch.stack(parts), sizes
        beside = torch.tensor(_BESIDE[: parts[0].shape[2]], dtype=torch.uint8, device=self.device)
        together = beside.repeat(len(parts), height, width, 1)
        for place, part in zip(together, parts, strict=True):
            place[: part.shape[0], : part.shape[1]] = part
        return together, sizes


def _read(sample: Sample) -> npt.NDArray[np.uint8]:
    """A picture, H x W x 3, or with its class map H x W x 4."""
    if isinstance(sample, ClassMapSample):
        image, labels = sample.read()
        return np.dstack((image, labels))
    return np.ascontiguousarray(sample.read())
