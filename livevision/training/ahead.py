"""Prepares batches on threads before they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Batch = TypeVar("Batch")


@contextmanager
def batches_ahead(
    make: Callable[[int], Batch], steps: int, workers: int
) -> Iterator[Callable[[int], Batch]]:
    """Context: a function that returns the batch of a step, called with consecutive steps.

    Args:
        make: makes a step's batch; always the same for the same step.
        steps: number of steps; no batch is made for later ones.
        workers: threads, each one batch ahead; 0 makes each batch when it is requested.
    """
    if not workers:
        yield make
        return
    coming: dict[int, Future[Batch]] = {}
    pool = ThreadPoolExecutor(workers, "batch")

    def take(step: int) -> Batch:
        for ahead in range(step, min(steps, step + workers + 1)):
            if ahead not in coming:
                coming[ahead] = pool.submit(make, ahead)
        return coming.pop(step).result()

    try:
        yield take
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
