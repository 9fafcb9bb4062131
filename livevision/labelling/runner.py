"""Runs a model on pictures one by one and writes a data set.

A picture is copied, then its labels are added to the journal; the files of the chosen format are
written at the end, from the journal alone. A killed run therefore continues where it was, and gives
the same data set.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from livevision.errors import DataError, OutputError, SourceError, UsageError
from livevision.frame import Image
from livevision.inference.detect import class_ids
from livevision.labelling.contact_sheet import write_sheet
from livevision.labelling.formats import DEFAULTS, Format, format_of
from livevision.labelling.formats.masks import (
    logits_file,
    mask_file,
    write_logits,
    write_mask,
)
from livevision.labelling.journal import Journal
from livevision.labelling.passes import Passes
from livevision.labelling.record import Box, Record, put
from livevision.labelling.shots import Shot, Shots, free_name

if TYPE_CHECKING:
    from livevision.models.model import Model

_log = logging.getLogger(__name__)

SHEET = "contact_sheet.png"
_QUALITY = 95  # of JPEGs of video frames
_TOLD = 5  # broken pictures


@dataclass(frozen=True)
class Wishes:
    """How to label pictures.

    Attributes:
        form: A name of `formats.FORMATS`; empty for the task's default.
        conf: Minimum score of an object, 0..1.
        unsure: Minimum score of boxes below `conf` that become uncertain regions; None drops them.
        flip: Add a pass over the mirrored picture.
        soft: Keep the scores of other classes, for each box or each position in a picture.
        classes: Names or numbers of the classes to label; empty for all of the model's.
        every: Label every Nth frame of a video.
        link: Hard-link pictures if the disk allows it, instead of copying them.
    """

    form: str = ""
    conf: float = 0.25
    unsure: float | None = None
    flip: bool = False
    soft: bool = False
    classes: tuple[str, ...] = ()
    every: int = 10
    link: bool = False


@dataclass(frozen=True)
class Labelled:
    """The result of a run.

    Attributes:
        pictures: Pictures in the data set.
        before: Those labelled by earlier runs.
        objects: Total objects; 0 for class maps.
        form: The format of the labels.
    """

    pictures: int
    before: int
    objects: int
    form: str


def label(
    models: Sequence[Model],
    source: str,
    output: Path,
    wishes: Wishes,
    progress: bool | None = None,
) -> Labelled:
    """Label the pictures of a source, or continue an interrupted run.

    Args:
        models: One model for each of the input sizes.
        source: A folder, a file or a glob of pictures or videos.
        output: Folder of the data set.
        wishes: The settings.
        progress: Show a bar on standard error: True, False, or None for only on a terminal.

    Raises:
        UsageError: The settings do not fit the model or the unfinished data set.
        SourceError: There is no picture; or, once all others are labelled, some are broken.
        ModelError: The model cannot be loaded.
        OutputError: The folder cannot be written to.
    """
    model, form = models[0], wishes.form or DEFAULTS.get(models[0].task, "")
    _check(model, form, wishes)
    writer = format_of(form)
    numbers = list(range(len(model.labels)))
    if wishes.classes:
        numbers = sorted(set(class_ids(wishes.classes, model.labels)))
    shots = Shots(source, wishes.every, output)
    for opened in models:
        opened.open()
    run = _Run(models, output, wishes, writer, form, numbers)
    try:
        journal = Journal(output, _settings(models, source, wishes, form, numbers), run.is_whole)
        try:
            before = len(journal.records)
            order, broken = run.go(shots, journal, progress)
        finally:
            journal.close()
            run.close()
        # Pictures that were done again, or are no longer in the source, come last.
        keys = dict.fromkeys((*order, *journal.records))
        records = [journal.records[key] for key in keys]
        run.finish(records)
    except OSError as error:
        raise OutputError(f"{error.filename or output}: {error.strerror}") from error
    if broken:
        more = f"; and {len(broken) - _TOLD} more" if len(broken) > _TOLD else ""
        raise SourceError(
            f"{len(broken)} pictures of {source} were left out, as they cannot be read: "
            f"{'; '.join(broken[:_TOLD])}{more}; the others are labelled"
        )
    return Labelled(len(records), before, sum(len(r.objects) for r in records), form)


class _Run:
    """The steps of a run on one data set."""

    def __init__(
        self,
        models: Sequence[Model],
        folder: Path,
        wishes: Wishes,
        writer: Format,
        form: str,
        numbers: Sequence[int],
    ) -> None:
        self._folder, self._wishes, self._writer, self._form = folder, wishes, writer, form
        self._passes = Passes(models, wishes.flip, wishes.soft)
        self._numbers = list(numbers)
        # A data set only names classes that were looked for, so that others do not seem absent.
        whole = form == "masks"
        self._labels = [n for i, n in enumerate(models[0].labels) if whole or i in self._numbers]

    def is_whole(self, record: Record) -> bool:
        """Whether all files of a picture exist."""
        files = [self._picture(record)]
        if self._form == "masks":
            files.append(mask_file(self._folder, record))
            if self._wishes.soft:
                files.append(logits_file(self._folder, record))
        return all(file.is_file() for file in files)

    def close(self) -> None:
        """Let go of what was opened beside the models."""
        self._passes.close()

    def go(
        self, shots: Shots, journal: Journal, progress: bool | None
    ) -> tuple[list[str], list[str]]:
        """Label the remaining pictures.

        Returns:
            The keys of all pictures in the source's order, and the errors of skipped ones.
        """
        from tqdm import tqdm

        taken = {record.stem.lower() for record in journal.records.values()}
        order: list[str] = []
        broken: list[str] = []
        hidden = None if progress is None else not progress
        with tqdm(total=shots.total, unit="picture", disable=hidden) as bar:
            for shot in shots:
                if bar.total != shots.total:
                    bar.total = shots.total
                bar.update()
                if shot.key in journal.records:
                    order.append(shot.key)
                    continue
                try:
                    image = shot.read()
                except DataError as error:
                    broken.append(str(error))
                    _log.warning("%s", error)
                    continue
                stem = free_name(shot.stem, taken)
                taken.add(stem.lower())
                journal.add(self._label(shot, image, stem))
                order.append(shot.key)
        if not journal.records:
            raise SourceError(f"none of the pictures can be read: {'; '.join(broken[:_TOLD])}")
        return order, broken

    def finish(self, records: Sequence[Record]) -> None:
        """Write the labels in their format, and the contact sheet."""
        self._writer.write(self._folder, self._labels, records)
        pictures = {record.key: self._picture(record) for record in records}
        masks = {record.key: mask_file(self._folder, record) for record in records}
        sheet = self._folder / SHEET
        write_sheet(sheet, self._labels, records, pictures, masks if self._form == "masks" else {})

    def _picture(self, record: Record) -> Path:
        return self._folder / self._writer.PICTURES / record.file

    def _label(self, shot: Shot, image: Image, stem: str) -> Record:
        suffix = shot.path.suffix.lower() if shot.path else ".jpg"
        height, width = image.shape[:2]
        record = Record(shot.key, f"{stem}{suffix}", width, height)
        if self._form == "masks":
            write_mask(self._folder, record, self._passes.class_map(image))
            if self._wishes.soft:
                write_logits(self._folder, record, self._passes.logits(image))
        else:
            record = Record(shot.key, record.file, width, height, self._boxes(image))
        _lay(shot, image, self._picture(record), self._wishes.link)
        return record

    def _boxes(self, image: Image) -> tuple[Box, ...]:
        wishes = self._wishes
        lowest = wishes.conf if wishes.unsure is None else wishes.unsure
        found, scores = self._passes.boxes(image, lowest, self._numbers, wishes.soft)
        place = {number: n for n, number in enumerate(self._numbers)}
        boxes = []
        for corners, score, class_id, row in zip(*found, scores, strict=True):
            x1, y1, x2, y2 = (round(float(v), 2) for v in corners)
            if x1 >= x2 or y1 >= y2:
                continue
            sure = bool(score >= wishes.conf)
            others = {place[int(c)]: _rounded(row[c]) for c in np.flatnonzero(row)}
            soft = others if wishes.soft and sure else {}
            mine = place[int(class_id)]
            boxes.append(Box((x1, y1, x2, y2), mine, _rounded(score), soft, sure))
        return tuple(boxes)


def _rounded(score: Any) -> float:
    return round(float(score), 4)


def _lay(shot: Shot, image: Image, target: Path, link: bool) -> None:
    """Put a picture in the data set: its own file, or a JPEG of a video frame."""
    if shot.path is None:
        quality = (cv2.IMWRITE_JPEG_QUALITY, _QUALITY)
        put(target, cv2.imencode(".jpg", image, quality)[1].tobytes())
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    begun = target.with_name(f"{target.name}.part")
    begun.unlink(missing_ok=True)
    if link:
        try:
            os.link(shot.path.resolve(), begun)
        except OSError:  # another disk, or one without hard links
            link = False
    if not link:
        shutil.copyfile(shot.path, begun)
    begun.replace(target)


def _check(model: Model, form: str, wishes: Wishes) -> None:
    """Check that settings, model and format are compatible."""
    if model.task not in DEFAULTS:
        raise UsageError(
            f"model {model.name} classifies whole pictures; label needs a detector or a segmenter"
        )
    kind = format_of(form).KIND
    if kind != model.task:
        what = {"detect": "boxes", "segment": "class maps"}
        raise UsageError(
            f"--format {form} holds {what[kind]}, and model {model.name} gives {what[model.task]}"
        )
    if not 0 <= wishes.conf <= 1:
        raise UsageError(f"conf is {wishes.conf}; it takes a number from 0 to 1")
    if wishes.every < 1:
        raise UsageError(f"every is {wishes.every}; it takes a whole number of 1 or more")
    if wishes.soft and form not in ("coco", "masks"):
        raise UsageError(f"--soft is for --format coco and masks; {form} has no place for it")
    if wishes.unsure is not None and form != "coco":
        raise UsageError(f"--unsure is for --format coco; {form} has no place for it")
    if wishes.unsure is not None and not 0 < wishes.unsure < wishes.conf:
        raise UsageError(
            f"unsure is {wishes.unsure}; it takes a score above 0 and below conf, {wishes.conf}"
        )
    if wishes.classes and form == "masks":
        raise UsageError("--classes is for boxes; a class map has a class for every pixel")


def _settings(
    models: Sequence[Model], source: str, wishes: Wishes, form: str, numbers: Sequence[int]
) -> dict[str, Any]:
    """The settings that the labels depend on."""
    files = models[0].files
    made_of = files.weights or files.graph
    try:
        content = b"" if made_of is None else made_of.read_bytes()
    except OSError:
        content = b""
    return {
        "source": source,
        "model": models[0].name,
        "weights": hashlib.sha256(content).hexdigest()[:12],
        "sizes": ["x".join(map(str, model.files.input_size)) for model in models],
        "format": form,
        "classes": [models[0].labels[n] for n in numbers],
        **{key: getattr(wishes, key) for key in ("conf", "unsure", "flip", "soft", "every")},
    }
