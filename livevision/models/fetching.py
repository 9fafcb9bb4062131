"""A file fetched over HTTP: resumed where it broke off, and kept only if it is the one meant."""

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
"""Is told how many bytes are there."""


def fetch(url: str, sha256: str, size: int, part: Path, progress: Progress) -> None:
    """Fetch a file, going on with what an earlier try left.

    Args:
        url: http:// or https://; redirections are followed.
        sha256: Of the file.
        size: Of the file, in bytes.
        part: Where it is written; what is there already is taken for its beginning.
        progress: Told as it goes.

    Raises:
        ModelError: It cannot be fetched, or is another file; what was got of the right size and is
            the wrong file is deleted, so that the next try begins anew.
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
                f"{shown} answers {error.code} {error.reason}; fetch the file by hand and give it "
                "with --from FILE"
            ) from error
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            if isinstance(error, _Unwritable):
                raise OutputError(f"cannot write {str(part)!r}: {error}") from error
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            why = " ".join(str(reason).split()) or type(error).__name__
    there = _length(part)
    if there < size:
        raise ModelError(
            f"{shown} broke off at {there:,} of {size:,} bytes ({why}); the same command goes on "
            "from there, or fetch the file by hand and give it with --from FILE"
        )
    found = sha256_of(part)
    if found != sha256:
        part.unlink()
        raise ModelError(
            f"what {shown} gives is another file than the one that is known: SHA-256 {found}, not "
            f"{sha256}; it was deleted"
        )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Unwritable(OSError):
    """The file, not the network, is what failed."""


def _go_on(url: str, size: int, part: Path, there: int, progress: Progress) -> str:
    """One try; returns why it ended before the file did, "" where it did not."""
    headers = {"User-Agent": f"livevision/{__version__}", "Accept-Encoding": "identity"}
    if there:
        headers["Range"] = f"bytes={there}-"
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=_SILENCE_S) as answer:
        begins = _beginning(answer.headers.get("Content-Range", ""))
        if answer.status != http.client.PARTIAL_CONTENT or begins != there:
            there = 0  # it sends all of it
        told = answer.headers.get("Content-Length", "")
        if told.isdecimal() and there + int(told) != size:
            raise ModelError(
                f"{redact_uri(url)} has {there + int(told):,} bytes, the file that is known "
                f"{size:,}: it is another one"
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
