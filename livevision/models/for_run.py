"""The models of a run, as its settings name them or leave them open."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from livevision.errors import UsageError
from livevision.inference.detect import class_ids, own_classes
from livevision.models import catalog
from livevision.models.catalog import ModelCard
from livevision.models.choice import Wanted, card_of, named, named_models
from livevision.models.model import Model, load
from livevision.protocols import EngineSpec

if TYPE_CHECKING:
    from livevision.config import Settings

_ORDER = ("segment", "detect", "classify")  # class maps are drawn below boxes
_LIGHT = 5e8  # multiply-adds for one image


@dataclass(frozen=True)
class RunModels:
    """The models of a run, none of them loaded yet.

    Attributes:
        models: Each once; their names differ.
        of_run: Names of those that look at every source that has no models of its own.
        of_source: Names of those of each source that has, by the source's name.
    """

    models: tuple[Model, ...]
    of_run: tuple[str, ...]
    of_source: Mapping[str, tuple[str, ...]]


def for_run(settings: Settings, spare_core: bool = True) -> RunModels:
    """The models that a run's settings name, or leave open.

    A named model serves the task on its card, and a graph the task it tells of. Where no task was
    asked for, the models settle it. A source may have models of its own.

    Args:
        settings: The run's.
        spare_core: A light net leaves a core to the other stages.

    Raises:
        UsageError: A model does none of the tasks, or one is named twice.
        ModelError: The weights are missing, refused or broken.
    """
    own = {
        name: [named(given, settings.labels) for given in source.models]
        for name, source in settings.sources.items()
        if source.models is not None
    }
    everywhere = bool(settings.source) or len(own) < len(settings.sources)
    of_run = _of_run(settings) if everywhere or settings.model or settings.weights else []
    wanted = list(dict.fromkeys([*of_run, *(one for each in own.values() for one in each)]))
    cards = [card_of(one.name, one.path, settings.labels) for one in wanted]
    if settings.labels is not None and all(card.decoder is None for card in cards):
        raise UsageError(
            f"labels {settings.labels!r} were given, and the models have their own; they are for "
            "ONNX files of others: --model FILE.onnx"
        )
    classes = _classes_of(settings, wanted, cards)
    names: dict[Wanted, str] = {}
    models = []
    for one, card in zip(wanted, cards, strict=True):
        model = load(
            one.name,
            settings.engine,
            settings.device,
            settings.precision,
            weights=one.path,
            labels=settings.labels if one.path is not None and card.decoder else None,
            imgsz=settings.imgsz,
            conf=settings.conf,
            iou=settings.iou,
            max_det=settings.max_det,
            classes=classes[one],
            class_agnostic=settings.class_agnostic,
            untrained=settings.untrained,
            threads=settings.threads or _threads(card, spare_core),
        )
        taken = sum(name.partition("#")[0] == model.name for name in names.values())
        if taken:
            model = model.renamed(f"{model.name}#{taken + 1}")
        names[one] = model.name
        models.append(model)
    return RunModels(
        tuple(models),
        tuple(names[one] for one in of_run),
        {source: tuple(names[one] for one in each) for source, each in own.items()},
    )


def _of_run(settings: Settings) -> list[Wanted]:
    """The models of the sources that have none of their own, in the order of the tasks."""
    given = named_models(settings)
    tasks = settings.tasks
    if given and not settings.task_given:
        tasks = tuple(sorted({one.task for one in given}, key=_ORDER.index))
    for one in given:
        if one.task not in tasks:
            raise UsageError(
                f"model {one.name!r} does the task {one.task}; asked for: {', '.join(tasks)}. "
                f"Use --task {one.task}, or a model that 'livevision models' lists for that task"
            )
    models = []
    for task in tasks:
        of_task = [one for one in given if one.task == task]
        models += of_task or [Wanted(task, catalog.DEFAULTS[task])]
    return models


def _classes_of(
    settings: Settings, wanted: Sequence[Wanted], cards: Sequence[ModelCard]
) -> dict[Wanted, Sequence[str | int] | None]:
    """The classes that each model is to keep; None keeps all.

    Beside boxes the choice is about the boxes: a class map keeps all classes. Of several detectors
    each keeps those that it has.
    """
    classes = settings.classes or None
    detectors = [one for one in wanted if one.task == "detect"]
    chosen: dict[Wanted, Sequence[str | int] | None] = dict.fromkeys(wanted)
    if classes is None or len(wanted) == 1 or not detectors:
        return dict.fromkeys(wanted, classes)
    labels = {
        one: card.labels for one, card in zip(wanted, cards, strict=True) if one.task == "detect"
    }
    every = list(dict.fromkeys(name for names in labels.values() for name in names))
    class_ids(classes, every)
    for one, names in labels.items():
        chosen[one] = own_classes(classes, names)
    return chosen


def open_specs(models: Sequence[Model]) -> list[EngineSpec]:
    """What the engines of those models that have been opened compute with."""
    return [model.engine_spec for model in models if model.engine_spec is not None]


def _threads(card: ModelCard, spare_core: bool) -> int | None:
    """How many threads suit a net that runs beside a decoder and an encoder; None for all cores.

    A light net hardly gains by the last core, which the other stages need; a heavy one does. On two
    cores ThunderNet at 0.25 G multiply-adds was the faster with one thread, at 1.0 G with two, and
    so was BiSeNet at 2.3 G (``livevision bench pipeline --threads N``). That holds where several
    frames are computed at once, too: 93.7 frames a second with one thread and 81.5 with two at
    0.25 G, 70.2 and 85.1 at 1.0 G.
    """
    if card.madds > _LIGHT or card.decoder is not None or not spare_core:
        return None
    return max(1, (os.cpu_count() or 2) - 1)
