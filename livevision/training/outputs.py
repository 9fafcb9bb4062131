"""Files of a running training: log, plots, pictures, the best weights."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from livevision.errors import OutputError, UsageError, missing_package
from livevision.files import write_whole
from livevision.training.log import Log, Row
from livevision.training.plots import plot_run, plot_scores
from livevision.training.recipe import Recipe
from livevision.training.recipe_file import to_yaml
from livevision.training.scores import Scores

_SECONDS = 30.0  # between plots, which take a second or two


class RunFolder:
    """The folder of a run.

    Args:
        path: created if missing.
        recipe: of the run, written as resolved.
        labels: class names.
        first_step: 0, or the step that the run resumes from; later figures are dropped.

    Raises:
        OutputError: the folder cannot be written.
        UsageError: TensorBoard is requested and not installed.
    """

    def __init__(self, path: Path, recipe: Recipe, labels: list[str], first_step: int) -> None:
        self.path, self.labels = path, labels
        try:
            path.mkdir(parents=True, exist_ok=True)
            resolved = recipe.model_copy(update={"labels": labels})
            write_whole(path / "recipe.yaml", to_yaml(resolved))
            self.log = Log(path / "log.csv", first_step)
        except OSError as error:
            raise OutputError(f"{str(path)!r} cannot be written: {error.strerror}") from error
        self._plotted = time.monotonic()
        self._board = _board(path, first_step) if recipe.tensorboard else None

    def record(self, row: Row) -> None:
        """Log the figures of a step."""
        self.log.add(row)
        if self._board is not None:
            for name, value in row.items():
                if name != "step":
                    self._board.add_scalar(name, value, int(row["step"]))

    def plot(self, scores: Scores, last: bool) -> None:
        """Update the plots, unless that was done recently and there will be another time."""
        if not last and time.monotonic() < self._plotted + _SECONDS:
            return
        self._plotted = time.monotonic()
        plot_run(self.path, self.log, scores)
        plot_scores(self.path, scores, self.labels)

    def close(self) -> None:
        """Finish background writes."""
        if self._board is not None:
            self._board.close()


def _board(path: Path, first_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError(
            missing_package("tensorboard", "tensorboard: true", "tensorboard")
        ) from error
    return SummaryWriter(str(path / "tensorboard"), purge_step=first_step or None)
