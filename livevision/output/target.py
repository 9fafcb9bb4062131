"""Parses ``--output`` to a kind of sink and its target, and checks it early."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from livevision.errors import OutputError, UsageError, unknown
from livevision.files import with_home
from livevision.output import display
from livevision.output.names import LONGEST, NAMED, PICTURES, fits, fitting, is_pattern
from livevision.output.place import end_of_links, identity, refuse_special, same
from livevision.redact import redact_uri
from livevision.registry import SINKS, added, entry_points, is_added

VIDEOS = (".mp4", ".mkv", ".mov")
RECORDS = (".jsonl", ".csv")

SCHEMES = ("window", "null")
FOLDERS = {
    "crops": "crops of tracks",
    "heatmap": "heat maps",
}
"""Outputs named as KIND:FOLDER, and what is in the folder."""

CLEAN = "clean:"
HLS = ".m3u8"
STREAMS = ("rtsp", "rtsps", "rtmp", "rtmps", "srt", "udp")
NAME = "{source}"
PAGE = "web"
STANDARD_OUTPUT = "-"

# Formats that users may expect, and the alternative.
_INSTEAD = {
    **dict.fromkeys(
        (".avi", ".webm", ".m4v", ".wmv", ".flv", ".ts", ".mpg", ".mpeg", ".gif", ".h264", ".ogv"),
        "videos are written as .mp4, .mkv or .mov",
    ),
    **dict.fromkeys((".json", ".txt", ".xml", ".yaml", ".parquet"), "results are .jsonl or .csv"),
    **dict.fromkeys((".bmp", ".tif", ".tiff", ".webp"), "pictures are .jpg or .png"),
}

ALLOWED = (
    "a video (.mp4 .mkv .mov), results (.jsonl .csv), pictures (frames/%06d.jpg), "
    "a folder (ends in /), crops:FOLDER, heatmap:FOLDER, "
    "a stream (rtsp:// rtmp:// srt:// udp:// or .m3u8; clean: in front for undrawn frames), "
    "- for JSON lines on standard output, window, web://HOST:PORT or null"
)


class Target(NamedTuple):
    """A kind of sink and its target.

    Attributes:
        kind: A name of ``registry.SINKS``, or "folder", from which ``in_folder`` makes one for each
            source; for another package's sink the name of its entry point.
        target: Path of a file or folder, or ""; for another package's scheme, the user's text.
    """

    kind: str
    target: str

    @property
    def is_path(self) -> bool:
        """Whether the target is one of our own files or folders."""
        by_name = self.kind not in (*SINKS, "folder") and not self.kind.startswith(".")
        no_file = self.kind in (*SCHEMES, PAGE, "stream")
        return not (no_file or self.target == STANDARD_OUTPUT or by_name)

    @property
    def of_run(self) -> bool:
        """Whether one sink takes the frames of all sources, rather than one per source.

        For another package's sink: whether it has ``opened`` (``protocols.Shared``).
        """
        if self.kind in (*SINKS, "folder"):
            return self.kind in ("records", PAGE, *FOLDERS)
        return hasattr(added(SINKS, self.kind, "kind of output"), "opened")


def locate(uri: str, *, sources: int = 1) -> Target:
    """Find the kind of an output by its suffix or scheme.

    Args:
        uri: The user's text.
        sources: Number of sources in the run: a video holds only one.

    Raises:
        UsageError: The scheme or suffix is unknown, or one file cannot hold all sources.
        OutputError: The file name is not possible.
    """
    if uri == STANDARD_OUTPUT:
        return Target("records", uri)
    stream = _stream(uri, sources)
    if stream is not None:
        return stream
    scheme, colon, rest = uri.partition(":")
    if uri in SCHEMES or (colon and scheme in SCHEMES and not rest):
        entry_points.keep(entry_points.SINKS, scheme)
        return Target(scheme, "")
    if scheme in FOLDERS and colon and "://" not in uri:
        if not rest.strip():
            raise UsageError(
                f"output {uri!r}: {FOLDERS[scheme]} need a folder, such as {scheme}:runs/"
            )
        return Target(scheme, str(with_home(rest)))
    name = uri if not colon else scheme
    if name not in SCHEMES and is_added(SINKS, name) and not name.startswith("."):
        return Target(name, uri)
    if "://" in uri:
        shown = redact_uri(uri)
        if scheme.lower() == PAGE:
            entry_points.keep(entry_points.SINKS, PAGE)
            return Target(PAGE, uri)
        raise UsageError(
            f"output {shown!r}: {unknown('scheme', scheme, (*SCHEMES, *_added_names()))}"
            f" Or use {ALLOWED}."
        )
    path = with_home(uri)
    if not fits(path.name):
        raise OutputError(f"cannot write {uri}: a file's name has {LONGEST} bytes at most")
    suffix = path.suffix.lower()
    if uri.endswith(("/", os.sep)) or path.is_dir():
        return Target("folder", str(path))
    if suffix in (*RECORDS, *PICTURES, *VIDEOS):
        entry_points.keep(entry_points.SINKS, suffix)
    if suffix in RECORDS:
        return Target("records", str(path))
    if suffix in PICTURES:
        if sources > 1:
            raise UsageError(_several(uri, "set of pictures", sources))
        return Target("images", str(path))
    if suffix in VIDEOS:
        if sources > 1:
            raise UsageError(_several(uri, "video", sources))
        return Target("video_file", str(path))
    if suffix and is_added(SINKS, suffix):
        target = Target(suffix, str(path))
        if sources > 1 and not target.of_run:
            raise UsageError(_several(uri, "file", sources))
        return target
    if suffix in _INSTEAD:
        raise UsageError(f"output {uri!r}: {suffix} is not written; {_INSTEAD[suffix]}")
    if suffix:
        known = unknown("suffix", suffix, (*VIDEOS, *RECORDS, *PICTURES, *_added_names(".")))
        raise UsageError(f"output {uri!r}: {known}")
    raise UsageError(f"output {uri!r} has no suffix that says what it is; use {ALLOWED}")


def _stream(uri: str, sources: int) -> Target | None:
    """The target of a stream or an HLS playlist; None for another output.

    Raises:
        UsageError: It is ``clean:`` of another output, or one stream for several sources.
    """
    clean = CLEAN if uri.startswith(CLEAN) else ""
    rest = uri.removeprefix(CLEAN)
    scheme, colon, place = rest.partition("://")
    if colon and scheme.lower() in STREAMS:
        if not place.strip("/"):
            raise UsageError(f"output {uri!r}: a host is missing, such as {scheme}://HOST/PATH")
        target = Target("stream", uri)
    elif rest.lower().endswith(HLS):
        target = Target("hls", f"{clean}{with_home(rest)}")
    elif clean:
        raise UsageError(f"output {redact_uri(uri)!r}: clean: is for streams and {HLS}")
    else:
        return None
    if sources > 1 and NAME not in uri:
        raise UsageError(
            f"output {redact_uri(uri)!r} is one stream and there are {sources} sources; put "
            f"{NAME} into it, which becomes each source's name"
        )
    return target


def named_after(target: Target, source: str) -> Target:
    """The target of one source, with the source's name in place of ``{source}`` in a stream's."""
    if target.kind not in ("stream", "hls"):
        return target
    return target._replace(target=target.target.replace(NAME, folder_name(source)))


def in_folder(
    folder: str,
    source: str,
    *,
    pictures: bool,
    several: bool = False,
    is_file: bool = True,
    taken: Collection[str] = (),
) -> Target:
    """The annotated copy of a source in a folder, named after the source.

    Args:
        folder: The folder.
        source: The user's name of the source, without passwords.
        pictures: The source is pictures, and so is its copy.
        several: It is several pictures, so that the copy is a folder in which they keep their
            names.
        is_file: The source is a file, folder or glob, whose name can be kept as it is.
        taken: Targets of other sources of the run, which are not used again.
    """
    if is_file:
        stem, suffix = _name_and_suffix(source, several)
    else:
        stem, suffix = folder_name(source), ""
    if pictures and is_pattern(stem):  # it is a literal name
        stem = re.sub(r"[%*]", "-", stem)
    stem = stem or "source"
    if not pictures:
        kind, ending = "video_file", suffix if suffix in VIDEOS else ".mp4"
    elif several:
        kind, ending = "images", f"/{NAMED}"
    else:
        kind, ending = "images", suffix if suffix in PICTURES else ".jpg"
    number, target = 1, ""
    while not target or target in taken:
        mark = "" if number == 1 else f"-{number}"
        last, slash, rest = ending.partition("/")
        target = str(Path(folder) / f"{fitting(stem, mark + last)}{slash}{rest}")
        number += 1
    return Target(kind, target)


def folder_name(source: str) -> str:
    """A source's name, without passwords, as a folder name."""
    stem = re.sub(r"^[a-z]+://([^@/]*@)?", "", source.rstrip("/"))
    stem = Path(stem).name if "://" not in source else stem
    return re.sub(r"[^\w.+-]+", "-", stem).strip("-.") or "source"


def _name_and_suffix(source: str, several: bool) -> tuple[str, str]:
    """The name without its suffix, and the suffix in lower case; a folder's name is kept whole."""
    path = Path(source)
    if any(sign in path.name for sign in "*?[") and several:
        path = path.parent
        return path.absolute().name, ""
    if path.name in ("", ".", "..") or (several and path.is_dir()):
        return path.resolve().name, ""
    return path.stem, path.suffix.lower()


def check(target: Target, *, overwrite: bool, inputs: Iterable[Path] = ()) -> None:
    """Check whether a target can be written, before anything is loaded.

    Nothing is created or changed. Missing folders are allowed; the sink creates them.

    Args:
        target: From ``locate`` or ``in_folder``.
        overwrite: Existing files may be replaced.
        inputs: Files, folders and globs of pictures that the run reads; they are never replaced.

    Raises:
        OutputError: It cannot be written; the message says why and what to do.
    """
    if target.kind == "window" and (reason := display.why_not()):
        raise OutputError(f"cannot open a window: {reason}; or use --headless and --output FILE")
    if not target.is_path:
        return
    path = Path(target.target.removeprefix(CLEAN))
    numbered = target.kind == "images" and is_pattern(path.name)
    if numbered:
        if any(_holds_pictures(source, path.parent) for source in inputs):
            raise OutputError(f"cannot write {path}: {path.parent} holds the input pictures")
    elif target.kind not in ("folder", *FOLDERS):
        refuse_existing(path, overwrite=overwrite, inputs=inputs)
    folder = path if target.kind in ("folder", *FOLDERS) else path.parent
    above = next((p for p in (folder, *folder.absolute().parents) if os.path.lexists(p)), folder)
    if above.is_symlink() and not above.exists():
        raise OutputError(
            f"cannot write {path}: {above} links to {above.readlink()}, which is not there"
        )
    if not above.is_dir():
        raise OutputError(f"cannot write {path}: {above} is a file, not a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write {path}: no permission to write in {above.absolute()}")


def refuse_existing(path: Path, *, overwrite: bool, inputs: Iterable[Path] = ()) -> None:
    """Refuse a file that is an input, a folder, or exists and may not be replaced.

    Raises:
        OutputError: It is one of these, a pipe or device, or a broken link.
    """
    end_of_links(path)
    refuse_special(path)
    if not path.exists():
        return
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder; end it in / to write into it")
    if any(source.exists() and same(source, path) for source in inputs):
        raise OutputError(f"cannot write {path}: it is the input; give the output another name")
    if not overwrite:
        raise OutputError(f"{path} exists; add --overwrite to replace it, or give another name")


def refuse_same(targets: Iterable[Target], report: Path | None = None) -> None:
    """Refuse two outputs, or an output and the report, on one path.

    Raises:
        UsageError: Two share a path.
    """
    beside = ("",) if report == Path(STANDARD_OUTPUT) else ("", STANDARD_OUTPUT)
    named = [
        ("two outputs", Path(t.target))
        for t in targets
        if t.target not in beside and (t.is_path or t.target == STANDARD_OUTPUT)
    ]
    named += [("an output and the report", report)] if report is not None else []
    taken: dict[object, Path] = {}
    for what, path in named:
        other = taken.setdefault(identity(path), path)
        if other is not path:
            both = str(path) if str(path) == str(other) else f"{other} and {path}"
            raise UsageError(f"{both}: {what} on one path; give each its own path")


def _added_names(start: str = "") -> list[str]:
    """Names of other packages' sinks: suffixes if ``start`` is a dot, else schemes."""
    names = entry_points.names(entry_points.SINKS, SINKS)
    return [name for name in names if name.startswith(".") == (start == ".")]


def _holds_pictures(source: Path, folder: Path) -> bool:
    """Whether a folder contains the pictures of a source."""
    if not source.is_dir():
        if source.suffix.lower() not in PICTURES and "*" not in source.name:
            return False
        source = source.parent
    return source.exists() and folder.exists() and source.samefile(folder)


def _several(uri: str, what: str, sources: int) -> str:
    return (
        f"output {uri!r} is one {what} and there are {sources} sources; give a folder, "
        f"such as --output {Path(uri).with_suffix('').name}/, for one copy of each"
    )
