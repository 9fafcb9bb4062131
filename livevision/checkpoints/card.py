"""Writes a model's card in the format of `livevision.models.catalog`."""

from __future__ import annotations

from pathlib import Path

import yaml

from livevision.errors import OutputError
from livevision.files import write_whole
from livevision.models.catalog import ModelCard


def write_card(path: Path, card: ModelCard, text: str) -> None:
    """Write a card: its fields as YAML between two lines `---`, then text for people.

    Raises:
        OutputError: The file cannot be written.
    """
    fields = {
        "name": card.name,
        "task": card.task,
        "net": card.net,
        "net_options": dict(card.net_options),
        "input_size": list(card.input_size),
        "fit": card.fit,
        "labels": list(card.labels),
        "params": card.params,
        "madds": card.madds,
        "data": card.data,
        "score": dict(card.score),
        "licence": card.licence,
    }
    measured = {"agreement": card.agreement, "speed": card.speed}
    fields |= {name: dict(figures) for name, figures in measured.items() if figures}
    front = yaml.safe_dump(
        fields, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
    )
    try:
        write_whole(path, f"---\n{front}---\n\n# {card.name}\n\n{text}\n")
    except OSError as error:
        raise OutputError(f"{str(path)!r} cannot be written: {error.strerror}") from error
