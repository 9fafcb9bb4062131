"""Places in which batches are computed, several at once, as engines for GPUs have them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from livevision.errors import ModelError
from livevision.frame import Batch

AT_ONCE = 2
"""Batches that a GPU has in flight: while one is computed the next one's pixels are on their way,
and the last one's answers are on theirs."""


class Place(Protocol):
    """All that one batch takes from its start to its end: buffers, a stream, a graph.

    ``begin`` and ``finish`` may be called on different threads.

    Attributes:
        seconds: How long the device was at the last batch, known after ``finish``.
    """

    seconds: float

    def begin(self, batch: Batch) -> None:
        """Have the batch computed, and return at once; its arrays are lent until ``finish``."""

    def finish(self) -> dict[str, Any]:
        """Wait for the outputs; these are the caller's."""

    def close(self) -> None:
        """Wait for what was begun, and let go of everything."""


class Begun:
    """A batch that a place is at work on; see ``Pending``."""

    def __init__(self, place: Place, begun: float, free: Callable[[Place], None]) -> None:
        self.done: float | None = None
        self._place, self._begun, self._free = place, begun, free

    def __call__(self) -> dict[str, Any]:
        outputs = self._place.finish()
        self.done = self._begun + self._place.seconds
        self._free(self._place)
        return outputs


class Computed:
    """A batch whose outputs are there already; see ``Pending``."""

    def __init__(self, outputs: dict[str, Any]) -> None:
        self.done: float | None = time.perf_counter()
        self._outputs = outputs

    def __call__(self) -> dict[str, Any]:
        return self._outputs


class Places:
    """Places of an engine: made beforehand, one more where all are taken.

    Args:
        make: Makes one.
        count: So many are made now.
    """

    def __init__(self, make: Callable[[], Place], count: int) -> None:
        self._make = make
        self._all: list[Place] = []
        self._free: list[Place] = []
        self._closed = False
        try:
            for _ in range(count):
                self._all.append(make())
        except BaseException:
            self.close()
            raise
        self._free.extend(self._all)

    def start(self, batch: Batch) -> Begun:
        """Begin a batch; what is returned waits for its outputs, and is called once.

        Raises:
            ModelError: The engine is closed.
        """
        if self._closed:
            raise ModelError("the engine is closed")
        if not self._free:
            self._all.append(self._make())
            self._free.append(self._all[-1])
        place = self._free.pop()
        begun = time.perf_counter()
        place.begin(batch)
        return Begun(place, begun, self._free.append)

    def close(self) -> None:
        """End what was begun and never asked for, and let go of all places."""
        self._closed = True
        for place in self._all:
            place.close()
        self._all, self._free = [], []
