"""Boxes, classes and crowds of a batch's pictures as padded tensors on one device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from livevision.datasets.samples import BoxSample
from livevision.training.ragged import on_device


class Objects(NamedTuple):
    """The objects of N pictures; rows of padding hold empty boxes, all zeros."""

    boxes: Tensor  # N x G x 4, x1 y1 x2 y2 in pixels
    shares: Tensor  # float32 N x G x classes, rows sum to 1; 0 in padding
    crowds: Tensor  # N x K x 4, regions in which objects are not marked singly

    def first(self, most: int) -> Objects:
        """The objects without gaps, at most this many; all crowds.

        On a CPU padding of crowds that no picture needs is trimmed; on a GPU finding out would mean
        waiting for it.
        """
        boxes, shares = _together(most, self.boxes, self.shares)
        crowds = self.crowds
        if crowds.device.type == "cpu":
            (crowds,) = _together(max(1, int(exists(crowds).sum(1).max())), crowds)
        return Objects(boxes, shares, crowds)


def exists(boxes: Tensor) -> Tensor:
    """Which boxes are not padding, bool of the same shape without the last axis."""
    return (boxes[..., 2] > boxes[..., 0]) & (boxes[..., 3] > boxes[..., 1])


def side_by_side(parts: Sequence[Objects]) -> Objects:
    """Join the objects of several views that form one; those of each row are concatenated."""
    return Objects(*(torch.cat(each, 1) for each in zip(*parts, strict=True)))


def stacked(parts: Sequence[tuple[Sequence[int], Objects]], count: int) -> Objects:
    """The objects of a batch of `count` pictures from parts and their rows.

    All parts have the same number of objects; crowds may differ.
    """
    some = parts[0][1]
    most_crowds = max(part.crowds.shape[1] for _, part in parts)
    whole = Objects(
        some.boxes.new_zeros(count, *some.boxes.shape[1:]),
        some.shares.new_zeros(count, *some.shares.shape[1:]),
        some.crowds.new_zeros(count, most_crowds, 4),
    )
    for rows, part in parts:
        at = on_device(np.asarray(rows, np.int64), some.boxes.device)
        whole.boxes[at], whole.shares[at] = part.boxes, part.shares
        whole.crowds[at, : part.crowds.shape[1]] = part.crowds
    return whole


def _together(most: int, boxes: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
    """Move rows of real boxes to the front, in order, and other tensors with them.

    Returns `most` rows, padded if necessary.
    """
    lacking = max(0, most - boxes.shape[1])
    parts = tuple(F.pad(part, (0, 0, 0, lacking)) for part in (boxes, *others))
    order = (~exists(parts[0])).long().argsort(stable=True, dim=1)[:, :most, None]
    return tuple(part.gather(1, order.expand(-1, -1, part.shape[2])) for part in parts)


class ObjectTable:
    """The boxes of all pictures on one device.

    Args:
        samples: the pictures.
        num_classes: of the model.
        device: of the tables.
    """

    def __init__(
        self, samples: Sequence[BoxSample], num_classes: int, device: torch.device
    ) -> None:
        single = [~s.crowd for s in samples]
        self._boxes = _Rows([s.boxes[one] for s, one in zip(samples, single, strict=True)], device)
        self._crowds = _Rows([s.boxes[s.crowd] for s in samples], device)
        classes = [s.classes[one][:, None] for s, one in zip(samples, single, strict=True)]
        self._classes = _Rows(classes, device)
        self._one_hot = torch.eye(num_classes, device=device)
        # Only soft labels of a teacher take a row for each class.
        self._soft: _Rows | None = None
        if any(s.shares is not None for s in samples):
            self._soft = _Rows(
                [_shares(s, num_classes)[one] for s, one in zip(samples, single, strict=True)],
                device,
            )

    def of(self, indices: Sequence[int]) -> Objects:
        """The objects of some pictures, in the pictures' pixels."""
        boxes, valid = self._boxes.of(indices)
        if self._soft is None:
            shares = self._one_hot[self._classes.of(indices)[0][..., 0]]
        else:
            shares = self._soft.of(indices)[0]
        return Objects(boxes, shares * valid[..., None], self._crowds.of(indices)[0])


class _Rows:
    """Rows of all pictures, concatenated."""

    def __init__(self, parts: Sequence[npt.NDArray[np.generic]], device: torch.device) -> None:
        self._counts = np.array([len(part) for part in parts], np.int64)
        self._starts = np.concatenate(([0], self._counts.cumsum()[:-1]))
        nothing = np.zeros((1, *parts[0].shape[1:]), parts[0].dtype)  # target of padding
        self._rows = torch.from_numpy(np.concatenate([*parts, nothing])).to(device)

    def of(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The rows of some pictures, N x M x anything, zero-padded; and which exist, N x M."""
        chosen = np.asarray(indices, np.int64)
        counts = self._counts[chosen, None]
        places = np.arange(max(1, int(counts.max(initial=0))))
        last = len(self._rows) - 1
        at = np.where(places < counts, self._starts[chosen, None] + places, last)
        rows = self._rows[on_device(at, self._rows.device)]
        return rows, on_device(places < counts, self._rows.device)


def _shares(sample: BoxSample, num_classes: int) -> npt.NDArray[np.float32]:
    """Class shares of a picture's boxes, N x classes."""
    if sample.shares is not None:
        return sample.shares
    return np.eye(num_classes, dtype=np.float32)[sample.classes]
