"""The recording of ``--record``: which source is recorded how, and what becomes of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from livevision.analysis.event import Event
from livevision.frame import Image, Inferred, Rendered
from livevision.media.packets import PacketRing
from livevision.media.tap import Part
from livevision.output.segment_folder import SegmentFolder
from livevision.overlay.hiding import HidingOverlay
from livevision.protocols import SourceInfo
from livevision.runtime.metering import Meter
from livevision.runtime.segment_writer import SegmentSettings, SegmentWriter

log = logging.getLogger(__name__)

OFF, CONTINUOUS, ON_EVENT = "off", "continuous", "on-event"

_CLOSE_S = 30.0
_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 90)


@dataclass(frozen=True, slots=True)
class RecordSettings:
    """The user's settings of recordings.

    Attributes:
        folder: Their folder.
        seconds: Duration of a segment.
        before, after: Seconds before and after an event.
        annotated: Record the annotated picture instead of the source's packets.
        most_bytes: Maximum size of all segments; None for no limit.
        keep: Seconds that a segment is kept; None for ever.
        hidden: Classes that must not be visible.
    """

    folder: Path
    seconds: float
    before: float
    after: float
    annotated: bool = False
    most_bytes: int | None = None
    keep: float | None = None
    hidden: frozenset[str] = frozenset()


class Segments:
    """Records sources in segments; a stage that passes frames on unchanged.

    A source's packets are recorded unchanged. Pictures are recorded, in H.264, of a source without
    packets, such as a local camera, if classes are hidden, and if ``annotated``: the stage is then
    behind that of the overlays.

    Args:
        settings: The user's settings.
        mode: Returns how a source is recorded: ``off``, ``continuous`` or ``on-event``.
        ring: Returns the packets of an opened source; None if there are none.
        meter: Provides counters.

    Raises:
        OutputError: The folder cannot be created.
    """

    name = "recording"

    def __init__(
        self,
        settings: RecordSettings,
        mode: Callable[[int], str],
        ring: Callable[[int], PacketRing | None],
        meter: Meter,
    ) -> None:
        self._settings, self._mode, self._ring, self._meter = settings, mode, ring, meter
        self._folder = SegmentFolder(settings.folder, settings.most_bytes, settings.keep)
        self._hide = HidingOverlay(settings.hidden) if settings.hidden else None
        self._lock = threading.Lock()
        self._sources: dict[int, _Source] = {}
        self._ended: list[SegmentWriter] = []
        self._segments = self._failures = 0

    @property
    def where(self) -> str:
        """Where the segments are."""
        return str(self._settings.folder)

    def opened(self, source: int, info: SourceInfo) -> None:
        """Start to record a source, if it is to be recorded."""
        mode = self._mode(source)
        if mode == OFF or info.still:
            return
        self.ended(source)
        ring = None if self._of_pictures else self._ring(source)
        packets = ring is not None and ring.part is not None
        if ring is None or not packets:
            ring = PacketRing(self._settings.before)
            ring.begin(Part(None, None, "mjpeg", 0.0), live=info.live)
        of = self._settings
        how = SegmentSettings(mode == ON_EVENT, of.seconds, of.before, of.after)
        writer = SegmentWriter(ring, info.name, info, self._folder, how, self._meter)
        with self._lock:
            self._sources[source] = _Source(ring, writer, packets)

    def __call__(self, item: Inferred | Rendered) -> Inferred | Rendered:
        """Record the picture of a frame, or tell which of the packets were seen."""
        frame = item.frame
        one = self._sources.get(frame.source)
        if one is not None:
            one.writer.saw(frame.time, time.time() - (time.monotonic() - frame.wall_time))
            if not one.packets:
                one.keep(frame.time, self._shown(item))
            one.ring.seen(frame.time)
        return item

    def happened(self, source: int, event: Event) -> None:
        """An event of a source."""
        one = self._sources.get(source)
        if one is not None:
            one.writer.happened(event)

    def ended(self, source: int) -> None:
        """The source has ended: its recording is finished in the background."""
        with self._lock:
            one = self._sources.pop(source, None)
            if one is not None:
                self._ended.append(one.writer)
            self._tidy()
        if one is not None:
            one.writer.end()

    def close(self) -> None:
        """Finish all recordings, and wait for them."""
        for source in list(self._sources):
            self.ended(source)
        for writer in list(self._ended):
            if not writer.join(_CLOSE_S):
                log.warning("%s: its recording is still being written, and abandoned", writer.name)
        with self._lock:
            self._tidy()
        self._folder.close()

    def row(self, source: int) -> dict[str, Any] | None:
        """The recording of a source at this moment, for the page; None if it is not recorded."""
        one = self._sources.get(source)
        if one is None:
            return None
        file = one.writer.file
        return {
            "mode": ON_EVENT if one.writer.on_event else CONTINUOUS,
            "file": None if file is None else file.name,
            "segments": one.writer.segments,
            "failures": one.writer.failures,
            "error": one.writer.error or None,
        }

    def report(self) -> dict[str, Any]:
        """Finished and deleted segments, how often recordings stopped, and bytes on disk."""
        with self._lock:
            writers = [*self._ended, *(one.writer for one in self._sources.values())]
            return {
                "segments": self._segments + sum(each.segments for each in writers),
                "failures": self._failures + sum(each.failures for each in writers),
                "deleted": self._folder.deleted,
                "bytes": self._folder.size,
            }

    @property
    def folder(self) -> SegmentFolder:
        """The folder with the segments."""
        return self._folder

    @property
    def _of_pictures(self) -> bool:
        return self._settings.annotated or self._hide is not None

    def _shown(self, item: Inferred | Rendered) -> Image:
        """The picture to record: uint8, H×W×3, BGR."""
        if isinstance(item, Rendered):
            return item.image  # what is hidden is hidden there
        if self._hide is None:
            return item.frame.image
        image = item.frame.image.copy()
        for result in item.hidable:
            self._hide.draw(image, result)
        return image

    def _tidy(self) -> None:
        """Forget finished recordings, but not their counts."""
        for writer in [each for each in self._ended if each.join(0)]:
            self._ended.remove(writer)
            self._segments += writer.segments
            self._failures += writer.failures


@dataclass(frozen=True, slots=True)
class _Source:
    """A recorded source.

    Attributes:
        ring: Its packets or pictures.
        writer: Its recording.
        packets: The ring has the source's own packets.
    """

    ring: PacketRing
    writer: SegmentWriter
    packets: bool

    def keep(self, time: float, image: Image) -> None:
        """Store a picture."""
        good, encoded = cv2.imencode(".jpg", image, _JPEG)
        if good:
            data = encoded.tobytes()
            self.ring.put(data, time, None, key=True, size=len(data))
