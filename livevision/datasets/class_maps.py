"""Data sets for segmentation: pictures, and PNGs of the same names with class numbers.

    ROOT/images/SPLIT and ROOT/labels/SPLIT (or ROOT/SPLIT/images and ROOT/SPLIT/labels); or
    ROOT/JPEGImages, ROOT/SegmentationClass and ROOT/ImageSets/Segmentation/SPLIT.txt; or
    ROOT/images and ROOT/masks, with splits listed in ROOT/SPLIT.txt or as the images of
    ROOT/instances_SPLIT.json (COCO); without either there are no splits.

The folder of PNGs may also be called `labels`, `masks`, `annotations` and the like. Class names are
in the entry's `names`, in ROOT/classes.txt or data.yaml; otherwise they are the model's. 255, and
the number after the last class, are void. A folder `logits` beside that of the PNGs has soft labels
(`soft_labels`).
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from livevision.datasets.aliases import among
from livevision.datasets.entry import OTHERS, DataEntry
from livevision.datasets.index_png import read_indices
from livevision.datasets.pictures import find_picture, picture_size, pictures_in
from livevision.datasets.samples import IGNORED, ClassMapSample, DataSet
from livevision.datasets.soft_labels import soft_labels_of
from livevision.datasets.splits import bare, choose_split, is_split
from livevision.datasets.tables import ClassTable, fit_table
from livevision.datasets.text_lists import read_ids, read_names
from livevision.datasets.yolo import class_names, find_yaml, load_yaml
from livevision.errors import DataError, UsageError, unknown

_log = logging.getLogger(__name__)

_PICTURES = ("images", "JPEGImages", "image", "imgs", "img")
_LABELS = ("labels", "masks", "annotations", "SegmentationClass", "label", "mask", "gt")

Pairs = list[tuple[Path, Path]]


def recognise(path: Path) -> bool:
    """Whether this is such a data set: a folder of pictures and one of PNGs."""
    return path.is_dir() and bool(_splits(path) or _folders(path))


def splits(path: Path) -> list[str]:
    """The names of its splits; none for a data set without splits."""
    return list(_splits(path))


def read(path: Path, entry: DataEntry, labels: list[str] | None, default_split: str) -> DataSet:
    """Find the pictures of one split and check their labels, values included.

    Raises:
        UsageError: The split is unknown, or the classes do not match.
        DataError: A file is missing or broken.
    """
    splits = _splits(path)
    name = str(path)
    if splits or entry.split is not None:
        split, find = choose_split(splits, entry.split, default_split, str(path))
        name = f"{path} ({split})"
        pairs = find()
    else:
        folders = _folders(path)
        if folders is None:
            raise DataError(f"{path}: no folder of pictures beside one of labels as PNG")
        pairs = _pairs(pictures_in(folders[0]), folders[1])
        _check_no_label_left(pairs, folders)
    if not pairs:
        raise DataError(f"{name}: no pictures there")
    names = _names(path, entry) or labels
    if not names:
        raise UsageError(
            f"{name}: its class names are unknown; write them to "
            f"{path / 'classes.txt'}, one a line, or give names: [...]"
        )
    table, meaning = _meaning(names, labels, entry, name)
    if len(table.labels) < 2:
        raise UsageError(
            f"{name}: the only class is {table.labels[0]!r}; segmentation needs two or more, such "
            "as background and person"
        )
    soft = soft_labels_of((png for _, png in pairs), meaning[: len(names)])
    coarse = _coarse(table.labels, entry, name)
    for number, theirs in enumerate(coarse):
        meaning[names.index(theirs)] = len(table.labels) + number
    samples = [ClassMapSample(*pair, meaning, each) for pair, each in zip(pairs, soft, strict=True)]
    seen = _check(samples, table, meaning, name)
    after = len(names)
    if seen[min(after, IGNORED)] and after < IGNORED and str(after) not in entry.ignore:
        _log.info(
            "%s: %d, the number after the last of %d classes, counts as void", name, after, after
        )
    marked = table.marked.union(*coarse.values())
    return DataSet("segment", list(table.labels), samples, marked, name, coarse)


def _splits(root: Path) -> dict[str, Callable[[], Pairs]]:
    """Functions that find the pairs of each split."""
    found: dict[str, Callable[[], Pairs]] = {}
    for pictures, labels in _split_folders(root):
        split = pictures.name if is_split(pictures.name) else pictures.parent.name
        found[split] = partial(_pairs_of_split, pictures, labels)
    if found:
        return found
    folders = _folders(root)
    if folders is None:
        return found
    lists = [*root.glob("ImageSets/Segmentation/*.txt"), *root.glob("*.txt")]
    for ids in sorted(lists):
        if is_split(ids.stem) or ids.parent.name == "Segmentation":
            found.setdefault(ids.stem, partial(_listed, ids, folders))
    for file in sorted(root.glob("instances_*.json")):
        split = bare(file.stem.removeprefix("instances_"))
        found.setdefault(split, partial(_listed_by_coco, file, folders))
    return found


def _split_folders(root: Path) -> list[tuple[Path, Path]]:
    """Folders of pictures and of labels, one pair per split."""
    pairs = []
    for pictures in _PICTURES:
        for labels in _LABELS:
            for folder in sorted((root / pictures).glob("*")):
                if is_split(folder.name) and any((root / labels / folder.name).glob("*.png")):
                    pairs.append((folder, root / labels / folder.name))
            for folder in sorted(root.glob(f"*/{pictures}")):
                if is_split(folder.parent.name) and any((folder.parent / labels).glob("*.png")):
                    pairs.append((folder, folder.parent / labels))
    return pairs


def _folders(root: Path) -> tuple[Path, Path] | None:
    """The folder of pictures and the folder of labels."""
    for pictures in _PICTURES:
        for labels in _LABELS:
            if (root / pictures).is_dir() and any((root / labels).glob("*.png")):
                return root / pictures, root / labels
    return None


def _pairs_of_split(pictures: Path, labels: Path) -> Pairs:
    pairs = _pairs(pictures_in(pictures), labels)
    _check_no_label_left(pairs, (pictures, labels))
    return pairs


def _pairs(pictures: Sequence[Path], labels: Path) -> Pairs:
    """Each picture with its PNG.

    Raises:
        DataError: A PNG is missing.
    """
    pairs = []
    for picture in pictures:
        png = labels / f"{picture.stem}.png"
        if not png.is_file():
            raise DataError(f"{picture}: its labels {png} are missing")
        pairs.append((picture, png))
    return pairs


def _check_no_label_left(pairs: Pairs, folders: tuple[Path, Path]) -> None:
    used = {png for _, png in pairs}
    for png in sorted(folders[1].glob("*.png")):
        if png not in used:
            raise DataError(f"{png}: its picture in {folders[0]} is missing")


def _listed(ids: Path, folders: tuple[Path, Path]) -> Pairs:
    """The pairs listed in a text file."""
    pairs = []
    for number, name in read_ids(ids):
        stem = Path(name).stem if Path(name).suffix in (".jpg", ".png", ".jpeg") else name
        picture = find_picture(stem, [folders[0]])
        if picture is None:
            raise DataError(f"{ids}:{number}: the picture {folders[0] / stem} is missing")
        pairs += _pairs([picture], folders[1])
    return pairs


def _listed_by_coco(file: Path, folders: tuple[Path, Path]) -> Pairs:
    """The pairs of the images in a JSON file of boxes, except those marked as having no mask."""
    try:
        images = json.loads(file.read_text(encoding="utf-8"))["images"]
        names = [i["file_name"] for i in images if i.get("has_mask", True)]
    except json.JSONDecodeError as error:
        raise DataError(f"{file}:{error.lineno}: column {error.colno}: {error.msg}") from error
    except (KeyError, TypeError) as error:
        raise DataError(f"{file}: is not in COCO's form: {error!r}") from error
    missing = [n for n in names if not (folders[0] / n).is_file()]
    if missing:
        raise DataError(f"{file}: the picture {folders[0] / missing[0]} is missing")
    return _pairs([folders[0] / n for n in names], folders[1])


def _names(root: Path, entry: DataEntry) -> list[str]:
    if entry.names:
        return list(entry.names)
    listed = read_names(root / "classes.txt") or read_names(root / "labels.txt")
    file = find_yaml(root)
    return listed or (class_names(load_yaml(file), file) if file else [])


def _meaning(
    names: Sequence[str], labels: list[str] | None, entry: DataEntry, name: str
) -> tuple[ClassTable, npt.NDArray[np.int16]]:
    """The table of classes, and the meaning of each of the 256 values."""
    # Digits mean a value if no class has that name.
    values = {t: o for t, o in entry.rename.items() if t.isdecimal() and t not in names}
    void = [t for t in entry.ignore if t.isdecimal() and t not in names]
    if entry.ignore == OTHERS:
        void = []
    classes = DataEntry(
        entry.path,
        rename={t: o for t, o in entry.rename.items() if t not in values},
        coarse=entry.coarse,
        ignore=entry.ignore
        if entry.ignore == OTHERS
        else [t for t in entry.ignore if t not in void],
    )
    table = fit_table(names, labels, classes, name)
    meaning = np.full(256, -1, np.int16)
    meaning[[IGNORED, min(len(names), IGNORED)]] = IGNORED
    for value, ours in enumerate(table.ours):
        meaning[value] = IGNORED if ours is None else ours
    for value_text in [*values, *void]:
        if int(value_text) > 255:
            raise UsageError(f"{name}: {value_text} is not a pixel value; those are 0..255")
    for value_text, called in values.items():
        if called not in table.labels:
            raise UsageError(
                f"{name}: rename {value_text} to {called!r}: "
                + unknown("label", called, table.labels)
            )
        meaning[int(value_text)] = table.labels.index(called)
    meaning[[int(v) for v in void]] = IGNORED
    return table, meaning


def _coarse(labels: Sequence[str], entry: DataEntry, name: str) -> dict[str, frozenset[int]]:
    """The labels of each coarse class; Pascal VOC's and COCO's names are the same (`aliases`).

    Raises:
        UsageError: A name is unknown, or the classes do not fit.
    """
    coarse = {}
    for theirs, ours in entry.coarse.items():
        numbers = set()
        for called in ours:
            label = among(called, labels)
            if label is None:
                raise UsageError(f"{name}: coarse {theirs!r}: {unknown('label', called, labels)}")
            numbers.add(labels.index(label))
        if not ours:
            raise UsageError(f"{name}: coarse {theirs!r} names none of the model's classes")
        coarse[theirs] = frozenset(numbers)
    if len(labels) + len(coarse) > IGNORED:
        raise UsageError(f"{name}: {len(labels)} labels and {len(coarse)} coarse classes; 255 fit")
    return coarse


def _check(
    samples: Sequence[ClassMapSample],
    table: ClassTable,
    meaning: npt.NDArray[np.int16],
    name: str,
) -> npt.NDArray[np.bool_]:
    """Check that every PNG has its picture's size and only known values.

    Returns:
        Which of the 256 values occur.

    Raises:
        DataError: One does not, or the values of the whole set make no sense.
    """

    def seen_in(sample: ClassMapSample) -> npt.NDArray[np.bool_]:
        width, height = picture_size(sample.path)
        stored = read_indices(sample.label_path)
        if stored.shape != (height, width):
            raise DataError(
                f"{sample.label_path}: is {stored.shape[1]}x{stored.shape[0]}, "
                f"and its picture {sample.path.name} {width}x{height}"
            )
        counts = np.bincount(stored.ravel(), minlength=256)
        if (counts[meaning < 0] > 0).any():
            sample.read_labels()
        return counts > 0

    seen = np.zeros(256, np.bool_)
    # Decoding releases Python's lock, so threads help.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for values in pool.map(seen_in, samples):
            seen |= values
    known = [int(v) for v in np.flatnonzero(seen & (meaning != IGNORED))]
    if not known:
        raise DataError(f"{name}: all pixels are void; there is nothing to learn or to score")
    if known == [0] and seen[255] and len(table.theirs) > 1:
        raise DataError(
            f"{name}: the labels have only 0 and 255, and 255 is void; if it is a class, give "
            f"rename: {{255: {table.labels[1]}}}"
        )
    return seen
