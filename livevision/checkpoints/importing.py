"""Converts a checkpoint to weights and a card; the work of `livevision import`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from livevision.checkpoints import (
    coincheung,
    mmsegmentation,
    mobilenetv2,
    resnet,
    shufflenetv2,
    torchseg,
)
from livevision.checkpoints.card import write_card
from livevision.checkpoints.conversion import Converted, convert
from livevision.checkpoints.datasets import dataset
from livevision.checkpoints.layout import Layout, Target, Tensors
from livevision.checkpoints.source_file import read_tensors
from livevision.checkpoints.weights_file import write_weights
from livevision.errors import LivevisionError, ModelError, UsageError
from livevision.models.catalog import ModelCard
from livevision.nets import build
from livevision.nets.counting import count_multiply_adds, count_parameters

LAYOUTS: tuple[Layout, ...] = (
    *mobilenetv2.LAYOUTS,
    *shufflenetv2.LAYOUTS,
    *resnet.LAYOUTS,
    *torchseg.LAYOUTS,
    *coincheung.LAYOUTS,
    *mmsegmentation.LAYOUTS,
)


@dataclass(frozen=True)
class Imported:
    """The result of an import.

    Attributes:
        card: Card of the model.
        layout: Name of the recognised layout.
        weights, card_file: The files written.
        left_out: Ignored tensors of the checkpoint.
    """

    card: ModelCard
    layout: str
    weights: Path
    card_file: Path
    left_out: Sequence[str]


def import_checkpoint(
    source: Path,
    name: str,
    output: Path,
    labels: Sequence[str] | None = None,
    net: str | None = None,
    net_options: Mapping[str, Any] | None = None,
    half: bool = False,
) -> Imported:
    """Convert a checkpoint and write it as safetensors, with a card beside it.

    Args:
        source: The checkpoint: a PyTorch pickle of tensors, a .safetensors or .tflite file, or the
            model.json of TensorFlow.js.
        name: Name of the new model.
        output: The .safetensors file; the card has the same name and ends in .md.
        labels: Class names; None for those of the data set, if the layout implies one.
        net: The expected net; None for the one that fits.
        net_options: Expected options of the net.
        half: Write float16 instead of float32.

    Raises:
        ModelError: The file is refused, its layout is unknown, or it fits no net of ours.
        UsageError: The number of labels differs from that of the classes.
        OutputError: A file cannot be written.
    """
    tensors = read_tensors(source)
    layout = recognise(tensors, source)
    try:
        target = _asked(layout, _target(layout, tensors), net, net_options or {})
        converted = convert(tensors, target)
        ready = {k: _ready(k, v, half) for k, v in converted.tensors.items()}
    except LivevisionError as error:
        raise type(error)(f"{str(source)!r} is {layout.name}, but {error}") from error
    card = _card(name, target, output, labels)
    card_file = output.with_suffix(".md")
    write_weights(ready, output)
    write_card(card_file, card, _text(layout, target, converted, len(tensors), half))
    return Imported(card, layout.name, output, card_file, converted.left_out)


def recognise(tensors: Tensors, source: Path) -> Layout:
    """Recognise the layout of a file by the names of its tensors.

    Raises:
        ModelError: The layout is unknown.
    """
    for layout in LAYOUTS:
        if layout.matches(tensors):
            return layout
    raise ModelError(
        f"{str(source)!r} is of no known layout (its {len(tensors)} tensors begin with "
        f"{', '.join(repr(k) for k in list(tensors)[:3])}); known: "
        f"{', '.join(layout.name for layout in LAYOUTS)}"
    )


def _target(layout: Layout, tensors: Tensors) -> Target:
    try:
        return layout.target(tensors)
    except KeyError as error:
        raise ModelError(f"it lacks {error}") from error


def _asked(layout: Layout, target: Target, net: str | None, options: Mapping[str, Any]) -> Target:
    """Check the target against the requested net and options.

    Raises:
        ModelError: It differs.
    """
    why = next((t for n, t in layout.rivals.items() if (net or target.net).startswith(n)), "")
    why = f": {why}" if why else ""
    if net is not None and net != target.net:
        raise ModelError(f"it becomes the net {target.net} and does not fit {net}{why}")
    for key, value in options.items():
        if target.options.get(key, value) != value:
            raise ModelError(
                f"it fits {target.net} with {key}={target.options[key]} only, not {value}{why}"
            )
    return replace(target, options={**target.options, **options})


def _ready(name: str, tensor: Tensor, half: bool) -> Tensor:
    """Convert a tensor to the stored form.

    Raises:
        ModelError: float16 cannot hold it.
    """
    if not half:
        return tensor.float().contiguous().clone()
    small = tensor.half().contiguous().clone()
    if not small.isfinite().all():
        raise ModelError(f"{name!r} holds values that float16 cannot hold; leave --half out")
    return small


def _card(name: str, target: Target, output: Path, labels: Sequence[str] | None) -> ModelCard:
    classes = int(target.options["num_classes"])
    if labels is None:
        known = dataset(classes).labels if target.task == "segment" else ()
        labels = known or [f"class_{i}" for i in range(classes)]
    if len(labels) != classes:
        raise UsageError(f"--labels has {len(labels)} names, the net has {classes} classes")
    with torch.device("meta"):
        net = build(target.net, **target.options)
    width, height = target.input_size
    return ModelCard(
        name=name,
        task=target.task,
        net=target.net,
        input_size=target.input_size,
        labels=tuple(labels),
        params=count_parameters(net),
        madds=count_multiply_adds(net, height, width),
        data=target.data,
        licence=target.licence,
        net_options=target.options,
        folder=output.parent,
    )


def _text(layout: Layout, target: Target, converted: Converted, count: int, half: bool) -> str:
    """The card's text for people."""
    precision = "float16" if half else "float32"
    lines = [
        f"Imported from a checkpoint of {layout.name}, recognised by the names of its "
        f"{count} tensors; written as {precision}."
    ]
    if converted.left_out:
        heads = ", ".join(f"`{head}*`" for head in target.ignored)
        lines.append(f"Ignored: {target.left_out or f'parts only used in training, {heads}'}.")
    if target.notes:
        lines.append(target.notes)
    data = f"Trained on {target.data}, by its layout and classes. " if target.data else ""
    lines += ["## Data and licence", f"{data}{target.licence}."]
    return "\n\n".join(lines)
