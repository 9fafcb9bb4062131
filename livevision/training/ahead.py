"""Batches made ahead of the step that needs them, by threads."""

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
    """Within it, a function that gives the batch of a step, steps in order.

    Args:
        make: makes a step's batch, the same whenever and wherever it is called.
        steps: there are none from this one on.
        workers: threads, each a batch ahead; 0 makes each batch when it is asked for.
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
