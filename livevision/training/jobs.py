"""The task's half of training, by the name that a recipe gives."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from livevision.training.loop import Job
from livevision.training.recipe import Recipe

_JOBS = {
    "segment": "livevision.training.segmentation:SegmentationJob",
    "detect": "livevision.training.detection:DetectionJob",
    "classify": "livevision.training.classification:ClassificationJob",
}


def make_job(recipe: Recipe, data: Path) -> Job:
    """Read the data of a recipe's task.

    Raises:
        ValueError: the recipe's task is not known.
    """
    if recipe.task not in _JOBS:
        raise ValueError(f"task {recipe.task!r} is not one of: {', '.join(_JOBS)}")
    module, name = _JOBS[recipe.task].split(":")
    job: Job = getattr(import_module(module), name)(recipe, data)
    return job
