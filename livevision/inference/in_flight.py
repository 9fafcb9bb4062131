"""Slots of a GPU engine: each computes one batch, and several are in flight."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from livevision.errors import ModelError
from livevision.frame import Batch

AT_ONCE = 2
"""Batches in flight on a GPU: while one is computed, the next one's pixels and the last one's
results are copied."""


class Place(Protocol):
    """Resources of one batch: buffers, a stream, a graph.

    ``begin`` and ``finish`` may be called on different threads.

    Attributes:
        seconds: Time of the last batch on the device; set by ``finish``.
    """

    seconds: float

    def begin(self, batch: Batch) -> None:
        """Start a batch and return at once; its arrays must not change until ``finish``."""

    def finish(self) -> dict[str, Any]:
        """Wait for the outputs; the caller owns them."""

    def close(self) -> None:
        """Wait for what is in flight and free everything."""


class Begun:
    """A batch in flight in a slot; see ``Pending``."""

    def __init__(self, place: Place, begun: float, free: Callable[[Place], None]) -> None:
        self.done: float | None = None
        self._place, self._begun, self._free = place, begun, free

    def __call__(self) -> dict[str, Any]:
        outputs = self._place.finish()
        self.done = self._begun + self._place.seconds
        self._free(self._place)
        return outputs


class Computed:
    """A batch whose outputs are already there; see ``Pending``."""

    def __init__(self, outputs: dict[str, Any]) -> None:
        self.done: float | None = time.perf_counter()
        self._outputs = outputs

    def __call__(self) -> dict[str, Any]:
        return self._outputs


class Places:
    """The slots of an engine: created in advance; another one is added if all are in use.

    Args:
        make: Creates a slot.
        count: Number to create in advance.
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
        """Start a batch; call the result once to wait for the outputs.

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
        """End batches that were started and never fetched, and free all slots."""
        self._closed = True
        for place in self._all:
            place.close()
        self._all, self._free = [], []
