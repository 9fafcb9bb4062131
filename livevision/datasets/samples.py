"""Labelled pictures: location, labels and reading.

Samples are small: they hold labels; pixels are decoded by `read`, in any thread or process.
Pictures are uint8, H×W×3, RGB, oriented by their EXIF data.
"""

from __future__ import annotations

import functools
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from livevision.datasets.soft_labels import SoftLabels
from livevision.errors import DataError

Image: TypeAlias = npt.NDArray[np.uint8]
Kind: TypeAlias = Literal["detect", "segment", "classify"]

IGNORED = 255
"""Label of pixels that are ignored by losses and scores."""


@dataclass(frozen=True, eq=False)
class BoxSample:
    """One picture and the boxes of the objects in it.

    Attributes:
        path: The picture.
        width: Width of the picture as `read` returns it, in pixels.
        height: Likewise.
        boxes: float32, N×4, x1 y1 x2 y2 in pixels, inside the picture.
        classes: int64, N, index into the data set's labels.
        difficult: bool, N: objects that scores do not require.
        crowd: bool, N: regions with any number of objects, or of unknown content: what is inside is
            neither an object nor background.
        shares: float32, N×labels: a teacher's share for each class of a box, rows sum to 1; None if
            every box has one certain class.
    """

    path: Path
    width: int
    height: int
    boxes: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int64]
    difficult: npt.NDArray[np.bool_]
    crowd: npt.NDArray[np.bool_]
    shares: npt.NDArray[np.float32] | None = None

    def read(self) -> Image:
        """The picture.

        Raises:
            DataError: It cannot be decoded, or its size differs from that of its labels.
        """
        image = read_picture(self.path)
        if image.shape[:2] != (self.height, self.width):
            raise DataError(
                f"{self.path}: the picture is {image.shape[1]}x{image.shape[0]}; its labels were "
                f"made for {self.width}x{self.height}"
            )
        return image


@dataclass(frozen=True, eq=False)
class ClassMapSample:
    """One picture and a PNG with the class of each of its pixels.

    Attributes:
        path: The picture.
        label_path: The PNG: grey, or with a palette whose indices count, not the colours.
        meaning: int16, 256: the label of each stored value, an index into the data set's labels,
            behind them into its coarse classes, or `IGNORED`; -1 for values that must not occur.
        soft: A teacher's logits of the picture, if the data set has them.
    """

    path: Path
    label_path: Path
    meaning: npt.NDArray[np.int16]
    soft: SoftLabels | None = None

    def read(self) -> tuple[Image, npt.NDArray[np.uint8]]:
        """The picture, and uint8 H×W of labels and coarse classes, `IGNORED` where unknown.

        Raises:
            DataError: One cannot be decoded, they differ in size, or the PNG has a value without a
                class.
        """
        return read_picture(self.path), self.read_labels()

    def read_labels(self) -> npt.NDArray[np.uint8]:
        """The labels only, as in `read`."""
        from livevision.datasets.index_png import read_indices

        stored = read_indices(self.label_path)
        labels = self.meaning[stored]
        if labels.min() < 0:
            y, x = (int(v[0]) for v in np.nonzero(labels < 0))
            raise DataError(
                f"{self.label_path}: pixel ({x}, {y}) has the value {stored[y, x]}, which is none "
                f"of the classes: {_known(self.meaning)}; ignore: [{stored[y, x]}] makes it void"
            )
        return labels.astype(np.uint8)


@dataclass(frozen=True, eq=False)
class ClassSample:
    """One picture with one class.

    Attributes:
        path: The picture, or the zip with the picture.
        member: The picture's name in the zip; empty for a file.
        class_id: Index into the data set's labels.
    """

    path: Path
    member: str
    class_id: int

    def read(self) -> Image:
        """The picture.

        Raises:
            DataError: It cannot be decoded.
        """
        if not self.member:
            return read_picture(self.path)
        return decode_picture(self.data(), f"{self.path}: {self.member}")

    def data(self) -> bytes:
        """The bytes of the picture's file.

        Raises:
            DataError: It cannot be read.
        """
        if not self.member:
            return _bytes_of(self.path)
        try:
            return _archive(self.path, os.getpid()).read(self.member)
        except (OSError, zipfile.BadZipFile, KeyError) as error:
            raise DataError(f"{self.path}: {self.member} cannot be read: {error}") from error


Sample: TypeAlias = BoxSample | ClassMapSample | ClassSample


@dataclass(frozen=True, eq=False)
class DataSet:
    """Labelled pictures of one kind, with the classes of a model.

    Attributes:
        kind: The task of the labels: "detect", "segment" or "classify".
        labels: Class names of the model; samples have indices into it.
        samples: In a fixed order: `BoxSample`, `ClassMapSample` or `ClassSample`, by `kind`.
        marked: Labels that this data set marks. Objects of other classes are not marked, so neither
            a loss nor a score may count them as background.
        name: Folder or file and split, for messages.
        coarse: Names of coarse classes of class maps, each with the labels of which it is any.
            Pixels of the first have the number of labels, and so on.
    """

    kind: Kind
    labels: list[str]
    samples: Sequence[Sample]
    marked: frozenset[int]
    name: str = ""
    coarse: Mapping[str, frozenset[int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.samples)


def read_picture(path: Path) -> Image:
    """Read a picture file as uint8, H×W×3, RGB.

    Raises:
        DataError: The file does not exist, is empty, or cannot be decoded.
    """
    return decode_picture(_bytes_of(path), str(path))


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: the picture cannot be read: {error.strerror}") from error


def decode_picture(data: bytes, name: str) -> Image:
    """Decode a picture file's bytes to uint8, H×W×3, RGB; `name` is for the error.

    Raises:
        DataError: They cannot be decoded.
    """
    image = None
    if data:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        why = "cannot be decoded as a picture" if data else "has zero bytes"
        raise DataError(f"{name}: the file {why}; replace it or take it out of the data set")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


@functools.lru_cache(maxsize=16)
def _archive(path: Path, process: int) -> zipfile.ZipFile:
    """The open archive; one per process, since processes would share the position in the file."""
    return zipfile.ZipFile(path)


def _known(meaning: npt.NDArray[np.int16]) -> str:
    """The allowed values, as ranges."""
    known = np.flatnonzero(meaning >= 0)
    runs = np.split(known, np.flatnonzero(np.diff(known) > 1) + 1)
    return ", ".join(f"{r[0]}..{r[-1]}" if len(r) > 1 else str(r[0]) for r in runs)
