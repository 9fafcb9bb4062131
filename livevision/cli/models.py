"""`livevision models`: what is shipped, as a table, as JSON, or one model's card."""

from __future__ import annotations

import json

import click

from livevision import catalog
from livevision.catalog import ModelCard

_HEAD = ("name", "task", "input", "params", "MAdds", "score", "data", "licence")
_NUMBERS = ("input", "params", "MAdds")


@click.command("models")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def command(name: str | None, as_json: bool) -> None:
    """List the models that come with livevision, or print the card of one, NAME."""
    cards = [catalog.find(n) for n in (catalog.names() if name is None else [name])]
    if as_json:
        click.echo(json.dumps([card.summary() for card in cards], indent=2, ensure_ascii=False))
    elif name is not None:
        click.echo(_table(cards) + "\n\n" + cards[0].text.rstrip())
    else:
        click.echo(_table(cards))
        click.echo("\nlivevision models NAME prints a model's card.", err=True)


def _table(cards: list[ModelCard]) -> str:
    rows = [_HEAD, *(_row(card) for card in cards)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if head in _NUMBERS else cell.ljust(width)
            for head, cell, width in zip(_HEAD, row, widths, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _row(card: ModelCard) -> tuple[str, ...]:
    width, height = card.input_size
    untrained = "" if card.weights or card.graph else "no trained weights"
    return (
        card.name,
        card.task,
        f"{width}x{height}",
        f"{card.params / 1e6:.2f} M",
        f"{card.madds / 1e9:.2f} G",
        untrained or str(card.score.get("text", "not measured")),
        card.data,
        card.licence,
    )
