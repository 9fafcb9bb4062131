"""Chooses a model: from a name, weights and size to a card and files."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from livevision.errors import ModelError, UsageError
from livevision.files import data_folder, with_home
from livevision.inference.description import GRAPHS, is_ours, read_description
from livevision.inference.model_files import ModelFiles
from livevision.inference.weights import check_weights
from livevision.models import catalog, imported
from livevision.models.catalog import ModelCard

if TYPE_CHECKING:
    from livevision.config import Settings


@dataclass(frozen=True, slots=True)
class Wanted:
    """A requested model: its task, its name, and optionally weights or a graph."""

    task: str
    name: str
    path: Path | None = None


def named(name: str, labels: str | None = None) -> Wanted:
    """The model with a name, or in a file.

    Raises:
        UsageError: The name is unknown.
        ModelError: The file is not a model.
    """
    path = graph_file(name)
    card = catalog.find(name) if path is None else card_of(None, path, labels)
    return Wanted(card.task, card.name, path)


def named_models(settings: Settings) -> list[Wanted]:
    """The models of a run that are named, or known from weights, in the order given."""
    wanted = [named(name, settings.labels) for name in settings.model]
    for n, one in enumerate(wanted):
        if one in wanted[:n]:
            raise UsageError(f"model {settings.model[n]!r} was given twice")
    # Weights without a card belong to the named models, or to the tasks, in order.
    slots = list(wanted) or [Wanted(task, catalog.DEFAULTS[task]) for task in settings.tasks]
    for path in settings.weights:
        check_weights(path)
        beside = _card_beside(path)
        if beside is not None and (not settings.model or beside.name in settings.model):
            _put(wanted, Wanted(beside.task, beside.name, path))
        elif path.suffix in GRAPHS:
            card = _card_of_graph(path, settings.labels)
            _put(wanted, Wanted(card.task, card.name, path))
        elif len(slots) == 1 or len(settings.weights) == len(slots):
            slot = slots[min(len(slots) - 1, settings.weights.index(path))]
            _put(wanted, replace(slot, path=path))
        else:
            raise UsageError(f"--weights {path}: which model is it? name it with --model")
    return wanted


def _put(wanted: list[Wanted], one: Wanted) -> None:
    """Add a model with weights, replacing the same one without."""
    for n, other in enumerate(wanted):
        if other.task == one.task and other.path is None and other.name == one.name:
            wanted[n] = one
            return
    same_task = [n for n, other in enumerate(wanted) if other.task == one.task]
    if len(same_task) == 1 and wanted[same_task[0]].path is None:
        wanted[same_task[0]] = one
    else:
        wanted.append(one)


def graph_file(name: str) -> Path | None:
    """The graph file that a model's name is or stands for, if any, of any origin."""
    if name.lower().endswith(GRAPHS):
        return with_home(name)
    return imported.path_of(name) or catalog.added_graph(name)


def card_of(name: str | None, weights: Path | None, labels: str | None = None) -> ModelCard:
    """The card of a model: from the catalog, or from a graph's description.

    Args:
        name: Name of the model, if given.
        weights: Weights or a graph, if given.
        labels: Class names of a third-party graph, see ``foreign.labels``.
    """
    if weights is not None:
        check_weights(weights)
        if weights.suffix in GRAPHS:
            card = _card_of_graph(weights, labels)
            other = name if name != card.name else None
            if other is not None and catalog.find(other).task != card.task:
                raise UsageError(
                    f"weights {str(weights)!r} do the task {card.task}, "
                    f"model {other!r} does {catalog.find(other).task}"
                )
            return card
        beside = _card_beside(weights)
        if beside is not None and name in (None, beside.name):
            return beside
    if name is None:
        raise UsageError("no model was named; 'livevision models' lists them")
    return catalog.find(name)


def _card_beside(weights: Path) -> ModelCard | None:
    """The card beside a .safetensors file, as `livevision import` writes it; None without one."""
    path = weights.with_suffix(".md")
    return catalog.read_card(path) if weights.suffix not in GRAPHS and path.is_file() else None


def _card_of_graph(path: Path, labels: str | None = None) -> ModelCard:
    """The card in an exported graph, or of a third-party one."""
    if not is_ours(path):
        from livevision.models.foreign.opening import open_foreign

        return open_foreign(path, labels).card()
    described = read_description(path)
    try:
        width, height = map(int, described["input_size"].split("x"))
        return ModelCard(
            name=described["name"],
            task=described["task"],
            net=described["net"],
            input_size=(width, height),
            labels=tuple(json.loads(described["labels"])),
            fit=described["fit"],
            fill=int(described["fill"]) if "fill" in described else None,
            **json.loads(described["card"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{str(path)!r}: its description is broken: {error!r}") from error


def files_of(
    card: ModelCard, own: Path | None, size: tuple[int, int] | None, untrained: bool
) -> ModelFiles:
    """The files of a model at an input size; a shipped graph is for the card's own size only."""
    size = size or card.input_size
    if min(size) < 32 or max(size) > 4096:
        raise UsageError(f"imgsz is {size[0]}x{size[1]}; each side takes 32 to 4096 pixels")
    files = ModelFiles(card.name, card.task, card.net, size, card.net_options)
    if card.graph_at is not None:
        graph, outputs = card.graph_at(size)
        return replace(files, graph=graph, outputs=outputs)
    if own is not None and own.suffix in GRAPHS:
        if size != card.input_size:
            raise UsageError(
                f"{str(own)!r} takes images of {card.input_size[0]}x{card.input_size[1]} only; "
                f"for {size[0]}x{size[1]}: 'livevision export' with --imgsz"
            )
        return _with_graph(files, own)
    if own is not None:
        return replace(files, weights=own)
    if card.weights is None and card.graph is None:
        if untrained:
            return files
        raise ModelError(
            f"model {card.name!r} has no trained weights yet{_where(card)}; "
            "give --weights FILE, or --untrained to run it with random ones"
        )
    return replace(
        files, weights=card.weights, graph=card.graph if size == card.input_size else None
    )


_INT8_FILES = {"openvino": ".xml", "onnx": ".onnx", "tensorrt": ".engine"}


def int8_file(files: ModelFiles, engine: str = "openvino") -> Path:
    """The default int8 file of ``livevision export --precision int8`` for an engine.

    Its name depends on the weights, so that it is never used for others.
    """
    made_of = files.weights or files.graph
    try:
        content = b"" if made_of is None else made_of.read_bytes()
    except OSError as error:
        raise ModelError(f"weights {str(made_of)!r}: {error.strerror}") from error
    width, height = files.input_size
    key = hashlib.sha256(content).hexdigest()[:12]
    return data_folder("int8") / f"{files.name}-{width}x{height}-{key}{_INT8_FILES[engine]}"


def int8_files(name: str) -> list[Path]:
    """All int8 files of a model that ``livevision export --precision int8`` made, of any size."""
    suffixes = "|".join(suffix.removeprefix(".") for suffix in _INT8_FILES.values())
    ours = re.compile(rf"{re.escape(name)}-\d+x\d+-[0-9a-f]{{12}}\.({suffixes})")
    folder = data_folder("int8")
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if ours.fullmatch(path.name))


def in_int8(files: ModelFiles, engine: str = "openvino") -> ModelFiles:
    """The files of a model with its int8 graph for an engine.

    Raises:
        ModelError: It does not exist yet.
    """
    if files.precision == "int8":
        return files
    path = int8_file(files, engine)
    if not path.is_file():
        width, height = files.input_size
        raise ModelError(
            f"model {files.name!r} has no int8 file at {width}x{height} for {engine} yet; make it "
            "from frames like those of the application: livevision export "
            f"{files.name} --format {engine} "
            f"--precision int8 --imgsz {width}x{height} --calibrate CLIP.mp4"
        )
    return _with_graph(files, path)


def _with_graph(files: ModelFiles, path: Path) -> ModelFiles:
    described = read_description(path)
    return replace(
        files,
        graph=path,
        precision=described.get("precision", "fp32"),
        agreement=described.get("agreement", ""),
    )


def _where(card: ModelCard) -> str:
    """Where a model's weights should be, or which shipped models have the same net."""
    if card.folder is not None:
        return f" (looked in {card.folder})"
    trained = [name for name in catalog.names() if catalog.find(name).net == card.net]
    return f" (trained: {', '.join(trained)})" if trained else ""
