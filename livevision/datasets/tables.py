"""Class tables: map the classes of a data set to a model's labels."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from livevision.datasets.aliases import among
from livevision.datasets.entry import OTHERS, DataEntry
from livevision.errors import UsageError, unknown

_SHOWN = 80


@dataclass(frozen=True)
class ClassTable:
    """Mapping of a data set's classes to a model's.

    Attributes:
        theirs: Class names of the data set; its samples index them.
        labels: Class names of the model.
        ours: For each of `theirs` the index into `labels`, or None if it is ignored or coarse.
    """

    theirs: tuple[str, ...]
    labels: tuple[str, ...]
    ours: tuple[int | None, ...]

    @property
    def marked(self) -> frozenset[int]:
        """Labels that the data set marks."""
        return frozenset(index for index in self.ours if index is not None)


def fit_table(
    theirs: Sequence[str], labels: Sequence[str] | None, entry: DataEntry, name: str
) -> ClassTable:
    """Map each class of a data set to a label: by its new name, the same name, or to nothing.

    Classes that Pascal VOC and COCO name differently are the same (`aliases`), unless renamed.

    Args:
        theirs: Class names of the data set.
        labels: The model's; None derives them from `theirs`, renamed and without ignored ones.
        entry: Renamed, coarse and ignored classes.
        name: Name of the data set, for errors.

    Raises:
        UsageError: A class is not in the model's table, or `rename`, `coarse` or `ignore` names one
            that does not exist.
    """
    _check_distinct(theirs, f"{name}: its table of classes")
    rename = {t: o for t, o in entry.rename.items() if t != OTHERS or t in theirs}
    ignore = () if entry.ignore == OTHERS else entry.ignore
    for what, given in (("rename", rename), ("coarse", entry.coarse), ("ignore", ignore)):
        for theirs_name in given:
            if theirs_name not in theirs:
                raise UsageError(f"{name}: {what}: {unknown('class', theirs_name, theirs)}")
    once = [*rename, *entry.coarse, *ignore]
    both = [t for t in once if once.count(t) > 1]
    if both:
        raise UsageError(
            f"{name}: {both[0]!r} is given in two of rename, coarse and ignore; keep one of them"
        )
    rest = entry.rename.get(OTHERS) if OTHERS not in theirs else None
    if labels is None:
        called = [rename.get(t, rest or t) for t in theirs if t not in (*ignore, *entry.coarse)]
        labels = list(dict.fromkeys(called))
    _check_distinct(labels, "the model's table of classes")
    for ours_name in [*rename.values(), *([rest] if rest else [])]:
        if among(ours_name, labels) is None:
            raise UsageError(
                f"{name}: rename to {ours_name!r}: {unknown('label', ours_name, labels)}"
            )
    ours: list[int | None] = []
    lacking = []
    for their_name in theirs:
        called_now = among(rename.get(their_name, their_name), labels)
        if their_name in ignore or their_name in entry.coarse:
            ours.append(None)
        elif called_now is not None:
            ours.append(labels.index(called_now))
        elif rest is not None:
            ours.append(labels.index(among(rest, labels) or rest))
        else:
            ours.append(None)
            lacking.append(their_name)
    if lacking and entry.ignore != OTHERS:
        raise UsageError(_does_not_fit(name, lacking, labels))
    if all(index is None for index in ours) and not entry.coarse:
        raise UsageError(
            f"{name}: none of its classes ({_some(theirs)}) is one of the model's "
            f"({_some(labels)}); rename them"
        )
    return ClassTable(tuple(theirs), tuple(labels), tuple(ours))


def _does_not_fit(name: str, lacking: Sequence[str], labels: Sequence[str]) -> str:
    first = lacking[0]
    near = difflib.get_close_matches(first, labels, n=1, cutoff=0.5)
    ours = near[0] if near else "OURS"
    return (
        f"{name}: the model's table lacks {len(lacking)} of its classes: {_some(lacking)}. Rename "
        f"each to one of the model's (rename: {{{first}: {ours}}}, --rename {first}={ours}) or "
        f"leave it out (ignore: [{first}], --ignore {first}, or ignore: {OTHERS} for all of them). "
        f"The model's: {_some(labels)}"
    )


def _some(names: Sequence[str]) -> str:
    """The names; if there are many, the first ones."""
    return ", ".join(names[:_SHOWN]) + (
        f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    )


def _check_distinct(names: Sequence[str], what: str) -> None:
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise UsageError(f"{what} has {twice[0]!r} twice")
