"""Data sets in YOLO's format: a data.yaml, and folders `labels` beside folders `images`.

data.yaml has `names` (a list, or a mapping from number to name) and for each split a folder of
pictures, a text file that lists pictures, or several of these. The labels of `…/images/a.jpg` are
`…/labels/a.txt`, one line per object: class, x and y of the centre, width and height, all in 0..1;
a line of class and three or more points becomes the box around them. A picture without such a file
has no objects.

supervision's reader is not used, since it takes one folder of pictures and one of labels (no
splits, lists or several folders), and reports errors without file and line.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from livevision.datasets.boxes import BoxList, FlatBoxes
from livevision.datasets.entry import DataEntry
from livevision.datasets.pictures import picture_size, pictures_in
from livevision.datasets.samples import BoxSample, DataSet
from livevision.datasets.splits import choose_split
from livevision.datasets.tables import ClassTable, fit_table
from livevision.errors import DataError

_SPLITS = ("train", "val", "valid", "validation", "test", "minival")


def recognise(path: Path) -> bool:
    """Whether this is such a data set: a YAML file, or a folder with one that has class names."""
    return path.suffix in (".yaml", ".yml") or find_yaml(path) is not None


def find_yaml(folder: Path) -> Path | None:
    """The YAML file of a folder that describes its data, if any."""
    files = [folder / "data.yaml", folder / "data.yml", folder / "dataset.yaml"]
    files += sorted(folder.glob("*.yaml"))
    return next((f for f in files if f.is_file() and "names" in _keys(f)), None)


def splits(path: Path) -> list[str]:
    """The names of its splits.

    Raises:
        DataError: Its YAML file cannot be read.
    """
    file = path if path.is_file() else find_yaml(path)
    return list(_available(load_yaml(file))) if file else []


def read(path: Path, entry: DataEntry, labels: list[str] | None, default_split: str) -> DataSet:
    """Read and check the boxes of one split.

    Raises:
        UsageError: The split is unknown, or the classes do not match.
        DataError: A file is missing or broken.
    """
    file = path if path.is_file() else find_yaml(path)
    if file is None:
        raise DataError(f"{path}: there is no data.yaml with the names of the classes")
    content = load_yaml(file)
    names = class_names(content, file)
    split, given = choose_split(_available(content), entry.split, default_split, str(file))
    name = f"{path} ({split})"
    table = fit_table(names, labels, entry, name)
    pictures = [p for item in _listed(given, split, file) for p in _pictures(item, content, file)]
    pictures = list(dict.fromkeys(pictures))
    if not pictures:
        raise DataError(f"{file}: {split}: {given}: no pictures there")
    label_files = [_label_file(picture) for picture in pictures]
    if not any(label_file.is_file() for label_file in label_files):
        raise DataError(
            f"{file}: {split}: none of {len(pictures)} pictures has labels; "
            f"those of {pictures[0]} would be {label_files[0]}"
        )
    flat = FlatBoxes()
    samples = [
        _sample(picture, label_file, file, table, flat)
        for picture, label_file in zip(pictures, label_files, strict=True)
    ]
    flat.tell(name)
    return DataSet("detect", list(table.labels), samples, table.marked, name)


def _available(content: Mapping[str, Any]) -> dict[str, Any]:
    """The value of each split in a data.yaml."""
    return {key: content[key] for key in content if key in _SPLITS and content[key]}


def load_yaml(file: Path) -> dict[str, Any]:
    """The fields of a data.yaml.

    Raises:
        DataError: It is not YAML, or has no fields.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read: {error}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DataError(f"{file}:{line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise DataError(f"{file}: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{file}: has no fields; it takes names, and a folder for each split")
    return content


def class_names(content: Mapping[str, Any], file: Path) -> list[str]:
    """The names of the classes, in the order of their numbers.

    Raises:
        DataError: There are none, their numbers have gaps, or `nc` differs from their count.
    """
    names = content.get("names")
    if isinstance(names, dict):
        try:
            numbered = {int(number): str(name) for number, name in names.items()}
        except (TypeError, ValueError) as error:
            raise DataError(f"{file}: names: the keys must be class numbers: {error}") from error
        if sorted(numbered) != list(range(len(numbered))):
            raise DataError(f"{file}: names: the numbers {sorted(numbered)} are not 0, 1, 2 …")
        names = [numbered[i] for i in range(len(numbered))]
    if not isinstance(names, list) or not names:
        raise DataError(f"{file}: names: takes a list of class names")
    count = content.get("nc", len(names))
    if count != len(names):
        raise DataError(f"{file}: nc is {count}, and there are {len(names)} names")
    return [str(name) for name in names]


def _keys(file: Path) -> Mapping[str, Any]:
    """The fields of a YAML file about anything."""
    try:
        return load_yaml(file)
    except DataError:
        # A data.yaml is meant to be a data set: `read` reports its error.
        return {"names": None} if file.name == "data.yaml" else {}


def _listed(given: Any, split: str, file: Path) -> list[str]:
    items = given if isinstance(given, list) else [given]
    if not all(isinstance(item, str) for item in items):
        raise DataError(f"{file}: {split}: {given!r} is neither a path nor a list of paths")
    return items


def _pictures(item: str, content: Mapping[str, Any], file: Path) -> list[Path]:
    """The pictures of one folder or list.

    Raises:
        DataError: It does not exist, or a listed picture does not.
    """
    place = _resolve(item, content, file)
    if place.is_dir():
        inside = place / "images"
        found = pictures_in(place, deep=True)
        return [p for p in found if inside in p.parents] if inside.is_dir() else found
    pictures = []
    lines = place.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        # As in other tools, a line that begins with ./ is relative to the list.
        bases = (place.parent, _base(content, file), file.parent)
        path = next((b / line.strip() for b in bases if (b / line.strip()).is_file()), None)
        if path is None:
            raise DataError(f"{place}:{number}: the picture {line.strip()!r} is missing")
        pictures.append(path)
    return pictures


def _base(content: Mapping[str, Any], file: Path) -> Path:
    """The base folder of the paths in a data.yaml."""
    base = file.parent / str(content.get("path") or ".")
    # Many files contain a path of the machine they were written on.
    return base if base.is_dir() else file.parent


def _resolve(item: str, content: Mapping[str, Any], file: Path) -> Path:
    # "../train/images" beside a folder train is an export of a well-known tool.
    shorter = item
    while shorter.startswith("../"):
        shorter = shorter[3:]
    candidates = [_base(content, file) / item, file.parent / item, file.parent / shorter]
    for place in candidates:
        if place.exists():
            return place
    raise DataError(f"{file}: {item!r}: there is neither a folder nor a list {candidates[0]}")


def _label_file(picture: Path) -> Path:
    """The label file of a picture: the last folder `images` of its path becomes `labels`."""
    parts = list(picture.parts)
    for i in reversed(range(len(parts) - 1)):
        if parts[i] == "images":
            parts[i] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _sample(
    picture: Path, label_file: Path, file: Path, table: ClassTable, flat: FlatBoxes
) -> BoxSample:
    width, height = picture_size(picture)
    boxes = BoxList(width, height, table, flat)
    if label_file.is_file():
        try:
            lines = label_file.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise DataError(f"{label_file}: is not text: {error.reason}") from error
        for number, line in enumerate(lines, 1):
            if line.strip():
                place = f"{label_file}:{number}"
                their_class, corners = _parse(line, place, table, file)
                x1, y1, x2, y2 = corners
                boxes.add((x1 * width, y1 * height, x2 * width, y2 * height), their_class, place)
    return boxes.sample(picture)


def _parse(
    line: str, place: str, table: ClassTable, file: Path
) -> tuple[int, tuple[float, float, float, float]]:
    """Class and corners, in 0..1, of one line.

    Raises:
        DataError: It is not a class and a box or polygon.
    """
    words = line.split()
    try:
        number, *values = map(float, words)
    except ValueError:
        raise DataError(f"{place}: {line.strip()!r} contains something not a number") from None
    if len(values) != 4 and (len(values) < 6 or len(values) % 2):
        raise DataError(
            f"{place}: {len(words)} numbers; a line takes 5 (class, x, y, width, height), "
            "or a class and three or more points"
        )
    if not 0 <= number < len(table.theirs) or number != int(number):
        raise DataError(
            f"{place}: class {words[0]}; {file.name} names {len(table.theirs)}, "
            f"0..{len(table.theirs) - 1}"
        )
    far = [value for value in values if abs(value) > 1.5]
    if far:
        raise DataError(f"{place}: {far[0]:g} is not in 0..1; positions are shares of the picture")
    if len(values) == 4:
        x, y, width, height = values
        return int(number), (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    xs, ys = values[::2], values[1::2]
    return int(number), (min(xs), min(ys), max(xs), max(ys))
