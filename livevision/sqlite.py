"""SQLite files that the threads of a process, and other processes, use at the same time."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote


def open_shared(
    path: Path, schema: str, *, timeout: float, journal_bytes: int
) -> sqlite3.Connection:
    """Open a file in WAL mode, so that others may read it meanwhile; it is created if missing.

    With WAL, what was committed survives a crash of the process; a power cut may lose the last
    commits. The connection may be used by several threads, one at a time.

    Args:
        path: The file.
        schema: Statements that create what is missing.
        timeout: Seconds to wait for other processes.
        journal_bytes: Size to which the journal shrinks again.

    Raises:
        sqlite3.Error: The file cannot be created, or is something else.
    """
    connection = sqlite3.connect(path, timeout=timeout, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA journal_size_limit={int(journal_bytes)}")
        connection.executescript(schema)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path, *, timeout: float) -> sqlite3.Connection:
    """Open an existing file for reading only; the rest is as in `open_shared`.

    Raises:
        sqlite3.Error: There is no such file.
    """
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    return sqlite3.connect(address, uri=True, timeout=timeout, check_same_thread=False)
