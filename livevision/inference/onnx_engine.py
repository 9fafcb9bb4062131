"""An engine for exported graphs on the CPU, with ONNX Runtime."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import onnxruntime as ort

from livevision.errors import ModelError, UsageError
from livevision.frame import Batch
from livevision.inference.batch import check_batch
from livevision.inference.model_files import ModelFiles
from livevision.protocols import EngineSpec, TensorSpec

_DTYPES = {
    "tensor(uint8)": "uint8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(float)": "float32",
}
_ERRORS_ONLY = 3


class OnnxEngine:
    """Runs a graph with ONNX Runtime.

    Args:
        files: The model; its ``graph`` is opened.
        device: "cpu".
        precision: "auto" or "fp32".
        threads: Threads to compute with; None for one on each core.

    Raises:
        UsageError: The device or the precision is not to be had.
        ModelError: The graph cannot be read.
    """

    reads: ClassVar[str] = "graph"

    def __init__(
        self, files: ModelFiles, device: str, precision: str, threads: int | None = None
    ) -> None:
        if device != "cpu":
            raise UsageError(
                f"--engine onnx computes on the device cpu; given: {device!r}. "
                "For a CUDA device: --engine torch"
            )
        if precision not in ("auto", "fp32"):
            raise UsageError(
                f"--engine onnx computes in fp32; given: {precision!r}. "
                "For bf16 or fp16: --engine openvino or --engine torch"
            )
        options = ort.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            session = ort.InferenceSession(
                str(files.graph), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors share no class of their own below Exception
            raise ModelError(f"ONNX Runtime cannot open {str(files.graph)!r}: {error}") from error
        self._session: ort.InferenceSession | None = session
        self.spec = EngineSpec(
            engine="onnx",
            device="cpu",
            precision="fp32",
            inputs={port.name: _spec(port) for port in session.get_inputs()},
            outputs={port.name: _spec(port) for port in session.get_outputs()},
        )

    def __call__(self, batch: Batch) -> dict[str, Any]:
        if self._session is None:
            raise ModelError("the engine is closed")
        check_batch(batch, self.spec)
        names = list(self.spec.outputs)
        found = self._session.run(names, dict(batch))
        return {name: np.asarray(array) for name, array in zip(names, found, strict=True)}

    def close(self) -> None:
        self._session = None


def _spec(port: Any) -> TensorSpec:
    return TensorSpec(tuple(port.shape), _DTYPES[port.type])
