"""Where files of the user's are kept: those a later start can use again, and those made to stay."""

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
    folder = _under("XDG_CACHE_HOME", "~/.cache") / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _log.debug("no cache in %s: %s", folder, error)
        return None
    return folder if os.access(folder, os.W_OK) else None


def data_folder(name: str) -> Path:
    """A folder among the user's data, for what was made to stay; it need not be there.

    It lies in ``$XDG_DATA_HOME/livevision``, or ``~/.local/share/livevision`` where that is not
    set.
    """
    return _under("XDG_DATA_HOME", "~/.local/share") / name


def _under(variable: str, otherwise: str) -> Path:
    return Path(os.environ.get(variable) or Path(otherwise).expanduser()) / "livevision"
