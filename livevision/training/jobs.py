"""The task's half of training, by the name that a recipe gives."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import cast

from livevision.training.loop import Job
from livevision.training.processes import Group
from livevision.training.recipe import Recipe

_JOBS = {
    "segment": "livevision.training.segmentation:SegmentationJob",
    "detect": "livevision.training.detection:DetectionJob",
    "classify": "livevision.training.classification:ClassificationJob",
}


def make_job(recipe: Recipe, data: Path, group: Group) -> Job:
    """Open and check the data of a recipe's task; no picture is decoded yet.

    Args:
        recipe: of the run.
        data: folder that the paths of the data sets are counted from.
        group: the processes that train.

    Raises:
        UsageError: an entry is wrong, or its classes do not fit the recipe's labels.
        DataError: a data set is not there or broken.
    """
    module, name = _JOBS[recipe.task].split(":")
    return cast(Job, getattr(import_module(module), name)(recipe, data, group))
