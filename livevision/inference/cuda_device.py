"""A CUDA device: memory, streams and events, through NVIDIA's bindings of the CUDA runtime.

The package ``cuda-bindings`` is a few megabytes, available from the package index for x86 and ARM,
and includes the runtime. PyTorch could do the same, but for a Jetson it is a separate build of some
gigabytes, and running an exported model needs no PyTorch with other engines.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt
from cuda.bindings import runtime

from livevision.errors import ModelError, UsageError


class CudaDevice:
    """One device; ``close`` frees everything that was allocated on it.

    Streams and events are handles of the runtime; device memory is an address.

    Args:
        asked: "cuda" or "cuda:N".

    Raises:
        UsageError: The device does not exist here.
    """

    def __init__(self, asked: str) -> None:
        kind, _, number = asked.partition(":")
        if kind != "cuda":
            raise UsageError(f"device {asked!r} is not a CUDA device; known: cuda, cuda:N")
        self._index = int(number or 0)
        # Without a driver this is an error, and the count is None.
        error, count = runtime.cudaGetDeviceCount()
        if error != runtime.cudaError_t.cudaSuccess or self._index >= count:
            found = f"the driver finds {count}" if count else _text(error)
            raise UsageError(f"device {asked!r}: no such CUDA device ({found}); use --device cpu")
        self._freeing: list[tuple[Any, Any]] = []
        self.use()
        properties = _done(runtime.cudaGetDeviceProperties(self._index))
        self.name = properties.name.decode().rstrip("\0")
        self.capability = f"{properties.major}.{properties.minor}"

    def __str__(self) -> str:
        return f"cuda:{self._index}"

    def use(self) -> None:
        """Make it the calling thread's device, as each thread that computes on it must."""
        _done(runtime.cudaSetDevice(self._index))

    def stream(self) -> Any:
        """A stream that is independent of all others."""
        flags = runtime.cudaStreamNonBlocking
        return self._kept(
            _done(runtime.cudaStreamCreateWithFlags(flags)), runtime.cudaStreamDestroy
        )

    def host(self, shape: tuple[int, ...], dtype: str) -> npt.NDArray[Any]:
        """An array in pinned memory, so that copies need not wait for the CPU."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        address = self._kept(_done(runtime.cudaMallocHost(size)), runtime.cudaFreeHost)
        buffer = (ctypes.c_uint8 * size).from_address(int(address))
        array: npt.NDArray[Any] = np.ctypeslib.as_array(buffer)
        return array.view(dtype).reshape(shape)

    def memory(self, size: int) -> int:
        """Allocate bytes on the device; returns the address."""
        return int(self._kept(_done(runtime.cudaMalloc(size)), runtime.cudaFree))

    def upload(self, address: int, array: npt.NDArray[Any], stream: Any) -> None:
        """Copy a ``host`` array to the device, in stream order."""
        kind = runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        _done(runtime.cudaMemcpyAsync(address, array.ctypes.data, array.nbytes, kind, stream))

    def download(self, array: npt.NDArray[Any], address: int, stream: Any) -> None:
        """Copy from the device to a ``host`` array, in stream order."""
        kind = runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        _done(runtime.cudaMemcpyAsync(array.ctypes.data, address, array.nbytes, kind, stream))

    def event(self) -> Any:
        """An event; waiting for it does not keep a core busy."""
        flags = runtime.cudaEventBlockingSync
        return self._kept(_done(runtime.cudaEventCreateWithFlags(flags)), runtime.cudaEventDestroy)

    def record(self, event: Any, stream: Any) -> None:
        """Record the event after all work in the stream so far."""
        _done(runtime.cudaEventRecord(event, stream))

    def wait(self, event: Any) -> None:
        """Wait for the event; returns at once if it was never recorded."""
        _done(runtime.cudaEventSynchronize(event))

    def seconds(self, first: Any, last: Any) -> float:
        """Seconds on the device between two events, both reached."""
        return float(_done(runtime.cudaEventElapsedTime(first, last))) / 1e3

    def close(self) -> None:
        """Free everything; no work may be in flight."""
        if self._freeing:
            self.use()
        while self._freeing:
            free, what = self._freeing.pop()
            free(what)

    def _kept(self, what: Any, free: Any) -> Any:
        self._freeing.append((free, what))
        return what


def _done(answer: tuple[Any, ...]) -> Any:
    """The result of a call of the runtime.

    Raises:
        ModelError: The call failed.
    """
    error, *given = answer
    if error != runtime.cudaError_t.cudaSuccess:
        raise ModelError(f"CUDA: {_text(error)}")
    return given[0] if given else None


def _text(error: Any) -> str:
    return str(runtime.cudaGetErrorString(error)[1].decode())
