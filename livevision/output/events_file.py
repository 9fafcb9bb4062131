"""Events as JSON lines in a file, written as they happen."""

from __future__ import annotations

import json
from pathlib import Path

from livevision.analysis.event import Event
from livevision.errors import OutputError
from livevision.output.output_file import OutputFile


class EventsFile:
    """Writes one event a line; a crash loses at most the line being written.

    Args:
        path: A file that ends in .jsonl.
        overwrite: Replace an existing file.

    Raises:
        OutputError: The file exists, or cannot be created.
    """

    def __init__(self, path: Path, overwrite: bool = False) -> None:
        if path.suffix.lower() != ".jsonl":
            raise OutputError(f"cannot write {path}: events are written to a file ending in .jsonl")
        self.where = str(path)
        self._file = OutputFile(path, overwrite=overwrite)

    def write(self, event: Event) -> None:
        """Add an event.

        Raises:
            OutputError: The disk is full, or the file can no longer be written.
        """
        text = json.dumps(event.to_dict(), ensure_ascii=False, separators=(", ", ": "))
        self._file.write(text.encode(errors="backslashreplace") + b"\n")

    def close(self) -> None:
        """Finish the file."""
        self._file.close()
