"""Chooses the models of a run from its settings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from livevision.errors import UsageError
from livevision.inference.detect import class_ids, own_classes
from livevision.models import catalog
from livevision.models.catalog import ModelCard
from livevision.models.choice import Wanted, card_of, named, named_models
from livevision.models.fitting import FIT, Size, fitted_size
from livevision.models.loading import load
from livevision.models.model import Model
from livevision.protocols import EngineSpec

if TYPE_CHECKING:
    from livevision.config import Settings

log = logging.getLogger(__name__)

_ORDER = ("segment", "detect", "classify")  # class maps are drawn below boxes
_LIGHT = 5e8  # multiply-adds per image


@dataclass(frozen=True)
class RunModels:
    """The models of a run, not loaded yet.

    Attributes:
        models: Each model once; names are distinct.
        of_run: Names of the models for sources without models of their own.
        of_source: Names of the models of each other source, by the source's name.
    """

    models: tuple[Model, ...]
    of_run: tuple[str, ...]
    of_source: Mapping[str, tuple[str, ...]]


def for_run(
    settings: Settings,
    light_threads: int | None = None,
    pictures: Sequence[Size | None] = (),
) -> RunModels:
    """The models that a run's settings name, or the defaults.

    A named model serves the task on its card, a graph the task in its description. Without a
    requested task, the models decide. A source may have models of its own.

    Args:
        settings: The run's settings.
        light_threads: Threads of a light net, if none were given; None lets the engine choose, as
            it does for other nets.
        pictures: (width, height) of the pictures of each source, None where it is not known; for
            ``--imgsz fit``.

    Raises:
        UsageError: A model does none of the tasks, or is named twice.
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
            f"labels {settings.labels!r} were given, and the models have class names; labels are "
            "for third-party ONNX files: --model FILE.onnx"
        )
    classes = _classes_of(settings, wanted, cards)
    names: dict[Wanted, str] = {}
    models = []
    for one, card in zip(wanted, cards, strict=True):
        model = _sized(
            partial(
                load,
                one.name,
                settings.engine,
                settings.device,
                settings.precision,
                weights=one.path,
                labels=settings.labels if one.path is not None and card.decoder else None,
                conf=settings.conf,
                iou=settings.iou,
                max_det=settings.max_det,
                classes=classes[one],
                class_agnostic=settings.class_agnostic,
                untrained=settings.untrained,
                threads=settings.threads or (light_threads if is_light(card) else None),
            ),
            settings,
            card,
            pictures,
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


def _sized(
    load: Callable[..., Model], settings: Settings, card: ModelCard, pictures: Sequence[Size | None]
) -> Model:
    """A model at the size that the settings say."""
    if settings.imgsz != FIT:
        return load(imgsz=settings.imgsz)
    own = card.input_size
    size = fitted_size(card, pictures)
    if size != own:
        try:
            model = load(imgsz=size)
        except UsageError as error:
            log.info("%s stays at %dx%d: %s", card.name, *own, error)
        else:
            log.info("%s runs at %dx%d instead of %dx%d", card.name, *size, *own)
            return model
    return load()


def _of_run(settings: Settings) -> list[Wanted]:
    """The models for sources without their own, in task order."""
    given = named_models(settings)
    tasks = settings.tasks
    if given and not settings.task_given:
        tasks = tuple(sorted({one.task for one in given}, key=_ORDER.index))
    for one in given:
        if one.task not in tasks:
            raise UsageError(
                f"model {one.name!r} does the task {one.task}; requested: {', '.join(tasks)}. "
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
    """The classes that each model keeps; None keeps all.

    Next to boxes the choice applies to boxes only: a class map keeps all classes. Of several
    detectors each keeps those that it has.
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
    """The specs of the open models' engines."""
    return [model.engine_spec for model in models if model.engine_spec is not None]


def is_light(card: ModelCard) -> bool:
    """Whether a net gains little from the last core.

    Measured in docs/performance.md, "Threads of a light net".
    """
    return card.madds <= _LIGHT and card.decoder is None
