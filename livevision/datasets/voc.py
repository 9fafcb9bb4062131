"""Data sets in Pascal VOC's format: an XML file of boxes for each picture.

    ROOT/Annotations/ID.xml, ROOT/JPEGImages/ID.jpg, ROOT/ImageSets/Main/SPLIT.txt with the IDs; or
    ROOT/SPLIT/*.xml with the pictures beside them or in ROOT/SPLIT/images; or
    ROOT/annotations/SPLIT/*.xml and ROOT/images/SPLIT; or one folder without splits.

A file `classes.txt` in ROOT, one name a line, gives the classes and their order; without it they
are those that occur in the split, sorted. Pixels are counted from 1 in these files, and the last
one is part of the box: xmin 1, xmax 10 is 0..10 here.

supervision's reader is not used, since it drops `difficult`, has no splits, and reports broken
files without name and line.
"""

from __future__ import annotations

from pathlib import Path

from livevision.datasets.boxes import BoxList, FlatBoxes
from livevision.datasets.entry import DataEntry
from livevision.datasets.pictures import find_picture, picture_size
from livevision.datasets.samples import BoxSample, DataSet
from livevision.datasets.splits import choose_split, is_split
from livevision.datasets.tables import ClassTable, fit_table
from livevision.datasets.text_lists import read_ids, read_names
from livevision.datasets.xml_lines import Element, read_xml
from livevision.errors import DataError

_ANNOTATIONS = ("Annotations", "annotations")
_PICTURES = ("JPEGImages", "images", "Images")


def recognise(path: Path) -> bool:
    """Whether this is such a data set: XML files in the usual folders."""
    return path.is_dir() and bool(_splits(path) or _flat(path))


def splits(path: Path) -> list[str]:
    """The names of its splits; none for a data set without splits."""
    return list(_splits(path))


def read(path: Path, entry: DataEntry, labels: list[str] | None, default_split: str) -> DataSet:
    """Read and check the boxes of one split.

    Raises:
        UsageError: The split is unknown, or the classes do not match.
        DataError: A file is missing or broken.
    """
    splits = _splits(path)
    split, name = "", str(path)
    if splits or entry.split is not None:
        split, place = choose_split(splits, entry.split, default_split, str(path))
        name = f"{path} ({split})"
        files = _listed(path, place) if place.suffix == ".txt" else sorted(place.glob("*.xml"))
    else:
        files = _flat(path)
    if not files:
        raise DataError(f"{name}: no XML files there")
    annotations = [(file, read_xml(file)) for file in files]
    names = read_names(path / "classes.txt") or sorted(
        {o.text_of("name") for _, root in annotations for o in _objects(root)} - {""}
    )
    if not names:
        raise DataError(f"{name}: none of {len(files)} XML files has an object")
    table = fit_table(names, labels, entry, name)
    folders = [path / p / split for p in _PICTURES] + [path / p for p in _PICTURES]
    flat = FlatBoxes()
    samples = [_sample(file, root, folders, table, flat) for file, root in annotations]
    flat.tell(name)
    return DataSet("detect", list(table.labels), samples, table.marked, name)


def _splits(root: Path) -> dict[str, Path]:
    """For each split the list of its IDs, or the folder of its XML files."""
    # aeroplane_train.txt and the like are about one class.
    lists = (root / "ImageSets" / "Main").glob("*.txt")
    found = {p.stem: p for p in sorted(lists) if "_" not in p.stem}
    if found:
        return found
    for pattern in ("*", "*/annotations", "*/Annotations", "annotations/*", "Annotations/*"):
        for folder in sorted(root.glob(pattern)):
            split = folder.parent if folder.name in _ANNOTATIONS else folder
            if is_split(split.name) and any(folder.glob("*.xml")):
                found[split.name] = folder
        if found:
            break
    return found


def _flat(root: Path) -> list[Path]:
    """The XML files of a data set without splits."""
    folders = (root / _ANNOTATIONS[0], root / _ANNOTATIONS[1], root)
    return next((files for f in folders if (files := sorted(f.glob("*.xml")))), [])


def _listed(root: Path, ids: Path) -> list[Path]:
    """The XML file of each ID.

    Raises:
        DataError: A file is missing.
    """
    folder = next((root / a for a in _ANNOTATIONS if (root / a).is_dir()), root / _ANNOTATIONS[0])
    files = []
    for number, name in read_ids(ids):
        file = folder / f"{name}.xml"
        if not file.is_file():
            raise DataError(f"{ids}:{number}: the annotation {file} is missing")
        files.append(file)
    return files


def _objects(root: Element) -> list[Element]:
    return [element for element in root.inside if element.name == "object"]


def _sample(
    file: Path, root: Element, folders: list[Path], table: ClassTable, flat: FlatBoxes
) -> BoxSample:
    # The picture of the same name first: the name inside may be from another machine.
    folders = [*folders, file.parent, file.parent.parent / "images"]
    stated = root.text_of("filename")
    picture = find_picture(file.stem, folders) or find_picture(stated, folders)
    if picture is None:
        raise DataError(f"{file}: its picture {stated or file.stem!r} is missing")
    width, height = picture_size(picture)
    _check_size(file, root, picture, (width, height))
    boxes = BoxList(width, height, table, flat)
    for element in _objects(root):
        place = f"{file}:{element.line}"
        name = element.text_of("name")
        if name not in table.theirs:
            what = f"the class {name!r} is not in classes.txt" if name else "the object has no name"
            raise DataError(f"{place}: {what}")
        box = element.find("bndbox")
        if box is None:
            raise DataError(f"{place}: the object {name!r} has no bndbox")
        x1, y1, x2, y2 = (_number(file, box, key) for key in ("xmin", "ymin", "xmax", "ymax"))
        # Other tools count from 0: their first row and column stay.
        x1, y1 = (v - 1 if v >= 1 else v for v in (x1, y1))
        difficult = element.text_of("difficult") in ("1", "true", "True")
        boxes.add((x1, y1, x2, y2), table.theirs.index(name), f"{file}:{box.line}", difficult)
    return boxes.sample(picture)


def _check_size(file: Path, root: Element, picture: Path, size: tuple[int, int]) -> None:
    stated = root.find("size")
    if stated is None or not stated.text_of("width").isdecimal():
        return
    written = tuple(int(_number(file, stated, key)) for key in ("width", "height"))
    if written not in ((0, 0), size):
        raise DataError(
            f"{file}:{stated.line}: {picture.name} is {size[0]}x{size[1]}, "
            f"not {written[0]}x{written[1]}"
        )


def _number(file: Path, inside: Element, key: str) -> float:
    found = inside.find(key)
    if found is None:
        raise DataError(f"{file}:{inside.line}: {inside.name} has no {key}")
    try:
        return float(found.text)
    except ValueError:
        raise DataError(
            f"{file}:{found.line}: {key} is {found.text.strip()!r}, not a number"
        ) from None
