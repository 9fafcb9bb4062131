"""Files here and elsewhere: a path, or an address of fsspec such as ``s3://bucket/in.mp4``."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from livevision.errors import OutputError, SourceError, UsageError, missing_package
from livevision.files import passing_folder
from livevision.redact import redact_uri

_NOT_FILES = frozenset(
    [
        *("rtsp", "rtsps", "http", "https", "udp", "rtp", "rtmp", "rtmps", "srt", "tcp"),
        *("web", "file", "synthetic", "webcam", "csi", "gst"),
    ]
)
_CHUNK = 1 << 20


def is_elsewhere(uri: str) -> bool:
    """Whether an address is one of fsspec."""
    scheme, slashes, _ = uri.partition("://")
    return bool(slashes) and scheme.lower() not in _NOT_FILES and scheme.isascii()


class Place:
    """A file, here or elsewhere.

    Args:
        uri: A path, or an address of fsspec.

    Raises:
        UsageError: fsspec knows no such scheme, or a package for it is missing.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._fs: Any = None
        if is_elsewhere(uri):
            self._fs, self._path = _opened(uri)

    def __str__(self) -> str:
        return redact_uri(self.uri)

    @property
    def name(self) -> str:
        """Its last part."""
        return PurePosixPath(self.uri.rstrip("/")).name

    @property
    def is_here(self) -> bool:
        """Whether it is a path of this machine."""
        return self._fs is None

    @property
    def folder(self) -> str:
        """The folder that it is in."""
        if self._fs is None:
            return str(Path(self.uri).parent)
        return self.uri.rstrip("/").rpartition("/")[0]

    def beside(self, *names: str) -> Place:
        """A file in the same folder, or below it."""
        if self._fs is None:
            return Place(str(Path(self.folder, *names)))
        return Place("/".join([self.folder, *names]))

    def size(self) -> int | None:
        """Its size in bytes; None if there is no such file."""
        if self._fs is None:
            path = Path(self.uri)
            return path.stat().st_size if path.is_file() else None
        try:
            info = self._fs.info(self._path)
        except FileNotFoundError:
            return None
        return None if info["type"] == "directory" else int(info["size"] or 0)

    def mark(self) -> dict[str, Any]:
        """What changes with the file and costs nothing to ask for.

        Raises:
            SourceError: There is no such file.
        """
        try:
            if self._fs is None:
                found = Path(self.uri).stat()
                return {"size": found.st_size, "changed": found.st_mtime_ns}
            info = self._fs.info(self._path)
        except OSError as error:
            raise SourceError(f"{self}: {error.strerror or 'no such file'}") from error
        keys = ("ETag", "etag", "md5Hash", "LastModified", "mtime", "created", "last_modified")
        changed = {key: str(info[key]) for key in keys if info.get(key) is not None}
        return {"size": info["size"], "changed": json.dumps(changed, sort_keys=True)}

    def digest(self) -> str:
        """SHA-256 of its content."""
        found = hashlib.sha256()
        with self._open("rb") as file:
            while data := file.read(_CHUNK):
                found.update(data)
        return found.hexdigest()

    def read(self) -> bytes | None:
        """Its content; None if there is no such file."""
        try:
            with self._open("rb") as file:
                return bytes(file.read())
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, content: bytes) -> None:
        """Write it atomically."""
        with self.new() as path:
            path.write_bytes(content)

    @contextmanager
    def here(self) -> Iterator[Path]:
        """The file on this machine, to be read; fetched if it is elsewhere.

        Raises:
            SourceError: It cannot be fetched.
        """
        if self._fs is None:
            yield Path(self.uri)
            return
        path = passing_folder() / f"{uuid.uuid4().hex[:8]}-{self.name}"
        try:
            try:
                self._fs.get_file(self._path, str(path))
            except Exception as error:
                raise SourceError(f"{self}: cannot be fetched: {error}") from error
            yield path
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def new(self) -> Iterator[Path]:
        """A file to write, with the same suffix; it becomes this one if the block succeeds.

        Raises:
            OutputError: It cannot be written.
        """
        suffix = PurePosixPath(self.uri).suffix
        temporary = f"{uuid.uuid4().hex[:12]}{suffix}"
        if self._fs is None:
            folder = Path(self.folder, HIDDEN if HIDDEN not in Path(self.folder).parts else "")
            path = folder / temporary
            try:
                folder.mkdir(parents=True, exist_ok=True)
                yield path
                os.replace(path, self.uri)  # noqa: PTH105 - a text, which may be no UTF-8
            except OSError as error:
                raise OutputError(f"cannot write {self}: {error.strerror}") from error
            finally:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
            return
        path = passing_folder() / temporary
        try:
            yield path
            try:
                self._fs.makedirs(self._fs._parent(self._path), exist_ok=True)
                self._fs.put_file(str(path), self._path)
            except Exception as error:
                raise OutputError(f"cannot write {self}: {error}") from error
        finally:
            path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete it, or the folder with all below it, if it is there."""
        with suppress(OSError):
            if self._fs is not None:
                self._fs.rm(self._path, recursive=True)
            elif Path(self.uri).is_dir():
                shutil.rmtree(self.uri)
            else:
                Path(self.uri).unlink(missing_ok=True)

    def matching(self) -> list[str]:
        """Addresses of the files that a pattern or folder elsewhere means, sorted."""
        assert self._fs is not None
        scheme = self.uri.partition("://")[0]
        if any(sign in self.uri for sign in "*?["):
            found = self._fs.glob(self._path)
        elif self._fs.isdir(self._path):
            found = self._fs.ls(self._path, detail=False)
        else:
            return [self.uri]
        return [name if "://" in name else f"{scheme}://{name}" for name in sorted(found)]

    def _open(self, mode: str) -> Any:
        if self._fs is None:
            return Path(self.uri).open(mode)
        return self._fs.open(self._path, mode)


HIDDEN = ".livevision"
"""The folder beside outputs for their sidecars, for parts, and for what is being written."""


def _opened(uri: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it."""
    scheme = uri.partition("://")[0]
    try:
        import fsspec
    except ModuleNotFoundError:
        raise UsageError(missing_package("fsspec", f"{scheme}://", "ray")) from None
    try:
        file_system, path = fsspec.core.url_to_fs(uri)
    except (ImportError, ValueError) as error:
        raise UsageError(f"{redact_uri(uri)}: {error}") from None
    return file_system, str(path)
