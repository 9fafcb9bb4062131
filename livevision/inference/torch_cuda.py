"""PyTorch on CUDA with several batches in flight: streams, pinned memory and CUDA graphs.

A net of many small operations waits for Python between them. A CUDA graph records the operations
once and launches them together; it uses the same memory every time. Copies to and from the device
go through pinned memory, so that they need no CPU and no waiting.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from livevision.frame import Batch

_log = logging.getLogger(__name__)

_WARM_UPS = 3
"""Warm-up runs before the capture, in which libraries choose their algorithms."""

Compute = Callable[[Sequence[Tensor]], tuple[Tensor, ...]]


class CudaLayer:
    """Calls of PyTorch that need a CUDA device; tests replace them.

    Methods with a stream enqueue work in it; they do not wait.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def pinned(self, like: Tensor) -> Tensor:
        """Pinned host memory of a tensor's shape and dtype."""
        return torch.empty(like.shape, dtype=like.dtype, pin_memory=True)

    def memory(self, like: Tensor) -> Tensor:
        """Device memory of a tensor's shape and dtype."""
        return torch.empty(like.shape, dtype=like.dtype, device=self._device)

    def stream(self) -> Any:
        stream: Any = torch.cuda.Stream  # untyped
        return stream(self._device)

    def event(self) -> Any:
        """An event; waiting for it does not keep a core busy."""
        event: Any = torch.cuda.Event
        return event(enable_timing=True, blocking=True)

    def copy(self, to: Tensor, of: Tensor, stream: Any) -> None:
        with torch.cuda.stream(stream):
            to.copy_(of, non_blocking=True)

    def run(self, what: Callable[[], Any], stream: Any) -> Any:
        """Call a function that enqueues work on the device."""
        with torch.cuda.stream(stream):
            return what()

    def capture(self, what: Callable[[], Any], stream: Any) -> tuple[Callable[[], None], Any]:
        """Capture the work of a call in a CUDA graph.

        Returns:
            A function that replays it, and the result of the call, which each replay overwrites.

        Raises:
            RuntimeError: The work cannot be captured.
        """
        graph = torch.cuda.CUDAGraph()
        # Other threads may be waiting for their own batches during the capture.
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            given = what()
        return graph.replay, given

    def settle(self, stream: Any) -> None:
        """Wait for all work in a stream."""
        stream.synchronize()

    def record(self, event: Any, stream: Any) -> None:
        event.record(stream)

    def wait(self, event: Any) -> None:
        event.synchronize()

    def seconds(self, first: Any, last: Any) -> float:
        """Seconds on the device between two events, both reached."""
        return float(first.elapsed_time(last)) / 1e3


class CudaPlace:
    """A stream, buffers and a CUDA graph for one batch; see ``in_flight``.

    Args:
        layer: The device.
        compute: The net, from inputs to outputs on the device.
        inputs: Example inputs by name, in the net's order.
        outputs: Names of the outputs, in the net's order.
    """

    def __init__(
        self,
        layer: CudaLayer,
        compute: Compute,
        inputs: Mapping[str, Tensor],
        outputs: Sequence[str],
    ) -> None:
        self._layer = layer
        self._stream = layer.stream()
        self._begun, self._done = layer.event(), layer.event()
        self.seconds = 0.0
        self._sent = {name: layer.pinned(tensor) for name, tensor in inputs.items()}
        self._taken = {name: layer.memory(tensor) for name, tensor in inputs.items()}
        for name, tensor in inputs.items():
            self._sent[name].copy_(tensor)
            layer.copy(self._taken[name], self._sent[name], self._stream)
        self._compute = lambda: compute(tuple(self._taken.values()))
        constants = Constants()
        found: tuple[Tensor, ...] = ()
        for _ in range(_WARM_UPS):
            with constants.next_run():
                found = layer.run(self._compute, self._stream)
        layer.settle(self._stream)
        self._replay: Callable[[], None] | None = None
        self._found: tuple[Tensor, ...] = found
        try:
            with constants.next_run():
                self._replay, self._found = layer.capture(self._compute, self._stream)
        except RuntimeError as error:
            _log.warning(
                "this net cannot be captured in a CUDA graph, and is slower without: %s",
                str(error).partition("\n")[0],
            )
        self._constants = constants
        self._received = {
            name: layer.pinned(tensor) for name, tensor in zip(outputs, self._found, strict=True)
        }
        layer.record(self._done, self._stream)

    def begin(self, batch: Batch) -> None:
        for name, pinned in self._sent.items():
            np.copyto(pinned.numpy(), batch[name])
        self._layer.record(self._begun, self._stream)
        for name, pinned in self._sent.items():
            self._layer.copy(self._taken[name], pinned, self._stream)
        if self._replay is not None:
            self._layer.run(self._replay, self._stream)
        else:
            with self._constants.next_run():
                self._found = self._layer.run(self._compute, self._stream)
        for pinned, found in zip(self._received.values(), self._found, strict=True):
            self._layer.copy(pinned, found, self._stream)
        self._layer.record(self._done, self._stream)

    def finish(self) -> dict[str, Any]:
        self._layer.wait(self._done)
        self.seconds = self._layer.seconds(self._begun, self._done)
        return {name: pinned.numpy().copy() for name, pinned in self._received.items()}

    def close(self) -> None:
        self._layer.wait(self._done)
        self._replay, self._found = None, ()


class Constants(TorchFunctionMode):
    """Caches tensors that a net creates from Python numbers on the device in each run.

    Anchors and scales are the same every time. Sending them makes the CPU wait for the device, and
    cannot be captured in a CUDA graph. A net of fixed shapes creates them in the same order in
    every run, so each is identified by its number in the run.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kept: list[Tensor] = []
        self._number = 0

    def next_run(self) -> Constants:
        """Enter this around each run of the net."""
        self._number = 0
        return self

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not _sends(func, args, kwargs):
            return func(*args, **kwargs)
        if self._number == len(self._kept):
            self._kept.append(func(*args, **kwargs))
        self._number += 1
        return self._kept[self._number - 1]


def _sends(func: Any, args: Any, kwargs: Any) -> bool:
    """Whether a call creates a device tensor from data on the CPU."""
    if func is torch.tensor:
        return _on_device(kwargs.get("device"))
    if func is not Tensor.to or args[0].device.type != "cpu":
        return False
    return any(map(_on_device, (*args[1:], *kwargs.values())))


def _on_device(asked: Any) -> bool:
    if isinstance(asked, Tensor):
        asked = asked.device
    return isinstance(asked, (str, torch.device)) and torch.device(asked).type != "cpu"
