"""Where files are kept that a later start can use again."""

from __future__ import annotations

import logging
import os
from pathlib import Path

_log = logging.getLogger(__name__)


def cache_folder(name: str) -> Path | None:
    """A folder in the user's cache, made if need be.

    It lies in ``$XDG_CACHE_HOME/livevision``, or ``~/.cache/livevision`` where that is not set.

    Args:
        name: The folder's name.

    Returns:
        The folder, or None where none can be written, which is logged: a cache is never needed.
    """
    root = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    folder = Path(root) / "livevision" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _log.debug("no cache in %s: %s", folder, error)
        return None
    return folder if os.access(folder, os.W_OK) else None
