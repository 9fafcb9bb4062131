"""The pictures to label: those of a folder with its subfolders, and frames of videos."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from livevision import registry
from livevision.capture.locate import VIDEO_SUFFIXES, expand
from livevision.capture.options import SourceOptions
from livevision.datasets.pictures import SUFFIXES
from livevision.datasets.samples import read_picture
from livevision.errors import SourceError, UsageError
from livevision.files import with_home
from livevision.frame import Image
from livevision.protocols import Source


@dataclass(frozen=True)
class Shot:
    """One picture.

    Attributes:
        key: Identifies it in the source.
        stem: Preferred name of its file; need not be unique.
        path: Its file; None for a frame of a video.
        read: Returns it, uint8 H×W×3 BGR, upright. Raises DataError if it is broken.
    """

    key: str
    stem: str
    path: Path | None
    read: Callable[[], Image]


class Shots:
    """All pictures of a source, sorted by name.

    Args:
        source: A folder, a file or a glob of pictures or videos.
        every: Take every Nth frame of a video; all pictures are taken.
        besides: A folder to exclude: that of the data set.

    Attributes:
        total: Their number, as far as known; that of videos is known when they are opened.

    Raises:
        SourceError: There is nothing to label.
        UsageError: The source is live.
    """

    def __init__(self, source: str, every: int, besides: Path) -> None:
        self._every = every
        self._root, self._files = _found(source, besides)
        self.total = sum(path.suffix.lower() in SUFFIXES for path in self._files)

    def __iter__(self) -> Iterator[Shot]:
        for path in self._files:
            name = path.relative_to(self._root) if self._root else Path(path.name)
            key = (name if self._root else path).as_posix()
            stem = re.sub(r"\s+", "_", "_".join((*name.parent.parts, name.stem)))
            if path.suffix.lower() in SUFFIXES:
                yield Shot(key, stem, path, _reader(path))
            else:
                yield from self._frames(path, key, stem)

    def _frames(self, path: Path, key: str, stem: str) -> Iterator[Shot]:
        kind = registry.resolve(registry.SOURCES, "video_file", "kind of source")
        opened: Source = kind(str(path), SourceOptions(stride=self._every))
        with closing(opened):
            self.total += opened.info.frames or 0
            for frame in opened:
                number = frame.index

                def read(image: Image = frame.image) -> Image:
                    return image

                yield Shot(f"{key}#{number}", f"{stem}_{number:06}", None, read)


def free_name(stem: str, taken: Collection[str]) -> str:
    """The stem, with a number if necessary to be unique regardless of case."""
    name, number = stem, 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}-{number}"
    return name


def _reader(path: Path) -> Callable[[], Image]:
    return lambda: np.ascontiguousarray(read_picture(path)[..., ::-1])


def _found(source: str, besides: Path) -> tuple[Path | None, list[Path]]:
    """The base folder of names, and the files."""
    root = with_home(source)
    if root.is_dir():
        found = sorted(
            path
            for path in root.rglob("*")
            if path.suffix.lower() in (*SUFFIXES, *VIDEO_SUFFIXES)
            and not any(part.startswith((".", "__MACOSX")) for part in path.relative_to(root).parts)
            and besides.resolve() not in path.resolve().parents
        )
        if not found:
            raise SourceError(f"{source}: the folder holds no picture and no video")
        return root, found
    files: list[Path] = []
    for kind, uri in expand([source]):
        if kind not in ("video_file", "images"):
            raise UsageError(f"{uri!r} is live; give pictures or videos, which can be read again")
        path = Path(uri)
        # Path.glob does not take absolute patterns.
        some = [path] if path.exists() else map(Path, glob.glob(uri, recursive=True))  # noqa: PTH207
        pictures = kind == "images"
        files += [p for p in some if not pictures or p.suffix.lower() in SUFFIXES]
    if not files:
        raise SourceError(f"{source}: no picture there; known suffixes: {' '.join(SUFFIXES)}")
    return None, sorted(set(files))
