"""Class maps scored against coarse truth: a pixel may be marked as any of several labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def found_as_coarse(
    found: npt.NDArray[np.integer],
    truth: npt.NDArray[np.integer],
    num_labels: int,
    groups: Sequence[frozenset[int]],
    marked: frozenset[int],
) -> npt.NDArray[np.int64]:
    """A class map in which found labels are coarse classes where the truth knows no more.

    Args:
        found: H x W, labels that a model found.
        truth: H x W, labels, and behind them coarse classes.
        num_labels: number of labels.
        groups: the labels of each coarse class.
        marked: labels that the truth marks singly; elsewhere they stay as they are.

    Returns:
        H x W, labels and coarse classes. A label of several coarse classes is the one that is true,
        or the first.
    """
    meaning = np.arange(num_labels)
    for number, group in reversed(list(enumerate(groups))):
        meaning[sorted(group - marked)] = num_labels + number
    coarse: npt.NDArray[np.int64] = meaning[found]
    for number, group in enumerate(groups):
        hit = (truth == num_labels + number) & np.isin(found, sorted(group))
        coarse[hit] = num_labels + number
    return coarse
