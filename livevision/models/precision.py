"""What the precision "auto" means for a model: the fastest one that is known to agree with fp32."""

from __future__ import annotations

from dataclasses import dataclass

from livevision.inference.agreement import Agreement
from livevision.inference.model_files import ModelFiles
from livevision.models.catalog import ModelCard
from livevision.models.choice import in_int8, int8_file

AGREES = 0.97
"""The least agreement with fp32 of a precision that is taken unasked."""


@dataclass(frozen=True, slots=True)
class Settled:
    """A precision, and what is computed in it.

    Attributes:
        precision: As an engine takes it.
        files: With the graph of that precision.
        agreement: With fp32; None for fp32.
    """

    precision: str
    files: ModelFiles
    agreement: Agreement | None = None


def settle(card: ModelCard, files: ModelFiles, own: bool) -> Settled:
    """The fastest precision of a shipped or exported model on OpenVINO, on this processor.

    In fp32 at least; in bf16 where the processor computes in it and the card states an agreement of
    ``AGREES``; in int8 where ``livevision export`` has made a file of these weights that states
    one. Which of them is fastest is told by the card's ``speed``; int8 comes before bf16 where that
    does not know them.

    Args:
        card: The model's.
        files: Its files, in fp32.
        own: Whether the weights are a user's, of which the card knows nothing.
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
    """The agreement that a card states for a precision; None where it states none."""
    figures = card.agreement.get(precision)
    return None if figures is None else Agreement(**figures)


def _computes_bf16() -> bool:
    """Whether OpenVINO computes in bf16 on this processor."""
    from livevision.inference.openvino_engine import precisions_here

    return "bf16" in precisions_here()
