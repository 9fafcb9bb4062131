"""Data sets for classification: a folder of pictures for each class, on disk or in a zip.

ROOT/SPLIT/CLASS/*, or ROOT/CLASS/* without splits; a zip of the same; or a folder with such a zip.
A file `classes.txt` beside the splits may give readable class names, one per line: the folder's
name, a tab or space, and the class's name.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from livevision.datasets.entry import OTHERS, DataEntry
from livevision.datasets.pictures import SUFFIXES
from livevision.datasets.samples import ClassSample, DataSet
from livevision.datasets.splits import choose_split, is_split
from livevision.datasets.tables import fit_table
from livevision.errors import DataError


@dataclass(frozen=True)
class _Member:
    """A picture: its path below the root, its size in bytes, and its name in the zip."""

    path: PurePosixPath
    size: int
    name: str


def recognise(path: Path) -> bool:
    """Whether this may be such a data set: a zip, or folders."""
    return _zip_of(path) is not None or (path.is_dir() and any(p.is_dir() for p in path.iterdir()))


def splits(path: Path) -> list[str]:
    """The names of its splits; none for a data set without splits.

    Raises:
        DataError: Its zip cannot be read.
    """
    archive = _zip_of(path)
    members, _ = _in_zip(archive) if archive else _in_folder(path)
    return _splits(members)


def _splits(members: Sequence[_Member]) -> list[str]:
    firsts = dict.fromkeys(m.path.parts[0] for m in members if len(m.path.parts) > 2)
    return [first for first in firsts if is_split(first)]


def read(path: Path, entry: DataEntry, labels: list[str] | None, default_split: str) -> DataSet:
    """List the pictures of one split.

    Raises:
        UsageError: The split is unknown, or the classes do not match.
        DataError: There are no pictures, or one is empty.
    """
    archive = _zip_of(path)
    members, names_text = _in_zip(archive) if archive else _in_folder(path)
    splits = {split: split for split in _splits(members)}
    name, split = str(path), ""
    if splits or entry.split is not None:
        split, _ = choose_split(splits, entry.split, default_split, str(path))
        name = f"{path} ({split})"
        members = [m for m in members if m.path.parts[0] in splits]
    depth = 1 if split else 0
    members = [m for m in members if len(m.path.parts) > depth + 1]
    chosen = [m for m in members if not split or m.path.parts[0] == split]
    if not chosen:
        raise DataError(f"{name}: no pictures in folders of classes there")
    # Classes of all splits, since a split without one of them would shift the numbers.
    folders = sorted({m.path.parts[depth] for m in members})
    names = _names(folders, names_text, labels, entry)
    table = fit_table(names, labels, entry, name)
    ours = dict(zip(folders, table.ours, strict=True))
    samples = []
    for member in chosen:
        place = f"{archive}: {member.name}" if archive else str(path / member.path)
        if member.size == 0:
            raise DataError(
                f"{place}: the file has zero bytes; replace it or take it out of the data set"
            )
        class_id = ours[member.path.parts[depth]]
        if class_id is not None:
            file = archive or path / member.path
            samples.append(ClassSample(file, member.name, class_id))
    if not samples:
        raise DataError(f"{name}: all pictures are ignored")
    return DataSet("classify", list(table.labels), samples, table.marked, name)


def _zip_of(path: Path) -> Path | None:
    """The zip: the path itself, or the only one in a folder without other folders."""
    if path.is_file():
        return path if path.suffix.lower() == ".zip" else None
    if any(p.is_dir() for p in path.glob("*")):
        return None
    zips = sorted(path.glob("*.zip"))
    return zips[0] if len(zips) == 1 else None


def _in_folder(root: Path) -> tuple[list[_Member], str]:
    """The pictures below a folder, and the text of its classes.txt."""
    members = []
    for file in sorted(root.rglob("*")):
        path = PurePosixPath(file.relative_to(root).as_posix())
        if _is_picture(path) and file.is_file():
            members.append(_Member(path, file.stat().st_size, ""))
    table = root / "classes.txt"
    return members, table.read_text(encoding="utf-8") if table.is_file() else ""


def _in_zip(archive: Path) -> tuple[list[_Member], str]:
    """The pictures in a zip, and the text of its classes.txt; a single outer folder is skipped.

    Raises:
        DataError: It is not a zip.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            infos = [i for i in opened.infolist() if not i.is_dir()]
            members = [_Member(PurePosixPath(i.filename), i.file_size, i.filename) for i in infos]
            tables = [m for m in members if m.path.name == "classes.txt"]
            names_text = opened.read(tables[0].name).decode() if tables else ""
    except (OSError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise DataError(f"{archive}: cannot be read as a zip: {error}") from error
    members = sorted((m for m in members if _is_picture(m.path)), key=lambda m: m.path)
    firsts = {m.path.parts[0] for m in members}
    if len(firsts) == 1 and not is_split(*firsts) and all(len(m.path.parts) > 2 for m in members):
        members = [replace(m, path=PurePosixPath(*m.path.parts[1:])) for m in members]
    return members, names_text


def _is_picture(path: PurePosixPath) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden


def _names(
    folders: Sequence[str], names_text: str, labels: Sequence[str] | None, entry: DataEntry
) -> list[str]:
    """The class name of each folder: the model's or the entry's, if they have one."""
    texts = {}
    for line in names_text.splitlines():
        folder, *text = line.split(maxsplit=1) or [""]
        texts[folder] = text[0].strip() if text else folder
    full = [texts.get(f, f) for f in folders]
    first = [text.split(",")[0].strip() for text in full]
    wanted = {*(labels or ()), *entry.rename}
    wanted |= set(() if entry.ignore == OTHERS else entry.ignore)
    often = Counter(first)
    names = []
    for choice in zip(first, full, folders, strict=True):
        short = choice[0]
        usable = choice if often[short] == 1 else choice[1:]
        names.append(next((n for n in usable if n in wanted), usable[0]))
    often = Counter(names)
    return [f if often[n] > 1 else n for n, f in zip(names, folders, strict=True)]
