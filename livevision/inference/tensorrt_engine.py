"""An engine for exported graphs on NVIDIA GPUs, with TensorRT directly."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorrt as trt

from livevision.errors import ModelError
from livevision.files import MOST_BYTES, cache_folder, passing_folder, prune, write_whole
from livevision.frame import Batch
from livevision.inference.batch import check_batch
from livevision.inference.cuda_device import CudaDevice
from livevision.inference.in_flight import AT_ONCE, Places
from livevision.inference.model_files import ModelFiles
from livevision.inference.precision import settle
from livevision.inference.tensorrt_build import Logger, build_plan, load_plan
from livevision.protocols import EngineSpec, Pending, TensorSpec
from livevision.version import __version__

_log = logging.getLogger(__name__)


class TensorRTEngine:
    """Runs a graph with TensorRT.

    A plan is built from an .onnx graph on first use, which takes minutes, and cached for this GPU,
    TensorRT version, precision and graph. An .engine file from ``livevision export`` is used as it
    is.

    Args:
        files: The model; its ``graph`` is opened.
        device: "cuda" or "cuda:N".
        precision: "auto" (that of the graph); "fp32"; "fp16" for a graph in fp32; "int8" for a
            graph quantised for TensorRT.
        threads: Ignored, since the GPU computes.
        overlap: Keep ``depth`` batches in flight, each on its own stream: one is computed while
            another's pixels and a third's results are copied.

    Raises:
        UsageError: The device or the precision is not available.
        ModelError: The graph cannot be read or built, or the plan is for another GPU.
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
        assert files.graph is not None
        precision = settle(files, precision, "tensorrt", lowers_to=("fp16",))
        gpu = CudaDevice(device)
        self._gpu: CudaDevice | None = gpu
        self._places: Places | None = None
        try:
            self._logger = Logger()
            self._plan = _plan(files, precision, gpu, self._logger)
            inputs, outputs = _ports(self._plan)
            self.spec = EngineSpec(
                engine="tensorrt",
                device=str(gpu),
                precision=precision,
                inputs=inputs,
                outputs={name: outputs[name] for name in files.gives},
            )
            self.depth = AT_ONCE if overlap else 1
            self.streams = 1  # copies overlap, computation hardly does
            # One batch more than are computed may have been started.
            count = self.depth + 1 if overlap else 1
            self._places = Places(lambda: _Place(self._plan, gpu, self.spec), count)
        except BaseException:
            self.close()
            raise

    def __call__(self, batch: Batch) -> dict[str, Any]:
        return self.start(batch)()

    def start(self, batch: Batch) -> Pending:
        if self._places is None:
            raise ModelError("the engine is closed")
        check_batch(batch, self.spec)
        return self._places.start(batch)

    def close(self) -> None:
        if self._places is not None:
            self._places.close()
            self._places = None
        self._plan = None
        if self._gpu is not None:
            self._gpu.close()
            self._gpu = None


class _Place:
    """A stream, an execution context, and buffers on both sides, for one batch."""

    def __init__(self, plan: Any, gpu: CudaDevice, spec: EngineSpec) -> None:
        self._gpu = gpu
        gpu.use()
        self._context = plan.create_execution_context()
        if self._context is None:
            raise ModelError("TensorRT has not enough memory on the device for one more batch")
        self._stream = gpu.stream()
        self._begun, self._done = gpu.event(), gpu.event()
        self.seconds = 0.0
        ports = {**spec.inputs, **spec.outputs}
        self._host = {name: gpu.host(port.shape, port.dtype) for name, port in ports.items()}
        self._device = {name: gpu.memory(array.nbytes) for name, array in self._host.items()}
        self._inputs, self._outputs = tuple(spec.inputs), tuple(spec.outputs)
        for name, address in self._device.items():
            if not self._context.set_tensor_address(name, address):
                raise ModelError(f"TensorRT does not take the buffer of {name!r}")

    def begin(self, batch: Batch) -> None:
        self._gpu.use()
        for name in self._inputs:
            np.copyto(self._host[name], batch[name])
        self._gpu.record(self._begun, self._stream)
        for name in self._inputs:
            self._gpu.upload(self._device[name], self._host[name], self._stream)
        if not self._context.execute_async_v3(int(self._stream)):
            raise ModelError("TensorRT could not start the batch; --verbose shows more")
        for name in self._outputs:
            self._gpu.download(self._host[name], self._device[name], self._stream)
        self._gpu.record(self._done, self._stream)

    def finish(self) -> dict[str, Any]:
        self._gpu.wait(self._done)
        self.seconds = self._gpu.seconds(self._begun, self._done)
        return {name: self._host[name].copy() for name in self._outputs}

    def close(self) -> None:
        self._gpu.wait(self._done)
        self._context = None


def write_engine(
    files: ModelFiles,
    precision: str,
    description: Mapping[str, str],
    output: Path,
    device: str = "cuda",
) -> None:
    """Write a plan for this GPU to a file; it appears when it is complete.

    A .json with the same name has the description and what the plan runs on; the plan itself is
    compatible with TensorRT's own tools.

    Args:
        files: The model; ``graph`` is the .onnx file.
        precision: "fp32", "fp16" of a graph in fp32, or "int8" of one in int8.
        description: The description, by the keys of ``description``.
        output: The .engine file.
        device: "cuda" or "cuda:N".

    Raises:
        UsageError: The device does not exist.
        ModelError: TensorRT cannot build the graph.
        OSError: The files cannot be written.
    """
    gpu = CudaDevice(device)
    try:
        plan = build_plan(files, precision)
        described = json.dumps({**description, **_place_of(gpu)}, ensure_ascii=False, indent=1)
    finally:
        gpu.close()
    write_whole(output.with_suffix(".json"), described.encode())
    write_whole(output, plan)


def _plan(files: ModelFiles, precision: str, gpu: CudaDevice, logger: Logger) -> Any:
    """The plan of a model: read from its file, from the cache, or built now."""
    assert files.graph is not None
    if files.graph.suffix == ".engine":
        return _stored_plan(files.graph, gpu, logger)
    folder = cache_folder("tensorrt") or passing_folder()
    path = folder / _file_name(files, precision, gpu)
    with suppress(OSError):
        loaded = load_plan(path.read_bytes(), logger)
        if loaded is not None:
            os.utime(path)  # last use, for `prune`
            return loaded
        _log.info("%s is broken and is rebuilt", path)
    plan = build_plan(files, precision)
    with suppress(OSError):  # the cache is optional
        write_whole(path, plan)
        prune(folder, MOST_BYTES)
        _log.info("later starts use %s", path)
    loaded = load_plan(plan, logger)
    if loaded is None:
        raise ModelError(f"TensorRT cannot load what it has built: {logger.last_error}")
    return loaded


def _stored_plan(path: Path, gpu: CudaDevice, logger: Logger) -> Any:
    """Load the plan in an .engine file.

    Raises:
        ModelError: It was built for another GPU or TensorRT, or is broken.
    """
    from livevision.inference.description import read_description

    stored, here = read_description(path), _place_of(gpu)
    if any(stored.get(key) != value for key, value in here.items()):
        raise ModelError(
            f"{str(path)!r} was built for {_place_text(stored)}; this is {_place_text(here)}. "
            "Export it again on this machine, or use the .onnx file, which runs everywhere"
        )
    loaded = load_plan(path.read_bytes(), logger)
    if loaded is None:
        raise ModelError(f"TensorRT cannot open {str(path)!r}: {logger.last_error}")
    return loaded


def _place_of(gpu: CudaDevice) -> dict[str, str]:
    return {"gpu": gpu.name, "capability": gpu.capability, "tensorrt": str(trt.__version__)}


def _place_text(described: Mapping[str, str]) -> str:
    gpu, capability = described.get("gpu", "an unknown GPU"), described.get("capability", "?")
    return f"{gpu} ({capability}) with TensorRT {described.get('tensorrt', '?')}"


def _file_name(files: ModelFiles, precision: str, gpu: CudaDevice) -> str:
    """Name of a plan in the cache, from everything it depends on."""
    assert files.graph is not None
    try:
        graph = files.graph.read_bytes()
    except OSError as error:
        raise ModelError(f"{str(files.graph)!r}: {error.strerror}") from error
    # With livevision's version, since it changes graphs on their way to TensorRT.
    made_for = json.dumps([_place_of(gpu), precision, __version__], sort_keys=True).encode()
    key = hashlib.sha256(made_for + graph).hexdigest()[:16]
    where = re.sub(r"[^A-Za-z0-9]+", "-", f"{gpu.name} {gpu.capability}").strip("-")
    size = "x".join(map(str, files.input_size))
    return f"{files.name}-{size}-{precision}-{where}-trt{trt.__version__}-{key}.engine"


def _ports(plan: Any) -> tuple[dict[str, TensorSpec], dict[str, TensorSpec]]:
    """Inputs and outputs of a plan."""
    inputs: dict[str, TensorSpec] = {}
    outputs: dict[str, TensorSpec] = {}
    for index in range(plan.num_io_tensors):
        name = plan.get_tensor_name(index)
        dtype = np.dtype(trt.nptype(plan.get_tensor_dtype(name))).name
        port = TensorSpec(tuple(plan.get_tensor_shape(name)), dtype)
        takes = plan.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        (inputs if takes else outputs)[name] = port
    return inputs, outputs
