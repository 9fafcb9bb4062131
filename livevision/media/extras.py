"""What a media file holds beside its pictures, on its way from who reads the file to who copies it.

The file is read once. A source puts every packet here as it comes upon it, with times on the clock
of its frames; each output that copies takes them from a feed of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Track:
    """A stream beside the pictures.

    Attributes:
        number: Of the stream in its file.
        kind: ``audio``, ``subtitle``, ``data``, ``attachment``, or ``video`` and ``cover``, which
            no output takes.
        codec: Its codec as FFmpeg calls it, or "unknown".
        template: A stream of PyAV's with its parameters, which lives on when the file is closed;
            None where no output can hold it.
        holder: What the template is part of.
        tags: Its own, such as ``language`` and ``title``.
        disposition: What it is for, as FFmpeg's flags.
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
    """A named stretch, in seconds on the clock of the frames."""

    start: float
    end: float
    tags: Mapping[str, str] = field(default_factory=dict)


class Feed:
    """Packets for one output.

    A packet is PyAV's and shared with other feeds: it is read, and never changed or written.
    """

    def __init__(self) -> None:
        self._tracks: dict[int, deque[Any]] = {}
        self._closed = False

    def put(self, packet: Any) -> None:
        if not self._closed:
            self._tracks.setdefault(packet.stream_index, deque()).append(packet)

    def first(self, track: int) -> Any:
        """The first packet of a track that waits, or None."""
        waiting = self._tracks.get(track)
        return waiting[0] if waiting else None

    def take(self, until: float) -> Any:
        """The packet that begins first, if that is before a moment in seconds; else None.

        Where a file keeps a track's packets late, they are just taken later.
        """
        earliest = None
        for waiting in list(self._tracks.values()):
            if waiting and (time := _time(waiting[0])) < until:
                earliest, until = waiting, time
        return earliest.popleft() if earliest else None

    def close(self) -> None:
        """Take no more, and let go of what waits."""
        self._closed = True
        self._tracks.clear()


class Extras:
    """Tracks, chapters and tags of a source's file, and the packets of its tracks.

    Args:
        copies: How many feeds are asked for; packets are kept for each, so ask for no more.

    Attributes:
        tracks, chapters: As the file has them, known once the source is open.
        tags: Of the file as a whole.
        video_tags: Of the stream that frames come from.
        declared_end: Where the file says that its pictures end, in seconds on the clock of the
            frames, or None.
        end: Where they do end; None until the source has been read to its end.
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
        """A feed that nobody else has; packets from the file's first on."""
        self._given += 1
        return self._feeds[self._given - 1]

    def put(self, packet: Any) -> None:
        """Take a packet of a track; it is the caller's no more."""
        for feed in self._feeds:
            feed.put(packet)


def _time(packet: Any) -> float:
    return float(packet.dts * packet.time_base)
