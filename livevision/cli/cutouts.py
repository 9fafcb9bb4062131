"""`livevision cutouts`: cuts objects out of a data set by their masks, to paste in training."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import click

from livevision.cli.eval import FORMATS, _names, _pair
from livevision.errors import DataError, OutputError, UsageError


@click.command("cutouts")
@click.option(
    "--data",
    required=True,
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="A folder of class maps or a COCO folder with segmentations; or COCO's .json itself.",
)
@click.option(
    "--output",
    required=True,
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Output: a folder of PNGs for each class; several data sets may share it.",
)
@click.option("--split", metavar="NAME", help="Split of the data; default: train.")
@click.option("--format", "form", default="auto", show_default=True, help=f"{FORMATS}.")
@click.option(
    "--classes",
    metavar="A,B",
    help="Classes to cut out; default: people, animals and vehicles by COCO's or VOC's names.",
)
@click.option(
    "--rename",
    "renamed",
    metavar="THEIRS=OURS",
    multiple=True,
    help="New name for a class; may be repeated.",
)
@click.option("--names", metavar="FILE|A,B,C", help="Class names of the numbers in label PNGs.")
@click.option(
    "--smallest",
    default=40,
    show_default=True,
    type=click.IntRange(4),
    help="Minimum longer side in pixels; smaller objects are skipped.",
)
@click.option(
    "--longest",
    default=160,
    show_default=True,
    type=click.IntRange(8),
    help="Maximum longer side in pixels; larger objects are scaled down.",
)
@click.option("--most", type=click.IntRange(1), help="Maximum per class; default: all.")
def command(
    data: Path,
    output: Path,
    split: str | None,
    form: str,
    classes: str | None,
    renamed: tuple[str, ...],
    names: str | None,
    smallest: int,
    longest: int,
    most: int | None,
) -> None:
    """Cut objects out by their masks: PNGs with transparency, for training detectors.

    A recipe pastes them into its pictures, mostly small: task_options: {paste: {data: [{path:
    FOLDER}]}}. Skipped are objects cut off by the picture's edge, objects split by something in
    front of them and, where the data have boxes as well as class maps, masks of several objects.
    Exit code 3: the data are missing, broken or without masks.
    """
    chosen = tuple(part.strip() for part in (classes or "").split(",") if part.strip())
    if classes is not None and not chosen:
        raise UsageError(f"--classes {classes!r} names none")
    if smallest > longest:
        raise UsageError(f"--smallest {smallest} is more than --longest {longest}")
    if not data.exists():
        raise DataError(f"--data {data}: there is no such file or folder")
    entry = {
        "path": str(data.absolute()),
        "split": split,
        "format": form,
        "rename": dict(_pair(item) for item in renamed),
        "names": _names(names),
    }
    import cv2

    from livevision.datasets.cutting import Wishes, cuts
    from livevision.files import write_whole

    counts: Counter[str] = Counter()
    of_picture: Counter[tuple[str, Path]] = Counter()
    for label, picture, image in cuts(entry, Path(), Wishes(chosen, smallest, longest)):
        if most is not None and counts[label] >= most:
            continue
        number = of_picture[label, picture]
        folder = output / _file_name(label)
        name = f"{_file_name(picture.parent.name)}-{picture.stem}-{number}.png"
        _, coded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / name, coded.tobytes())
        except OSError as error:
            raise OutputError(f"{folder / name}: cannot be written: {error.strerror}") from error
        counts[label] += 1
        of_picture[label, picture] += 1
    if not counts:
        raise DataError(
            f"{data}: no object of at least {smallest} pixels is whole and inside its picture"
        )
    by_class = ", ".join(f"{name} {count}" for name, count in counts.most_common())
    click.echo(f"{counts.total()} cut-outs ({by_class}): {output}")
    click.echo("the licence of the original pictures applies to them")


def _file_name(name: str) -> str:
    """A class name as a file name."""
    return re.sub(r'[\\/:*?"<>|]', "_", name) or "_"
