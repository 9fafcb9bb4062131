"""Annotated pictures, one file a frame."""

from __future__ import annotations

import re
from pathlib import Path

import cv2

from livevision.errors import OutputError
from livevision.frame import Rendered
from livevision.output.options import DEFAULTS, OutputOptions
from livevision.output.output_file import OutputFile
from livevision.output.target import is_pattern, refuse_existing
from livevision.protocols import SourceInfo

_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 92, cv2.IMWRITE_PNG_COMPRESSION, 3]


class ImagesSink:
    """Writes JPEG or PNG files, numbered by the frame's index.

    Args:
        target: ``frames/%06d.jpg`` or ``frames/*.png`` for numbered files, or a plain name for a
            source of one picture.
        info: The source.
        options: ``overwrite``.

    Raises:
        OutputError: A plain name and more than one picture; a file exists or cannot be written.
    """

    wants_image = True

    def __init__(self, target: str, info: SourceInfo, options: OutputOptions = DEFAULTS) -> None:
        path = Path(target)
        self._path = path
        self._numbered = is_pattern(path.name)
        self._overwrite = options.overwrite
        self._written = 0
        self.where = str(path.parent) if self._numbered else str(path)
        if self._numbered:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f"cannot make the folder {path.parent}: {error}") from error
            older = sorted(p for p in path.parent.glob(_glob(path.name)) if _fits(path, p))
            if older and not options.overwrite:
                raise OutputError(
                    f"{path.parent} holds pictures such as {older[0].name}; add --overwrite to "
                    "replace them, or give another folder"
                )
        else:
            if info.frames is None or info.frames > 1:
                raise OutputError(self._one_only())
            refuse_existing(path, overwrite=options.overwrite)

    def write(self, rendered: Rendered) -> None:
        """Write a picture: uint8, H×W×3, BGR.

        Raises:
            OutputError: The disk is full, the file exists, or a second picture has no name.
        """
        if not self._numbered and self._written:
            raise OutputError(self._one_only())
        path = self._path.with_name(_numbered(self._path.name, rendered.frame.index))
        encoded, data = cv2.imencode(path.suffix.lower(), rendered.image, _QUALITY)
        if not encoded:
            raise OutputError(f"cannot write {path}: OpenCV has no encoder for {path.suffix}")
        file = OutputFile(path, overwrite=self._overwrite)
        try:
            file.write(data.tobytes())
            file.close()
        except OutputError as error:
            file.discard()
            raise OutputError(f"{error}".split(";")[0]) from error
        self._written += 1

    def close(self) -> None:
        """Nothing is left to do: every picture is finished once written."""

    def _one_only(self) -> str:
        numbered = self._path.with_name(f"{self._path.stem}-%06d{self._path.suffix}")
        return f"{self._path} holds one picture; for more of them give {numbered}"


def _numbered(name: str, index: int) -> str:
    """The name with the frame's number in the place of ``%06d`` or ``*``."""
    name = re.sub(r"%0?(\d*)d", lambda m: f"{index:0{m.group(1) or 1}d}", name, count=1)
    return name.replace("*", f"{index:06d}", 1)


def _glob(name: str) -> str:
    return re.sub(r"%0?\d*d", "*", name, count=1)


def _fits(pattern: Path, path: Path) -> bool:
    """Whether a file's name is one that the pattern gives."""
    escaped = re.escape(_glob(pattern.name)).replace(r"\*", r"\d+", 1)
    return re.fullmatch(escaped, path.name) is not None
