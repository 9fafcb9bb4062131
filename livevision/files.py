"""Files written whole or not at all: whoever looks finds the old file or the new one."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_numbers = itertools.count()


@contextmanager
def whole(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Within it, a file to write beside another, whose place it takes at the end.

    A link stays, and the file that it leads to is replaced. Where the block raises, the old file
    stays and nothing is left behind.

    Args:
        path: The file; it need not be there. Its folder has to be.
        durable: The new file is on the disk before it takes the place, so that a power cut leaves
            one of the two.

    Yields:
        The file to write: hidden, of another name, with the same suffix.

    Raises:
        OSError: It cannot be written, or a folder, a pipe or a device stands there.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a file", str(path))
    end = Path(os.path.realpath(path)) if path.is_symlink() else path
    # Short whatever the file is called, since names have a largest length.
    part = end.with_name(f".livevision-{os.getpid()}-{next(_numbers)}.part{end.suffix[:8]}")
    try:
        yield part
        if durable:
            with part.open("rb+") as file:
                os.fsync(file.fileno())
        part.replace(end)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes | str, *, durable: bool = False) -> None:
    """Write a file of these bytes, or of this text in UTF-8; otherwise as ``whole``."""
    with whole(path, durable=durable) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
