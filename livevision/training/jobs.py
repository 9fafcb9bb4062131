"""The task-specific half of training, by the task of a recipe."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from torch import Tensor, nn

from livevision.training.processes import Group
from livevision.training.recipe import Recipe
from livevision.training.scores import Scores

_JOBS = {
    "segment": "livevision.training.segmentation:SegmentationJob",
    "detect": "livevision.training.detection:DetectionJob",
    "classify": "livevision.training.classification:ClassificationJob",
}


class Job(Protocol):
    """Interface of a task's training.

    Attributes:
        labels: the model's classes.
        material: its data sets.
    """

    labels: list[str]
    material: Any

    def about(self) -> list[str]:
        """Lines that describe the training data; pictures are read into memory now."""

    def pictures_per_epoch(self) -> int:
        """Pictures in an epoch, counting repetitions."""

    def batch(self, step: int) -> Any:
        """This process's batch of a step, always the same for the same step."""

    def compiled(self, net: nn.Module) -> nn.Module:
        """The net, with the parts that this task's loss calls compiled."""

    def loss(self, net: nn.Module, batch: Any) -> dict[str, Tensor]:
        """The terms of the loss, which are summed."""

    def evaluate(self, net: nn.Module) -> Scores:
        """Scores on the validation split."""

    def draw(self, net: nn.Module, folder: Path) -> None:
        """Draw the net's predictions on validation pictures."""


def make_job(recipe: Recipe, data: Path, group: Group) -> Job:
    """Open and check the data of a recipe's task; no picture is decoded yet.

    Args:
        recipe: of the run.
        data: base folder of the paths of the data sets.
        group: the training processes.

    Raises:
        UsageError: an entry is invalid, or its classes do not match the recipe's labels.
        DataError: a data set is missing or broken.
    """
    module, name = _JOBS[recipe.task].split(":")
    return cast(Job, getattr(import_module(module), name)(recipe, data, group))
