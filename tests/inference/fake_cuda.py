"""Stand-ins for ``cuda.bindings.runtime`` and ``tensorrt``, since tests have no GPU.

Device memory is memory of this process, and a stream is a list of what has still to be done:
nothing on it happens before somebody waits for it, so that whoever reads an answer without waiting,
or writes to a buffer that is still being read, gets a wrong one. A "plan" is an ONNX graph, which
ONNX Runtime computes; the parser refuses what TensorRT's own would.
"""

from __future__ import annotations

import ctypes
import enum
import importlib
import itertools
import sys
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from typing import Any

import numpy as np
import onnx
import pytest

GPU, CAPABILITY = "Fake GPU 3000", (8, 7)


_IMPORTING = ("cuda_device", "tensorrt_build", "tensorrt_engine")


@contextmanager
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[TensorRT]:
    """Have livevision import the stand-ins; at the end all that was taken must be given back."""
    cuda = Runtime()
    trt = TensorRT(cuda)
    bindings = types.ModuleType("cuda.bindings")
    bindings.runtime = cuda  # type: ignore[attr-defined]
    modules = {"tensorrt": trt, "cuda": types.ModuleType("cuda"), "cuda.bindings": bindings}
    for name, module in {**modules, "cuda.bindings.runtime": cuda}.items():
        module.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    names = [f"livevision.inference.{name}" for name in _IMPORTING]
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in names:
        importlib.import_module(name)
    monkeypatch.setattr("livevision.inference.select.has_driver", lambda: True)
    yield trt
    for name in names:
        sys.modules.pop(name, None)
    assert not cuda.live, "everything is given back"


class Error(enum.IntEnum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorNoDevice = 100


class Kind(enum.IntEnum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


class Runtime(types.ModuleType):
    """``cuda.bindings.runtime``, as far as it is used, with one device."""

    cudaError_t = Error
    cudaMemcpyKind = Kind
    cudaStreamNonBlocking = 1
    cudaEventBlockingSync = 1

    def __init__(self, devices: int = 1) -> None:
        super().__init__("cuda.bindings.runtime")
        self.devices = devices
        self.live: dict[int, Any] = {}
        self.streams: dict[int, list[Callable[[], None] | int]] = {}
        self.most_waiting = 0
        self._numbers = itertools.count(1)
        self._marked: dict[int, int] = {}
        self._reached: dict[int, float] = {}

    def cudaGetDeviceCount(self) -> Any:
        return (
            (Error.cudaSuccess, self.devices) if self.devices else (Error.cudaErrorNoDevice, None)
        )

    def cudaSetDevice(self, index: int) -> Any:
        return (Error.cudaSuccess if index < self.devices else Error.cudaErrorInvalidValue,)

    def cudaGetDeviceProperties(self, index: int) -> Any:
        major, minor = CAPABILITY
        told = types.SimpleNamespace(name=GPU.encode(), major=major, minor=minor)
        return Error.cudaSuccess, told

    def cudaGetErrorString(self, error: Error) -> Any:
        return Error.cudaSuccess, error.name.encode()

    def cudaMalloc(self, size: int) -> Any:
        buffer = (ctypes.c_uint8 * size)()
        self.live[ctypes.addressof(buffer)] = buffer
        return Error.cudaSuccess, ctypes.addressof(buffer)

    cudaMallocHost = cudaMalloc

    def cudaFree(self, address: int) -> Any:
        del self.live[address]
        return (Error.cudaSuccess,)

    cudaFreeHost = cudaFree

    def cudaStreamCreateWithFlags(self, flags: int) -> Any:
        number = next(self._numbers)
        self.live[number] = self.streams[number] = []
        return Error.cudaSuccess, number

    def cudaStreamDestroy(self, stream: int) -> Any:
        assert not self.streams.pop(stream), "a stream is destroyed with work on it"
        return self.cudaFree(stream)

    def cudaEventCreateWithFlags(self, flags: int) -> Any:
        number = next(self._numbers)
        self.live[number] = "event"
        return Error.cudaSuccess, number

    def cudaEventDestroy(self, event: int) -> Any:
        return self.cudaFree(event)

    def cudaMemcpyAsync(self, to: int, of: int, size: int, kind: Kind, stream: int) -> Any:
        device = to if kind is Kind.cudaMemcpyHostToDevice else of
        if device not in self.live or size > len(self.live[device]):
            return (Error.cudaErrorInvalidValue,)
        self.streams[stream].append(lambda: ctypes.memmove(to, of, size) and None)
        return (Error.cudaSuccess,)

    def cudaEventRecord(self, event: int, stream: int) -> Any:
        self.streams[stream].append(event)
        self._marked[event] = stream
        self.most_waiting = max(self.most_waiting, sum(map(bool, self.streams.values())))
        return (Error.cudaSuccess,)

    def cudaEventSynchronize(self, event: int) -> Any:
        waiting = self.streams.get(self._marked.get(event, -1), [])
        while event in waiting:
            what = waiting.pop(0)
            if callable(what):
                what()
            else:
                self._reached[what] = time.perf_counter()
        return (Error.cudaSuccess,)

    def cudaEventElapsedTime(self, first: int, last: int) -> Any:
        if first not in self._reached or last not in self._reached:
            return Error.cudaErrorInvalidValue, None
        return Error.cudaSuccess, 1e3 * (self._reached[last] - self._reached[first])


class TensorRT(types.ModuleType):
    """``tensorrt``, as far as it is used."""

    __version__ = "10.15.1"

    class NetworkDefinitionCreationFlag(enum.IntEnum):
        STRONGLY_TYPED = 1

    class MemoryPoolType(enum.IntEnum):
        WORKSPACE = 0

    class BuilderFlag(enum.IntEnum):
        TF32 = 7

    class TensorIOMode(enum.IntEnum):
        INPUT = 1
        OUTPUT = 2

    class ILogger:
        class Severity(enum.IntEnum):
            INTERNAL_ERROR = 0
            ERROR = 1
            WARNING = 2
            INFO = 3

    class IProgressMonitor:
        pass

    def __init__(self, cuda: Runtime) -> None:
        super().__init__("tensorrt")
        self.cuda = cuda
        self.built: list[bytes] = []
        self.fails_with: str | None = None
        self.steps = 4

    def nptype(self, dtype: Any) -> Any:
        return dtype

    def Builder(self, logger: Any) -> Any:
        return _Builder(self, logger)

    def OnnxParser(self, network: Any, logger: Any) -> Any:
        return _Parser(network)

    def Runtime(self, logger: Any) -> Any:
        return types.SimpleNamespace(deserialize_cuda_engine=self._load)

    def _load(self, plan: bytes) -> Any:
        return _Engine(self, plan[4:]) if plan[:4] == b"plan" else None


class _Builder:
    def __init__(self, trt: TensorRT, logger: Any) -> None:
        self._trt, self._logger = trt, logger

    def create_network(self, flags: int) -> Any:
        assert flags & 2, "networks of other precisions must be strongly typed"
        return types.SimpleNamespace(graph=b"")

    def create_builder_config(self) -> Any:
        flags = {TensorRT.BuilderFlag.TF32}
        return types.SimpleNamespace(
            flags=flags,
            clear_flag=flags.discard,
            set_memory_pool_limit=lambda pool, size: None,
            progress_monitor=None,
        )

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        assert not config.flags, "fp32 must be fp32"
        if self._trt.fails_with:
            self._logger.log(self._logger.Severity.ERROR, self._trt.fails_with)
            return None
        watching = config.progress_monitor
        watching.phase_start("Building", None, self._trt.steps)
        for step in range(self._trt.steps):
            assert watching.step_complete("Building", step)
        watching.phase_finish("Building")
        self._trt.built.append(network.graph)
        return memoryview(b"plan" + network.graph)


class _Parser:
    def __init__(self, network: Any) -> None:
        self._network = network
        self._errors: list[str] = []

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> Any:
        return types.SimpleNamespace(desc=lambda: self._errors[index])

    def parse(self, text: bytes) -> bool:
        self._errors = list(refusals(onnx.load_from_string(text)))
        self._network.graph = text
        return not self._errors


class _Engine:
    def __init__(self, trt: TensorRT, text: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            text, options, providers=["CPUExecutionProvider"]
        )
        self._trt = trt
        self._inputs = {port.name: port for port in self._session.get_inputs()}
        self._outputs = {port.name: port for port in self._session.get_outputs()}
        self._ports = {**self._outputs, **self._inputs}
        self.num_io_tensors = len(self._ports)

    def get_tensor_name(self, index: int) -> str:
        return list(self._ports)[index]

    def get_tensor_shape(self, name: str) -> Any:
        return self._ports[name].shape

    def get_tensor_dtype(self, name: str) -> Any:
        dtype = self._ports[name].type.removeprefix("tensor(").removesuffix(")")
        return np.dtype({"float": "float32"}.get(dtype, dtype))

    def get_tensor_mode(self, name: str) -> Any:
        modes = TensorRT.TensorIOMode
        return modes.INPUT if name in self._inputs else modes.OUTPUT

    def create_execution_context(self) -> Any:
        return _Context(self)

    def run(self, addresses: dict[str, int]) -> None:
        def array(name: str) -> Any:
            dtype, shape = self.get_tensor_dtype(name), self.get_tensor_shape(name)
            buffer = self._trt.cuda.live[addresses[name]]
            return np.frombuffer(buffer, np.uint8).view(dtype).reshape(shape)

        found = self._session.run(list(self._outputs), {n: array(n) for n in self._inputs})
        for name, output in zip(self._outputs, found, strict=True):
            array(name)[:] = output


class _Context:
    def __init__(self, engine: _Engine) -> None:
        self._engine = engine
        self._addresses: dict[str, int] = {}

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return name in self._engine._ports

    def execute_async_v3(self, stream: int) -> bool:
        waiting = self._engine._trt.cuda.streams[stream]
        waiting.append(lambda: self._engine.run(self._addresses))
        return len(self._addresses) == self._engine.num_io_tensors


# From onnx-tensorrt's table of operators for TensorRT 10.15, those that our nets may contain.
_FLOATS = {"FLOAT", "FLOAT16"}
_NUMBERS = _FLOATS | {"INT32", "INT64"}
_BOOL = {"BOOL"}
_ANY = _NUMBERS | _BOOL
_TAKES = {
    **dict.fromkeys(("Add", "Div", "Equal", "Greater", "Less", "Max", "Min", "Mod"), _NUMBERS),
    **dict.fromkeys(
        ("Mul", "ReduceMax", "ReduceMean", "Relu", "Sub", "TopK", "Split", "Pad"), _NUMBERS
    ),
    **dict.fromkeys(("AveragePool", "BatchNormalization", "Clip", "Conv", "Exp", "Floor"), _FLOATS),
    **dict.fromkeys(("Gemm", "GlobalAveragePool", "GridSample", "HardSigmoid"), _FLOATS),
    **dict.fromkeys(("HardSwish", "LeakyRelu", "MatMul", "MaxPool", "Resize"), _FLOATS),
    **dict.fromkeys(("Sigmoid", "Softmax", "Sqrt"), _FLOATS),
    **dict.fromkeys(("And", "Not", "Or", "Xor"), _BOOL),
    **dict.fromkeys(("Concat", "Expand", "Flatten", "Gather", "GatherElements"), _ANY),
    **dict.fromkeys(("GatherND", "Identity", "Reshape", "Shape", "Slice", "Squeeze"), _ANY),
    **dict.fromkeys(("Tile", "Transpose", "Trilu", "Unsqueeze", "Where"), _ANY),
    "Cast": _ANY | {"UINT8"},
    "Constant": _ANY,
    "ConstantOfShape": _ANY,
    "QuantizeLinear": _FLOATS | {"INT8"},
    "DequantizeLinear": _FLOATS | {"INT8"},
}
_QUANTISE = ("QuantizeLinear", "DequantizeLinear")
_MOST_TOP = 3840


def refusals(model: Any) -> Any:
    """What TensorRT would not take of a graph, in words."""
    model = onnx.shape_inference.infer_shapes(model)
    graph, to_array = model.graph, onnx.numpy_helper.to_array
    name_of = onnx.TensorProto.DataType.Name
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            stored[node.output[0]] = node.attribute[0].t
    types_ = {name: name_of(tensor.data_type) for name, tensor in stored.items()}
    for port in (*graph.input, *graph.value_info, *graph.output):
        types_[port.name] = name_of(port.type.tensor_type.elem_type)
    edges = {port.name for port in (*graph.input, *graph.output)}
    for node in graph.node:
        if node.op_type not in _TAKES:
            yield f"{node.op_type} is not known"
            continue
        first = next((name for name in node.input if name), None)
        if first is not None and types_[first] not in _TAKES[node.op_type]:
            yield f"{node.op_type} does not take {types_[first]}: {first}"
        for name in (*filter(None, node.input), *node.output):
            if types_[name] == "UINT8" and name not in edges:
                yield f"{name} is UINT8 inside the network"
        kinds = {types_[name] for name in (*node.input, *node.output) if name}
        if node.op_type == "Cast" and "UINT8" in kinds and not kinds <= {"UINT8", *_FLOATS}:
            yield f"UINT8 is cast from and to floats alone: {node.name}"
        zero = node.input[2] if node.op_type in _QUANTISE and len(node.input) > 2 else ""
        if zero and to_array(stored[zero]).any():
            yield f"the zero point of {node.name} is not zero"
        if node.op_type == "TopK" and int(to_array(stored[node.input[1]])[0]) > _MOST_TOP:
            yield f"TopK of more than {_MOST_TOP}"
