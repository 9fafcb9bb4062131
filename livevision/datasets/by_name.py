"""Takes those pictures of a data set whose names fit patterns: a sequence, a place, a camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from livevision.datasets.samples import DataSet, Sample
from livevision.errors import DataError


def with_names(data_set: DataSet, patterns: Sequence[str], root: Path) -> DataSet:
    """The pictures that fit at least one pattern, in the data set's order.

    Args:
        data_set: All pictures.
        patterns: As of shells; one without a slash is compared with the file name, others with as
            many of the last parts of the path as they have themselves.
        root: Folder of the data set; names are relative to it.

    Raises:
        DataError: No picture fits one of the patterns, which would be a mistake in writing it.
    """
    names = [PurePosixPath(name_below(sample, root)) for sample in data_set.samples]
    fitting: set[int] = set()
    for pattern in patterns:
        found = {at for at, name in enumerate(names) if name.match(pattern)}
        if not found:
            example = f", such as {names[0]}" if names else ""
            raise DataError(
                f"{data_set.name}: none of its {len(names)} pictures{example}, fits the pattern "
                f"{pattern} of files"
            )
        fitting |= found
    samples = [data_set.samples[at] for at in sorted(fitting)]
    return replace(data_set, samples=samples, name=f"{data_set.name}, {' '.join(patterns)}")


def name_below(sample: Sample, root: Path) -> str:
    """A picture's path relative to its data set, the same on every machine: "a/b.jpg/", or with the
    name of a zip's member behind the slash."""
    path = sample.path
    below = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
    return f"{below.as_posix()}/{getattr(sample, 'member', '')}"
