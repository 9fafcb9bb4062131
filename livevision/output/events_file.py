"""Events as lines of JSON in a file, each on its way to the disk as it happens."""

from __future__ import annotations

import json
from pathlib import Path

from livevision.analysis.event import Event
from livevision.errors import OutputError
from livevision.output.output_file import OutputFile


class EventsFile:
    """Writes events, one a line; a crash costs at most the one being written.

    Args:
        path: A file that ends in .jsonl.
        overwrite: Replace a file that exists.

    Raises:
        OutputError: It exists, or cannot be made.
    """

    def __init__(self, path: Path, overwrite: bool = False) -> None:
        if path.suffix.lower() != ".jsonl":
            raise OutputError(f"cannot write {path}: events are written to a file ending in .jsonl")
        self.where = str(path)
        self._file = OutputFile(path, overwrite=overwrite)

    def write(self, event: Event) -> None:
        """Add an event.

        Raises:
            OutputError: The disk is full, or the file cannot be written any more.
        """
        text = json.dumps(event.to_dict(), ensure_ascii=False, separators=(", ", ": "))
        self._file.write(text.encode(errors="backslashreplace") + b"\n")

    def close(self) -> None:
        """Finish the file."""
        self._file.close()
