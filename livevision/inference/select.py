"""Chooses the engine and the device on this machine."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Collection, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

from livevision.errors import ModelError, UsageError, missing_package, unknown
from livevision.registry import entry_points

_log = logging.getLogger(__name__)

PRECISIONS = ("auto", "fp32", "fp16", "bf16", "int8")

# The package of each engine.
_PACKAGES = {
    "tensorrt": "tensorrt",
    "openvino": "openvino",
    "onnx": "onnxruntime",
    "onnx-tensorrt": "onnxruntime",
    "torch": "torch",
}

# Fastest first. ONNX Runtime's TensorRT provider is TensorRT with more overhead.
_ON_GPU = ("tensorrt", "torch", "onnx")
_ON_CPU = ("openvino", "onnx", "torch")

GPU_ONLY = ("tensorrt", "onnx-tensorrt")
"""Engines that do not run on CPUs."""

_OF_GRAPHS = {
    "": _PACKAGES.keys(),
    ".onnx": _PACKAGES.keys() - {"torch"},
    ".xml": {"openvino"},
    ".tflite": {"openvino"},
    ".engine": {"tensorrt"},
}
_IN_INT8 = ("tensorrt", "openvino", "onnx")
_IN_BF16 = ("torch", "openvino")

# One of these exists if a CUDA driver is running: desktop and server, Jetson, WSL.
_CUDA_FILES = ("/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/nvmap", "/dev/dxg")


def choose_engine(
    engine: str,
    device: str,
    precision: str,
    known: Iterable[str],
    graph: str = "",
    stored: str = "fp32",
) -> tuple[str, str]:
    """Decide the engine and the device.

    "auto" takes the fastest installed engine for the device: on CUDA TensorRT, else PyTorch, else
    ONNX Runtime; on a CPU OpenVINO, else ONNX Runtime, else PyTorch. The log says which, and why
    not an earlier one. Engines differ in the files they run and in support for int8. Another
    package's engine is used only if named.

    Args:
        engine: "auto" or an engine's name.
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: One of ``PRECISIONS``.
        known: Names of all engines.
        graph: Suffix of the model's graph file, which PyTorch cannot run; "" if there are weights.
        stored: Precision of the graph. An .onnx file in int8 is quantised for CPUs.

    Returns:
        The engine's name, and a device other than "auto".

    Raises:
        UsageError: A name is unknown, or the names are incompatible.
        ModelError: The engine's package is not installed, or finds no CUDA device.
    """
    known = tuple(known)
    others = entry_points.names(entry_points.ENGINES, known) if engine not in known else []
    if engine not in ("auto", *known, *others):
        raise UsageError(unknown("engine", engine, ("auto", *known, *others)))
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise UsageError(unknown("device", device, ("auto", "cpu", "cuda", "cuda:N")))
    if precision not in PRECISIONS:
        raise UsageError(unknown("precision", precision, PRECISIONS))
    if engine in others:
        if precision == "int8":
            raise UsageError(f"--precision int8 is for --engine {' or '.join(_IN_INT8)}")
        return engine, "cpu" if device == "auto" else device
    fitting = [e for e in known if e in _OF_GRAPHS.get(graph, ())]
    _check_names(engine, device, precision, graph, fitting)
    wanted = stored if precision == "auto" else precision
    if engine != "auto":
        _check_installed(engine)
        gains = engine in _fitting(_ON_GPU, fitting, wanted, for_cpus=False)
        if device == "auto":
            on_gpu = engine in GPU_ONLY or (gains and why_not_on_gpu(engine) is None)
            device = "cuda" if on_gpu else "cpu"
        return engine, device
    for_cpus = graph == ".onnx" and stored == "int8"
    refused: list[str] = []
    if device != "cpu":
        for chosen in _fitting(_ON_GPU, fitting, wanted, for_cpus):
            reason = why_not_on_gpu(chosen)
            if reason is None:
                return _told(chosen, "cuda" if device == "auto" else device, refused)
            refused.append(reason)
        if device != "auto" or graph == ".engine":
            why = "; ".join(dict.fromkeys(refused)) or "none takes such a graph there"
            where = "a CUDA device" if device == "auto" else device
            raise ModelError(f"no engine can compute in {wanted} on {where}: {why}")
    on_cpu = _fitting(_ON_CPU, fitting, wanted, for_cpus)
    for chosen in on_cpu:
        if find_spec(_PACKAGES[chosen]) is not None:
            return _told(chosen, "cpu", refused)
        refused.append(f"{_PACKAGES[chosen]} is not installed")
    raise ModelError(missing_package(_PACKAGES[on_cpu[0]], "running a model", on_cpu[0]))


def _fitting(
    order: Sequence[str], known: Collection[str], precision: str, for_cpus: bool
) -> list[str]:
    """The engines that "auto" may choose on a type of device, fastest first.

    Args:
        order: Engines of the device.
        known: Engines that take the model's files.
        precision: The precision to compute in.
        for_cpus: The model is an .onnx file in int8, quantised for CPUs and compared with fp32 on
            ONNX Runtime.
    """
    found = [engine for engine in order if engine in known]
    if precision == "bf16":
        found = [engine for engine in found if engine in _IN_BF16]
    elif precision == "int8":
        # On a GPU only TensorRT is faster in it.
        gaining = ("tensorrt",) if order is _ON_GPU else ("openvino", "onnx")
        found = [engine for engine in found if engine in gaining]
        if for_cpus:
            found = [engine for engine in found if engine == "onnx"]
    return found


def _check_names(
    engine: str, device: str, precision: str, graph: str, fitting: Collection[str]
) -> None:
    """Check that engine, device, precision and type of file are compatible.

    Raises:
        UsageError: They are not.
    """
    if graph and engine == "torch":
        raise UsageError(
            f"--engine torch takes .safetensors weights and cannot run {graph} graphs; "
            f"use --engine {' or --engine '.join(fitting)}"
        )
    given = f"given: --engine {engine} --device {device}"
    if engine != "auto" and engine not in fitting:
        raise UsageError(f"an {graph} graph is for --engine {' or '.join(fitting)}; {given}")
    if precision == "int8" and engine not in ("auto", *_IN_INT8):
        raise UsageError(f"--precision int8 is for --engine {' or '.join(_IN_INT8)}; {given}")
    if device.startswith("cuda") and (graph in (".xml", ".tflite") or engine == "openvino"):
        what = f"a graph {graph}" if graph in (".xml", ".tflite") else "--engine openvino"
        raise UsageError(f"{what} is for the device cpu, with openvino; {given}")
    if device == "cpu" and (graph == ".engine" or engine in GPU_ONLY):
        what = f"an {graph} graph" if graph == ".engine" else f"--engine {engine}"
        raise UsageError(f"{what} is for CUDA devices; {given}")


def _check_installed(engine: str) -> None:
    package = _PACKAGES.get(engine, engine)
    extra = "onnx" if engine == "onnx-tensorrt" else engine
    if find_spec(package) is None:
        raise ModelError(missing_package(package, f"--engine {engine}", extra))
    if engine == "tensorrt" and not _has_bindings():
        raise ModelError(missing_package("cuda-bindings", "--engine tensorrt", "tensorrt"))


def _told(engine: str, device: str, refused: list[str]) -> tuple[str, str]:
    why = f" ({'; '.join(dict.fromkeys(refused))})" if refused else ""
    _log.info("engine: %s on %s, chosen automatically%s", engine, device, why)
    return engine, device


def why_not_on_gpu(engine: str) -> str | None:
    """Why an engine cannot compute on a CUDA device here, for the log; None if it can.

    Nothing is imported without a driver.
    """
    package = _PACKAGES[engine]
    if not has_driver():
        return "no CUDA device here"
    if find_spec(package) is None:
        return f"{package} is not installed"
    if engine == "tensorrt":
        if not _has_bindings():
            return "cuda-bindings is not installed"
        return None if _count_by_bindings() else "CUDA finds no device"
    if engine == "torch":
        return None if has_cuda() else "the installed PyTorch finds no CUDA device"
    return None if _onnx_has_cuda() else "the installed onnxruntime is one for CPUs"


def has_driver() -> bool:
    """Whether a CUDA driver seems to run here; always assumed on Windows."""
    return sys.platform == "win32" or any(Path(name).exists() for name in _CUDA_FILES)


def _has_bindings() -> bool:
    return find_spec("cuda") is not None and find_spec("cuda.bindings") is not None


def _count_by_bindings() -> int:
    from cuda.bindings import runtime

    error, count = runtime.cudaGetDeviceCount()
    return int(count) if error == runtime.cudaError_t.cudaSuccess else 0


def _onnx_has_cuda() -> bool:
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def has_cuda() -> bool:
    """Whether PyTorch can compute on a CUDA device; imports it only if there is a driver."""
    if find_spec("torch") is None or not has_driver():
        return False
    import torch

    return bool(torch.cuda.is_available())
