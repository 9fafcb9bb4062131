"""Losses for data sets that label only some of a model's classes.

Such a set shows other classes as background or not at all, so nothing may be learned from it about
them. Their logits are removed from the softmax for pictures of that set: the loss then only
distinguishes the labelled classes.

A detector's first stage only asks whether there is any object, so no class can be removed. Its
negatives stay negatives on every set, as is usual with shared heads (UniDet, 2102.13086): of 256
anchors a picture few lie on an unlabelled object, and the second stage, which decides, is masked.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from livevision.datasets.samples import DataSet

_NEVER = -1e4  # a logit whose softmax is zero in float32, gradient included


class Marks:
    """Which labels each picture's data set marks.

    Args:
        sets: the data sets, in order.
        num_classes: logits of the net for classes (without background).
        device: of the masks.
    """

    def __init__(self, sets: Sequence[DataSet], num_classes: int, device: torch.device) -> None:
        table = torch.zeros(len(sets), num_classes, dtype=torch.bool)
        for row, data_set in zip(table, sets, strict=True):
            row[sorted(data_set.marked)] = True
        self._table = table.to(device)
        self._set_of = [i for i, s in enumerate(sets) for _ in range(len(s))]
        self.all_marked = bool(table.all())

    def of(self, indices: Sequence[int]) -> Tensor | None:
        """bool N x num_classes for some pictures; None if every set marks every class."""
        return None if self.all_marked else self._table[[self._set_of[i] for i in indices]]


def mask_unmarked(logits: Tensor, marked: Tensor | None) -> Tensor:
    """Logits as float32, those of unmarked classes excluded from any softmax and its gradient.

    Args:
        logits: N x C x anything.
        marked: bool N x C; None masks nothing.
    """
    logits = logits.float()
    if marked is None:
        return logits
    shape = (*marked.shape, *(1 for _ in logits.shape[2:]))
    return logits.masked_fill(~marked.view(shape), _NEVER)
