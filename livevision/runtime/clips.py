"""Pictures and clips of a run's events, with the seconds before and after.

clips/2026-11-29/01M8K66VZME30KATAPW7SHC65N.jpg     the frame, with the boxes of the event
                 01M8K66VZME30KATAPW7SHC65N.mp4     the source's own packets
                 01M8K66VZME30KATAPW7SHC65N.jsonl   the results of the clip's frames
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from livevision.analysis.event import Event
from livevision.errors import OutputError
from livevision.files import write_whole
from livevision.frame import Image, Inferred
from livevision.media.packets import PacketRing
from livevision.media.tap import Part
from livevision.output.clip_file import suffix_of
from livevision.output.kept_files import KeptFiles
from livevision.output.records import row_of
from livevision.overlay.boxes import BoxOverlay
from livevision.overlay.hiding import HidingOverlay
from livevision.protocols import SourceInfo
from livevision.results import ClassMap, Label
from livevision.runtime.clip_writer import ClipWriter, Row

if TYPE_CHECKING:
    import supervision as sv

log = logging.getLogger(__name__)

LONGEST_S = 60.0
"""Maximum duration of a clip after its first event; later events start another clip."""

_MOST_OPEN = 4  # clips of a source written at the same time
_CLOSE_S = 5.0
_MARGIN_S = 60.0  # of rows kept if the start of the stored packets is unknown
_PICTURE = (cv2.IMWRITE_JPEG_QUALITY, 90)
_FRAME = (cv2.IMWRITE_JPEG_QUALITY, 85)
_MINE = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}\.(jpg|mp4|mkv|jsonl)")


@dataclass(frozen=True, slots=True)
class ClipSettings:
    """The user's settings of clips.

    Attributes:
        folder: Folder of the clips.
        before, after: Seconds before and after an event.
        most_bytes: Maximum size of the folder; None for no limit.
        keep: Seconds that a clip is kept; None for ever.
        hidden: Classes that must not be visible.
    """

    folder: Path
    before: float
    after: float
    most_bytes: int | None = None
    keep: float | None = None
    hidden: frozenset[str] = frozenset()


class Clips:
    """Makes a picture and a clip for each event.

    Events within a clip that is being written share it. A source without packets, such as a local
    camera, has clips of the processed frames; so has every source if classes are hidden, since its
    packets show them. Call it on the thread of the frames.

    Args:
        settings: The user's settings.

    Attributes:
        failed: Clips and pictures that could not be written.

    Raises:
        OutputError: The folder cannot be created.
    """

    def __init__(self, settings: ClipSettings) -> None:
        self._settings = settings
        try:
            self._files = KeptFiles(settings.folder, _is_mine, settings.most_bytes, settings.keep)
        except OSError as error:
            raise OutputError(f"cannot keep clips in {settings.folder}: {error.strerror}") from None
        self.failed = self.written = 0
        self._hide = HidingOverlay(settings.hidden) if settings.hidden else None
        self._sources: dict[int, _Source] = {}
        self._finishing: list[ClipWriter] = []
        self._told = False

    @property
    def where(self) -> str:
        """Where the clips are."""
        return str(self._settings.folder)

    def ring(self) -> PacketRing | None:
        """A packet buffer for a source; None if its packets must not be shown."""
        return None if self._hide is not None else PacketRing(self._settings.before)

    def opened(self, source: int, info: SourceInfo, ring: PacketRing | None) -> None:
        """Add a source whose frames follow."""
        if source in self._sources:
            self.ended(source)
        own = ring is not None and ring.part is not None
        kept = ring if own and ring is not None else PacketRing(self._settings.before)
        self._sources[source] = _Source(info, kept, own)

    def look(self, inferred: Inferred) -> None:
        """Process a frame, with track numbers, before its events."""
        state = self._sources.get(inferred.frame.source)
        if state is None or state.info.still:
            return
        time = inferred.frame.time
        if not state.own:
            state.keep(time, self._shown(inferred))
        row: Row = (time, row_of(inferred, state.info.name, live=state.info.live))
        state.ring.seen(time)
        state.rows.append(row)
        since = state.ring.start
        since = time - self._settings.before - _MARGIN_S if since is None else since
        while state.rows and not since <= state.rows[0][0] <= time:
            state.rows.popleft()
        self._tidy(state)
        for writer in state.open:
            writer.add(row)

    def of(self, events: Sequence[Event], inferred: Inferred | None, source: int) -> list[Event]:
        """The events of a frame, each with the paths of its picture and clip.

        Args:
            events: In order.
            inferred: The frame; None if the source has ended.
            source: Its position.
        """
        state = self._sources.get(source)
        if state is None or not events:
            return list(events)
        picture = None if inferred is None else self._picture(events, inferred)
        found = []
        for event in events:
            clip = None if state.info.still else self._clip(event, state)
            told = replace(event, picture=picture, clip=clip)
            for writer in state.open:
                if str(writer.path) == clip:
                    writer.add((event.frame_time, {"event": told.to_dict()}))
            found.append(told)
        return found

    def ended(self, source: int) -> None:
        """The source has ended: finish its clips with what there is."""
        state = self._sources.pop(source, None)
        if state is None:
            return
        state.ring.end()
        for writer in state.open:
            writer.end()
        self._finishing += state.open

    def close(self) -> None:
        """Wait for unfinished clips."""
        for source in list(self._sources):
            self.ended(source)
        for writer in self._finishing:
            if writer.join(_CLOSE_S):
                self._judge(writer)
            else:
                log.warning("%s is still being written, and abandoned", writer.path)
        self._finishing.clear()

    def report(self) -> dict[str, Any]:
        """Number of clips and pictures, and their size."""
        return {"written": self.written, "failed": self.failed, "bytes": self._files.size}

    def _shown(self, inferred: Inferred) -> Image:
        """The frame's picture; a copy without hidden classes, if there are any."""
        image = inferred.frame.image
        if self._hide is None:
            return image
        image = image.copy()
        for result in inferred.hidable:
            self._hide.draw(image, result)
        return image

    def _picture(self, events: Sequence[Event], inferred: Inferred) -> str | None:
        """Write the frame with the boxes of its events; returns its path."""
        image = self._shown(inferred)
        image = image.copy() if self._hide is None else image
        about = {number for event in events for number in event.tracks}
        for result in inferred.results.values():
            if isinstance(result, ClassMap | Label) or result.tracker_id is None:
                continue
            chosen = np.isin(result.tracker_id, list(about))
            if chosen.any():
                BoxOverlay().draw(image, cast("sv.Detections", result[chosen]))
        path = self._path(events[0], ".jpg")
        good, encoded = cv2.imencode(".jpg", image, _PICTURE)
        try:
            if not good or not self._files.make_room(len(encoded)):
                raise OSError(28, "no room is left on the disk, or within --max-disk")
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, encoded.tobytes())
        except OSError as error:
            self._fail(f"cannot write {path}: {error.strerror}")
            return None
        self._files.added(path)
        return str(path)

    def _clip(self, event: Event, state: _Source) -> str | None:
        """Put an event in a clip; returns the clip's path."""
        after = event.frame_time + self._settings.after
        lasts = event.way is None and event.kind != "dwell"
        if event.began is not None:
            begun = state.lasting.pop(event.began, None)
            for writer in state.open:
                writer.settle(event.began, after)
            return begun
        path = self._clip_of(event, state, after, lasts)
        if lasts and path is not None:
            state.lasting[event.id] = path
        return path

    def _clip_of(self, event: Event, state: _Source, after: float, lasts: bool) -> str | None:
        time = event.frame_time
        self._tidy(state)
        for writer in state.open:
            if writer.takes(event.id, time, after, lasts):
                return str(writer.path)
        part = state.ring.part
        if part is None:
            return None
        path = self._path(event, suffix_of(part))
        if len(state.open) >= _MOST_OPEN:
            self._fail(f"{path} is left out: {_MOST_OPEN} are being written, the disk is slow")
            return None
        if not self._files.make_room(state.ring.size):
            self._fail(f"cannot write {path}: no room is left on the disk, or within --max-disk")
            return None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._fail(f"cannot write {path}: {error.strerror}")
            return None
        writer = ClipWriter(
            state.ring,
            path,
            state.info,
            time - self._settings.before,
            time + self._settings.after + LONGEST_S,
            [row for row in state.rows if row[0] <= time],
            self._files.added,
        )
        writer.takes(event.id, time, after, lasts)
        writer.start()
        state.open.append(writer)
        return str(path)

    def _path(self, event: Event, suffix: str) -> Path:
        return self._settings.folder / event.time[:10] / f"{event.id}{suffix}"

    def _tidy(self, state: _Source) -> None:
        """Release finished clips."""
        for writer in [w for w in state.open if w.done]:
            state.open.remove(writer)
            self._judge(writer)

    def _judge(self, writer: ClipWriter) -> None:
        if writer.failed:
            self._fail(writer.failed)
        else:
            self.written += 1

    def _fail(self, why: str) -> None:
        self.failed += 1
        log.log(logging.DEBUG if self._told else logging.ERROR, "%s", why)
        self._told = True


class _Source:
    """State of one source.

    Attributes:
        own: The ring has its own packets; otherwise its frames, as JPEG.
        rows: Rows of the frames in the ring.
        open: Clips that are being written.
        lasting: By id of a lasting event, the clip in which it began.
    """

    def __init__(self, info: SourceInfo, ring: PacketRing, own: bool) -> None:
        self.info, self.ring, self.own = info, ring, own
        self.rows: deque[Row] = deque()
        self.open: list[ClipWriter] = []
        self.lasting: dict[str, str] = {}
        if not own:
            ring.begin(Part(None, None, "mjpeg", 0.0), live=info.live)

    def keep(self, time: float, image: Image) -> None:
        """Store a frame instead of packets."""
        good, encoded = cv2.imencode(".jpg", image, _FRAME)
        if good:
            data = encoded.tobytes()
            self.ring.put(data, time, None, key=True, size=len(data))


def _is_mine(path: Path) -> bool:
    return _MINE.fullmatch(path.name) is not None and path.is_file()
