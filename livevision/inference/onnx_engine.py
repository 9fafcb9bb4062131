"""Engines for exported graphs with ONNX Runtime: on CPU, CUDA, or with its TensorRT provider."""

from __future__ import annotations

import hashlib
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnxruntime as ort

from livevision.errors import ModelError, UsageError
from livevision.files import MOST_BYTES, cache_folder, prune
from livevision.frame import Batch
from livevision.inference.batch import check_batch
from livevision.inference.model_files import ModelFiles
from livevision.inference.precision import settle
from livevision.protocols import EngineSpec, TensorSpec
from livevision.version import __version__

_DTYPES = {
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(bool)": "bool",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(float)": "float32",
}
_ERRORS_ONLY = 3
_CPU, _CUDA, _TENSORRT = (f"{n}ExecutionProvider" for n in ("CPU", "CUDA", "Tensorrt"))
_WORKSPACE = 1 << 30  # bytes that a layer may use


class OnnxEngine:
    """Runs a graph with ONNX Runtime.

    On CUDA the inputs and outputs stay in device memory between calls. ONNX Runtime would fall back
    to the CPU if it cannot start CUDA; here that is an error.

    Args:
        files: The model; its ``graph`` is opened.
        device: "cpu", "cuda" or "cuda:N".
        precision: "auto" (that of the graph); "fp32"; "fp16" on CUDA for a graph in fp32; "fp16" or
            "int8" for a graph stored so.
        threads: CPU threads; None for one per core.

    Raises:
        UsageError: The device or the precision is not available.
        ModelError: The graph cannot be read.
    """

    reads: ClassVar[str] = "graph"
    name: ClassVar[str] = "onnx"
    provider: ClassVar[str] = _CUDA

    def __init__(
        self, files: ModelFiles, device: str, precision: str, threads: int | None = None
    ) -> None:
        wanted, number = self._provider(device)
        on_gpu = wanted != _CPU
        precision = settle(files, precision, self.name, ("fp16",) if on_gpu else ())
        options = ort.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        if threads is not None:
            options.intra_op_num_threads = threads
        graph = self._graph(files, precision)
        try:
            with redirect_stdout(sys.stderr):
                if on_gpu and hasattr(ort, "preload_dlls"):
                    ort.preload_dlls()  # CUDA libraries installed by pip
                session = ort.InferenceSession(
                    graph, options, providers=self._providers(wanted, number, files, precision)
                )
        except Exception as error:  # its errors have no common base class below Exception
            raise ModelError(f"ONNX Runtime cannot open {str(files.graph)!r}: {error}") from error
        if session.get_providers()[0] != wanted:
            raise ModelError(
                f"ONNX Runtime {ort.__version__} cannot start {wanted} on {device} and would "
                "compute on the CPU: its libraries of CUDA, cuDNN or TensorRT are missing or do "
                "not fit; https://onnxruntime.ai/docs/execution-providers lists what it takes"
            )
        self._session: ort.InferenceSession | None = session
        self.spec = EngineSpec(
            engine=self.name,
            device=f"cuda:{number}" if on_gpu else "cpu",
            precision=precision,
            inputs={port.name: _spec(port) for port in session.get_inputs()},
            outputs={port.name: _spec(port) for port in session.get_outputs()},
        )
        self._bound = Bound(session, self.spec, "cuda", number) if on_gpu else None

    def __call__(self, batch: Batch) -> dict[str, Any]:
        if self._session is None:
            raise ModelError("the engine is closed")
        check_batch(batch, self.spec)
        if self._bound is not None:
            return self._bound(batch)
        names = list(self.spec.outputs)
        found = self._session.run(names, dict(batch))
        return {name: np.asarray(array) for name, array in zip(names, found, strict=True)}

    def close(self) -> None:
        self._session = self._bound = None

    def _provider(self, device: str) -> tuple[str, int]:
        """The execution provider and the number of its device.

        Raises:
            UsageError: The device is unknown, or the installed ONNX Runtime lacks the provider.
        """
        if device == "cpu" and self.provider == _CUDA:
            return _CPU, 0
        kind, _, number = device.partition(":")
        if kind != "cuda":
            known = "cpu, cuda, cuda:N" if self.provider == _CUDA else "cuda, cuda:N"
            raise UsageError(f"--engine {self.name} computes on {known}; given: {device!r}")
        if self.provider not in ort.get_available_providers():
            raise UsageError(
                f"device {device!r}: the installed onnxruntime {ort.__version__} has no "
                f"{self.provider}; pip uninstall onnxruntime, then pip install onnxruntime-gpu, "
                "or use --device cpu"
            )
        return self.provider, int(number or 0)

    def _graph(self, files: ModelFiles, precision: str) -> str | bytes:
        """The graph to run: a file's name, or its content if it was changed."""
        if precision == files.precision:
            return str(files.graph)
        from livevision.inference.onnx_half import halve

        halved: bytes = halve(_read(files.graph)).SerializeToString()
        return halved

    def _providers(
        self, wanted: str, number: int, files: ModelFiles, precision: str
    ) -> list[str | tuple[str, dict[str, str]]]:
        """Execution providers, preferred first; operations that none supports run on the CPU."""
        if wanted == _CPU:
            return [_CPU]
        # TF32 has the mantissa of fp16, and fp32 was requested.
        return [(_CUDA, {"device_id": str(number), "use_tf32": "0"}), _CPU]


class OnnxTensorRTEngine(OnnxEngine):
    """Runs a graph with ONNX Runtime's TensorRT provider, which builds and caches the plan.

    The engine "tensorrt" does the same more directly; this one is for installations with ONNX
    Runtime for GPUs only. In fp16 TensorRT may compute box geometry in fp16 too.

    Args:
        files: The model; its ``graph`` is opened.
        device: "cuda" or "cuda:N".
        precision: As for ``OnnxEngine``, without int8.
        threads: As for ``OnnxEngine``.
    """

    name: ClassVar[str] = "onnx-tensorrt"
    provider: ClassVar[str] = _TENSORRT

    def _graph(self, files: ModelFiles, precision: str) -> str | bytes:
        from livevision.inference.onnx_half import halve
        from livevision.inference.tensorrt_graph import for_tensorrt

        model = _read(files.graph)
        changed: bytes = for_tensorrt(
            model if precision == files.precision else halve(model)
        ).SerializeToString()
        return changed

    def _providers(
        self, wanted: str, number: int, files: ModelFiles, precision: str
    ) -> list[str | tuple[str, dict[str, str]]]:
        options = {
            "device_id": str(number),
            "trt_fp16_enable": str(int(precision == "fp16")),
            "trt_max_workspace_size": str(_WORKSPACE),
        }
        folder = cache_folder("onnx-tensorrt")
        if folder is not None:
            prune(folder, MOST_BYTES)
            # Its own name for a plan depends on the graph's shape but not on the weights.
            made_of = f"{ort.__version__} {__version__} {precision}".encode()
            key = hashlib.sha256(made_of + Path(files.graph or "").read_bytes()).hexdigest()[:16]
            options |= {
                "trt_engine_cache_enable": "1",
                "trt_engine_cache_path": str(folder),
                "trt_engine_cache_prefix": f"{files.name}-{key}",
            }
        others = super()._providers(wanted, number, files, precision)
        return [(_TENSORRT, options), *others]


class Bound:
    """A session whose inputs and outputs are in device memory that is allocated once.

    Args:
        session: An ``ort.InferenceSession``.
        spec: Its inputs and outputs.
        device: "cuda" or "cpu", as in ONNX Runtime.
        number: Number of the device.
    """

    def __init__(self, session: Any, spec: EngineSpec, device: str, number: int) -> None:
        def taken(port: TensorSpec) -> Any:
            return ort.OrtValue.ortvalue_from_shape_and_type(
                list(port.shape), np.dtype(port.dtype), device, number
            )

        self._session = session
        self._inputs = {name: taken(port) for name, port in spec.inputs.items()}
        self._outputs = {name: taken(port) for name, port in spec.outputs.items()}
        self._binding = session.io_binding()
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, value in self._outputs.items():
            self._binding.bind_ortvalue_output(name, value)

    def __call__(self, batch: Batch) -> dict[str, Any]:
        for name, value in self._inputs.items():
            value.update_inplace(np.ascontiguousarray(batch[name]))
        self._session.run_with_iobinding(self._binding)
        return {name: np.array(value.numpy()) for name, value in self._outputs.items()}


def _read(graph: Path | None) -> Any:
    """The model in an .onnx file.

    Raises:
        ModelError: Not such a file.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        return onnx.load(str(graph))
    except (DecodeError, OSError) as error:
        raise ModelError(f"ONNX Runtime cannot open {str(graph)!r}: {error}") from error


def _spec(port: Any) -> TensorSpec:
    # -1 for sizes that are only known after a computation, such as the number of boxes.
    shape = tuple(n if isinstance(n, int) else -1 for n in port.shape)
    return TensorSpec(shape, _DTYPES.get(port.type, port.type))
