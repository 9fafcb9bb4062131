"""The user's frames for calibrating int8 and comparing it with fp32."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from livevision import registry
from livevision.capture.locate import expand
from livevision.capture.options import SourceOptions
from livevision.errors import UsageError
from livevision.frame import Batch, Frame
from livevision.inference.model_files import ModelFiles
from livevision.models.catalog import ModelCard
from livevision.preprocess.fit import make_fit
from livevision.protocols import Task

MOST = 300
"""Maximum frames of all sources together, evenly spread."""

FEWEST = 8
_BLOCKS = 9
_FILES = ("video_file", "images")
_LEAST_CONTRAST = 3.0
_LEAST_LIKENESS = 0.6


@dataclass(frozen=True)
class Frames:
    """Inputs of a net made from frames, in batches of one.

    Attributes:
        batches: In the sources' order.
        source: Names of the sources, for messages and records.
        unlike_pictures: Share of frames that are blank or noise, 0..1.
    """

    batches: list[Batch]
    source: str
    unlike_pictures: float


def read_frames(sources: Sequence[str], task: Task, most: int = MOST) -> Frames:
    """Read frames of videos, pictures, folders or globs, preprocessed as in a run.

    Of long videos evenly spread frames are kept, between half of ``most`` and ``most``.

    Raises:
        UsageError: There are too few frames, or a source is live.
        SourceError: A source cannot be read.
    """
    places = expand(sources)
    names = " ".join(dict.fromkeys(s.rstrip("/").rpartition("/")[2] for s in sources))
    for kind, uri in places:
        if kind not in _FILES:
            raise UsageError(f"{uri!r} is live; give videos or pictures, which can be read again")
    batches: list[Batch] = []
    pictures: list[bool] = []
    step = 1
    for number, frame in enumerate(_frames(places)):
        if number % step:
            continue
        batches.append(task.prepare(frame.image)[0])
        pictures.append(_is_picture(frame.image))
        if len(batches) == most:
            batches, pictures, step = batches[::2], pictures[::2], 2 * step
    if len(batches) < FEWEST:
        raise UsageError(
            f"{names}: {len(batches)} frames; at least {FEWEST} are needed, and some 100 or more "
            "of different scenes are better"
        )
    return Frames(batches, names, 1 - float(np.mean(pictures)))


def frames_for(card: ModelCard, files: ModelFiles, sources: Sequence[str]) -> Frames | None:
    """Frames of videos or pictures as a model's inputs; None without sources.

    Raises:
        UsageError: There are too few frames, or a source is live.
        SourceError: A source cannot be read.
    """
    if not sources:
        return None
    kind = registry.resolve(registry.TASKS, card.task, "task")
    return read_frames(sources, kind(card.labels, make_fit(card.fit, files.input_size, card.fill)))


def split(frames: Frames) -> tuple[Frames, Frames]:
    """Split frames: two thirds for calibration and a third for comparison.

    Neighbouring frames stay together, since consecutive video frames are nearly equal.
    """
    count = len(frames.batches)
    blocks = [i * min(_BLOCKS, count) // count for i in range(count)]
    parts = []
    for held_out in (False, True):
        kept = [
            batch
            for batch, block in zip(frames.batches, blocks, strict=True)
            if (block % 3 == 1) is held_out
        ]
        parts.append(Frames(kept, frames.source, frames.unlike_pictures))
    return parts[0], parts[1]


def _frames(places: Sequence[tuple[str, str]]) -> Iterator[Frame]:
    for index, (kind, uri) in enumerate(places):
        source = registry.resolve(registry.SOURCES, kind, "kind of source")
        with closing(source(uri, SourceOptions(index=index))) as opened:
            yield from opened


def _is_picture(image: npt.NDArray[np.uint8]) -> bool:
    """Whether an image has contrast, and neighbouring pixels are more alike than others."""
    green = image[..., 1].astype(np.float32)
    contrast = float(green.std())
    if contrast < _LEAST_CONTRAST:
        return False
    green -= green.mean()
    return float((green[:, :-1] * green[:, 1:]).mean()) / contrast**2 > _LEAST_LIKENESS
