"""The log of a run: a CSV with a row for every logged step and every evaluation."""

from __future__ import annotations

import csv
from pathlib import Path

from livevision.files import whole

Row = dict[str, float]


class Log:
    """Rows of figures by name, written to disk as soon as they are added.

    A new figure becomes a new column.

    Args:
        path: the file.
        before: rows of this step and later ones are dropped from an existing file: a run that was
            killed logged them after its last checkpoint, and repeats them.
    """

    def __init__(self, path: Path, before: int = 0) -> None:
        self.path = path
        self.rows: list[Row] = []
        self.columns: list[str] = []
        if before and path.is_file():
            with path.open(newline="") as file:
                for texts in csv.DictReader(file):
                    row: Row = {k: float(v) for k, v in texts.items() if k and v}
                    row["step"] = int(row["step"])
                    if row["step"] <= before:
                        self._take(row)
        self._write_all()

    def add(self, row: Row) -> None:
        """Add a row; it has a "step"."""
        if self._take(row):
            self._write_all()
            return
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self.columns).writerow(row)

    def column(self, name: str) -> tuple[list[float], list[float]]:
        """Steps and values of the rows with a figure."""
        rows = [row for row in self.rows if name in row]
        return [row["step"] for row in rows], [row[name] for row in rows]

    def _take(self, row: Row) -> bool:
        """Store a row; returns whether it has new columns."""
        self.rows.append(row)
        new = [name for name in row if name not in self.columns]
        self.columns += new
        return bool(new)

    def _write_all(self) -> None:
        with whole(self.path) as unfinished, unfinished.open("w", newline="") as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(self.rows)
