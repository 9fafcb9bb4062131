"""Finds the kind of source for a user's ``--source``, and expands folders and globs.

Nothing is opened and nothing heavy imported here; kinds are names in ``registry.SOURCES``.
"""

from __future__ import annotations

import difflib
import glob
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

from livevision.address import ENCODED, split_address
from livevision.capture.names import exists, is_file, natural
from livevision.errors import SourceError, UsageError, unknown
from livevision.files import with_home
from livevision.redact import redact_uri
from livevision.registry import SOURCES, entry_points, is_added

# fmt: off
VIDEO_SUFFIXES = frozenset((
    ".3gp", ".asf", ".avi", ".flv", ".gif", ".h264", ".h265", ".hevc", ".m2ts", ".m4v", ".mjpeg",
    ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogv", ".ts", ".vob",
    ".webm", ".wmv", ".y4m",
))
IMAGE_SUFFIXES = frozenset((
    ".bmp", ".dib", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif",
    ".tiff", ".webp",
))
# fmt: on

_STREAM_SCHEMES = (
    *("rtsp", "rtsps", "rtspu", "http", "https", "udp", "rtp", "rtmp", "rtmps", "srt", "tcp"),
)
_SCHEMES = {
    **dict.fromkeys(_STREAM_SCHEMES, "stream"),
    "gst": "gstreamer",
    "csi": "gstreamer",
    "synthetic": "synthetic",
    "webcam": "camera",
}
_WITHOUT_ADDRESS = ("camera", "video_file", "images", "synthetic")
_WAYS = (
    "webcam, a camera number, /dev/videoN, csi://0, a file, a folder, a quoted glob,"
    " rtsp://, rtspu://, http://, https://, udp://, rtmp://, gst:PIPELINE, synthetic,"
    " - (standard input)"
)


def locate(uri: str) -> tuple[str, str]:
    """The kind of a source and the address for its class.

    >>> locate("webcam")
    ('camera', '0')

    Raises:
        SourceError: The file does not exist, or is not media.
        UsageError: It is not a source, or means several (see ``expand``).
    """
    found = _expand(uri)
    if len(found) > 1:
        raise UsageError(f"{uri!r} names {len(found)} sources; one is wanted here")
    return found[0]


def name_of(kind: str, uri: str) -> str:
    """The display name of a source: a file's path, or an address without secrets."""
    return uri if kind in _WITHOUT_ADDRESS else redact_uri(uri)


def expand(uris: Iterable[str]) -> list[tuple[str, str]]:
    """The sources that the user means, in order; contents of folders and globs sorted by name.

    Raises:
        SourceError, UsageError: As for ``locate``.
    """
    return [found for uri in uris for found in _expand(uri)]


def _expand(uri: str) -> list[tuple[str, str]]:
    if not uri.strip():
        raise UsageError(f"an empty source; allowed are {_WAYS}")
    if uri == "-":
        return [("video_file", "-")]
    if uri == "webcam" or re.fullmatch(r"\d{1,3}|/dev/video\d+", uri):
        return [("camera", "0" if uri == "webcam" else uri)]
    if uri == "synthetic":
        return [("synthetic", uri)]
    if uri == "screen":
        raise SourceError(_no_screen())
    # Colons are common in file names, and a single letter before one is a Windows drive.
    scheme = re.match(r"([a-zA-Z][a-zA-Z0-9+.-]+):(//)?", uri)
    known = scheme is not None and scheme[1].lower() in (*_SCHEMES, "file")
    if scheme and (known or scheme[2] or _of_plugin(scheme[1])) and not exists(Path(uri)):
        return [_by_scheme(uri, scheme[1].lower(), bool(scheme[2]))]
    if not exists(Path(uri)) and _of_plugin(uri):
        return [(uri.lower(), uri)]
    return _on_disk(uri)


def _of_plugin(name: str) -> bool:
    """Whether another package has a source for this scheme."""
    return name.lower() not in _SCHEMES and is_added(SOURCES, name.lower())


def _no_screen() -> str:
    """The message for ``screen``: PyAV and OpenCV each load an X library; grabbing crashes."""
    screens = {"win32": "gdigrab -i desktop", "darwin": "avfoundation -i 1:"}
    grab = screens.get(sys.platform, 'x11grab -i "$DISPLAY"')
    return (
        "screen: not supported; pipe it from the program ffmpeg:"
        f" ffmpeg -f {grab} -c:v libx264 -preset ultrafast -tune zerolatency -f matroska -"
        " | livevision --source - --mode freshest"
    )


def _by_scheme(uri: str, scheme: str, slashes: bool) -> tuple[str, str]:
    if scheme == "file":
        path = re.sub(r"file:(//[^/?#]*)?", "", uri, count=1, flags=re.IGNORECASE)
        return locate(unquote(re.split(r"[?#]", path)[0]))
    if scheme == "webcam":
        address = split_address(uri)
        return locate(address.host or "0")
    if _of_plugin(scheme):
        return scheme, uri
    if scheme not in _SCHEMES:
        allowed = sorted({*_SCHEMES, "file", *entry_points.names(entry_points.SOURCES)})
        raise UsageError(f"{redact_uri(uri)}: {unknown('scheme', scheme, allowed)}")
    entry_points.keep(entry_points.SOURCES, scheme)
    kind = _SCHEMES[scheme]
    if kind != "gstreamer" and not slashes:
        raise UsageError(f"{redact_uri(uri)}: // is missing after {scheme}:")
    if scheme in _STREAM_SCHEMES:
        _check_address(uri)
    return kind, uri


def _check_address(uri: str) -> None:
    """Check that FFmpeg and the user mean the same host.

    Raises:
        UsageError: The host is missing or implausible, as if a password contains an unescaped
            slash.
    """
    address = split_address(uri)
    if not address.host and not address.port and "@" not in address.rest:
        missing = f"the host is missing after {address.scheme}://"
        raise UsageError(f"{redact_uri(uri)}: {missing}")
    if not address.is_sound:
        raise UsageError(
            f"{redact_uri(uri)}: this address has no valid host; write user name and "
            f"password {ENCODED}"
        )


def _on_disk(uri: str) -> list[tuple[str, str]]:
    path = with_home(uri)
    if not exists(path) and not any(sign in uri for sign in "*?["):
        raise SourceError(_nothing(uri, f"no such file: {uri}. {_near(path)}"))
    if exists(path) and path.is_dir():
        media = sorted((entry for entry in path.iterdir() if is_file(entry)), key=natural)
        return _media(media, str(path), f"the folder {uri} holds no video and no picture")
    if exists(path):
        # A pipe or a device has no suffix; FFmpeg detects the format.
        return [("images" if path.suffix.lower() in IMAGE_SUFFIXES else "video_file", str(path))]
    pattern = str(path)
    # Path.glob does not take absolute patterns.
    matches = sorted(map(Path, glob.glob(pattern, recursive=True)), key=natural)  # noqa: PTH207
    files = [match for match in matches if is_file(match)]
    if not files:
        line = f"no file matches the pattern {uri!r}. {_near(path)}"
        raise SourceError(_nothing(uri, line))
    return _media(files, pattern, f"none of the {len(files)} files that match {uri!r} is media")


def _nothing(uri: str, line: str) -> str:
    """The message for a missing file; for an address without its scheme, a hint to add it."""
    shown = redact_uri(uri)
    if shown != uri:
        return f"no such file: {shown}; an address begins with its scheme, such as rtsp://"
    return line.rstrip()


def _media(files: list[Path], pictures_uri: str, nothing: str) -> list[tuple[str, str]]:
    """Each video as its own source, all pictures as one."""
    found = [("video_file", str(f)) for f in files if f.suffix.lower() in VIDEO_SUFFIXES]
    if any(f.suffix.lower() in IMAGE_SUFFIXES for f in files):
        found.append(("images", pictures_uri))
    if not found:
        known = " ".join(sorted(VIDEO_SUFFIXES | IMAGE_SUFFIXES))
        raise SourceError(f"{nothing}; known suffixes: {known}")
    return found


def _near(path: Path) -> str:
    """Suggestions for a path that does not exist."""
    folder = path.parent
    if not (exists(folder) and folder.is_dir()):
        while not (exists(folder) and folder.is_dir()):
            folder, missing = folder.parent, folder
        return f"There is no folder {missing.name!r} in {folder.resolve()}."
    names = [entry.name for entry in folder.iterdir()]
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(str(folder / name) for name in near)}?"
    if path.parent == Path() and not path.suffix:
        words = difflib.get_close_matches(path.name, ("webcam", "synthetic"), n=1)
        if words:
            return f"Did you mean {words[0]}?"
        return f"Allowed are {_WAYS}."
    return ""
