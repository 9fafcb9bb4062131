"""Training and evaluation of two-stage detectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from livevision.datasets.samples import BoxSample
from livevision.errors import UsageError, unknown
from livevision.nets.two_stage import TwoStageDetector
from livevision.scoring.average_precision import Found, check_installed, score_boxes
from livevision.scoring.confusion import mean_of_known
from livevision.scoring.matching import Matches
from livevision.training.batches import batch_number, size_of_step, views_random
from livevision.training.compiling import compiled
from livevision.training.detection_losses import (
    first_stage_loss,
    second_stage_loss,
    unknown_boxes,
)
from livevision.training.detection_views import ViewOfBoxes, seen, tiles
from livevision.training.distillation import answers_loss, maps_loss
from livevision.training.drawings import draw_boxes
from livevision.training.marks import Marks
from livevision.training.material import Material, name_of
from livevision.training.objects import Objects, ObjectTable, exists, side_by_side, stacked
from livevision.training.pasting import Pasting
from livevision.training.processes import Group
from livevision.training.ragged import on_device
from livevision.training.recipe import DetectOptions, Recipe
from livevision.training.scores import Scores
from livevision.training.teachers import load_teacher
from livevision.training.views import Colouring, colours, normalised, whole

_SHOWN = 0.3  # minimum score of a box that is drawn


class Batch(NamedTuple):
    """The data of a step; objects are padded with empty boxes to one number."""

    number: int  # of the batch, counted over all processes
    images: Tensor  # as the net's input
    boxes: Tensor  # N x G x 4 in pixels
    shares: Tensor  # float32 N x G x classes, soft labels; 0 in padding
    crowds: Tensor  # N x K x 4: regions that are neither object nor background
    marked: Tensor | None  # bool N x classes


class DetectionJob:
    """Batches, losses and scores of a detector; its options are `recipe.DetectOptions`."""

    def __init__(self, recipe: Recipe, data: Path, group: Group) -> None:
        check_installed()
        self.recipe, self.group = recipe, group
        self.options = cast(DetectOptions, recipe.task_options)
        self.material = Material(recipe, data, group)
        self.labels = self.material.labels
        for name in self.options.highlight:
            if name not in self.labels:
                raise UsageError(f"task_options.highlight: {unknown('class', name, self.labels)}")
        self.material.repeat_rare(self.options.repeat_rare)
        self.marks = Marks(self.material.train, len(self.labels), group.device)
        self.view = ViewOfBoxes(self.options.zoom_out, self.options.smallest_crop)
        self.tile_view = ViewOfBoxes(1.0, self.options.smallest_crop)  # tiles are not extended
        self.colouring = Colouring(self.options.jitter, self.options.hue)
        self.pasting: Pasting | None = None
        if self.options.paste is not None:
            self.pasting = Pasting(
                self.options.paste, self.material.train, self.labels, data, group.device
            )
        self.sizes = self.options.sizes or [recipe.input_size]
        self.propose: Callable[..., Tensor] = TwoStageDetector.propose
        self._teacher: TwoStageDetector | None = None
        if self.options.teacher is not None:
            teacher = load_teacher(self.options.teacher, len(self.labels), group.device)
            if not isinstance(teacher, TwoStageDetector):
                raise UsageError(f"teacher.net {self.options.teacher.net!r} is no detector")
            self._teacher = teacher

    def about(self) -> list[str]:
        """Lines that describe the training data."""
        pasting = [str(self.pasting)] if self.pasting is not None else []
        return self.material.about() + pasting

    def pictures_per_epoch(self) -> int:
        """Pictures in an epoch."""
        return len(self.material.epoch)

    @cached_property
    def objects(self) -> ObjectTable:
        """The boxes of the training pictures."""
        samples = cast(list[BoxSample], self.material.pictures.samples)
        return ObjectTable(samples, len(self.labels), self.group.device)

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        recipe = self.recipe
        number = batch_number(step, self.group)
        random = views_random(recipe.seed, number)
        size = self.sizes[size_of_step(recipe.seed, step, len(self.sizes))]
        indices = self.material.indices(step)
        images, objects = self._laid(indices, size, random)
        if self.pasting is not None:
            sets = [self.material.set_of(index) for index in indices]
            objects = self.pasting(images, objects, sets, random).first(self.options.most_objects)
        images = normalised(self.colouring(images, random))
        return Batch(number, images, *objects, self.marks.of(indices))

    def _laid(
        self, indices: Sequence[int], size: tuple[int, int], random: np.random.Generator
    ) -> tuple[Tensor, Objects]:
        """Views and mosaics, N x 3 x H x W of 0..255, and their objects."""
        most = self.options.most_objects
        is_mosaic = random.random(len(indices)) < self.options.mosaic
        images = torch.empty(
            (len(indices), 3, size[1], size[0]),
            device=self.group.device,
            memory_format=torch.channels_last,
        )
        parts = []
        for rows, lay in ((~is_mosaic, self._views), (is_mosaic, self._mosaics)):
            places = np.flatnonzero(rows)
            if len(places):
                shown, objects = lay([indices[int(n)] for n in places], size, random)
                images[on_device(places, images.device)] = shown
                parts.append((places.tolist(), objects.first(most)))
        return images, stacked(parts, len(indices))

    def _views(
        self,
        indices: Sequence[int],
        size: tuple[int, int],
        random: np.random.Generator,
        draw: ViewOfBoxes | None = None,
    ) -> tuple[Tensor, Objects]:
        """A random view of each picture, and its objects."""
        pictures, objects = self.material.pictures.some(indices), self.objects.of(indices)
        views = (draw or self.view)(pictures.sizes, objects.boxes, size, random)
        return colours(pictures, views), seen(objects, views)

    def _mosaics(
        self, indices: Sequence[int], size: tuple[int, int], random: np.random.Generator
    ) -> tuple[Tensor, Objects]:
        """Mosaics of four pictures of one data set; the first tile of each is the picture itself.

        All mosaics of a batch are split at the same point, so that a tile is one call for all.
        """
        images = torch.empty(len(indices), 3, size[1], size[0], device=self.group.device)
        parts = []
        for number, (x1, y1, x2, y2) in enumerate(tiles(size, random)):
            theirs = [self.material.beside(i, random) for i in indices] if number else indices
            shown, found = self._views(theirs, (x2 - x1, y2 - y1), random, self.tile_view)
            images[:, :, y1:y2, x1:x2] = shown
            corner = on_device(np.array((x1, y1, x1, y1), np.float32), found.boxes.device)
            boxes, crowds = (
                (part + corner) * exists(part)[..., None] for part in (found.boxes, found.crowds)
            )
            parts.append(Objects(boxes, found.shares, crowds))
        return images, side_by_side(parts)

    def compiled(self, net: nn.Module) -> nn.Module:
        """The net with its two stages compiled; what is between them has no gradient."""
        detector = cast(Any, net)
        device = self.group.device
        detector.features = compiled(detector.features, device)
        detector.second_stage = compiled(detector.second_stage, device)
        self.propose = compiled(TwoStageDetector.propose, device)
        return net

    def loss(self, net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The losses of both stages; the second also gets the objects themselves as proposals.

        A teacher's outputs have no unmarked classes: they are learned on every data set.
        """
        detector = cast(TwoStageDetector, net)
        size = (int(batch.images.shape[2]), int(batch.images.shape[3]))
        maps, objectness, codes = detector.features(batch.images)
        anchors = detector.anchors(maps)
        device = batch.boxes.device
        random = torch.Generator(device).manual_seed(self.recipe.seed * 1_000_003 + batch.number)
        most = batch.boxes.shape[1]
        if device.type == "cpu":
            # Trimming padding that no picture needs saves time in matching. On a GPU finding out
            # would mean waiting for it.
            most = max(1, int(exists(batch.boxes).sum(1).max()))
        truth = batch.boxes[:, :most]
        inside = None if self.options.border_anchors else size
        object_loss, anchor_loss = first_stage_loss(
            objectness, codes, anchors, truth, random, inside, batch.crowds
        )
        with torch.no_grad():
            proposals = self._proposals(detector, objectness, codes, anchors, size)
        proposals = torch.cat((batch.boxes, proposals), 1)
        valid = proposals[..., 2] > proposals[..., 0]
        known = valid & ~unknown_boxes(proposals, truth, batch.crowds)
        logits, codes = detector.second_stage(maps, proposals)
        class_loss, box_loss = second_stage_loss(
            logits,
            codes,
            proposals,
            known,
            truth,
            batch.shares[:, :most],
            self.options.hardest,
            batch.marked,
            self.options.sampled,
            random,
        )
        losses = {
            "object": object_loss,
            "anchor": anchor_loss,
            "class": class_loss,
            "box": box_loss,
        }
        return losses | self._taught(batch.images, maps, proposals, valid, logits)

    def _taught(
        self, images: Tensor, maps: Tensor, proposals: Tensor, valid: Tensor, logits: Tensor
    ) -> dict[str, Tensor]:
        """The losses for the teacher's maps and for its classes of the same proposals.

        If the teacher's maps have another shape, only classes are learned.
        """
        settings, teacher = self.options.teacher, self._teacher
        if settings is None or teacher is None:
            return {}
        with torch.no_grad():
            their_maps = teacher.features(images)[0]
            theirs = teacher.second_stage(their_maps, proposals)[0]
        answers = answers_loss(logits[valid], theirs[valid], settings.temperature)
        losses = {"teacher_classes": settings.weight * answers}
        if settings.maps and their_maps.shape == maps.shape:
            losses["teacher_maps"] = settings.weight * maps_loss(maps, their_maps)
        return losses

    def _proposals(
        self,
        net: TwoStageDetector,
        objectness: Tensor,
        codes: Tensor,
        anchors: Tensor,
        size: tuple[int, int],
    ) -> Tensor:
        """The proposals for training, a different number than in inference."""
        kept = net.pre_nms, net.proposals
        net.pre_nms, net.proposals = self.options.pre_nms, self.options.proposals
        boxes: Tensor = self.propose(net, objectness.float(), codes.float(), anchors, size)
        net.pre_nms, net.proposals = kept
        return boxes

    @torch.no_grad()
    def evaluate(self, net: nn.Module) -> Scores:
        """AP50, that of the highlighted classes, and AP.

        Each val set is scored on the classes that it marks; a class's score is its mean over the
        sets where it occurs.
        """
        net.eval()
        found = [
            f for indices in self.material.val_batches(16) for f in self._answers(net, indices)
        ]
        matches = Matches(len(self.labels))
        first, parts, figures = 0, [], {}
        for entry, data_set in zip(self.recipe.data.val, self.material.val, strict=True):
            samples = cast(list[BoxSample], list(data_set.samples))
            mine = [_only(f, data_set.marked) for f in found[first : first + len(samples)]]
            first += len(samples)
            parts.append(score_boxes(samples, mine, self.labels))
            for sample, answer in zip(samples, mine, strict=True):
                matches.add(sample, answer)
            if len(self.material.val) > 1:
                figures[f"AP50 {name_of(entry)}"] = mean_of_known(parts[-1].ap50)
        ap50 = _over_sets([p.ap50 for p in parts])
        figures["AP50"] = mean_of_known(np.array([mean_of_known(p.ap50) for p in parts]))
        figures["AP"] = mean_of_known(np.array([mean_of_known(p.ap) for p in parts]))
        if self.options.highlight:
            chosen = [self.labels.index(name) for name in self.options.highlight]
            figures["AP50_highlight"] = mean_of_known(ap50[chosen])
        precision = _over_sets([p.precision for p in parts])
        scored_on = self.material.scored_on()
        return Scores("AP50", figures, "AP50", ap50, scored_on, matches.confusion, precision)

    def _answers(self, net: nn.Module, indices: list[int]) -> list[Found]:
        """Detections in validation pictures, in their own pixels."""
        pictures = self.material.val_pictures.some(indices)
        images = colours(pictures, whole(pictures, self.recipe.input_size))
        outputs = (o.cpu().numpy() for o in net(normalised(images)))
        answers = []
        for size, boxes, scores, classes in zip(pictures.sizes, *outputs, strict=True):
            scale = np.tile(size / np.array(self.recipe.input_size), 2).astype(np.float32)
            kept = scores > 0
            answers.append(Found(boxes[kept] * scale, scores[kept], classes[kept]))
        return answers

    @torch.no_grad()
    def draw(self, net: nn.Module, folder: Path) -> None:
        """Draw detections on validation pictures."""
        net.eval()
        for index in self.material.drawn():
            (found,) = self._answers(net, [index])
            (picture,) = self.material.val_pictures.some([index])
            kept = found.scores >= _SHOWN
            draw_boxes(
                folder / f"{index:05}.jpg",
                picture.cpu().numpy(),
                found.boxes[kept],
                found.classes[kept],
                found.scores[kept],
                self.labels,
            )


def _only(found: Found, marked: frozenset[int]) -> Found:
    """The detections of classes that a data set marks."""
    kept = np.isin(found.classes, sorted(marked))
    return Found(found.boxes[kept], found.scores[kept], found.classes[kept])


def _over_sets(parts: list[np.ndarray]) -> np.ndarray:
    """Mean over the sets in which a class occurs; NaN if it occurs in none."""
    stacked = np.stack(parts)
    count = (~np.isnan(stacked)).sum(0)
    return np.where(count > 0, np.nansum(stacked, 0) / np.maximum(count, 1), np.nan)
