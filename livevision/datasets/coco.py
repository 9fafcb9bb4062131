"""Data sets in COCO's format: a JSON file of boxes for each split, beside the pictures.

    ROOT/instances_SPLIT.json or ROOT/annotations/instances_SPLIT.json or ROOT/SPLIT.json,
    pictures in ROOT/images, ROOT/images/SPLIT, ROOT/SPLIT or ROOT; or
    ROOT/SPLIT/_annotations.coco.json with the pictures beside it; or the JSON file itself.

An annotation may have a teacher's `scores`, {category id: 0 to 1}, besides its category.

supervision's reader is not used, since it drops `difficult` and reports broken annotations without
file and id.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from livevision.datasets.boxes import BoxList, FlatBoxes
from livevision.datasets.entry import DataEntry
from livevision.datasets.pictures import picture_size
from livevision.datasets.samples import BoxSample, DataSet
from livevision.datasets.splits import bare, choose_split, is_split
from livevision.datasets.tables import ClassTable, fit_table
from livevision.errors import DataError

_PATTERNS = (
    "instances_*.json",
    "annotations/instances_*.json",
    "*/_annotations.coco.json",
    "annotations/*.json",
    "*.json",
)


def recognise(path: Path) -> bool:
    """Whether this is such a data set, by the names of its files."""
    return path.suffix == ".json" or bool(_files(path))


def splits(path: Path) -> list[str]:
    """The names of its splits; none for a single JSON file."""
    return [] if path.suffix == ".json" else list(_files(path))


def read(path: Path, entry: DataEntry, labels: list[str] | None, default_split: str) -> DataSet:
    """Read and check the boxes of one split.

    Raises:
        UsageError: The split is unknown, or the classes do not match.
        DataError: The JSON is broken, or a picture is missing.
    """
    opened = _open(path, entry, labels, default_split)
    flat = FlatBoxes()
    means = (opened.place_of, opened.table, flat)
    samples = [
        _sample(image, opened.of_image[i], opened.folder, opened.file, means)
        for i, image in opened.images.items()
    ]
    flat.tell(opened.name)
    return DataSet("detect", list(opened.table.labels), samples, opened.table.marked, opened.name)


class Masked(NamedTuple):
    """An object with its mask in COCO's form: a list of polygons, or run lengths."""

    class_id: int  # index into the labels
    segmentation: Any
    place: str  # its location, for errors


def masked(
    path: Path, entry: DataEntry, labels: list[str] | None, default_split: str
) -> tuple[list[str], Iterator[tuple[Path, list[Masked]]]]:
    """The labels, and for each picture the objects with masks, without crowds.

    Raises:
        UsageError, DataError: See `read`.
    """
    opened = _open(path, entry, labels, default_split)

    def pictures() -> Iterator[tuple[Path, list[Masked]]]:
        for number, image in opened.images.items():
            objects = []
            for row in opened.of_image[number]:
                ours = opened.table.ours[opened.place_of[row["category_id"]]]
                if ours is not None and row.get("segmentation") and not row.get("iscrowd"):
                    objects.append(Masked(ours, row["segmentation"], row["place"]))
            yield opened.folder / str(image["file_name"]), objects

    return list(opened.table.labels), pictures()


class _Opened(NamedTuple):
    """One split's JSON, checked."""

    file: Path
    folder: Path  # of the pictures
    name: str
    place_of: dict[Any, int]  # index of a category in the table
    table: ClassTable
    images: dict[Any, dict[str, Any]]
    of_image: dict[Any, list[dict[str, Any]]]


def _open(path: Path, entry: DataEntry, labels: list[str] | None, default_split: str) -> _Opened:
    """Find and load one split.

    Raises:
        UsageError, DataError: See `read`.
    """
    if path.suffix == ".json":
        split, file, root = bare(path.stem.removeprefix("instances_")), path, path.parent
        if root.name == "annotations":
            root = root.parent
    else:
        split, file = choose_split(_files(path), entry.split, default_split, str(path))
        root = path
    content = _load(file)
    name = f"{path} ({split})"
    categories = _by_id(content, "categories", file, ("name",))
    order = sorted(categories)
    table = fit_table([str(categories[i]["name"]) for i in order], labels, entry, name)
    images = _by_id(content, "images", file, ("file_name",))
    if not images:
        raise DataError(f"{file}: its list of images is empty")
    of_image = _annotations_of(content, images, categories, file)
    folder = _picture_folder(file, root, split, str(next(iter(images.values()))["file_name"]))
    place_of = {category: index for index, category in enumerate(order)}
    return _Opened(file, folder, name, place_of, table, images, of_image)


def _files(folder: Path) -> dict[str, Path]:
    """The JSON file of each split."""
    for pattern in _PATTERNS:
        found = {}
        for file in sorted(folder.glob(pattern)):
            beside = file.name == "_annotations.coco.json"
            split = bare(file.parent.name if beside else file.stem.removeprefix("instances_"))
            if beside or file.stem.startswith("instances_") or is_split(split):
                found[split] = file
        if found:
            return found
    return {}


def _load(file: Path) -> dict[str, Any]:
    content: dict[str, Any]
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{file}:{error.lineno}: column {error.colno}: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: is not text in UTF-8: {error.reason}") from error
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise DataError(f"{file}: has no list {key!r}, so it is not in COCO's format")
    return content


def _by_id(
    content: Mapping[str, Any], key: str, file: Path, needed: tuple[str, ...]
) -> dict[Any, dict[str, Any]]:
    """The rows of a list by id.

    Raises:
        DataError: A row lacks a field, or two have the same id.
    """
    rows: dict[Any, dict[str, Any]] = {}
    for number, row in enumerate(content[key]):
        for field in ("id", *needed):
            if not isinstance(row, dict) or field not in row:
                raise DataError(f"{file}: {key}[{number}] has no {field!r}")
        if row["id"] in rows:
            raise DataError(f"{file}: {key}[{number}] has the id {row['id']} of another one")
        rows[row["id"]] = row
    return rows


def _annotations_of(
    content: Mapping[str, Any],
    images: Mapping[Any, Any],
    categories: Mapping[Any, Any],
    file: Path,
) -> dict[Any, list[dict[str, Any]]]:
    """The annotations of each image.

    Raises:
        DataError: A field is missing, or an image or category does not exist.
    """
    of_image: dict[Any, list[dict[str, Any]]] = {i: [] for i in images}
    for number, row in enumerate(content["annotations"]):
        if not isinstance(row, dict):
            raise DataError(f"{file}: annotations[{number}] has no fields")
        place = _place(file, row, number)
        for field in ("image_id", "category_id", "bbox"):
            if field not in row:
                raise DataError(f"{place} has no {field!r}")
        if row["image_id"] not in of_image:
            raise DataError(f"{place}: there is no image with the id {row['image_id']}")
        if row["category_id"] not in categories:
            raise DataError(
                f"{place}: there is no category with the id {row['category_id']}; "
                f"known: {', '.join(map(str, sorted(categories)))}"
            )
        of_image[row["image_id"]].append({**row, "place": place})
    return of_image


def _place(file: Path, row: Mapping[str, Any], number: int) -> str:
    return f"{file}: annotation {row['id']}" if "id" in row else f"{file}: annotations[{number}]"


def _picture_folder(file: Path, root: Path, split: str, first: str) -> Path:
    """The base folder of the file names: the one with the first picture."""
    year = file.stem.removeprefix("instances_")
    candidates = [root / "images" / split, root / "images" / year, root / "images"]
    candidates += [root / split, root / year, file.parent, root]
    if file.name == "_annotations.coco.json":
        candidates = [file.parent]
    for folder in candidates:
        if (folder / first).is_file():
            return folder
    looked = ", ".join(dict.fromkeys(map(str, candidates)))
    raise DataError(f"{file}: picture {first!r} is missing; looked in {looked}")


def _sample(
    image: Mapping[str, Any],
    annotations: list[dict[str, Any]],
    folder: Path,
    file: Path,
    means: tuple[Mapping[Any, int], ClassTable, FlatBoxes],
) -> BoxSample:
    place_of, table, flat = means
    path = folder / str(image["file_name"])
    if not path.is_file():
        raise DataError(f"{file}: image {image['id']}: the picture {path} is missing")
    size = picture_size(path)
    stated = (image.get("width"), image.get("height"))
    if None not in stated and stated != size:
        raise DataError(
            f"{file}: image {image['id']}: {path.name} is {size[0]}x{size[1]}, "
            f"not {stated[0]}x{stated[1]}"
        )
    boxes = BoxList(*size, table, flat)
    known = {str(category): place for category, place in place_of.items()}
    for row in annotations:
        bbox = row["bbox"]
        numbers = isinstance(bbox, list) and len(bbox) == 4
        if not numbers or not all(isinstance(v, int | float) for v in bbox):
            raise DataError(f"{row['place']}: bbox is {bbox}; it takes [x, y, width, height]")
        x, y, width, height = map(float, bbox)
        boxes.add(
            (x, y, x + width, y + height),
            place_of[row["category_id"]],
            row["place"],
            difficult=bool(row.get("difficult")),
            crowd=bool(row.get("iscrowd")),
            scores=_scores(row, known),
        )
    return boxes.sample(path)


def _scores(row: Mapping[str, Any], known: Mapping[str, int]) -> dict[int, float] | None:
    """A teacher's scores of a box, by the class's index in the table.

    Raises:
        DataError: They are not scores, or a category does not exist.
    """
    scores = row.get("scores")
    if scores is None:
        return None
    if (
        not isinstance(scores, dict)
        or not scores.keys() <= known.keys()
        or not all(isinstance(v, int | float) and 0 <= v <= 1 for v in scores.values())
    ):
        raise DataError(
            f"{row['place']}: scores are {scores}; they take {{category id: score from 0 to 1}}"
        )
    return {known[category]: float(score) for category, score in scores.items()}
