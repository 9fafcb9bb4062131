"""Decides the precision of a graph, from its stored and the requested precision."""

from __future__ import annotations

import logging
from collections.abc import Collection

from livevision.errors import UsageError
from livevision.inference.model_files import ModelFiles

_log = logging.getLogger(__name__)


def settle(files: ModelFiles, asked: str, engine: str, lowers_to: Collection[str] = ()) -> str:
    """The precision in which a graph is computed.

    Args:
        files: ``graph`` and ``precision`` are used.
        asked: The value of ``--precision``.
        engine: Name of the engine, for messages.
        lowers_to: Precisions to which the engine converts fp32 graphs itself.

    Raises:
        UsageError: The graph is stored in another precision, or the engine does not support it.
    """
    stored = files.precision
    if asked in ("auto", stored):
        return stored
    if stored != "fp32":
        raise UsageError(
            f"{str(files.graph)!r} is stored in {stored} and cannot compute in {asked}"
        )
    if asked == "int8":
        raise UsageError(f"{str(files.graph)!r} is stored in fp32, not in int8")
    if asked not in lowers_to:
        allowed = ", ".join(("auto", "fp32", *lowers_to))
        raise UsageError(
            f"--engine {engine} does not compute {str(files.graph)!r} in {asked} here; "
            f"--precision takes: {allowed}"
        )
    _log.info(
        "%s in %s: agreement with fp32 unknown; to measure it: livevision export %s --precision %s "
        "--check CLIP.mp4",
        files.name,
        asked,
        files.name,
        asked,
    )
    return asked
