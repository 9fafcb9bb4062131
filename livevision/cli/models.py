"""`livevision models`: lists the models as a table or JSON, or prints one model's card."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from livevision.cli.table import table
from livevision.errors import UsageError, unknown
from livevision.models import catalog, imported
from livevision.models.catalog import ModelCard
from livevision.models.pinned import PINNED

_HEAD = ("name", "task", "input", "params", "MAdds", "score", "licence", "data")
_NUMBERS = ("input", "params", "MAdds")
_TEXTS = _HEAD[5:]
_COUNTS_HEAD = (
    *("net", "counted", "input", "params", "params in paper", "MAdds", "MAdds in paper", "off"),
    "remark",
)
_COUNTS_NUMBERS = _COUNTS_HEAD[2:-1]


@click.command("models")
@click.argument("words", nargs=-1, metavar="[get | remove] [NAME]")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Include models for comparison, and nets without weights.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.option(
    "--counts",
    is_flag=True,
    help="Count parameters and multiply-adds; print them beside the papers' figures.",
)
@click.option(
    "--from",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="With get: use this file, downloaded by hand.",
)
@click.option("--overwrite", is_flag=True, help="With get: replace an existing model.")
def command(
    words: tuple[str, ...],
    everything: bool,
    as_json: bool,
    counts: bool,
    file: Path | None,
    overwrite: bool,
) -> None:
    """List the models of livevision and of other installed packages, or print NAME's card.

    A star marks the default model of a task. --all adds models that find too little for other use
    than comparison, and the nets without trained weights; run them with your own weights, or with
    --untrained to measure speed. Models that you imported with --as or fetched are listed too. A
    narrow terminal shows the columns that fit; --json and a model's card show all. NAME may be a
    file that `livevision export` wrote; at lower precision its agreement with fp32 is printed.

    `livevision models get NAME` downloads one of a few third-party models from a public repository,
    at a fixed commit and checked by hash, and keeps it. Nothing else is ever downloaded.
    `livevision models remove NAME` deletes one that you downloaded or imported.
    """
    from livevision.inference.description import GRAPHS

    if words[:1] == ("get",):
        _get(words[1:], file, overwrite)
        return
    if words[:1] == ("remove",):
        if file is not None or overwrite or as_json or everything or counts:
            raise UsageError("'livevision models remove NAME' takes no flags")
        _remove(words[1:])
        return
    if file is not None or overwrite:
        raise UsageError("--from and --overwrite are for 'livevision models get NAME'")
    if len(words) > 1:
        raise UsageError(f"give one NAME; given: {' '.join(words)}")
    name = words[0] if words else None

    if name is not None and Path(name).suffix in GRAPHS:
        _describe(Path(name), as_json)
        return
    if name is not None and imported.path_of(name) is None:
        graph = catalog.added_graph(name)
        if graph is not None:
            _describe(graph, as_json)
            return
    untrained = catalog.untrained_names()
    listed = [*catalog.names(), *(untrained if everything or counts else ())]
    if name is not None and imported.path_of(name) is not None:
        cards = [_kept(name)]
    else:
        cards = [catalog.find(n) for n in (listed if name is None else [name])]
    every = len(cards)
    if not (everything or counts or as_json or name is not None):
        cards = [card for card in cards if not card.for_comparison]
    compared = every - len(cards)
    if name is None and not counts:
        kept = imported.names()
        cards += [_kept(n) for n in kept]
        cards += [_card(n) for n in catalog.added() if n not in kept]
    if counts:
        rows = list(_counts(cards))
        if as_json:
            click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        else:
            click.echo(table(_COUNTS_HEAD, map(_count_cells, rows), _COUNTS_NUMBERS, ["remark"]))
    elif as_json:
        click.echo(json.dumps([_summary(card) for card in cards], indent=2, ensure_ascii=False))
    elif name is not None:
        click.echo(f"{_listed(cards)}\n\n{cards[0].text.rstrip()}")
        _list_lowered(name)
    else:
        click.echo(_listed(cards))
        click.echo("\n* default of its task", err=True)
        left = [n for n in PINNED if imported.path_of(n) is None]
        if left:
            click.echo(f"to download: livevision models get {' | '.join(left)}", err=True)
        if not everything:
            comparison = f"{compared} models for comparison, " if compared else ""
            click.echo(
                f"{comparison}{len(untrained)} nets without trained weights: --all", err=True
            )
        click.echo("A model's card: livevision models NAME", err=True)


def _kept(name: str) -> ModelCard:
    """The card of an imported or downloaded model; does not read its graph."""
    facts = imported.summary(name)
    known = {f.name for f in fields(ModelCard)}
    kept = {key: value for key, value in facts.items() if key in known and key != "net_options"}
    width, height = kept.pop("input_size")
    kept["labels"] = tuple(kept["labels"])
    return ModelCard(
        input_size=(width, height), graph_at=_elsewhere, folder=imported.folder(), **kept
    )


def _elsewhere(size: tuple[int, int]) -> tuple[Path, tuple[str, ...]]:
    raise NotImplementedError  # such a card is for lists only


def _get(words: tuple[str, ...], file: Path | None, overwrite: bool) -> None:
    """Download a third-party model."""
    from tqdm import tqdm

    from livevision.models.keeping import get

    if len(words) != 1:
        raise UsageError(f"give one of: livevision models get {' | '.join(PINNED)}")
    (name,) = words
    if name not in PINNED:
        raise UsageError(unknown("model to fetch", name, PINNED))
    model = PINNED[name]
    with tqdm(
        total=model.size, desc=name, unit="B", unit_scale=True, disable=None, leave=False
    ) as bar:

        def advance(there: int) -> None:
            bar.update(there - bar.n)

        path = get(name, file, overwrite, advance)
    click.echo(f"licence: {model.licence}, from {model.page}", err=True)
    click.echo(f"livevision --model {name} runs it", err=True)
    click.echo(str(path))


def _remove(words: tuple[str, ...]) -> None:
    """Delete imported or downloaded models: all of the given names, or none if one is wrong."""
    kept = imported.names()
    if not words:
        raise UsageError(f"give one of: livevision models remove {' | '.join(kept) or 'NAME'}")
    for name in words:
        if name in kept:
            continue
        if name in catalog.every_name():
            raise UsageError(f"{name!r} is one of livevision's own models and cannot be removed")
        if not kept:
            raise UsageError(f"{name!r} cannot be removed: no model was imported or fetched")
        raise UsageError(unknown("imported model", name, kept))
    for name in dict.fromkeys(words):
        for path in imported.remove(name):
            click.echo(str(path))


def _card(name: str) -> ModelCard:
    from livevision.models.choice import card_of

    graph = catalog.added_graph(name)
    return catalog.find(name) if graph is None else card_of(None, graph)


def _listed(cards: Sequence[ModelCard], trained: object = None) -> str:
    return table(_HEAD, (_row(card, trained) for card in cards), _NUMBERS, _TEXTS)


def _summary(card: ModelCard) -> dict[str, Any]:
    return {**card.summary(), "default": card.name in catalog.DEFAULTS.values()}


def _describe(path: Path, as_json: bool) -> None:
    """Print the description of an exported file."""
    from livevision.inference.description import read_description
    from livevision.models.choice import card_of

    card = card_of(None, path)
    theirs = card.decoder is not None
    facts = {"weights_sha256": "in it"} if theirs else read_description(path)
    precision, agreement = facts.get("precision", "fp32"), facts.get("agreement", "")
    if as_json:
        row = {**card.summary(), "precision": precision}
        row["agreement"] = json.loads(agreement) if agreement else None
        click.echo(json.dumps(row, indent=2, ensure_ascii=False))
        return
    click.echo(_listed([card], trained=facts.get("weights_sha256")))
    click.echo(f"\n{precision}{_agreement(precision, agreement)}")
    if "gpu" in facts:
        click.echo(f"for {facts['gpu']} ({facts['capability']}) with TensorRT {facts['tensorrt']}")


def _list_lowered(name: str) -> None:
    """Print the int8 files of a model that were made on this machine."""
    from livevision.inference.description import read_description
    from livevision.models.choice import int8_files

    for path in int8_files(name):
        facts = read_description(path)
        precision = facts.get("precision", "fp32")
        click.echo(f"\n{path}: {precision}{_agreement(precision, facts.get('agreement', ''))}")


def _agreement(precision: str, text: str) -> str:
    from livevision.inference.agreement import Agreement

    if precision == "fp32":
        return ""
    return f": {Agreement.from_json(text)}" if text else ": agreement with fp32 unknown"


def _row(card: ModelCard, trained: object = None) -> tuple[str, ...]:
    width, height = card.input_size
    untrained = (
        "" if card.weights or card.graph or card.graph_at or trained else "no trained weights yet"
    )
    return (
        f"{card.name} *" if card.name in catalog.DEFAULTS.values() else card.name,
        card.task,
        f"{width}x{height}",
        f"{card.params / 1e6:.2f} M",
        f"{card.madds / 1e9:.2f} G",
        untrained or str(card.score.get("text", "not measured")),
        card.licence,
        card.data,
    )


def _counts(cards: Sequence[ModelCard]) -> Iterable[dict[str, Any]]:
    """A row for each figure that a paper states of these nets, and for each net without one."""
    from livevision.nets.published import PUBLISHED, Published

    for net in dict.fromkeys(card.net for card in cards):
        printed = [row for row in PUBLISHED if row.net == net]
        for row in printed:
            parameters, multiply_adds = row.count()
            options = [f"{k} {v}" for k, v in row.options.items() if k != "aux"]
            yield {
                "net": net,
                "counted": row.part or ", ".join(options),
                "input_size": [row.width, row.height],
                "params": round(parameters, 4),
                "params_unit": row.unit,
                "params_paper": row.parameters,
                "madds_m": round(multiply_adds, 2),
                "madds_m_paper": row.multiply_adds,
                "remark": row.remark,
            }
        if not printed:
            card = next(card for card in cards if card.net == net)
            width, height = card.input_size
            own = Published(net, height, width, None, 0, options=card.net_options)
            parameters, multiply_adds = own.count()
            yield {
                "net": net,
                "counted": f"num_classes {len(card.labels)}",
                "input_size": [width, height],
                "params": round(parameters, 4),
                "params_unit": "M",
                "params_paper": None,
                "madds_m": round(multiply_adds, 2),
                "madds_m_paper": None,
                "remark": "",
            }


def _count_cells(row: dict[str, Any]) -> tuple[str, ...]:
    ours, theirs = row["madds_m"], row["madds_m_paper"]
    unit = row["params_unit"]
    off = f"{ours / theirs - 1:+.1%}" if theirs else ""
    return (
        str(row["net"]),
        str(row["counted"]),
        "x".join(map(str, row["input_size"])),
        f"{row['params']:.2f} {unit}",
        f"{row['params_paper']:g} {unit}" if row["params_paper"] else "-",
        f"{ours:.1f} M",
        f"{theirs:g} M" if theirs else "-",
        off,
        str(row["remark"]),
    )
