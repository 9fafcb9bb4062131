"""The precision that a graph is computed in, from what it was made for and what is asked for."""

from __future__ import annotations

import logging
from collections.abc import Collection

from livevision.errors import UsageError
from livevision.inference.model_files import ModelFiles

_log = logging.getLogger(__name__)


def settle(files: ModelFiles, asked: str, engine: str, lowers_to: Collection[str] = ()) -> str:
    """The precision of a graph's arithmetic.

    Args:
        files: ``graph`` and ``precision`` are used.
        asked: As ``--precision`` takes it.
        engine: For messages.
        lowers_to: What the engine makes of a graph in fp32 by itself.

    Raises:
        UsageError: The graph is stored in another precision, or the engine cannot make it.
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
        "%s in %s: how far it agrees with fp32 is not known; livevision export %s --precision %s "
        "--check CLIP.mp4 tells it",
        files.name,
        asked,
        files.name,
        asked,
    )
    return asked
