"""The task's half of training, by the name that a recipe gives."""

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
    """What training needs of a task.

    Attributes:
        labels: the model's classes.
        material: its data sets.
    """

    labels: list[str]
    material: Any

    def about(self) -> list[str]:
        """Lines that say what is trained on; pictures are read to memory now."""

    def pictures_per_epoch(self) -> int:
        """How many pictures an epoch looks at, those that come repeatedly counted so."""

    def batch(self, step: int) -> Any:
        """This process's batch of a step, always the same for the same step."""

    def compiled(self, net: nn.Module) -> nn.Module:
        """The net, with what this task's loss calls of it compiled."""

    def loss(self, net: nn.Module, batch: Any) -> dict[str, Tensor]:
        """The parts of the loss, which are added up."""

    def evaluate(self, net: nn.Module) -> Scores:
        """Scores on the validation split."""

    def draw(self, net: nn.Module, folder: Path) -> None:
        """Draw the net's answers on pictures of the validation split."""


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
