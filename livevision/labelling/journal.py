"""The record of finished pictures, from which an interrupted run continues.

`labels.jsonl` has the settings in its first line and a record in each other one. A line is written
after its picture is in the data set; a truncated last line is removed and its picture done again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from livevision.errors import OutputError, UsageError
from livevision.labelling.record import Record, put

NAME = "labels.jsonl"


class Journal:
    """The records of an unfinished data set.

    Args:
        folder: Folder of the data set.
        settings: Settings that the labels depend on; those of an earlier run must be the same.
        whole: Whether the files of a record exist.

    Attributes:
        records: By key, including those of earlier runs.

    Raises:
        UsageError: The folder was started with other settings.
        OutputError: It has other contents, or cannot be written.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, Any], whole: Callable[[Record], bool]
    ) -> None:
        self._path = folder / NAME
        self.records: dict[str, Record] = {}
        if not self._path.exists():
            _check_empty(folder)
        lines = self._path.read_bytes().splitlines(keepends=True) if self._path.exists() else []
        header = _parsed(lines[0]) if lines else None
        if header is None:
            put(self._path, json.dumps({"settings": settings}, ensure_ascii=False) + "\n")
        else:
            _check_same(folder, header.get("settings", {}), json.loads(json.dumps(settings)))
            length = len(lines[0])
            for line in lines[1:]:
                row = _parsed(line)
                if row is None:
                    break
                length += len(line)
                try:
                    record = Record.of(row)
                except (KeyError, TypeError, ValueError) as error:
                    raise OutputError(f"{self._path}: {error!r}; give another folder") from error
                if whole(record):
                    self.records[record.key] = record
            os.truncate(self._path, length)
        self._file = self._path.open("ab")

    def add(self, record: Record) -> None:
        """Add a record whose files are written."""
        self.records[record.key] = record
        self._file.write(json.dumps(record.to_dict(), ensure_ascii=False).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _parsed(line: bytes) -> dict[str, Any] | None:
    """A parsed line; None if it is truncated."""
    if not line.endswith(b"\n"):
        return None
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _check_empty(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"--output {folder} is a file; it takes a folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise OutputError(
            f"--output {folder} holds something else; give a new folder, or one that 'livevision "
            "label' has begun"
        )


def _check_same(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for key in now:
        if before.get(key) != now[key]:
            raise UsageError(
                f"--output {folder} was begun with {key} {_shown(before.get(key))}, not "
                f"{_shown(now[key])}; a data set has the labels of one way: give another folder"
            )


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 60 else f"{text[:60]}…"
