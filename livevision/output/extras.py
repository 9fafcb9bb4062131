"""Copies the other streams of a source's file to a video: audio, subtitles, chapters.

Audio and text that the container cannot hold are transcoded; anything else is dropped with one
warning.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from livevision.media.extras import Extras, Track
from livevision.output.subtitles import Words
from livevision.output.tracks import Copy, Transcode, held

log = logging.getLogger(__name__)

# Tags that muxers write themselves, or that describe the input file and not its contents.
_TAGS_OF_THE_FILE = frozenset(
    [
        *("major_brand", "minor_version", "compatible_brands", "encoder", "duration", "vendor_id"),
        *("variant_bitrate", "bps", "rotate"),
    ]
)
_KNOWN_TAGS = frozenset(
    [
        *("title", "artist", "album_artist", "composer", "album", "date", "comment", "genre"),
        *("copyright", "grouping", "lyrics", "description", "synopsis", "show", "episode_id"),
        *("network", "keywords", "episode_sort", "season_number", "media_type", "hd_video"),
        *("gapless_playback", "compilation", "track", "disc", "tmpo", "location", "creation_time"),
    ]
)
_STATISTICS = ("_statistics", "bps-", "duration-", "number_of_")
_MS = Fraction(1, 1000)

Muxed = Callable[[Any, Any], None]


class ExtrasCopy:
    """The tracks, chapters and tags of one output.

    Args:
        extras: The other streams of the source.
        output: PyAV's output container, before anything is written to it.
        video: Its video stream.
        name: The source's name in messages.
        where: The output's path.
        muxed: Called with (stream, packet) for every packet.
        sound: Copy audio too.
    """

    def __init__(
        self,
        extras: Extras,
        output: Any,
        video: Any,
        name: str,
        where: str,
        muxed: Muxed,
        *,
        sound: bool = True,
    ) -> None:
        self._extras, self._output = extras, output
        self._name, self._where, self._muxed = name, where, muxed
        self._feed = extras.feed()
        self._tracks: dict[int, Copy | Transcode | Words] = {}
        wanted = [track for track in extras.tracks if sound or track.kind != "audio"]
        left_out = [track for track in wanted if not self._add(track)]
        if left_out:
            kinds = sorted({str(track) for track in left_out})
            log.warning(
                "%s: left out of the %s: %s",
                name,
                Path(where).suffix,
                "; ".join(kinds),
            )
        output.metadata.update(_tags(extras.tags))
        video.metadata.update(_tags(extras.video_tags))
        video.disposition = av.stream.Disposition.default

    def begin(self, zero: float) -> None:
        """Set the moment of the source that is the output's 0, before anything is written."""
        chapters = [c for c in self._extras.chapters if c.end > zero]
        self._output.set_chapters(
            [
                {
                    "id": number,
                    "start": round(max(0.0, chapter.start - zero) * 1000),
                    "end": round((chapter.end - zero) * 1000),
                    "time_base": _MS,
                    "metadata": dict(chapter.tags),
                }
                for number, chapter in enumerate(chapters)
            ]
        )

    def until(self, seconds: float) -> None:
        """Write what begins before a moment, on the clock of the frames."""
        while (packet := self._feed.take(seconds)) is not None:
            track = self._tracks.get(packet.stream_index)
            if track is not None:
                self._hand_on(packet.stream_index, track, track.take(packet))
        for number, track in list(self._tracks.items()):
            if isinstance(track, Words):
                self._hand_on(number, track, track.due(seconds))

    def end(self) -> None:
        """Write what encoders still hold."""
        for number, track in list(self._tracks.items()):
            self._hand_on(number, track, track.take(None))

    def close(self) -> None:
        self._feed.close()

    def _add(self, track: Track) -> bool:
        """Add a track like one of the source's; False if it must be dropped."""
        if track.kind == "data" and "timecode" in track.tags:
            return True  # also a tag of the video, from which muxers make such a track
        first = self._feed.first(track.number)
        muxer = self._output.format.name
        try:
            if held(track, muxer, first):
                made: Copy | Transcode | Words = Copy(track, self._output, first)
            elif track.kind == "audio":
                made = Transcode(track, self._output)
                log.warning("%s: %s sound is encoded anew as AAC", self._name, track.codec)
            else:
                made = Words(track, self._output)
                log.info("%s: %s loses its styles", self._name, track)
        except (av.error.FFmpegError, ValueError) as error:
            if track.kind != "audio":
                return False
            log.warning("%s: left out its %s sound: %s", self._name, track.codec, error)
            return True
        made.output.metadata.update(_tags(track.tags))
        made.output.disposition = track.disposition
        self._tracks[track.number] = made
        return True

    def _hand_on(
        self, number: int, track: Copy | Transcode | Words, packets: Iterator[Any]
    ) -> None:
        """Write a track's packets; a track that fails ends, and the video continues."""
        try:
            for ready in packets:
                self._muxed(track.output, ready)
        except (av.error.FFmpegError, ValueError) as error:
            del self._tracks[number]
            kind = next(str(t) for t in self._extras.tracks if t.number == number)
            log.warning("%s: its %s breaks off in %s: %s", self._name, kind, self._where, error)


def kept_tags(extras: Extras, suffix: str) -> dict[str, str]:
    """Muxer options that keep all tags.

    QuickTime-like formats have one place for a few common tags that every player knows, and another
    for any tag, where some players do not look.
    """
    if suffix == ".mkv" or all(key.lower() in _KNOWN_TAGS for key in _tags(extras.tags)):
        return {}
    return {"movflags": "+use_metadata_tags"}


def _tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that describe the contents."""
    return {
        key: value
        for key, value in tags.items()
        if key.lower() not in _TAGS_OF_THE_FILE
        and not any(mark in key.lower() for mark in _STATISTICS)
    }
