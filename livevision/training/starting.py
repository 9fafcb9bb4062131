"""The initial net of a run: built for the recipe's classes, with initial weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from livevision.errors import ModelError, UsageError, unknown
from livevision.files import with_home
from livevision.models import catalog
from livevision.nets import build, names
from livevision.nets.dfanet import DFANet
from livevision.nets.shufflenetv2 import ShuffleNetV2
from livevision.nets.snet import SNet
from livevision.nets.two_stage import TwoStageDetector
from livevision.training.recipe import Recipe
from livevision.training.weights import put_fitting
from livevision.training.widening import widened_weights

_UNIT = "backbone.stage2.0.right.0.0.weight"  # only in ShuffleNetV2's units


def net_options(recipe: Recipe, num_labels: int) -> dict[str, Any]:
    """Arguments of `build`: the recipe's options, and the number of classes.

    Units of ShuffleNetV2 are of the kind that the initial weights are for, unless the recipe names
    one. A classifier may have spare outputs: DFANet keeps one of 1000 classes, whatever it was
    trained on.

    Raises:
        UsageError: the recipe's number of classes is not that of the labels.
    """
    options = {"num_classes": num_labels, **_units_of_start(recipe), **recipe.net_options}
    count = options["num_classes"]
    if count != num_labels and not (recipe.task == "classify" and count > num_labels):
        raise UsageError(
            f"net_options.num_classes is {count}, but there are {num_labels} labels; leave it out"
        )
    return options


def build_net(recipe: Recipe, num_labels: int) -> nn.Module:
    """The recipe's net with random weights.

    Raises:
        UsageError: the net or an option is unknown, or it does another task.
    """
    if recipe.net not in names():
        raise UsageError(unknown("net", recipe.net, names()))
    options = net_options(recipe, num_labels)
    try:
        net = build(recipe.net, **options)
    except (TypeError, ValueError) as error:
        raise UsageError(f"net {recipe.net} cannot be built with {options}: {error}") from error
    task = _task(net)
    if task != recipe.task:
        raise UsageError(f"net {recipe.net} does the task {task}, the recipe's is {recipe.task}")
    return net


@torch.no_grad()
def _task(net: nn.Module) -> str:
    if isinstance(net, TwoStageDetector):
        return "detect"
    return "segment" if net.eval()(torch.zeros(1, 3, 64, 64)).ndim == 4 else "classify"


def start_from(recipe: Recipe, net: nn.Module) -> list[str]:
    """Load the recipe's initial weights; returns a line about each file.

    Raises:
        UsageError: a file does not exist, or none of its tensors fits.
        ModelError: it is not a safetensors file.
    """
    return [_start_from(_find(given), recipe, net) for given in initial_files(recipe)]


def initial_files(recipe: Recipe) -> list[str]:
    """The files, or names of shipped models, that a run starts from, in order."""
    given = recipe.initial_weights
    return [path for path in ([given] if isinstance(given, str) else given) if path]


def _find(given: str) -> Path:
    """The file of a path or of a shipped model.

    Raises:
        UsageError: there is neither.
    """
    path = with_home(given)
    if path.is_file():
        return path
    if path.name != given or path.suffix == ".safetensors":
        raise UsageError(
            f"initial_weights {given!r} is not a file; train or import it first, or name a shipped "
            "model, see 'livevision models'"
        )
    if given not in catalog.names():
        raise UsageError(
            f"initial_weights is no file and {unknown('model', given, catalog.names())}"
        )
    weights = catalog.find(given).weights
    if weights is None:
        raise UsageError(
            f"initial_weights {given!r}: this installation has no {given}.safetensors, which "
            "training needs; give a file, or train in a checkout"
        )
    return weights


def _start_from(path: Path, recipe: Recipe, net: nn.Module) -> str:
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"initial_weights {str(path)!r}: no safetensors file ({error})") from error
    if isinstance(net, DFANet) and any(name.startswith("backbone.") for name in tensors):
        before = {name: value.clone() for name, value in net.state_dict().items()}
        net.start_from(tensors)
        changed = sum(not torch.equal(before[n], v) for n, v in net.state_dict().items())
        return f"began from the classifier {path}: {changed} of {len(before)} tensors"
    remark = _other_units(path, tensors, recipe, net)
    widened = widened_weights(net, tensors)
    unused = put_fitting(net, {**tensors, **widened})
    if len(unused) == len(tensors):
        raise UsageError(f"initial_weights {str(path)!r}: none of its tensors fits {recipe.net}")
    parts = sorted({name.split(".")[0] for name in unused})
    notes = f", {len(widened)} of them widened" if widened else ""
    notes += f"; not used: {len(unused)} of {', '.join(parts)}" if unused else ""
    return f"began from {path}: {len(tensors) - len(unused)} tensors{notes}{remark}"


def _units_of_start(recipe: Recipe) -> dict[str, Any]:
    """The kind of units, if a card beside the initial weights of the same net names one."""
    for given in initial_files(recipe):
        try:
            card = _card_beside(_find(given))
        except UsageError:
            continue  # told when the weights are read
        if card and card.net == recipe.net and "downsample_style" in card.net_options:
            return {"downsample_style": card.net_options["downsample_style"]}
    return {}


def _card_beside(weights: Path) -> catalog.ModelCard | None:
    try:
        return catalog.read_card(weights.with_suffix(".md"))
    except (OSError, ModelError):
        return None


def _other_units(path: Path, tensors: dict[str, Tensor], recipe: Recipe, net: nn.Module) -> str:
    """A remark if the card beside a file names another kind of ShuffleNetV2 unit.

    Raises:
        UsageError: the weights fit by shape but are meaningless in the net.
    """
    backbone = getattr(net, "backbone", None)
    if not isinstance(backbone, SNet | ShuffleNetV2) or _UNIT not in tensors:
        return ""
    card = _card_beside(path)
    if card is None:
        return ""  # unknown
    theirs = card.net_options
    style, activation = backbone.kind
    their_style = theirs.get("downsample_style", "torchvision")
    if their_style != style:
        raise UsageError(
            f"initial_weights {str(path)!r} is of a net with downsample_style {their_style}, and "
            f"{recipe.net} has {style}, where the same weights mean something else; write "
            f"net_options: {{downsample_style: {their_style}}}"
        )
    their_activation = theirs.get("activation", "relu")
    if their_activation == activation:
        return ""
    return (
        f"; trained with {their_activation}, where {recipe.net} has {activation}: "
        f"net_options: {{activation: {their_activation}}} keeps what it computes"
    )
