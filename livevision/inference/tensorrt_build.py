"""Builds TensorRT plans (TensorRT's engines) from graphs, for this GPU and version."""

from __future__ import annotations

import logging
import time
from typing import Any

import tensorrt as trt

from livevision.errors import ModelError
from livevision.inference.model_files import ModelFiles

_log = logging.getLogger(__name__)

_WORKSPACE = 1 << 30
"""Bytes that a layer may use; a Jetson shares its memory with everything else."""

_EVERY_S = 5.0


def build_plan(files: ModelFiles, precision: str) -> bytes:
    """Let TensorRT optimise a graph; takes minutes, with progress in the log.

    Networks are strongly typed: each operation is computed in the type that the graph states, which
    is the only mode of TensorRT 11 and works the same in 10. fp16 is therefore a graph in fp16, and
    int8 a graph with pairs of QuantizeLinear and DequantizeLinear.

    Args:
        files: ``graph`` is the .onnx file, in fp32, in fp16, or in int8 as ``onnx_int8`` writes it
            for TensorRT.
        precision: Precision of the graph, or "fp16" to convert one from fp32.

    Raises:
        ModelError: TensorRT cannot read or build the graph.
    """
    import onnx
    from google.protobuf.message import DecodeError

    from livevision.inference.onnx_half import halve
    from livevision.inference.tensorrt_graph import for_tensorrt

    name = files.name
    try:
        model = onnx.load(str(files.graph))
    except (DecodeError, OSError) as error:
        raise ModelError(f"TensorRT cannot open {str(files.graph)!r}: {error}") from error
    if precision != files.precision:
        model = halve(model)
    text = for_tensorrt(model).SerializeToString()

    logger = Logger()
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(text):
        errors = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors))
        raise ModelError(f"TensorRT {trt.__version__} cannot read the graph of {name}: {errors}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, _WORKSPACE)
    # TF32 has the mantissa of fp16, and fp32 was requested.
    config.clear_flag(trt.BuilderFlag.TF32)
    progress = Progress(name)
    config.progress_monitor = progress
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ModelError(
            f"TensorRT {trt.__version__} cannot build {name} in {precision}: "
            f"{logger.last_error or 'it does not say why'}"
        )
    progress.done()
    return bytes(plan)


def load_plan(plan: bytes, logger: Logger) -> Any:
    """Load a plan on the current device; None if it is for another GPU or version."""
    return trt.Runtime(logger).deserialize_cuda_engine(plan)


class Logger(trt.ILogger):  # type: ignore[misc]
    """Sends TensorRT's messages to the log; keeps the last error for a message."""

    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self.last_error = ""
        self._levels = {
            trt.ILogger.Severity.INTERNAL_ERROR: logging.WARNING,
            trt.ILogger.Severity.ERROR: logging.WARNING,
        }

    def log(self, severity: Any, msg: str) -> None:
        """Called by TensorRT, on any thread."""
        level = self._levels.get(severity, logging.DEBUG)
        if level == logging.WARNING:
            self.last_error = msg
        _log.log(level, "TensorRT: %s", msg)


class Progress(trt.IProgressMonitor):  # type: ignore[misc]
    """Logs the progress of a build every few seconds; called on several threads.

    TensorRT has nested phases, each with a known number of steps; a line reports the phase that
    advanced last.
    """

    def __init__(self, name: str) -> None:
        trt.IProgressMonitor.__init__(self)
        self._name = name
        self._began = self._told = time.monotonic()
        self._steps: dict[str, int] = {}
        _log.info("building %s with TensorRT %s; this takes minutes", name, trt.__version__)

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        self._steps[phase_name] = num_steps

    def step_complete(self, phase_name: str, step: int) -> bool:
        """Returns whether to continue."""
        now = time.monotonic()
        steps = self._steps.get(phase_name)
        if steps and now - self._told >= _EVERY_S:
            self._told = now
            share = min(step + 1, steps) / steps
            took = now - self._began
            _log.info("building %s: %s %.0f %%, %.0f s", self._name, phase_name, 100 * share, took)
        return True

    def phase_finish(self, phase_name: str) -> None:
        self._steps.pop(phase_name, None)

    def done(self) -> None:
        _log.info("built %s in %.0f s", self._name, time.monotonic() - self._began)
