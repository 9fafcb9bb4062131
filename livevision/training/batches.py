"""Selects the pictures of a batch, and seeds the random numbers of a step.

Everything follows from the seed, the step and the process, so that a resumed run sees the same
batches as an uninterrupted one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from livevision.training.processes import Group

_ORDER, _VIEWS, _STEP, _SIZE = 0, 1, 2, 3  # separate streams of random numbers


def indices_of(step: int, batch_size: int, count: int, seed: int) -> list[int]:
    """Indices of the samples in a batch; every epoch has a new order.

    Args:
        step: number of the batch, counted over all processes.
        batch_size: samples in a batch.
        count: number of samples.
        seed: of the orders.
    """
    first = step * batch_size
    order: dict[int, npt.NDArray[np.intp]] = {}
    indices = []
    for position in range(first, first + batch_size):
        epoch, place = divmod(position, count)
        if epoch not in order:
            order[epoch] = np.random.default_rng((seed, _ORDER, epoch)).permutation(count)
        indices.append(int(order[epoch][place]))
    return indices


def batch_number(step: int, group: Group) -> int:
    """Number of this process's batch in a step, counted over all processes."""
    return step * group.count + group.rank


def views_random(seed: int, number: int) -> np.random.Generator:
    """Random generator for a batch's views; `number` is that of the batch."""
    return np.random.default_rng((seed, _VIEWS, number))


def size_of_step(seed: int, step: int, sizes: int) -> int:
    """Index of a step's input size, the same in all processes, so that none waits for another."""
    return int(np.random.default_rng((seed, _SIZE, step)).integers(sizes))


def seed_step(seed: int, number: int) -> None:
    """Seed the net's own random numbers in a batch, such as dropout."""
    state = np.random.SeedSequence((seed, _STEP, number)).generate_state(1, np.uint64)
    torch.manual_seed(int(state[0] >> np.uint64(1)))
