"""`livevision cutouts`: objects cut out of a data set by its masks, to be pasted in training."""

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
    help="A folder of class maps, or of COCO's form with segmentations; or the .json itself.",
)
@click.option(
    "--output",
    required=True,
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Gets a folder of PNGs for each class; several data sets may go to one.",
)
@click.option("--split", metavar="NAME", help="Part of the data; train by default.")
@click.option("--format", "form", default="auto", show_default=True, help=f"{FORMATS}.")
@click.option(
    "--classes",
    metavar="A,B",
    help="What is cut out; people, animals and vehicles by COCO's or VOC's names by default.",
)
@click.option(
    "--rename",
    "renamed",
    metavar="THEIRS=OURS",
    multiple=True,
    help="What a class is to be called; may be repeated.",
)
@click.option("--names", metavar="FILE|A,B,C", help="Names of the numbers in label PNGs.")
@click.option(
    "--smallest",
    default=40,
    show_default=True,
    type=click.IntRange(4),
    help="Pixels of the longer side; smaller objects are left out.",
)
@click.option(
    "--longest",
    default=160,
    show_default=True,
    type=click.IntRange(8),
    help="Pixels of the longer side; larger objects are made so small.",
)
@click.option("--most", type=click.IntRange(1), help="Of a class; all by default.")
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
    """Cut objects out by their masks: PNGs with transparency, which detectors train with.

    A recipe sets them into its pictures, mostly small: task_options: {paste: {data: [{path:
    FOLDER}]}}. Left out is what the picture's edge cuts off, what something before it cuts apart,
    and, where there are boxes beside class maps, what is more than one object. Exit code 3 where
    the data are missing, broken or without masks.
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
    told = ", ".join(f"{name} {count}" for name, count in counts.most_common())
    click.echo(f"{counts.total()} cut-outs ({told}): {output}")
    click.echo("the terms of the pictures that they are from go on for them")


def _file_name(name: str) -> str:
    """A name as that of a file or folder."""
    return re.sub(r'[\\/:*?"<>|]', "_", name) or "_"
