"""Coarse classes: pixels whose class is only known to be one of several labels.

The probability of a coarse class is the sum of its labels', so a net learns from such pixels what
they tell, and nothing about which of the labels it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from livevision.datasets.samples import IGNORED, ClassMapSample, DataSet
from livevision.errors import UsageError

Groups = Sequence[frozenset[int]]
"""The labels of each coarse class; its number is that of labels, plus its place here."""


def with_common_numbers(sets: Sequence[DataSet]) -> tuple[list[DataSet], list[frozenset[int]]]:
    """Data sets whose coarse classes have the same numbers in all of them, and those classes.

    Raises:
        UsageError: there are more than a label map can hold.
    """
    groups = list(dict.fromkeys(group for data_set in sets for group in data_set.coarse.values()))
    if groups and len(sets[0].labels) + len(groups) > IGNORED:
        raise UsageError(
            f"{len(sets[0].labels)} labels and {len(groups)} coarse classes are over 255 in all"
        )
    return [_renumbered(data_set, groups) for data_set in sets], groups


def _renumbered(data_set: DataSet, groups: Groups) -> DataSet:
    if not data_set.coarse:
        return data_set
    first = len(data_set.labels)
    samples = cast(Sequence[ClassMapSample], data_set.samples)
    new = {first + n: first + groups.index(g) for n, g in enumerate(data_set.coarse.values())}
    meaning = samples[0].meaning.copy()
    for before, after in new.items():
        meaning[samples[0].meaning == before] = after
    return replace(data_set, samples=[replace(sample, meaning=meaning) for sample in samples])


def with_groups(logits: Tensor, groups: Groups) -> Tensor:
    """Logits of labels, and behind them those of coarse classes: the logarithm of their sums.

    Args:
        logits: N x C x anything.
        groups: of the coarse classes.

    Returns:
        N x (C + groups) x anything.
    """
    sums = [logits[:, sorted(group)].logsumexp(1, keepdim=True) for group in groups]
    return torch.cat((logits, *sums), 1)


def fine(labels: Tensor, num_classes: int) -> Tensor:
    """Labels in which pixels of coarse classes are `IGNORED`."""
    return labels.masked_fill(labels >= num_classes, IGNORED)
