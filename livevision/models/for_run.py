"""The models of a run, one for each of its tasks, as its settings name them or leave them open."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from livevision.errors import UsageError
from livevision.models import catalog
from livevision.models.catalog import ModelCard
from livevision.models.choice import card_of, named_models
from livevision.models.model import Model, load
from livevision.protocols import EngineSpec

if TYPE_CHECKING:
    from livevision.config import Settings

_LIGHT = 5e8  # multiply-adds for one image


def for_tasks(settings: Settings, spare_core: bool = True) -> list[Model]:
    """The models of a run, one for each of its tasks, in the tasks' order; none is loaded yet.

    A named model serves the task on its card, and a graph the task it tells of. Where no task was
    asked for, the model settles it.

    Args:
        settings: The run's.
        spare_core: A light net leaves a core to the other stages.

    Raises:
        UsageError: A model does none of the tasks, or two do the same.
        ModelError: The weights are missing, refused or broken.
    """
    tasks = settings.tasks
    wanted = named_models(settings)
    if len(wanted) == 1 and not settings.task_given:
        tasks = tuple(wanted)
    for task, (name, _) in wanted.items():
        if task not in tasks:
            raise UsageError(
                f"model {name!r} does the task {task}; asked for: {', '.join(tasks)}. "
                f"Use --task {task}, or a model that 'livevision models' lists for that task"
            )
    models = []
    foreign = False
    for task in tasks:
        name, weights = wanted.get(task, (catalog.DEFAULTS[task], None))
        card = card_of(name, weights, settings.labels)
        foreign |= card.decoder is not None
        models.append(
            load(
                name,
                settings.engine,
                settings.device,
                settings.precision,
                weights=weights,
                labels=settings.labels if weights is not None and card.decoder else None,
                imgsz=settings.imgsz,
                conf=settings.conf,
                iou=settings.iou,
                max_det=settings.max_det,
                # A class map keeps all classes; beside boxes the choice is about the boxes.
                classes=(settings.classes or None) if task == "detect" or len(tasks) == 1 else None,
                class_agnostic=settings.class_agnostic,
                untrained=settings.untrained,
                threads=settings.threads or _threads(card, spare_core),
            )
        )
    if settings.labels is not None and not foreign:
        raise UsageError(
            f"labels {settings.labels!r} were given, and the models have their own; they are for "
            "ONNX files of others: --model FILE.onnx"
        )
    return models


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
