"""The other streams of a media file, passed from the reader of the file to outputs that copy them.

The file is read once. The source puts every packet here as it comes, with times on the clock of its
frames; each output that copies takes them from its own feed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Track:
    """A stream other than the decoded video.

    Attributes:
        number: Number of the stream in its file.
        kind: ``audio``, ``subtitle``, ``data``, ``attachment``, or ``video`` and ``cover``, which
            no output copies.
        codec: FFmpeg's name of its codec, or "unknown".
        template: A PyAV stream with its parameters, valid after the file is closed; None if no
            output can hold it.
        holder: The container of the template.
        tags: Its tags, such as ``language`` and ``title``.
        disposition: Its purpose, as FFmpeg's flags.
    """

    number: int
    kind: str
    codec: str
    template: Any
    holder: Any
    tags: Mapping[str, str] = field(default_factory=dict)
    disposition: int = 0

    def __str__(self) -> str:
        language = self.tags.get("language", "und")
        names = [self.codec] + ([language] if language != "und" else [])
        return f"{_WORDS.get(self.kind, self.kind)} ({', '.join(names)})"


_WORDS = {
    "audio": "sound",
    "subtitle": "subtitles",
    "attachment": "an attachment",
    "video": "another video",
    "cover": "a cover picture",
}


@dataclass(frozen=True, slots=True)
class Chapter:
    """A named chapter, in seconds on the clock of the frames."""

    start: float
    end: float
    tags: Mapping[str, str] = field(default_factory=dict)


class Feed:
    """Packets for one output.

    Packets are PyAV's and shared with other feeds: read them, but never change or mux them.
    """

    def __init__(self) -> None:
        self._tracks: dict[int, deque[Any]] = {}
        self._closed = False

    def put(self, packet: Any) -> None:
        if not self._closed:
            self._tracks.setdefault(packet.stream_index, deque()).append(packet)

    def first(self, track: int) -> Any:
        """The first waiting packet of a track, or None."""
        waiting = self._tracks.get(track)
        return waiting[0] if waiting else None

    def take(self, until: float) -> Any:
        """The packet that begins first, if before a moment in seconds; else None.

        Packets that a file stores late are taken late.
        """
        earliest = None
        for waiting in list(self._tracks.values()):
            if waiting and (time := _time(waiting[0])) < until:
                earliest, until = waiting, time
        return earliest.popleft() if earliest else None

    def close(self) -> None:
        """Accept nothing more and drop waiting packets."""
        self._closed = True
        self._tracks.clear()


class Extras:
    """Tracks, chapters and tags of a source's file, and the packets of its tracks.

    Args:
        copies: Number of feeds that will be used; packets are kept for each.

    Attributes:
        tracks, chapters: Those of the file; known once the source is open.
        tags: Of the whole file.
        video_tags: Of the decoded video stream.
        declared_end: End of the video by the file, in seconds on the clock of the frames, or None.
        end: Actual end of the video; None until the source has been read to its end.
    """

    def __init__(self, copies: int) -> None:
        self.tracks: Sequence[Track] = ()
        self.chapters: Sequence[Chapter] = ()
        self.tags: Mapping[str, str] = {}
        self.video_tags: Mapping[str, str] = {}
        self.declared_end: float | None = None
        self.end: float | None = None
        self._feeds = [Feed() for _ in range(copies)]
        self._given = 0

    def feed(self) -> Feed:
        """An unused feed; its packets start with the first of the file."""
        self._given += 1
        return self._feeds[self._given - 1]

    def put(self, packet: Any) -> None:
        """Take a packet of a track, and ownership of it."""
        for feed in self._feeds:
            feed.put(packet)


def _time(packet: Any) -> float:
    return float(packet.dts * packet.time_base)
