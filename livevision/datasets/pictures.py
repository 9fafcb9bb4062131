"""Picture files: finds them in folders, and reads their size without decoding."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from livevision.datasets.samples import read_picture
from livevision.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".jfif")
_EXIF_ORIENTATION = 0x0112


def pictures_in(folder: Path, deep: bool = False) -> list[Path]:
    """The pictures of a folder, and with `deep` of its subfolders, sorted by name."""
    found = folder.rglob("*") if deep else folder.glob("*")
    return sorted(p for p in found if p.suffix.lower() in SUFFIXES and not _hidden(p, folder))


def find_picture(name: str, folders: Iterable[Path]) -> Path | None:
    """A picture by name, with or without suffix, in the first folder that has it."""
    for folder in folders:
        if name and (folder / name).is_file() and Path(name).suffix.lower() in SUFFIXES:
            return folder / name
        for suffix in SUFFIXES:
            for written in (suffix, suffix.upper()):
                path = folder / f"{name}{written}"
                if path.is_file():
                    return path
    return None


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) of a picture file as `read_picture` gives it, from its header.

    Raises:
        DataError: The file does not exist, is empty, or is not a picture.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        if path.stat().st_size == 0:
            raise DataError(
                f"{path}: the file has zero bytes; replace it or take it out of the data set"
            )
        with Image.open(path) as picture:
            width, height = picture.size
            turned = picture.getexif().get(_EXIF_ORIENTATION, 1) >= 5
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such picture") from None
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError, SyntaxError, TypeError):
        # A format that only OpenCV knows, or unreadable.
        height, width = read_picture(path).shape[:2]
        return width, height
    return (height, width) if turned else (width, height)


def _hidden(path: Path, folder: Path) -> bool:
    """Whether it is a hidden file, such as those of macOS."""
    return any(part.startswith((".", "__MACOSX")) for part in path.relative_to(folder).parts)
