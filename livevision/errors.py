"""Errors a user can act on: one line with the value given, what is allowed and what to do.

Each carries the exit code of the command line. Any other exception that reaches the top is a bug
in livevision and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from livevision.redact import redact_uri


class LivevisionError(Exception):
    """The run failed for a reason given in the message; exit code 1."""

    exit_code = 1


class UsageError(LivevisionError, ValueError):
    """An invalid flag, setting, name or value; exit code 2."""

    exit_code = 2


class SourceError(LivevisionError):
    """A source cannot be opened, or failed while running; exit code 3."""

    exit_code = 3


class DataError(LivevisionError):
    """Labelled pictures are missing or broken; the message names file and line; exit code 3."""

    exit_code = 3


class ModelError(LivevisionError):
    """A model, its weights or its engine cannot be used; exit code 4."""

    exit_code = 4


class OutputError(LivevisionError):
    """An output cannot be written; exit code 5."""

    exit_code = 5


def unknown(kind: str, given: str, allowed: Iterable[str]) -> str:
    """The message for an unknown name: the name, the nearest known one, and all known ones.

    Args:
        kind: What is named, such as "model" or "class".
        given: The name as the user wrote it.
        allowed: All known names.
    """
    names = list(allowed)
    near = difflib.get_close_matches(given.lower(), [n.lower() for n in names], n=1, cutoff=0.5)
    hint = ""
    if near:
        meant = next(n for n in names if n.lower() == near[0])
        hint = f" Did you mean {meant!r}?"
    return f"unknown {kind} {redact_uri(given)!r}.{hint} Known: {', '.join(names)}."


_EXTRAS = {
    "apprise": "events",
    "efficientnet_lite_pytorch": "teachers",
    "faster_coco_eval": "train",
    "matplotlib": "train",
    "nncf": "int8",
    "onnx": "export",
    "onnxruntime": "onnx",
    "openvino": "openvino",
    "paho": "events",
    "fsspec": "ray",
    "prometheus_client": "web",
    "ray": "ray",
    "ruamel": "web",
    "starlette": "web",
    "tensorboard": "tensorboard",
    "torch": "torch",
    "uvicorn": "web",
    "websockets": "web",
}
"""Optional packages, and the extras that install them."""


def missing_module(error: ModuleNotFoundError, what_for: str) -> ModelError | None:
    """The error for a failed import of an optional package; None if the package is not optional."""
    package = (error.name or "").partition(".")[0]
    if package not in _EXTRAS:
        return None
    return ModelError(missing_package(package, what_for, _EXTRAS[package]))


def missing_package(package: str, what_for: str, extra: str) -> str:
    """The message for a missing optional package, with the command that installs it."""
    if package == "torch":
        # On Linux PyPI's build includes CUDA, which is six gigabytes.
        index = "https://download.pytorch.org/whl/cpu"
        return (
            f"{what_for} needs PyTorch: pip install torch --index-url {index} for CPUs, or "
            f"pip install 'livevision[{extra}]' for NVIDIA GPUs too"
        )
    return f"{what_for} needs the package {package!r}: pip install 'livevision[{extra}]'"
