"""The videos of a backlog: files, folders, globs, lists in text files, and addresses of fsspec."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from livevision.capture.locate import VIDEO_SUFFIXES, expand
from livevision.capture.names import natural
from livevision.errors import OutputError, SourceError, UsageError
from livevision.files import with_home
from livevision.fleet.films import Film
from livevision.fleet.places import HIDDEN, Place, is_elsewhere
from livevision.output.target import (
    NAME,
    RECORDS,
    VIDEOS,
    Target,
    folder_name,
    in_folder,
    locate,
    refuse_same,
)
from livevision.redact import redact_uri

log = logging.getLogger(__name__)

_LIST = ".txt"


def videos(sources: Iterable[str]) -> list[tuple[str, str]]:
    """(name, address) of each video, in order; an address is absolute.

    Raises:
        SourceError: There is none, or a list cannot be read.
        UsageError: Something is no video file.
    """
    found: list[tuple[str, str]] = []
    for source in sources:
        found += _expanded(source)
    return list(dict.fromkeys(found))


def _expanded(source: str, within: str = "") -> list[tuple[str, str]]:
    if is_elsewhere(source):
        place = Place(source)
        names = place.matching()
        if names != [source]:
            names = [n for n in names if PurePosixPath(n).suffix.lower() in VIDEO_SUFFIXES]
            names.sort(key=lambda name: natural(Path(name)))
        if not names:
            raise SourceError(f"{redact_uri(source)}: it holds no video")
        if PurePosixPath(source).suffix.lower() == _LIST:
            return _listed(source, (place.read() or b"").decode(errors="replace"), within)
        return [(redact_uri(name), name) for name in names]
    path = with_home(source)
    if path.suffix.lower() == _LIST and path.is_file():
        return _listed(source, path.read_text(encoding="utf-8", errors="surrogateescape"), within)
    found = []
    places = expand([source])
    several = any(kind == "video_file" for kind, _ in places)
    for kind, uri in places:
        if kind == "images" and several:
            log.warning("%s: its pictures are left out; a backlog is of videos", source)
            continue
        if kind != "video_file" or uri == "-":
            raise UsageError(
                f"{redact_uri(source)}: a backlog is of video files; run cameras, streams and "
                "pictures without --workers and --on"
            )
        found.append((uri, str(Path(uri).absolute())))
    return found


def _listed(source: str, text: str, within: str) -> list[tuple[str, str]]:
    """The sources that a list names, one a line; empty lines and those with # in front are not."""
    if within:
        raise UsageError(f"{source}: a list in the list {within}; name videos in it")
    lines = [line.strip() for line in text.splitlines()]
    named = [line for line in lines if line and not line.startswith("#")]
    if not named:
        raise SourceError(f"{source}: the list names no video")
    return [found for line in named for found in _expanded(line, within=source)]


def films(
    found: Sequence[tuple[str, str]], outputs: Sequence[str]
) -> tuple[list[Film], dict[str, list[str]]]:
    """The videos with their outputs, and for each output of all, what it is gathered from.

    Args:
        found: From ``videos``.
        outputs: ``--output``: a folder, a file with ``{source}`` in its name, a file of results
            for all videos, or any file if there is one video.

    Raises:
        UsageError: An output is none of these.
        OutputError: It cannot be written.
    """
    targets: list[list[str]] = [[] for _ in found]
    gathered: dict[str, list[str]] = {}
    for output in outputs:
        name = PurePosixPath(output.rstrip("/")).name
        suffix = PurePosixPath(name).suffix.lower()
        elsewhere = is_elsewhere(output)
        is_folder = output.endswith("/") or (Path(output).is_dir() if not elsewhere else not suffix)
        if is_folder:
            each = _in_folder(output, found)
        elif suffix not in (*VIDEOS, *RECORDS):
            if not elsewhere:
                locate(output.replace(NAME, "x"))  # which says what is wrong, if anything
            raise UsageError(
                f"output {redact_uri(output)!r}: a backlog writes videos ({' '.join(VIDEOS)}) and "
                f"results ({' '.join(RECORDS)}): a folder (ends in /), or a file with {NAME} in "
                "its name, which becomes each video's"
            )
        elif NAME in output:
            each = _named(output, found)
        elif len(found) == 1:
            each = [_absolute(output)]
        elif suffix in RECORDS:
            whole = Place(_absolute(output))
            pieces = whole.beside(HIDDEN, f"{whole.name}.pieces", f"{NAME}{suffix}").uri
            each = _named(pieces, found)
            gathered[whole.uri] = each
        else:
            raise UsageError(
                f"output {redact_uri(output)!r} is one video and there are {len(found)} sources; "
                f"give a folder, or put {NAME} into its name"
            )
        for mine, target in zip(targets, each, strict=True):
            mine.append(target)
    here = [Target("file", t) for mine in targets for t in mine if not is_elsewhere(t)]
    refuse_same(here)
    inputs = {os.path.realpath(uri) for _, uri in found if not is_elsewhere(uri)}
    for each_target in here:
        if os.path.realpath(each_target.target) in inputs:
            raise OutputError(
                f"cannot write {each_target.target}: it is an input; write into another folder"
            )
    made = [
        Film(number, name, uri, tuple(mine))
        for number, ((name, uri), mine) in enumerate(zip(found, targets, strict=True))
    ]
    return made, gathered


def _in_folder(folder: str, found: Sequence[tuple[str, str]]) -> list[str]:
    """The annotated copy of each video in a folder, as a single run names them."""
    taken: set[str] = set()
    names = []
    for name, _ in found:
        target = in_folder("", Path(name).name, pictures=False, taken=taken).target
        taken.add(target)
        names.append(target)
    if is_elsewhere(folder):
        return [f"{folder.rstrip('/')}/{name}" for name in names]
    return [_absolute(str(Path(folder, name))) for name in names]


def _named(output: str, found: Sequence[tuple[str, str]]) -> list[str]:
    """The output with each video's name; numbered where two have the same."""
    targets: list[str] = []
    for name, _ in found:
        stem = folder_name(Path(name).stem)
        number, target = 1, output.replace(NAME, stem)
        while target in targets:
            number += 1
            target = output.replace(NAME, f"{stem}-{number}")
        targets.append(target)
    return [_absolute(target) for target in targets]


def _absolute(path: str) -> str:
    return path if is_elsewhere(path) else str(with_home(path).absolute())
