"""Training and evaluation of two-stage detectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from livevision.datasets.samples import BoxSample
from livevision.errors import UsageError, unknown
from livevision.nets.two_stage import TwoStageDetector
from livevision.scoring.average_precision import Found, check_installed, score_boxes
from livevision.scoring.confusion import mean_of_known
from livevision.scoring.matching import Matches
from livevision.training.batches import batch_number, size_of_step, views_random
from livevision.training.detection_losses import (
    first_stage_loss,
    second_stage_loss,
    unknown_boxes,
)
from livevision.training.detection_views import ViewOfBoxes, clip_boxes, move_boxes, tiles
from livevision.training.distillation import answers_loss, maps_loss
from livevision.training.drawings import draw_boxes
from livevision.training.marks import Marks
from livevision.training.material import Material, name_of
from livevision.training.processes import Group
from livevision.training.recipe import DetectOptions, Recipe
from livevision.training.scores import Scores
from livevision.training.teachers import load_teacher
from livevision.training.views import Colouring, Views, colours, normalised, whole


class Objects(NamedTuple):
    """What a view shows."""

    boxes: npt.NDArray[np.float32]  # x1 y1 x2 y2 in pixels
    shares: npt.NDArray[np.float32]  # of the classes, N x classes, each row adding up to 1
    crowds: npt.NDArray[np.float32]  # boxes in which nobody knows what is an object


_SHOWN = 0.3  # least score of a box that is drawn


class Batch(NamedTuple):
    """What a step learns from; objects are padded with empty boxes to one number."""

    number: int  # of the batch, counted over all processes
    images: Tensor  # as nets take them
    boxes: Tensor  # N x G x 4 in pixels
    shares: Tensor  # float32 N x G x classes, of the classes; 0 in padding
    crowds: Tensor  # N x K x 4: what lies in them is neither object nor background
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
        self.tile_view = ViewOfBoxes(1.0, self.options.smallest_crop)  # tiles are small enough
        self.colouring = Colouring(self.options.jitter, self.options.hue)
        self.sizes = self.options.sizes or [recipe.input_size]
        self.propose: Callable[..., Tensor] = TwoStageDetector.propose
        self._teacher: TwoStageDetector | None = None
        if self.options.teacher is not None:
            teacher = load_teacher(self.options.teacher, len(self.labels), group.device)
            if not isinstance(teacher, TwoStageDetector):
                raise UsageError(f"teacher.net {self.options.teacher.net!r} is no detector")
            self._teacher = teacher

    def about(self) -> list[str]:
        """Lines that say what is trained on."""
        return self.material.about()

    def pictures_per_epoch(self) -> int:
        """How many pictures an epoch looks at."""
        return len(self.material.epoch)

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        recipe, most = self.recipe, self.options.most_objects
        number = batch_number(step, self.group)
        random = views_random(recipe.seed, number)
        size = self.sizes[size_of_step(recipe.seed, step, len(self.sizes))]
        indices = self.material.indices(step)
        images, objects = self._shown(indices, size, self.view, random)
        if self.options.mosaic:
            self._lay_mosaics(images, objects, indices, size, random)
        device = self.group.device
        most_crowds = max(1, *(len(shown.crowds) for shown in objects))
        return Batch(
            number,
            normalised(self.colouring(images, random)),
            _padded([shown.boxes for shown in objects], most).to(device),
            _padded([shown.shares for shown in objects], most).to(device),
            _padded([shown.crowds for shown in objects], most_crowds).to(device),
            self.marks.of(indices),
        )

    def _shown(
        self,
        indices: Sequence[int],
        size: tuple[int, int],
        view: ViewOfBoxes,
        random: np.random.Generator,
    ) -> tuple[Tensor, list[Objects]]:
        """A random view of each picture, N x 3 x H x W of 0..255, and its objects in that view."""
        pictures, sizes = self.material.pictures.batch(indices)
        rectangles, objects = np.zeros((len(indices), 4)), []
        flips = random.random(len(indices)) < 0.5
        for n, index in enumerate(indices):
            sample = cast(BoxSample, self.material.pictures.samples[index])
            single = ~sample.crowd
            theirs = sample.boxes[single]
            width, height = sizes[n]
            rectangles[n] = view(width, height, theirs, random)
            flip = bool(flips[n])
            moved, shown = move_boxes(theirs, rectangles[n], flip, size)
            crowds = clip_boxes(sample.boxes[sample.crowd], rectangles[n], flip, size)
            objects.append(Objects(moved, self._shares(sample)[single][shown], crowds))
        grid = Views(rectangles, flips, size).grid(pictures)
        return colours(pictures, grid), objects

    def _shares(self, sample: BoxSample) -> npt.NDArray[np.float32]:
        """The classes' shares of a picture's boxes, N x classes."""
        if sample.shares is not None:
            return sample.shares
        return np.eye(len(self.labels), dtype=np.float32)[sample.classes]

    def _lay_mosaics(
        self,
        images: Tensor,
        objects: list[Objects],
        indices: Sequence[int],
        size: tuple[int, int],
        random: np.random.Generator,
    ) -> None:
        """Put mosaics in the place of some of a batch's views, each of one data set's pictures.

        A mosaic's first tile shows the picture whose place it takes. All of a batch are split at
        one point, so that a tile is one `grid_sample` for all of them.
        """
        chosen = np.flatnonzero(random.random(len(indices)) < self.options.mosaic).tolist()
        if not chosen:
            return
        laid: list[list[Objects]] = [[] for _ in chosen]
        for number, (x1, y1, x2, y2) in enumerate(tiles(size, random)):
            theirs = [indices[n] for n in chosen]
            if number:
                theirs = [self.material.beside(index, random) for index in theirs]
            parts, found = self._shown(theirs, (x2 - x1, y2 - y1), self.tile_view, random)
            images[chosen, :, y1:y2, x1:x2] = parts
            corner = np.array((x1, y1, x1, y1), np.float32)
            for mine, shown in zip(laid, found, strict=True):
                mine.append(Objects(shown.boxes + corner, shown.shares, shown.crowds + corner))
        for n, mine in zip(chosen, laid, strict=True):
            objects[n] = Objects(*map(np.concatenate, zip(*mine, strict=True)))

    def compiled(self, net: nn.Module) -> nn.Module:
        """The net with its two stages compiled; what lies between them has no gradient."""
        detector = cast(Any, net)
        detector.features = torch.compile(detector.features)
        detector.second_stage = torch.compile(detector.second_stage)
        self.propose = torch.compile(TwoStageDetector.propose)
        return net

    def loss(self, net: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """The losses of both stages; the second also sees the objects themselves as proposals.

        A teacher's answers know no unmarked classes: its classes are learned on every data set.
        """
        detector = cast(TwoStageDetector, net)
        size = (int(batch.images.shape[2]), int(batch.images.shape[3]))
        maps, objectness, codes = detector.features(batch.images)
        anchors = detector.anchors(maps)
        random = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + batch.number)
        # The padding in which a batch has no object at all would cost time in matching.
        most = max(1, int((batch.boxes[..., 2] > batch.boxes[..., 0]).sum(1).max()))
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

        A teacher whose maps have another shape, as those of another kind, teaches classes alone.
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
        """As many proposals as training looks at, which is another number than in use."""
        kept = net.pre_nms, net.proposals
        net.pre_nms, net.proposals = self.options.pre_nms, self.options.proposals
        boxes: Tensor = self.propose(net, objectness.float(), codes.float(), anchors, size)
        net.pre_nms, net.proposals = kept
        return boxes

    @torch.no_grad()
    def evaluate(self, net: nn.Module) -> Scores:
        """AP50, that of the highlighted classes, and AP.

        Each val set is scored on the classes that it marks; a class's score is its mean over the
        sets where it occurs, and so are the figures.
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
        """What the net finds in validation pictures, in their own pixels."""
        pictures, sizes = self.material.val_pictures.batch(indices)
        views = whole(sizes, self.recipe.input_size)
        grid = views.grid(pictures)
        outputs = (o.cpu().numpy() for o in net(normalised(colours(pictures, grid))))
        answers = []
        for size, boxes, scores, classes in zip(sizes, *outputs, strict=True):
            scale = np.tile(size / np.array(self.recipe.input_size), 2).astype(np.float32)
            kept = scores > 0
            answers.append(Found(boxes[kept] * scale, scores[kept], classes[kept]))
        return answers

    @torch.no_grad()
    def draw(self, net: nn.Module, folder: Path) -> None:
        """Draw the boxes found on pictures of the validation split."""
        net.eval()
        for index in self.material.drawn():
            (found,) = self._answers(net, [index])
            pictures, _ = self.material.val_pictures.batch([index])
            kept = found.scores >= _SHOWN
            draw_boxes(
                folder / f"{index:05}.jpg",
                pictures[0].cpu().numpy(),
                found.boxes[kept],
                found.classes[kept],
                found.scores[kept],
                self.labels,
            )


def _padded(parts: list[npt.NDArray[np.float32]], most: int) -> Tensor:
    """Arrays of K x anything, K at most `most`, as one tensor with zeros behind them."""
    together = np.zeros((len(parts), most, *parts[0].shape[1:]), np.float32)
    for row, part in zip(together, parts, strict=True):
        row[: len(part)] = part[:most]
    return torch.from_numpy(together)


def _only(found: Found, marked: frozenset[int]) -> Found:
    """What was found of the classes that a data set marks."""
    kept = np.isin(found.classes, sorted(marked))
    return Found(found.boxes[kept], found.scores[kept], found.classes[kept])


def _over_sets(parts: list[np.ndarray]) -> np.ndarray:
    """Mean over the sets in which a class occurs; NaN for one that occurs in none."""
    stacked = np.stack(parts)
    count = (~np.isnan(stacked)).sum(0)
    return np.where(count > 0, np.nansum(stacked, 0) / np.maximum(count, 1), np.nan)
