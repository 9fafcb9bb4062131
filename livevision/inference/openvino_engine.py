"""An engine for exported graphs on the CPU, with OpenVINO."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

import numpy as np
from filelock import FileLock

from livevision.errors import ModelError, UsageError
from livevision.files import MOST_BYTES, cache_folder, prune
from livevision.frame import Batch
from livevision.inference.batch import check_batch
from livevision.inference.model_files import ModelFiles
from livevision.inference.openvino_import import openvino as ov
from livevision.protocols import EngineSpec, TensorSpec

_log = logging.getLogger(__name__)

_LOCK_S = 10.0
"""Seconds to wait while other processes compile: longer than one of our graphs takes."""

_PRECISIONS = {"auto": "f32", "fp32": "f32", "fp16": "f16", "bf16": "bf16"}
_NAMES = {"f32": "fp32", "f16": "fp16", "bf16": "bf16"}


class OpenVINOEngine:
    """Runs a graph with OpenVINO.

    Args:
        files: The model; its ``graph`` is opened.
        device: "cpu".
        precision: "auto" (fp32), "fp32", or "bf16" or "fp16" if the processor supports it; "auto"
            or "int8" for a graph stored in int8; "auto" is bf16 for a graph written for it.
            OpenVINO by default uses bf16 wherever the processor has it, so that results differ from
            other engines; here it must be requested.
        threads: Threads to use; None for one per core.
        overlap: Divide the threads among several batches, as many as OpenVINO finds best for
            throughput. Each takes longer, but more are done per second. Otherwise all threads work
            on one batch, for the lowest latency.

    Raises:
        UsageError: The device or the precision is not available.
        ModelError: The graph cannot be read.
    """

    reads: ClassVar[str] = "graph"

    def __init__(
        self,
        files: ModelFiles,
        device: str,
        precision: str,
        threads: int | None = None,
        overlap: bool = False,
    ) -> None:
        if device != "cpu":
            raise UsageError(
                f"--engine openvino computes on the device cpu; given: {device!r}. "
                "For a CUDA device: --engine torch"
            )
        core = ov.Core()
        int8 = _is_int8(files, precision)
        if precision == "auto" and files.precision == "bf16":
            precision = "bf16"
        hint = "f32" if int8 else _precision(core, precision)
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "THROUGHPUT" if overlap else "LATENCY",
            "INFERENCE_PRECISION_HINT": hint,
            # A pinned thread waits for its core while the decoder or encoder uses it, and another
            # core is idle.
            "ENABLE_CPU_PINNING": False,
        }
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        compiled = _compiled(core, str(files.graph), settings)
        self._compiled: ov.CompiledModel | None = compiled
        self._requests = [compiled.create_infer_request()]
        self._idle = list(self._requests)
        at_once = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self.streams = max(1, at_once)
        # Even if one is computed at a time, the next one should be ready when it is done.
        self.depth = max(2, at_once) if overlap else at_once
        # An output may have several names once the graph has been simplified.
        names = {name: port for port in compiled.outputs for name in port.get_names()}
        takes = {name: port for port in compiled.inputs for name in port.get_names()}
        self._outputs = {name: names[name] for name in files.gives}
        self.spec = EngineSpec(
            engine="openvino",
            device="cpu",
            precision="int8" if int8 else _NAMES[hint],
            inputs={name: _spec(takes[name]) for name in files.takes},
            outputs={name: _spec(port) for name, port in self._outputs.items()},
        )

    def __call__(self, batch: Batch) -> dict[str, Any]:
        request = self._request_for(batch)
        request.infer(dict(batch), share_inputs=True)
        return self._found(request)

    def start(self, batch: Batch) -> _Begun:
        request = self._request_for(batch)
        begun = time.perf_counter()
        request.start_async(dict(batch), share_inputs=True)
        return _Begun(request, begun, self._found)

    def close(self) -> None:
        for request in self._requests:
            request.cancel()
            with suppress(RuntimeError):  # raised for cancelled requests
                request.wait()
        self._compiled = None
        self._requests, self._idle = [], []

    def _request_for(self, batch: Batch) -> ov.InferRequest:
        """An unused request; a new one if all are in use."""
        if self._compiled is None:
            raise ModelError("the engine is closed")
        check_batch(batch, self.spec)
        if not self._idle:
            self._requests.append(self._compiled.create_infer_request())
            self._idle.append(self._requests[-1])
        return self._idle.pop()

    def _found(self, request: ov.InferRequest) -> dict[str, Any]:
        """The outputs, copied, since the request's next batch overwrites them."""
        found = {n: np.array(request.get_tensor(p).data) for n, p in self._outputs.items()}
        self._idle.append(request)
        return found


class _Begun:
    """A request in flight; see ``Pending``."""

    def __init__(
        self,
        request: ov.InferRequest,
        begun: float,
        found: Callable[[ov.InferRequest], dict[str, Any]],
    ) -> None:
        self.done: float | None = None
        self._request, self._begun, self._found = request, begun, found

    def __call__(self) -> dict[str, Any]:
        self._request.wait()
        # Before the request is reused, since it only knows its last latency.
        self.done = self._begun + self._request.latency / 1e3
        return self._found(self._request)


def _compiled(core: ov.Core, graph: str, settings: dict[str, Any]) -> ov.CompiledModel:
    """Compile a graph, or load it from the cache.

    OpenVINO keys the cache by its version, the processor and the settings, and replaces broken
    files. But it takes another process's half-written file for a broken one and deletes it, and the
    writer then fails; so only one process at a time uses the cache. A cache that fails, or stays
    locked for too long, is not used.

    Raises:
        ModelError: The graph cannot be read.
    """
    folder = cache_folder("openvino")
    if folder is not None:
        try:
            with FileLock(folder.with_suffix(".lock"), timeout=_LOCK_S):
                compiled = core.compile_model(graph, "CPU", {**settings, "CACHE_DIR": str(folder)})
        except (OSError, RuntimeError) as error:  # a lock's Timeout is an OSError
            _log.debug("OpenVINO's cache is not used: %s", error)
        else:
            prune(folder, MOST_BYTES)
            return compiled
    try:
        return core.compile_model(graph, "CPU", settings)
    except RuntimeError as error:
        raise ModelError(f"OpenVINO cannot open {graph!r}: {error}") from error


def _is_int8(files: ModelFiles, asked: str) -> bool:
    """Whether the graph is stored in int8, and may be computed as requested.

    Raises:
        UsageError: It is int8 and another precision is requested, or the other way round.
    """
    stored = files.precision == "int8"
    if stored and asked not in ("auto", "int8"):
        raise UsageError(f"{str(files.graph)!r} is stored in int8 and cannot compute in {asked}")
    if asked == "int8" and not stored:
        raise UsageError(f"{str(files.graph)!r} is stored in {files.precision}, not in int8")
    return stored


def precisions_here(core: ov.Core | None = None) -> list[str]:
    """What this processor computes in: "fp32", and maybe "bf16", "fp16" and "int8"."""
    can = (core or ov.Core()).get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ["fp32", *(capability.lower() for capability in can)]


def _precision(core: ov.Core, asked: str) -> str:
    hint = _PRECISIONS.get(asked)
    can = precisions_here(core)
    if hint is None or _NAMES[hint] not in can:
        allowed = ", ".join(["auto", *(name for name in _NAMES.values() if name in can)])
        raise UsageError(
            f"--engine openvino does not compute in {asked} on this processor; "
            f"--precision takes: {allowed}"
        )
    return hint


def _spec(port: Any) -> TensorSpec:
    dtype = np.dtype(port.get_element_type().to_dtype()).name
    shape = port.get_partial_shape()
    # -1 for sizes that are only known after a computation, such as the number of boxes.
    return TensorSpec(tuple(d.get_length() if d.is_static else -1 for d in shape), dtype)
