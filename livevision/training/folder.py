"""Makes a recipe for labelled pictures: the choices of `livevision train FOLDER`.

It starts from a shipped model of the task, with that model's training settings: enough for a first
own model, and a recipe to improve.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from livevision.datasets import Kind, kinds_of, splits_of
from livevision.datasets.soft_labels import has_soft_labels
from livevision.datasets.splits import choose_split
from livevision.errors import DataError, UsageError, unknown
from livevision.files import with_home
from livevision.models import catalog
from livevision.models.untrained import NETS
from livevision.nets import names

_MODELS = {**catalog.DEFAULTS, "segment": "bisenet-mobilenetv2-voc"}
_SIZES = {"detect": (320, 320), "segment": (320, 320), "classify": (96, 96)}
_BATCHES = {"detect": 16, "segment": 8, "classify": 64}
_LOOKS = {"detect": 16_000, "segment": 8_000, "classify": 40_000}  # pictures in a whole run
_FEWEST_EPOCHS, _MOST_EPOCHS = 10, 300
_EVALUATIONS = 50  # maximum, in runs with epochs of a few steps

_SETTINGS: dict[str, dict[str, Any]] = {
    "detect": {
        "task_options": {"zoom_out": 2.0, "hue": 18, "mosaic": 0.3, "repeat_rare": 0.05},
        "learning_rate": 1.0e-3,
        "rates": {"backbone.": 0.5},
        "weight_decay": 0.05,
        "clip_norm": 10.0,
    },
    "segment": {
        "task_options": {"aspect": [0.75, 1.33], "hue": 10, "aux_weight": 0.5, "rare_weight": 1.1},
        "learning_rate": 1.5e-3,
        "rates": {"backbone.": 0.3},
        "weight_decay": 0.02,
        "clip_norm": 5.0,
    },
    "classify": {
        "learning_rate": 1.0e-3,
        "rates": {"backbone.": 0.3},
        "weight_decay": 0.05,
        "clip_norm": 5.0,
    },
}


@dataclass(frozen=True)
class Wishes:
    """A user's settings of a run; the rest is chosen.

    Attributes:
        task: "detect", "segment" or "classify"; "" for the one the data have labels for.
        model: a shipped model, a net, or a safetensors file with its card beside it; "" chooses.
        format: of the data, as in `livevision.datasets.DataEntry`.
        input_size: (width, height); None for the model's.
        batch_size, epochs: 0 chooses.
        device: as in a recipe.
    """

    task: str = ""
    model: str = ""
    format: str = "auto"
    input_size: tuple[int, int] | None = None
    batch_size: int = 0
    epochs: float = 0.0
    device: str = "auto"


def recipe_for(data: Path, wishes: Wishes) -> tuple[dict[str, Any], list[str]]:
    """A recipe's settings, and lines that explain the choices and how to change them.

    If the user gave no length, `epochs` is 0: see `epochs_for`, which depends on the number of
    pictures.

    Raises:
        UsageError: a setting is not possible.
        DataError: no known labels were found.
    """
    task, lines = _task(data, wishes)
    begin = _beginning(wishes.model or _MODELS[task])
    if begin.task != task:
        raise UsageError(
            f"--model {wishes.model} does the task {begin.task}; {data} is trained for {task}: "
            f"use {_MODELS[task]}, or say --task {begin.task} if it has labels for that"
        )
    entries, said = _entries(data, task, wishes.format)
    size = wishes.input_size or begin.size or _SIZES[task]
    settings = {key: dict(v) if isinstance(v, dict) else v for key, v in _SETTINGS[task].items()}
    options = settings.setdefault("task_options", {})
    if task == "segment":
        options["crop"] = list(size)
        if has_soft_labels(data):
            options["soft_labels"] = {}
            said.append(
                "soft labels: half of the loss comes from them, since the data have some (--set "
                "task_options.soft_labels.weight=0.8, or --set task_options.soft_labels=null)"
            )
    if task == "detect" and min(size) >= 256:
        options["sizes"] = [[side + change for side in size] for change in (-64, 0, 64)]
    recipe = {
        "name": _name(data),
        "task": task,
        "net": begin.net,
        "net_options": begin.options,
        "data": entries,
        "input_size": list(size),
        **settings,
        "batch_size": wishes.batch_size or _BATCHES[task],
        "epochs": wishes.epochs,
        "optimizer": "adamw",
        "schedule": "cosine",
        "initial_weights": begin.weights,
        "precision": _precision(wishes.device),
        "device": wishes.device,
    }
    start = f"from the weights of {begin.weights}" if begin.weights else "from random weights"
    lines += [
        *said,
        f"net: {begin.net} at {size[0]}x{size[1]}, {start} (--model NAME, --imgsz N)",
    ]
    return recipe, lines


def epochs_for(task: str, pictures: int) -> float:
    """Default epochs of a run: more for fewer pictures."""
    return float(min(_MOST_EPOCHS, max(_FEWEST_EPOCHS, math.ceil(_LOOKS[task] / pictures))))


def settings_over(steps: int, epoch: int) -> dict[str, int]:
    """Settings that depend on a run's length: a warm-up of at most a tenth, few evaluations.

    Args:
        steps: of the run.
        epoch: steps of an epoch; if they are few, not every epoch is followed by an evaluation.
    """
    every = epoch * math.ceil(steps / epoch / _EVALUATIONS)
    return {"warmup_steps": min(100, steps // 10), "evaluate_every": every}


@dataclass(frozen=True)
class _Beginning:
    """The start of a run: a net and its options, and weights, "" for random ones."""

    task: str
    net: str
    options: Mapping[str, Any]
    weights: str
    size: tuple[int, int] | None


def _beginning(model: str) -> _Beginning:
    """The start that a name or a file stands for.

    Raises:
        UsageError: the name is unknown, or the file has no card.
        ModelError: its card cannot be read.
    """
    path = with_home(model)
    if path.suffix == ".safetensors":
        if not path.is_file():
            raise UsageError(f"--model {model}: there is no such file")
        try:
            card = catalog.read_card(path.with_suffix(".md"))
        except OSError:
            raise UsageError(
                f"--model {model}: there is no card {path.with_suffix('.md').name} beside it that "
                "names the net; write a recipe with net and initial_weights"
            ) from None
        weights = model
    elif model in catalog.names():
        card = catalog.find(model)
        weights = model if card.weights is not None else ""
    elif model in NETS and model in names():
        row = NETS[model]
        return _Beginning(row.task, model, _trained(row.options), "", None)
    else:
        if catalog.is_foreign(model):
            raise UsageError(f"--model {model}: {catalog.FOREIGN_MODELS}")
        known = sorted({*catalog.names(), *(net for net in NETS if net in names())})
        raise UsageError(f"--model: {unknown('model or net', model, known)}")
    return _Beginning(card.task, card.net, _trained(card.net_options), weights, card.input_size)


def _trained(options: Mapping[str, Any]) -> dict[str, Any]:
    """A net's options without those that follow from the data or drop training-only parts."""
    return {k: v for k, v in options.items() if k not in ("num_classes", "aux", "detail")}


def _task(data: Path, wishes: Wishes) -> tuple[str, list[str]]:
    """The task, and lines about it."""
    found = kinds_of(data)
    if wishes.task:
        return wishes.task, []
    if not found:
        raise DataError(
            f"{data}: no labels were found there: neither boxes (a data.yaml, COCO's JSON, VOC's "
            "XML), nor PNGs of classes beside the pictures, nor a folder for each class"
        )
    if wishes.model:
        wanted = _beginning(wishes.model).task
        if wanted in found:
            return wanted, []
    others = "".join(f"; it has labels for {kind} too (--task {kind})" for kind in found[1:])
    return found[0], [f"task: {found[0]}{others}"]


def _entries(data: Path, task: str, form: str) -> tuple[dict[str, Any], list[str]]:
    """The recipe's data sets, and lines about them."""
    entry: dict[str, Any] = {"path": str(data)}
    if form != "auto":
        entry["format"] = form
    splits = dict.fromkeys(splits_of(data, cast(Kind, task), form))
    named = {name: name for name in splits}
    if not splits:
        train: dict[str, Any] = dict(entry)
        val = None
    else:
        train = {**entry, "split": _split(named, "train") or _split(named, "trainval")}
        val = _split(named, "val")
        if train["split"] is None:
            raise DataError(
                f"{data}: none of its splits is called train; it has {', '.join(splits)}. Rename "
                "one, or write a recipe that names them"
            )
    if val is not None:
        return {"train": [train], "val": [{**entry, "split": val}]}, []
    parts = {part: [{**train, "part": part}] for part in ("train", "val")}
    said = (
        "val: the data have no split val, so every tenth picture is set aside for it, always the "
        "same ones; make a split val to choose them, above all if pictures are much alike"
    )
    return parts, [said]


def _split(named: Mapping[str, str], wanted: str) -> str | None:
    """The split with a common name, by any of its synonyms."""
    try:
        return choose_split(named, wanted, wanted, "")[0]
    except UsageError:
        return None


def _name(data: Path) -> str:
    """The run's name: that of the data's folder."""
    path = data.resolve()
    return path.parent.name if path.suffix in (".yaml", ".yml", ".json") else path.stem


def _precision(device: str) -> str:
    """bf16 if the device supports it."""
    if device != "cpu" and torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "fp32"
    return "bf16" if "bf16" in flags else "fp32"
