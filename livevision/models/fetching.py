"""Downloads a file over HTTP: resumes after interruptions, and verifies the hash."""

from __future__ import annotations

import hashlib
import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from livevision.errors import ModelError, OutputError
from livevision.redact import redact_uri
from livevision.version import __version__

_TRIES = 3
_SILENCE_S = 30.0
_PIECE = 1 << 16

Progress = Callable[[int], None]
"""Called with the number of bytes downloaded."""


def fetch(url: str, sha256: str, size: int, part: Path, progress: Progress) -> None:
    """Download a file, resuming an earlier attempt.

    Args:
        url: http:// or https://; redirects are followed.
        sha256: Expected hash.
        size: Expected size in bytes.
        part: Where it is written; existing content is taken for the file's beginning.
        progress: Called during the download.

    Raises:
        ModelError: The download failed, or is another file; a file of the right size with a wrong
            hash is deleted, so that the next attempt starts anew.
        OutputError: It cannot be written.
    """
    shown = redact_uri(url)
    why = ""
    for _ in range(_TRIES):
        there = _length(part)
        if there > size:
            part.unlink()
            there = 0
        if there == size:
            break
        try:
            why = _go_on(url, size, part, there, progress)
        except urllib.error.HTTPError as error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and there:
                part.unlink()
                continue
            raise ModelError(
                f"{shown} answers {error.code} {error.reason}; download the file by hand and give "
                "it with --from FILE"
            ) from error
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            if isinstance(error, _Unwritable):
                raise OutputError(f"cannot write {str(part)!r}: {error}") from error
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            why = " ".join(str(reason).split()) or type(error).__name__
    there = _length(part)
    if there < size:
        raise ModelError(
            f"{shown} broke off at {there:,} of {size:,} bytes ({why}); run the same command to "
            "resume, or download the file by hand and give it with --from FILE"
        )
    found = sha256_of(part)
    if found != sha256:
        part.unlink()
        raise ModelError(
            f"{shown} gives another file than expected: SHA-256 {found}, not "
            f"{sha256}; it was deleted"
        )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Unwritable(OSError):
    """Writing failed, not the network."""


def _go_on(url: str, size: int, part: Path, there: int, progress: Progress) -> str:
    """One attempt; returns why it ended early, "" if it did not."""
    headers = {"User-Agent": f"livevision/{__version__}", "Accept-Encoding": "identity"}
    if there:
        headers["Range"] = f"bytes={there}-"
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=_SILENCE_S) as answer:
        begins = _beginning(answer.headers.get("Content-Range", ""))
        if answer.status != http.client.PARTIAL_CONTENT or begins != there:
            there = 0  # the server sends all of it
        length = answer.headers.get("Content-Length", "")
        if length.isdecimal() and there + int(length) != size:
            raise ModelError(
                f"{redact_uri(url)} has {there + int(length):,} bytes, not the expected "
                f"{size:,}: it is another file"
            )
        try:
            with part.open("ab" if there else "wb") as file:
                progress(there)
                while there < size and (piece := answer.read(min(_PIECE, size - there))):
                    _write(file, piece)
                    there += len(piece)
                    progress(there)
        except PermissionError as error:
            raise _Unwritable(error.strerror) from error
    return "" if there == size else "the connection was closed"


def _write(file: object, piece: bytes) -> None:
    try:
        file.write(piece)  # type: ignore[attr-defined]
    except OSError as error:
        raise _Unwritable(error.strerror) from error


def _beginning(content_range: str) -> int | None:
    found = re.match(r"bytes (\d+)-", content_range)
    return int(found[1]) if found else None


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
