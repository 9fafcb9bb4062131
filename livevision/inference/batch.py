"""Validates the inputs of an engine."""

from __future__ import annotations

from livevision.errors import ModelError
from livevision.frame import Batch
from livevision.protocols import EngineSpec


def check_batch(batch: Batch, spec: EngineSpec) -> None:
    """Check that a batch fits an engine's inputs.

    Raises:
        ModelError: An input is missing, unknown, or of another shape or dtype.
    """
    if batch.keys() != spec.inputs.keys():
        raise ModelError(
            f"the model takes the inputs {', '.join(spec.inputs)}; given: {', '.join(batch)}"
        )
    for name, wanted in spec.inputs.items():
        given = batch[name]
        if given.shape != wanted.shape or given.dtype.name != wanted.dtype:
            raise ModelError(
                f"input {name!r} is {given.dtype.name} {_shape(given.shape)}; "
                f"the model takes {wanted.dtype} {_shape(wanted.shape)}"
            )


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "scalar"
