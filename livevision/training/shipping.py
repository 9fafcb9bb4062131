"""Writes the best weights of a run as a model that livevision runs: weights file and card."""

from __future__ import annotations

import platform
import textwrap
from pathlib import Path

import numpy as np
import torch
from torch import nn

from livevision.checkpoints.card import write_card
from livevision.models.catalog import ModelCard
from livevision.nets import build
from livevision.nets.counting import count_multiply_adds, count_parameters
from livevision.training.material import name_of
from livevision.training.processes import Group
from livevision.training.recipe import Recipe
from livevision.training.scores import Scores
from livevision.training.starting import initial_files, net_options
from livevision.training.weights import save_weights

_TRAINING_ONLY = ("aux_heads.", "detail_head.")
_FITS = {"segment": "stretch", "detect": "stretch", "classify": "centre-crop"}


def ship(
    path: Path,
    net: nn.Module,
    recipe: Recipe,
    labels: list[str],
    scores: Scores,
    step: int,
    hours: float,
    group: Group,
) -> None:
    """Write weights as float16, without training-only parts, and the card beside them.

    Args:
        path: the .safetensors file; the card has the same name and ends in .md.
        net: the net with the weights.
        recipe: the recipe it was trained by.
        labels: class names.
        scores: of these weights.
        step, hours: at the time of these weights.
        group: the training processes.
    """
    options = net_options(recipe, len(labels))
    if len(getattr(net, "aux_heads", ())):
        options["aux"] = False
    if getattr(net, "detail_head", None) is not None:
        options["detail"] = False
    width, height = recipe.input_size
    with torch.device("meta"):
        bare = build(recipe.net, **options)
    spare = [f"class_{i}" for i in range(len(labels), int(options["num_classes"]))]
    card = ModelCard(
        name=recipe.name or recipe.net,
        task=recipe.task,
        net=recipe.net,
        input_size=recipe.input_size,
        labels=(*labels, *spare),
        params=count_parameters(bare),
        madds=count_multiply_adds(bare, height, width),
        data=", ".join(map(name_of, recipe.data.train)),
        score=scores.for_card(),
        licence=recipe.licence or "that of the training data",
        net_options=options,
        fit=_FITS[recipe.task],
    )
    save_weights(net, path, drop=_TRAINING_ONLY)
    write_card(path.with_suffix(".md"), card, _text(recipe, labels, scores, step, hours, group))


def _text(
    recipe: Recipe, labels: list[str], scores: Scores, step: int, hours: float, group: Group
) -> str:
    """The card's text for people."""
    device = torch.cuda.get_device_name(group.device) if group.device.type == "cuda" else "CPU"
    processes = f"{group.count} processes of " if group.count > 1 else ""
    known = [(n, v) for n, v in zip(labels, scores.classes, strict=False) if not np.isnan(v)]
    known.sort(key=lambda pair: -pair[1])
    by_class = ", ".join(f"{name} {100 * value:.1f}" for name, value in known)
    figures = ", ".join(f"{k} {100 * v:.1f}" for k, v in scores.figures.items() if not np.isnan(v))
    files = " and ".join(Path(path).name for path in initial_files(recipe))
    began = f" It started from {files}." if files else ""
    terms = recipe.licence or "the terms are those of that data; name them here"
    paragraphs = [
        "## Data and licence",
        f"Trained on {', '.join(map(name_of, recipe.data.train))}: {terms}.",
        "## Training",
        f"The recipe is `recipe.yaml` beside this file, seed {recipe.seed}: step {step} of "
        f"{recipe.steps}, {processes}{recipe.batch_size} pictures a step, {recipe.optimizer}, "
        f"{recipe.schedule} schedule, {recipe.precision}, an average of the weights. {hours:.2f} "
        f"hours on {device} ({platform.machine()}), PyTorch {torch.__version__}.{began}",
        "## Score",
        f"{figures} on {scores.data}, measured in PyTorch during training; this split also chose "
        "the step. `livevision eval` measures the model as it runs.",
        f"{scores.by} by class: {by_class}.",
        "## Known failures",
        "Not described yet; look at `samples/`.",
    ]
    return "\n\n".join(textwrap.fill(p, 100, break_on_hyphens=False) for p in paragraphs)
