"""The choice of an engine and a device for this machine."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from livevision.errors import ModelError, UsageError, missing_package, unknown

_log = logging.getLogger(__name__)

PRECISIONS = ("auto", "fp32", "fp16", "bf16", "int8")

# The package that each engine imports, fastest on a CPU first.
_PACKAGES = {"openvino": "openvino", "onnx": "onnxruntime", "torch": "torch"}

# One of these exists wherever a CUDA driver runs: desktop and server, Jetson, WSL.
_CUDA_FILES = ("/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/nvmap", "/dev/dxg")


def choose_engine(
    engine: str, device: str, precision: str, known: Iterable[str], graph: str = ""
) -> tuple[str, str]:
    """Settle which engine runs, and where.

    "auto" takes PyTorch where it has a CUDA device, else OpenVINO, else ONNX Runtime, else PyTorch
    on the CPU, whichever is installed; the choice is logged. int8 and OpenVINO's own files are for
    OpenVINO alone.

    Args:
        engine: "auto" or an engine's name.
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: One of ``PRECISIONS``.
        known: Names of all engines.
        graph: Suffix of the exported graph that the model is, which PyTorch does not run; "" where
            there are weights.

    Returns:
        The engine's name, and a device other than "auto".

    Raises:
        UsageError: A name is unknown, or the names do not go together.
        ModelError: The engine's package is not installed.
    """
    known = tuple(known)
    if engine != "auto" and engine not in known:
        raise UsageError(unknown("engine", engine, ("auto", *known)))
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise UsageError(unknown("device", device, ("auto", "cpu", "cuda", "cuda:N")))
    if precision not in PRECISIONS:
        raise UsageError(unknown("precision", precision, PRECISIONS))
    if graph and engine == "torch":
        raise UsageError(
            f"--engine torch takes .safetensors weights and runs no {graph} graph; "
            "use --engine openvino" + (" or --engine onnx" if graph == ".onnx" else "")
        )
    alone = "--precision int8" if precision == "int8" else "an .xml graph"
    if precision == "int8" or graph == ".xml":
        if engine not in ("auto", "openvino") or device.startswith("cuda"):
            raise UsageError(
                f"{alone} is for --engine openvino on the cpu; "
                f"given: --engine {engine} --device {device}"
            )
        known = ("openvino",)
    if engine != "auto":
        package = _PACKAGES.get(engine, engine)
        if find_spec(package) is None:
            raise ModelError(missing_package(package, f"--engine {engine}", engine))
        if device == "auto":
            device = "cuda" if engine == "torch" and has_cuda() else "cpu"
        return engine, device
    if device.startswith("cuda"):
        if graph:
            raise UsageError(f"an .onnx graph runs on the device cpu only; given: {device!r}")
        if find_spec("torch") is None:
            raise ModelError(missing_package("torch", f"--device {device}", "torch"))
        chosen = "torch"
    elif device == "auto" and not graph and "torch" in known and has_cuda():
        chosen, device = "torch", "cuda"
    else:
        usable = [e for e, p in _PACKAGES.items() if e in known and find_spec(p) is not None]
        usable = [e for e in usable if e != "torch" or not graph]
        if not usable:
            raise ModelError(missing_package("openvino", "running a model", "openvino"))
        chosen, device = usable[0], "cpu"
    _log.info("engine: %s on %s, chosen automatically", chosen, device)
    return chosen, device


def has_cuda() -> bool:
    """Whether PyTorch can compute on a CUDA device; imports it only where a driver is at hand."""
    if find_spec("torch") is None:
        return False
    if sys.platform != "win32" and not any(Path(name).exists() for name in _CUDA_FILES):
        return False
    import torch

    return bool(torch.cuda.is_available())
