"""Writes files that belong together, each atomically."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from livevision.errors import OutputError
from livevision.files import write_whole


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write files that belong together; each appears when it is complete, in this order.

    Raises:
        OutputError: One cannot be written.
    """
    for path, content in contents.items():
        try:
            write_whole(path, content)
        except OSError as error:
            raise OutputError(f"cannot write {str(path)!r}: {error.strerror}") from error
