"""Training and evaluation of two-stage detectors."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from livevision.nets.thundernet import ThunderNet
from livevision.scoring.average_precision import Found, average_precision
from livevision.training.batches import indices_of, normalise
from livevision.training.detection_data import Augmentation, Sample, read_coco
from livevision.training.detection_losses import first_stage_loss, second_stage_loss
from livevision.training.recipe import Recipe


class Batch(NamedTuple):
    """Images as nets take them, and their objects, padded with empty boxes to one number."""

    step: int
    images: Tensor
    boxes: Tensor  # N x G x 4 in pixels
    classes: Tensor  # int64 N x G, 0 in padding


class DetectionJob:
    """Batches, loss and score of ThunderNet.

    Options (`task_options` of the recipe): `train` and `val`, lists of [folder under the data
    folder, split]; `classes`, their names; `size`, side of the square input; `zoom_out`,
    `smallest_crop`, `jitter` (see `Augmentation`); `proposals` and `pre_nms` in training;
    `most_objects` of an image; `hardest` proposals an image that the second stage learns from;
    `highlight`, classes whose mean AP is reported on its own.
    """

    def __init__(self, recipe: Recipe, data: Path) -> None:
        options = recipe.task_options
        self.recipe = recipe
        self.classes: list[str] = options["classes"]
        self.highlight: list[str] = options.get("highlight", self.classes)
        self.size = int(options.get("size", 320))
        self.data = data
        self.augment = Augmentation(
            self.size,
            float(options.get("zoom_out", 3.0)),
            float(options.get("smallest_crop", 0.3)),
            float(options.get("jitter", 0.4)),
        )
        self.proposals = int(options.get("proposals", 168))
        self.pre_nms = int(options.get("pre_nms", 600))
        self.most_objects = int(options.get("most_objects", 32))
        self.hardest = int(options.get("hardest", 64))
        self.propose: Any = ThunderNet.propose

    # Read on first use, so that an evaluation does not wait for the training pictures.
    @cached_property
    def train(self) -> list[Sample]:
        """The training pictures."""
        return _read(self.recipe.task_options["train"], self.data, self.classes)

    @cached_property
    def val(self) -> list[Sample]:
        """The pictures that scores are taken on."""
        return _read(self.recipe.task_options["val"], self.data, self.classes)

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        recipe = self.recipe
        random = np.random.default_rng((recipe.seed, 1, step))
        boxes = torch.zeros(recipe.batch_size, self.most_objects, 4)
        classes = torch.zeros(recipe.batch_size, self.most_objects, dtype=torch.int64)
        images = []
        for n, i in enumerate(indices_of(step, recipe.batch_size, len(self.train), recipe.seed)):
            sample = self.augment(self.train[i], random)
            count = min(self.most_objects, len(sample.boxes))
            boxes[n, :count] = torch.from_numpy(sample.boxes[:count])
            classes[n, :count] = torch.from_numpy(sample.classes[:count])
            images.append(sample.image)
        return Batch(step, normalise(np.stack(images)), boxes, classes)

    def compiled(self, net: nn.Module) -> nn.Module:
        """The net with its two stages compiled; what lies between them has no gradient."""
        detector = cast(Any, net)
        detector.features = torch.compile(detector.features)
        detector.second_stage = torch.compile(detector.second_stage)
        self.propose = torch.compile(ThunderNet.propose)
        return net

    def loss(self, net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The losses of both stages; the second also sees the objects themselves as proposals."""
        detector = cast(ThunderNet, net)
        maps, objectness, codes = detector.features(batch.images)
        anchors = detector.anchors(maps)
        random = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + batch.step)
        # The padding in which a batch has no object at all would cost time in matching.
        most = max(1, int((batch.boxes[..., 2] > batch.boxes[..., 0]).sum(1).max()))
        truth = batch.boxes[:, :most]
        object_loss, anchor_loss = first_stage_loss(objectness, codes, anchors, truth, random)

        with torch.no_grad():
            proposals = self._proposals(detector, objectness, codes, anchors)
        proposals = torch.cat((batch.boxes, proposals), 1)
        valid = proposals[..., 2] > proposals[..., 0]
        logits, codes = detector.second_stage(maps, proposals)
        class_loss, box_loss = second_stage_loss(
            logits, codes, proposals, valid, truth, batch.classes[:, :most], self.hardest
        )
        return {
            "object": object_loss,
            "anchor": anchor_loss,
            "class": class_loss,
            "box": box_loss,
        }

    def _proposals(
        self, net: ThunderNet, objectness: Tensor, codes: Tensor, anchors: Tensor
    ) -> Tensor:
        kept = net.pre_nms, net.proposals
        net.pre_nms, net.proposals = self.pre_nms, self.proposals
        size = (self.size, self.size)
        boxes: Tensor = self.propose(net, objectness.float(), codes.float(), anchors, size)
        net.pre_nms, net.proposals = kept
        return boxes

    def evaluate(self, net: nn.Module) -> dict[str, float]:
        """AP50 ("score"), that of the highlighted classes, AP, and the AP50 of each class."""
        return evaluate(net, self.val, self.size, self.classes, self.highlight)


def _read(folders: list[list[str]], data: Path, classes: list[str]) -> list[Sample]:
    return [s for folder, split in folders for s in read_coco(data / folder, split, classes)]


@torch.no_grad()
def evaluate(
    net: nn.Module, samples: list[Sample], size: int, classes: list[str], highlight: list[str]
) -> dict[str, float]:
    """Score a detector on pictures stretched to a square."""
    net.eval()
    found = []
    for begin in range(0, len(samples), 8):
        part = samples[begin : begin + 8]
        squares = [cv2.resize(s.image, (size, size)) for s in part]
        outputs = net(normalise(np.stack(squares).astype(np.uint8)))
        for sample, boxes, scores, labels in zip(part, *outputs, strict=True):
            height, width = sample.image.shape[:2]
            kept = scores > 0
            scale = torch.tensor([width, height, width, height]) / size
            found.append(
                Found((boxes[kept] * scale).numpy(), scores[kept].numpy(), labels[kept].numpy())
            )
    ap50, ap = average_precision(samples, found, classes)
    by_class = dict(zip(classes, ap50.tolist(), strict=True))
    return {
        "score": float(np.nanmean(ap50)),
        "AP50_highlight": float(np.nanmean([by_class[name] for name in highlight])),
        "AP": float(np.nanmean(ap)),
    } | by_class
