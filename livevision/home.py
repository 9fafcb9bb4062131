"""The home folder, which `~` stands for at the beginning of a path."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def with_home(path: str | Path) -> Path:
    """A path with the home folder in the place of `~` or `~user` at its beginning.

    Where there is no such user, or none that has a home, `~` is a character as any other: files may
    be called `~draft.mp4`, and a container may run as a user that nobody knows.
    """
    with suppress(RuntimeError):
        return Path(path).expanduser()
    return Path(path)
