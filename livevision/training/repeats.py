"""Repetition of pictures in an epoch, so that rare classes are seen often enough."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from livevision.datasets.samples import BoxSample, ClassMapSample, DataSet, Sample


def repeat_factors(
    sets: Sequence[DataSet],
    num_classes: int,
    least_share: float,
    times: npt.NDArray[np.integer] | None = None,
) -> npt.NDArray[np.float64]:
    """Repeat factors of LVIS (arXiv 1908.03195): pictures of rare classes are repeated.

    A class on a share f of the pictures has the factor max(1, sqrt(least_share / f)); a picture has
    the largest of its classes' factors. Shares are taken over the sets that mark the class.

    Args:
        sets: data sets of boxes or of class maps, in order.
        num_classes: of the model.
        least_share: classes on a smaller share of the pictures are rare.
        times: how often an epoch has each picture anyway; None for once.

    Returns:
        A factor of at least 1 for every picture.
    """
    shown = np.zeros((sum(len(s) for s in sets), num_classes), bool)
    times = np.ones(len(shown), int) if times is None else times
    marking = np.zeros(num_classes)
    first = 0
    for data_set in sets:
        marking[sorted(data_set.marked)] += times[first : first + len(data_set)].sum()
        for row, sample in zip(shown[first:], data_set.samples, strict=False):
            row[_classes(sample, num_classes)] = True
        first += len(data_set)
    share = times @ shown / np.maximum(marking, 1)
    factors = np.sqrt(least_share / np.where(share > 0, share, 1)).clip(min=1)
    return np.asarray(np.where(shown, factors, 1).max(1, initial=1))


def _classes(sample: Sample, num_classes: int) -> npt.NDArray[np.integer]:
    """The classes in a picture, without crowds and ignored regions."""
    if isinstance(sample, BoxSample):
        return sample.classes[~sample.crowd]
    assert isinstance(sample, ClassMapSample)
    seen = np.unique(sample.read_labels())
    return seen[seen < num_classes]


def repeated(factors: npt.NDArray[np.float64], seed: int) -> npt.NDArray[np.intp]:
    """The pictures of an epoch, each repeated by its factor, randomly rounded up or down."""
    random = np.random.default_rng((seed, len(factors)))
    whole = np.floor(factors)
    counts = whole + (random.random(len(factors)) < factors - whole)
    return np.repeat(np.arange(len(factors)), counts.astype(np.intp))
