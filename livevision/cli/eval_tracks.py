"""`livevision eval --task track`: scores of tracking on labelled sequences."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from livevision.cli.table import table
from livevision.errors import OutputError
from livevision.scoring.tracks import COUNTS, FIGURES

if TYPE_CHECKING:
    from livevision.evaluation.tracks import TrackEvaluation


def run(
    data: Path,
    tracker: str,
    *,
    load: Callable[[], Any] | None,
    conf: float,
    classes: tuple[str, ...],
    drop: int,
    as_json: bool,
    report: Path | None,
    folder: Path | None,
) -> None:
    """Score the tracker and print the result.

    Args:
        data: Sequences in the MOT Challenge's format.
        tracker: Name of the tracker.
        load: Opens the detector; None uses the boxes that come with the sequences.
        conf: Minimum confidence of a box.
        classes: Classes of the detector that the sequences label.
        drop: Drop every Nth frame.
        as_json: Print JSON on stdout and the table on stderr.
        report: JSON file to write.
        folder: Folder for the tracks, one file per sequence.

    Raises:
        OutputError: A file cannot be written.
    """
    from livevision.evaluation.tracks import evaluate_tracks

    with contextlib.ExitStack() as stack:
        model = None if load is None else stack.enter_context(load())
        scores = evaluate_tracks(
            data, model=model, tracker=tracker, conf=conf, classes=classes, drop=drop
        )
    click.echo(_table(scores), err=as_json)
    text = json.dumps(scores.to_dict(), indent=2, ensure_ascii=False)
    if as_json:
        click.echo(text)
    written = []
    try:
        if report is not None:
            report.write_text(text + "\n", encoding="utf-8")
            written.append(report)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for name, rows in scores.tracks.items():
                _write(folder / f"{name}.txt", rows)
            written.append(folder)
    except OSError as error:
        raise OutputError(f"cannot write {error.filename}: {error.strerror}") from error
    for path in written:
        click.echo(f"livevision: written: {path}", err=True)


def _table(scores: TrackEvaluation) -> str:
    head = ["sequence", *FIGURES, *COUNTS]

    def cells(name: str, row: dict[str, float]) -> list[str]:
        shares = [f"{100 * row[figure]:.1f}" for figure in FIGURES]
        return [name, *shares, *(str(int(row[count])) for count in COUNTS)]

    body = [cells(name, row) for name, row in scores.by_sequence.items()]
    if len(body) > 1:
        body.append(cells("all", scores.figures))
    left = f", {scores.left_out} left out" if scores.left_out else ""
    spent = f"{scores.tracking_ms:.2f} ms of CPU a frame for tracking"
    return (
        f"{table(head, body, numbers=head[1:])}\n\n"
        f"shares in %; {scores.tracker} on boxes of {scores.found_by}, "
        f"{scores.frames} frames{left}, {spent}, {scores.seconds:.0f} s"
    )


def _write(file: Path, rows: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    lines = []
    for frame, number, *box, confidence in rows[:, :7].tolist():
        sides = ",".join(f"{side:.2f}" for side in box)
        lines.append(f"{frame:.0f},{number:.0f},{sides},{confidence:.4f},-1,-1,-1\n")
    file.write_text("".join(lines), encoding="utf-8")
