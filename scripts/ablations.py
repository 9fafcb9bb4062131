"""The papers' ablations on short equal schedules: see scripts/ablations.

Within a study and a seed all rows have the same recipe, the same pictures in the same order and the
same number of steps, and differ by what is left out of the net alone.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainings import log_rows, train


@dataclass(frozen=True)
class Study:
    """A table's block.

    Attributes:
        name: In the table.
        recipe: Of `livevision train`.
        steps: Of every row; it is scored after the last.
        settings: Others over the recipe's own, of every row.
        figures: Columns of the run's log, and what the table calls them.
        rows: What the table calls each, and the net's options.
    """

    name: str
    recipe: str
    steps: int
    settings: tuple[str, ...]
    figures: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, str], ...]


_BRIEF = ("warmup_steps=50", "ema_decay=0.99", "samples=1")

STUDIES = {
    "thundernet": Study(
        "ThunderNet, MobileNetV2, 256x256",
        "thundernet-mobilenetv2",
        400,
        ("batch_size=16", "input_size=[256, 256]", "task_options.sizes=[[256, 256]]",
         "task_options.mosaic=0", "initial_weights=runs/mobilenetv2-imagenet.safetensors",
         "measure_norms=[]", *_BRIEF),
        (("AP50_highlight", "AP50, six classes"), ("AP50 voc12 val", "AP50, VOC")),
        (
            ("all", "{}"),
            ("without CEM", "{without: [CEM]}"),
            ("without SAM", "{without: [SAM]}"),
            ("without CEM and SAM", "{without: [CEM, SAM]}"),
        ),
    ),
    "bisenet": Study(
        "BiSeNet, MobileNetV2, CamVid 480x360",
        "bisenet-mobilenetv2-camvid",
        300,
        ("batch_size=8", "input_size=[480, 360]", "task_options.crop=[320, 240]", *_BRIEF),
        (("mIoU", "mIoU"),),
        (
            ("all", "{}"),
            ("without ARM", "{without: [ARM]}"),
            ("without global pooling", "{without: [global pooling]}"),
            ("without ARM and global pooling", "{without: [ARM, global pooling]}"),
            ("a sum in place of FFM", "{without: [FFM]}"),
            ("without spatial path", "{without: [spatial path]}"),
        ),
    ),
    "dfanet": Study(
        "DFANet A, CamVid 480x360",
        "dfanet-a-camvid",
        300,
        ("batch_size=8", "input_size=[480, 360]",
         "task_options.crop=[320, 240]", "task_options.teacher=null", *_BRIEF),
        (("mIoU", "mIoU"),),
        (("all", "{}"), ("without fc attention", "{without: [fc attention]}")),
    ),
    "snet": Study(
        "SNet49, Tiny-ImageNet 64x64",
        "snet49-tiny-imagenet",
        1500,
        ("input_size=[64, 64]", "task_options.teacher=null", *_BRIEF),
        (("top1", "top-1"),),
        (("5x5 depthwise", "{}"), ("3x3 depthwise", "{kernel_size: 3}")),
    ),
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what has not been run yet, then print the table of all that has."""
    parser = argparse.ArgumentParser(prog="ablations", description="The papers' ablations.")
    parser.add_argument("--data", type=Path, required=True, help="Folder of the data sets.")
    parser.add_argument("--out", type=Path, default=Path("runs/ablations"))
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=list(STUDIES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--table", action="store_true", help="Print the table; run nothing.")
    given = parser.parse_args(arguments)
    if not given.table:
        for seed in given.seeds:
            for key in given.only:
                for place in range(len(STUDIES[key].rows)):
                    run(key, place, seed, given.data, given.out)
    print(table(given.only, given.seeds, given.out))
    return 0


def folder(key: str, place: int, seed: int, out: Path) -> Path:
    """Where a row's run leaves its results."""
    return out / f"{key}-{place}-seed{seed}"


def overrides(study: Study, place: int, seed: int) -> tuple[str, ...]:
    """All that a row sets otherwise than its recipe."""
    steps = (f"steps={study.steps}", f"evaluate_every={study.steps}")
    return (*steps, *study.settings, f"net_options={study.rows[place][1]}", f"seed={seed}")


def run(key: str, place: int, seed: int, data: Path, out: Path) -> None:
    """Train a row unless it has been; one that was stopped goes on."""
    study, where = STUDIES[key], folder(key, place, seed, out)
    if scores(study, where):
        return
    train(study.recipe, data, where, overrides(study, place, seed))


def scores(study: Study, where: Path) -> list[float]:
    """A run's figures after its last step; none where it has not got there."""
    for row in log_rows(where):
        values = [row.get(column) for column, _ in study.figures]
        if row["step"] == str(study.steps) and all(values):
            return [100 * float(value) for value in values if value]
    return []


def table(keys: Sequence[str], seeds: Sequence[int], out: Path) -> str:
    """Markdown: of each row the mean over its seeds, each of them, the change from the whole."""
    lines = ["| net | | score | mean | each seed | against all |", "|---|---|---|---|---|---|"]
    for key in keys:
        study = STUDIES[key]
        whole: list[list[float]] = []
        for place, (label, _) in enumerate(study.rows):
            runs = [scores(study, folder(key, place, seed, out)) for seed in seeds]
            whole = whole or runs
            for column, (_, figure) in enumerate(study.figures):
                pairs = [
                    (r[column], w[column]) for r, w in zip(runs, whole, strict=True) if r and w
                ]
                if not pairs:
                    continue
                mean = statistics.mean(value for value, _ in pairs)
                change = statistics.mean(value - base for value, base in pairs)
                each = ", ".join(f"{value:.1f}" for value, _ in pairs)
                against = f"{change:+.1f}" if place else ""
                row = (study.name, label, figure, f"{mean:.1f}", each, against)
                lines.append(f"| {' | '.join(row)} |".replace("|  |", "| |"))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
