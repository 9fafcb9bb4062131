"""Plots of a run as PNG files: its course, and its last evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from livevision.files import lend_cache
from livevision.training.log import Log
from livevision.training.scores import Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_NAMED = 40  # classes whose names fit beside a plot


def plot_run(folder: Path, log: Log, scores: Scores) -> None:
    """`losses.png`, the terms of the loss and the learning rate, and `scores.png`."""
    figure, (above, below) = _figure(2, (9, 7))
    for name in log.columns:
        if name == "loss" or name.startswith("loss/"):
            above.plot(*log.column(name), label=name, linewidth=1)
    above.set(ylabel="loss", yscale="log")
    above.legend(fontsize=8)
    below.plot(*log.column("rate"), linewidth=1)
    below.set(xlabel="step", ylabel="learning rate")
    figure.savefig(folder / "losses.png")

    figure, (axes,) = _figure(1, (9, 5))
    for name in scores.figures:
        axes.plot(*log.column(name), marker="o", markersize=3, label=name)
    axes.set(xlabel="step", ylabel="score", ylim=(0, None))
    axes.legend(fontsize=8)
    figure.savefig(folder / "scores.png")


def plot_scores(folder: Path, scores: Scores, labels: list[str]) -> None:
    """`classes.png` and, if available, `precision_recall.png` and `confusion.png`."""
    known = [i for i in np.argsort(scores.classes) if not np.isnan(scores.classes[i])]
    figure, (axes,) = _figure(1, (8, max(2.0, 0.22 * len(known) + 1)))
    axes.barh([labels[i] for i in known], scores.classes[known])
    axes.set(xlabel=scores.by, xlim=(0, 1))
    axes.tick_params(axis="y", labelsize=7)
    figure.savefig(folder / "classes.png")
    if scores.precision is not None:
        _plot_precision(folder, scores, labels)
    if scores.confusion is not None:
        _plot_confusion(folder, scores.confusion, labels)


def _plot_precision(folder: Path, scores: Scores, labels: list[str]) -> None:
    assert scores.precision is not None
    figure, (axes,) = _figure(1, (9, 6))
    recall = np.linspace(0, 1, scores.precision.shape[1])
    for name, curve, value in zip(labels, scores.precision, scores.classes, strict=True):
        if not np.isnan(value):
            axes.plot(recall, curve, linewidth=1, label=f"{name} {100 * value:.0f}")
    axes.set(xlabel="recall", ylabel="precision at an IoU of 0.5", xlim=(0, 1), ylim=(0, 1))
    axes.legend(fontsize=6, ncols=2)
    figure.savefig(folder / "precision_recall.png")


def _plot_confusion(folder: Path, counts: npt.NDArray[np.int64], labels: list[str]) -> None:
    names = labels if len(labels) == len(counts) else [*labels, "nothing"]
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = min(14.0, max(4.0, 0.3 * len(names) + 2))
    figure, (axes,) = _figure(1, (side, side))
    axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    axes.set(xlabel="found class", ylabel="true class")
    if len(names) <= _MOST_NAMED:
        places = range(len(names))
        axes.set_xticks(places, names, rotation=90, fontsize=7)
        axes.set_yticks(places, names, fontsize=7)
    figure.savefig(folder / "confusion.png")


def _figure(rows: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """A figure that needs no display, and its axes from top to bottom."""
    lend_cache("MPLCONFIGDIR", "matplotlib")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(rows, squeeze=False)[:, 0])
