"""Annotated pictures, one file per frame."""

from __future__ import annotations

from pathlib import Path

import cv2

from livevision.errors import OutputError
from livevision.frame import Rendered
from livevision.output.names import fitting, is_pattern, name_of, numbered_name
from livevision.output.options import DEFAULTS, OutputOptions
from livevision.output.output_file import OutputFile
from livevision.output.target import refuse_existing
from livevision.protocols import SourceInfo

# By suffix: OpenCV warns about each setting that an encoder does not know, for every picture.
_SETTINGS = {
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 92],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 92],
    ".png": [cv2.IMWRITE_PNG_COMPRESSION, 3],
}
_LARGEST_JPEG = 65500  # libjpeg's limit; the format's is 65535


class ImagesSink:
    """Writes JPEG or PNG files, named by the frame's index or by its picture.

    Args:
        target: ``frames/%06d.jpg`` for numbered files; ``frames/*.png`` for numbers of video frames
            and names of pictures; ``names.NAMED`` to keep their suffixes too; or a plain name for
            a source of one picture.
        info: The source.
        options: ``overwrite``.

    Raises:
        OutputError: More than one picture for a plain name; a file exists or cannot be written.
            From ``close``: some pictures, and only these, do not fit the format.
    """

    wants_image = True

    def __init__(self, target: str, info: SourceInfo, options: OutputOptions = DEFAULTS) -> None:
        path = Path(target)
        self._path = path
        self._numbered = is_pattern(path.name)
        self._overwrite = options.overwrite
        self._written = 0
        self._names: set[str] = set()
        self._refused: list[str] = []
        self.where = str(path.parent) if self._numbered else str(path)
        if self._numbered:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f"cannot make the folder {path.parent}: {error}") from error
            # Pictures that keep their names are checked one by one, as they are written.
            names = not (info.still and "*" in path.name)
            older = sorted(
                p for p in path.parent.iterdir() if names and numbered_name(path.name, p.name)
            )
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
            OutputError: The disk is full, the file exists, or a plain name gets a second picture.
        """
        if not self._numbered and self._written:
            raise OutputError(self._one_only())
        path = self._path
        if self._numbered:
            path = path.with_name(self._free(name_of(path.name, rendered.frame)))
        suffix = path.suffix.lower()
        height, width = rendered.image.shape[:2]
        if suffix != ".png" and max(width, height) > _LARGEST_JPEG:
            self._refused.append(
                f"{path}: JPEG holds {_LARGEST_JPEG} pixels a side, this has {width}x{height}; "
                "write .png"
            )
            return
        encoded, data = cv2.imencode(suffix, rendered.image, _SETTINGS[suffix])
        if not encoded:
            self._refused.append(f"{path}: OpenCV cannot encode {width}x{height} as {suffix}")
            return
        file = OutputFile(path, overwrite=self._overwrite)
        try:
            file.write(data.tobytes())
            file.close()
        except OutputError as error:
            file.discard()
            raise OutputError(f"{error}".split(";")[0]) from error
        self._written += 1

    def close(self) -> None:
        """Report what could not be written; every picture is complete once written.

        Raises:
            OutputError: Some pictures do not fit the format.
        """
        if not self._written:
            self.where = ""
        refused, self._refused = self._refused, []
        if refused:
            more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
            raise OutputError(f"cannot write {refused[0]}{more}")

    def _free(self, name: str) -> str:
        """The name, with a number if another picture of this run has it: cat.bmp and cat.jpg."""
        path, number = Path(name), 1
        while name in self._names:
            number += 1
            name = fitting(path.stem, f"-{number}{path.suffix}")
        if "*" in self._path.name:  # numbers are unique
            self._names.add(name)
        return name

    def _one_only(self) -> str:
        numbered = self._path.with_name(f"{self._path.stem}-%06d{self._path.suffix}")
        return f"{self._path} holds one picture; for several give {numbered}"
