"""Soft labels of class maps: a teacher's logits, as `livevision label --soft` writes them.

    ROOT/masks/SPLIT/NAME.png      the class map; the folder may have other names
    ROOT/logits/SPLIT/NAME.npz     its soft labels: `logits`, classes×h×w, float16

The logits cover the picture at any resolution; their channels are the data set's classes in order.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from livevision.datasets.splits import is_split
from livevision.errors import DataError

FOLDER = "logits"
KEY = "logits"

IGNORED = 255  # as in `samples`


@dataclass(frozen=True, eq=False)
class SoftLabels:
    """The soft labels of one picture.

    Attributes:
        path: The .npz file.
        meaning: int16, a label of the model for each stored class, or `IGNORED`.
    """

    path: Path
    meaning: npt.NDArray[np.int16]

    def shape(self) -> tuple[int, int]:
        """(height, width) of the logits; only the header is read.

        Raises:
            DataError: The file is damaged, or has other classes than the data set.
        """
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(f"{KEY}.npy") as file:
                version = np.lib.format.read_magic(file)
                header = np.lib.format.read_array_header_1_0
                if version != (1, 0):
                    header = np.lib.format.read_array_header_2_0
                shape, _, dtype = header(file)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise DataError(self._damaged(error)) from error
        self._check(shape, dtype)
        return shape[1], shape[2]

    def read(self, labels: int) -> npt.NDArray[np.float16]:
        """The logits of the model's labels, and the share of the classes that are not ignored.

        Classes that become one label are merged. The logits are multiplied by the share, so that
        interpolation between positions weighs them by it.

        Args:
            labels: Number of the model's labels.

        Returns:
            h×w×(labels + 1); 0 for labels that the data set does not have. The last channel is the
            share, 0..1.

        Raises:
            DataError: The file is damaged, or has other classes than the data set.
        """
        try:
            with np.load(self.path) as archive:
                logits = archive[KEY]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(self._damaged(error)) from error
        self._check(logits.shape, logits.dtype)
        logits = logits.astype(np.float32)
        if not np.isfinite(logits).all():
            raise DataError(f"{self.path}: its logits are not finite; label again with --soft")
        out = np.zeros((*logits.shape[1:], labels + 1), np.float32)
        kept = self.meaning != IGNORED
        out[..., -1] = 1
        if not kept.all():
            out[..., -1] = np.exp(_log_sum(logits[kept]) - _log_sum(logits))
        for label in np.unique(self.meaning[kept]):
            out[..., label] = _log_sum(logits[self.meaning == label]) * out[..., -1]
        return out.astype(np.float16)

    def _check(self, shape: tuple[int, ...], dtype: np.dtype) -> None:
        if len(shape) != 3 or 0 in shape or dtype.kind != "f":
            listed = "×".join(map(str, shape)) or "a number"
            raise DataError(
                f"{self.path}: {KEY} is {listed} of {dtype}; soft labels are classes×h×w of floats"
            )
        if shape[0] != len(self.meaning):
            raise DataError(
                f"{self.path}: has logits of {shape[0]} classes, and the data set has "
                f"{len(self.meaning)}; label again with --soft, or remove the folder {FOLDER}"
            )

    def _damaged(self, error: Exception) -> str:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return f"{self.path}: cannot be read as soft labels: {' '.join(str(reason).split())}"


def soft_path(label_path: Path) -> Path:
    """The file of the soft labels that belongs to a class map's file."""
    folder = label_path.parent
    if is_split(folder.name):
        return folder.parent.parent / FOLDER / folder.name / f"{label_path.stem}.npz"
    return folder.parent / FOLDER / f"{label_path.stem}.npz"


def has_soft_labels(root: Path) -> bool:
    """Whether a data set's folder has soft labels of any picture."""
    layouts = (f"{FOLDER}/*/*.npz", f"{FOLDER}/*.npz", f"*/{FOLDER}/*.npz")
    return any(next(root.glob(layout), None) is not None for layout in layouts)


def soft_labels_of(
    label_paths: Iterable[Path], meaning: npt.NDArray[np.int16]
) -> list[SoftLabels | None]:
    """The soft labels that belong to class maps; None for those without a file."""
    there: dict[Path, bool] = {}
    found: list[SoftLabels | None] = []
    for label_path in label_paths:
        path = soft_path(label_path)
        if path.parent not in there:
            there[path.parent] = path.parent.is_dir()
        has_file = there[path.parent] and path.is_file()
        found.append(SoftLabels(path, meaning) if has_file else None)
    return found


def _log_sum(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Logarithm of the sum of exponentials over the classes, h×w."""
    highest: npt.NDArray[np.float32] = logits.max(0)
    if len(logits) > 1:
        highest = highest + np.log(np.exp(logits - highest).sum(0))
    return highest
