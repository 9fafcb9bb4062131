"""`livevision eval`: scores of a model on labelled pictures."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from livevision.cli.export import size_of
from livevision.errors import OutputError, UsageError
from livevision.registry import TRACKERS

if TYPE_CHECKING:
    from livevision.evaluation.models import Evaluation

FORMATS = "auto, coco, voc, yolo, class-maps or class-folders"


@click.command("eval")
@click.option(
    "--task",
    metavar="TASK",
    help="track: score tracking on labelled sequences (MOT); default: the model's own task.",
)
@click.option("--model", "name", metavar="NAME", help="A model that 'livevision models' lists.")
@click.option(
    "--weights",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Your own weights (.safetensors) or a graph (.onnx). --model is not needed with a card "
    "beside the weights, as training writes it.",
)
@click.option(
    "--data",
    required=True,
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="A folder of labelled pictures, a data.yaml, a COCO file or a zip of class folders.",
)
@click.option("--split", metavar="NAME", help="Split of the data; default: val.")
@click.option("--format", "form", default="auto", show_default=True, help=f"{FORMATS}.")
@click.option(
    "--rename",
    "renamed",
    metavar="THEIRS=OURS",
    multiple=True,
    help="The model's name for a class of the data; repeatable. 'others' means all other classes.",
)
@click.option(
    "--coarse",
    metavar="THEIRS=A+B",
    multiple=True,
    help="For class maps: a class of the data is any of several of the model; repeatable.",
)
@click.option(
    "--ignore",
    "ignored",
    metavar="THEIRS",
    multiple=True,
    help="Ignore a class of the data; repeatable. 'others' means all that the model lacks.",
)
@click.option(
    "--names",
    metavar="FILE|A,B,C",
    help="Class names of the numbers in label PNGs; default: the model's.",
)
@click.option(
    "--labels",
    metavar="NAME|FILE",
    help="Class names of a third-party ONNX file: coco80, voc20, cityscapes19 or a text file.",
)
@click.option("--engine", default="auto", show_default=True, help="openvino, onnx or torch.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda:N.")
@click.option("--precision", default="auto", show_default=True, help="fp32, fp16 or bf16.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads of the net.")
@click.option("--imgsz", metavar="N|WxH", help="Input size; default: the model's own.")
@click.option(
    "--conf",
    default=0.25,
    show_default=True,
    help="Minimum confidence of a box for precision and recall; AP uses all boxes.",
)
@click.option(
    "--iou",
    default=0.5,
    show_default=True,
    help="IoU above which NMS drops the weaker box.",
)
@click.option("--max-det", default=100, show_default=True, help="Maximum boxes in a picture.")
@click.option(
    "--class-agnostic/--no-class-agnostic",
    default=True,
    show_default=True,
    help="Count one box per object in precision and recall; AP uses all boxes.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; the table goes to stderr.")
@click.option("--report", metavar="FILE.json", type=click.Path(path_type=Path), help="Write JSON.")
@click.option(
    "--csv",
    "table_file",
    metavar="FILE.csv",
    type=click.Path(path_type=Path),
    help="Write a CSV with a row for each class and one for all.",
)
@click.option(
    "--track",
    "tracker",
    default="bytetrack",
    show_default=True,
    help=f"With --task track, the tracker: {', '.join(TRACKERS)}.",
)
@click.option(
    "--classes",
    metavar="A,B",
    help="With --task track, the model's classes that are labelled; default: person.",
)
@click.option(
    "--drop",
    metavar="N",
    type=click.IntRange(0),
    default=0,
    help="With --task track, drop every Nth frame, to measure the effect.",
)
@click.option(
    "--tracks",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="With --task track, write the tracks: one file in MOT's format per sequence.",
)
@click.option(
    "--plots",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Write plots as PNG: scores by class, precision-recall, confusion.",
)
def command(
    task: str | None,
    name: str | None,
    weights: Path | None,
    data: Path,
    split: str | None,
    form: str,
    renamed: tuple[str, ...],
    coarse: tuple[str, ...],
    ignored: tuple[str, ...],
    names: str | None,
    labels: str | None,
    engine: str,
    device: str,
    precision: str,
    threads: int | None,
    imgsz: str | None,
    conf: float,
    iou: float,
    max_det: int,
    class_agnostic: bool,
    as_json: bool,
    report: Path | None,
    table_file: Path | None,
    tracker: str,
    classes: str | None,
    drop: int,
    tracks: Path | None,
    plots: Path | None,
) -> None:
    """Score a model on labelled pictures: AP and AP50, mIoU, or top-1 and top-5.

    With --task track the data are sequences in the MOT Challenge's format (gt/gt.txt, and img1/ or
    a video), and the scores are HOTA, IDF1 and MOTA. Without --model the boxes come from
    det/det.txt.

    The model runs as it does on video, with the same engine and resizing. Exit code 3: the data are
    missing or broken.
    """
    entry = {
        "path": str(data),
        "split": split,
        "format": form,
        "rename": dict(_pair(item) for item in renamed),
        "coarse": {
            theirs: ours.split("+")
            for theirs, ours in (_pair(item, "--coarse", "vehicle=car+bus") for item in coarse)
        },
        "ignore": "others" if "others" in ignored else list(ignored),
        "names": _names(names),
    }
    for flag, path in (
        *(("--report", report), ("--csv", table_file)),
        *(("--plots", plots), ("--tracks", tracks)),
    ):
        if path is not None:
            _check_writable(flag, path, folder=path is plots or path is tracks)
    if not data.exists():
        from livevision.errors import DataError

        raise DataError(f"--data {data}: there is no such file or folder")
    from livevision.models.loading import load

    opened = partial(
        load,
        name,
        engine,
        device,
        precision,
        weights=weights,
        labels=labels,
        imgsz=size_of(imgsz),
        iou=iou,
        max_det=max_det,
        class_agnostic=class_agnostic,
        threads=threads,
    )
    if task == "track":
        _refuse_with_tracks({"--csv": table_file, "--plots": plots})
        from livevision.cli import eval_tracks

        given = name is not None or weights is not None
        eval_tracks.run(
            data,
            tracker,
            load=opened if given else None,
            conf=conf,
            classes=tuple(_names(classes)),
            drop=drop,
            as_json=as_json,
            report=report,
            folder=tracks,
        )
        return
    from livevision.evaluation.models import evaluate

    with opened() as model:
        _check_task(task, model.task)
        scores = evaluate(model, entry, conf=conf, progress=None)
    click.echo(_table(scores), err=as_json)
    text = json.dumps(scores.to_dict(), indent=2, ensure_ascii=False)
    if as_json:
        click.echo(text)
    if report is not None:
        _write(report, text + "\n")
    if table_file is not None:
        _write(table_file, _csv(scores))
    if plots is not None:
        from livevision.evaluation.models import write_plots

        with _naming_errors(plots):
            write_plots(scores, plots)
    for path in (report, table_file, plots):
        if path is not None:
            click.echo(f"livevision: written: {path}", err=True)


def _refuse_with_tracks(given: dict[str, Path | None]) -> None:
    for flag, value in given.items():
        if value is not None:
            raise UsageError(f"{flag} is not for --task track, which writes --report and --tracks")


def _check_task(wanted: str | None, task: str) -> None:
    """Check that the task is the model's."""
    if wanted is not None and wanted != task:
        raise UsageError(f"--task {wanted!r} is neither track nor the model's own task, {task}")


def _pair(
    item: str, flag: str = "--rename", example: str = "motorcycle=motorbike"
) -> tuple[str, str]:
    """Split THEIRS=OURS.

    Raises:
        UsageError: Not of the form THEIRS=OURS.
    """
    theirs, equals, ours = item.partition("=")
    if not equals or not theirs or not ours:
        raise UsageError(f"{flag} {item!r}: give THEIRS=OURS, such as {flag} {example}")
    return theirs, ours


def _names(given: str | None) -> list[str]:
    """Class names from a file or a comma-separated list."""
    if given is None:
        return []
    path = Path(given)
    if path.is_file():
        from livevision.datasets.text_lists import read_names

        return read_names(path)
    return [name.strip() for name in given.split(",") if name.strip()]


def _table(scores: Evaluation) -> str:
    """The scores by class as a table; the last row is for all classes."""
    head = ["class", *scores.by_class, {"detect": "objects"}.get(scores.task, "share")]
    total = sum(scores.counts.values())
    rows = [head]
    for label in scores.labels:
        values = [row[label] for row in scores.by_class.values()]
        count = scores.counts[label]
        if count == 0 and all(math.isnan(v) or v == 0 for v in values):
            continue
        shown = str(count) if scores.task == "detect" else f"{count / max(1, total):.1%}"
        rows.append([label, *map(_percent, values), shown])
    absent = len(scores.labels) - (len(rows) - 1)
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    if absent:
        lines.append(f"({absent} of {len(scores.labels)} classes do not occur in these pictures)")
    figures = "  ".join(f"{name} {_percent(value)}" for name, value in scores.figures.items())
    at = (
        f" (precision and recall from a score of {scores.conf:g})"
        if scores.task == "detect"
        else ""
    )
    width, height = scores.input_size
    lines += [
        "",
        f"{figures}{at}, in %",
        f"{scores.model} at {width}x{height}, {scores.engine}, on {scores.pictures} pictures of "
        f"{scores.data}, {scores.seconds:.0f} s",
    ]
    return "\n".join(lines)


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def _csv(scores: Evaluation) -> str:
    """The scores as CSV: a row per class, then `all`; fractions of 1, empty if unknown."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    result: dict[str, Any] = scores.to_dict()
    columns = list(dict.fromkeys([*scores.by_class, *scores.figures]))
    counted = next(k for k in next(iter(result["classes"].values())) if k not in scores.by_class)
    writer.writerow(["class", *columns, counted])
    for label, row in result["classes"].items():
        writer.writerow([label, *(row.get(c) for c in columns), row[counted]])
    total = sum(scores.counts.values())
    writer.writerow(["all", *(result["scores"].get(c) for c in columns), total])
    return text.getvalue()


def _check_writable(flag: str, path: Path, folder: bool) -> None:
    """Check that a file can be written, before the work rather than after it."""
    if path.is_dir() and not folder:
        raise UsageError(f"{flag} {path} is a folder; it takes a file")
    if path.exists() and folder and not path.is_dir():
        raise UsageError(f"{flag} {path} is a file; it takes a folder")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise OutputError(f"{flag} {path}: the folder {path.parent} is missing or not writable")


def _write(path: Path, text: str) -> None:
    with _naming_errors(path):
        path.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def _naming_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into an OutputError that names the file."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
