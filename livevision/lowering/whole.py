"""Files that belong together, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from livevision.errors import OutputError


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write files that belong together; each appears when it is complete, the last one last.

    Raises:
        OutputError: One cannot be written.
    """
    for path, content in contents.items():
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            part.write_bytes(content)
            part.replace(path)
        except OSError as error:
            raise OutputError(f"cannot write {str(path)!r}: {error.strerror}") from error
        finally:
            part.unlink(missing_ok=True)
