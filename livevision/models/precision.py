"""Resolves the precision "auto": the fastest one that is known to agree with fp32."""

from __future__ import annotations

from dataclasses import dataclass

from livevision.inference.agreement import Agreement
from livevision.inference.model_files import ModelFiles
from livevision.models.catalog import ModelCard
from livevision.models.choice import in_int8, int8_file

AGREES = 0.97
"""Minimum agreement with fp32 of a precision chosen automatically."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A precision, and the files for it.

    Attributes:
        precision: Name for the engine.
        files: Files with the graph in that precision.
        agreement: Agreement with fp32; None for fp32.
    """

    precision: str
    files: ModelFiles
    agreement: Agreement | None = None


def settle(card: ModelCard, files: ModelFiles, own: bool) -> Settled:
    """The fastest precision of a shipped or exported model on OpenVINO, on this processor.

    fp32 always works; bf16 if the processor supports it and the card states an agreement of
    ``AGREES``; int8 if ``livevision export`` has made a file of these weights with such an
    agreement. The card's ``speed`` decides which is fastest; without it int8 precedes bf16.

    Args:
        card: Card of the model.
        files: Its files, in fp32.
        own: Whether the weights are a user's, which the card says nothing about.
    """
    found = [Settled("auto", files)]
    stated = None if own else stated_agreement(card, "bf16")
    if stated is not None and stated.value >= AGREES and _computes_bf16():
        found.insert(0, Settled("bf16", files, stated))
    if (files.weights or files.graph) is not None and int8_file(files).is_file():
        lowered = in_int8(files)
        agreement = Agreement.from_json(lowered.agreement) if lowered.agreement else None
        if agreement is not None and agreement.value >= AGREES:
            found.insert(0, Settled("int8", lowered, agreement))
    speed = {} if own else {**card.speed, "auto": card.speed.get("fp32")}
    known = [speed.get(each.precision) for each in found]
    if None in known:
        return found[0]
    return min(found, key=lambda each: float(speed[each.precision]))


def stated_agreement(card: ModelCard, precision: str) -> Agreement | None:
    """The agreement that a card states for a precision; None if it states none."""
    figures = card.agreement.get(precision)
    return None if figures is None else Agreement(**figures)


def _computes_bf16() -> bool:
    """Whether OpenVINO supports bf16 on this processor."""
    from livevision.inference.openvino_engine import precisions_here

    return "bf16" in precisions_here()
