"""What NMS and Soft-NMS leave of a detector's boxes, by its scores: see scripts/compare_nms.

The net runs once on every picture, in fp32; all that it has before its NMS then goes through each
way of suppressing, class by class.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from livevision.models import catalog
from livevision.nets import build
from livevision.nets.nms import soft_suppress, suppress
from livevision.training.jobs import make_job
from livevision.training.processes import Group
from livevision.training.recipe_file import recipe_from
from livevision.training.weights import load_weights, move

Suppress = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Boxes K x 4 and scores K of a class -> indices of those that stay, and their scores."""

_LOWEST = 0.001  # what scores less is left out by all ways alike
_MOST = 100  # boxes of a picture


def hard(boxes: Tensor, scores: Tensor, iou: float) -> tuple[Tensor, Tensor]:
    """NMS at a threshold."""
    order = scores.argsort(descending=True)
    kept = order[suppress(boxes[order][None], iou)[0] > 0]
    return kept, scores[kept]


WAYS: dict[str, Suppress] = {
    **{f"NMS at {iou}": partial(hard, iou=iou) for iou in (0.45, 0.5, 0.55, 0.6)},
    **{f"Gaussian, sigma {s}": partial(soft_suppress, sigma=s) for s in (0.5, 0.3, 0.2)},
    **{
        f"linear from {iou}": partial(soft_suppress, sigma=None, iou_threshold=iou)
        for iou in (0.5, 0.3)
    },
}


class Suppressed(nn.Module):
    """A detector's answers after one way of suppressing; the net itself runs once a batch."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.way: Suppress = WAYS["NMS at 0.5"]
        self._net, self._before, self._asked = net, list[tuple[Tensor, ...]](), 0

    def again(self, way: Suppress) -> None:
        """Begin with the first batch again, in another way."""
        self.way, self._asked = way, 0

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Boxes N x 100 x 4, scores N x 100, classes N x 100; scores of empty rows are -1."""
        if self._asked == len(self._before):
            self._net.detections = self._net.candidates
            self._before.append(self._net(images, 2.0))  # no IoU is above it
        found = [self._one(*rows) for rows in zip(*self._before[self._asked], strict=True)]
        self._asked += 1
        return tuple(torch.stack(part) for part in zip(*found, strict=True))

    def _one(self, boxes: Tensor, scores: Tensor, classes: Tensor) -> tuple[Tensor, ...]:
        left = [(boxes[:0], scores[:0], classes[:0])]
        for label in classes[scores > _LOWEST].unique():
            rows = (classes == label) & (scores > _LOWEST)
            kept, new = self.way(boxes[rows], scores[rows])
            left.append((boxes[rows][kept], new, classes[rows][kept]))
        boxes, scores, classes = (torch.cat(part) for part in zip(*left, strict=True))
        scores, order = scores.topk(min(_MOST, len(scores)))
        missing = _MOST - len(order)
        return (
            F.pad(boxes[order], (0, 0, 0, missing)),
            F.pad(scores, (0, missing), value=-1.0),
            F.pad(classes[order], (0, missing)),
        )


@torch.no_grad()
def compare(name: str, sets: Sequence[str]) -> dict[str, dict[str, float]]:
    """The figures of each way."""
    card = catalog.find(name)
    if card.weights is None or card.task != "detect":
        raise SystemExit(f"{name}: a shipped detector with its weights is needed")
    options = {k: v for k, v in card.net_options.items() if k != "num_classes"}
    entries = [_entry(given) for given in sets]
    recipe = recipe_from(
        {
            "task": "detect",
            "net": card.net,
            "net_options": options,
            "labels": list(card.labels),
            "input_size": list(card.input_size),
            "data": {"train": entries[:1], "val": entries},
            "steps": 1,
        }
    )
    group = Group(0, 1, torch.device("cpu"))
    job = make_job(recipe, Path(), group)
    net = build(card.net, **card.net_options)
    load_weights(net, card.weights)
    suppressed = Suppressed(move(net, group.device).eval())
    figures = {}
    for way, suppressing in WAYS.items():
        suppressed.again(suppressing)
        figures[way] = dict(job.evaluate(suppressed).figures)
    return figures


def _entry(given: str) -> dict[str, str]:
    path, _, split = given.partition(":")
    return {"path": path, "split": split or "val", "ignore": "others"}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("sets", nargs="+", metavar="FOLDER[:SPLIT]")
    given = parser.parse_args(arguments)
    figures = compare(given.model, given.sets)
    names = list(next(iter(figures.values())))
    print(f"| {given.model} | {' | '.join(names)} |")
    print(f"|{'---|' * (len(names) + 1)}")
    for way, found in figures.items():
        print(f"| {way} | {' | '.join(f'{100 * found[n]:.1f}' for n in names)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
