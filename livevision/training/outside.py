"""Scores a model on pictures of another source than its training data, for its card."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from livevision.checkpoints.card import write_card
from livevision.datasets import Sample
from livevision.errors import UsageError
from livevision.models.catalog import read_card
from livevision.nets import build
from livevision.training.jobs import Job, make_job
from livevision.training.material import Material, place_of
from livevision.training.processes import Group
from livevision.training.recipe import Data, Recipe
from livevision.training.weights import load_weights, move

_FAILURES = "## Known failures"


class Outside:
    """The data sets of a recipe's `data.outside`.

    Args:
        recipe: of the run.
        job: of the run, for its labels and pictures.
        data: base folder of relative paths.
        group: the training processes.

    Raises:
        UsageError: an entry is invalid, or has pictures of the train or val sets.
        DataError: a data set is missing or broken.
    """

    def __init__(self, recipe: Recipe, job: Job, data: Path, group: Group) -> None:
        self._group = group
        entries = recipe.data.outside
        unneeded = {"teacher": None, "paste": None, "repeat_rare": 0.0}
        options = recipe.task_options
        kept = {k: v for k, v in unneeded.items() if k in type(options).model_fields}
        scored = recipe.model_copy(
            update={
                "data": Data(train=entries, val=entries),
                "labels": job.labels,
                "task_options": options.model_copy(update=kept),
                "memory_gb": 0.0,  # each is read once
            }
        )
        self._job = make_job(scored, data, group)
        run, mine = _material(job), _material(self._job)
        known = {place_of(s) for data_set in (*run.train, *run.val) for s in data_set.samples}
        samples: list[Sample] = [s for data_set in mine.val for s in data_set.samples]
        seen = sum(place_of(s) in known for s in samples)
        if seen:
            raise UsageError(
                f"data.outside: {seen} of its {len(samples)} pictures are also in train or val; it "
                "takes pictures of another source"
            )

    def tell(self, out: Path) -> dict[str, float]:
        """Score the best weights of a run and add the figures to their card, once.

        Args:
            out: folder of the run.

        Returns:
            The figures by name, with the suffix `_outside`.
        """
        weights = out / "best.safetensors"
        card = read_card(weights.with_suffix(".md"))
        scored = {k: float(v) for k, v in card.score.items() if k.endswith("_outside")}
        if scored:
            return scored
        net = build(card.net, **card.net_options)
        load_weights(net, weights)
        scores = self._job.evaluate(move(net, self._group.device))
        known = {k: v for k, v in scores.figures.items() if not np.isnan(v)}
        figures = {f"{name}_outside": round(value, 4) for name, value in known.items()}
        shown = ", ".join(f"{name} {100 * value:.1f}" for name, value in known.items())
        where = f"on {scores.data}, from another source than its training data"
        line = f"{card.score['text']}; {scores.main} {100 * scores.value:.1f} {where}"
        paragraph = (
            f"Outside: {shown or 'nothing could be scored'} on {scores.data}, which neither taught "
            "the model nor chose the step."
        )
        before, failures, after = card.text.partition(_FAILURES)
        before = before.removeprefix(f"# {card.name}").strip()
        filled = textwrap.fill(paragraph, 100, break_on_hyphens=False)
        text = f"{before}\n\n{filled}\n\n{failures}{after}".strip()
        score = {**card.score, "text": line, **figures}
        write_card(weights.with_suffix(".md"), replace(card, score=score), text)
        return figures


def _material(job: Job) -> Material:
    return cast(Material, job.material)
