"""The sources of a run: kind, address and settings of each, and how it is opened."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from livevision import registry
from livevision.capture.life import Life, Vitals
from livevision.capture.locate import expand, name_of
from livevision.capture.options import SourceOptions
from livevision.capture.stretches import Stretch
from livevision.config.scene import read_scene
from livevision.errors import SourceError
from livevision.frame import LiveSettings
from livevision.media.packets import PacketRing
from livevision.protocols import Source

if TYPE_CHECKING:
    from livevision.config import Settings, SourceSettings

log = logging.getLogger(__name__)

FILES = ("video_file", "images")
"""Kinds of source whose every frame counts; they are read one after the other."""

_LARGE = 700_000  # pixels of a frame


@dataclass(frozen=True)
class Watched:
    """A source of a run.

    Attributes:
        kind: A name of ``registry.SOURCES``.
        uri: Address in the form that the source's class takes.
        settings: Settings of this source; unset ones are the run's.
        named: The user's name for it; None for one without.
        stretch: The part of a video file to read; None for all of it.
    """

    kind: str
    uri: str
    settings: SourceSettings
    named: str | None = None
    stretch: Stretch | None = None

    @property
    def name(self) -> str:
        """Its name for users, without secrets."""
        return self.named or name_of(self.kind, self.uri)


def watched(settings: Settings) -> list[Watched]:
    """The sources of a run: those of ``source``, with folders and globs expanded, and named ones.

    Raises:
        SourceError, UsageError: As for ``capture.locate.expand``.
    """
    from livevision.config import SourceSettings

    # Not validated again: a file's name may contain bytes that are not UTF-8.
    found = [
        Watched(kind, uri, SourceSettings.model_construct(uri=uri))
        for kind, uri in expand(settings.source)
    ]
    for name, own in settings.sources.items():
        places = expand([own.uri])
        for kind, uri in places:
            one = name if len(places) == 1 else f"{name}/{Path(uri).name}"
            found.append(Watched(kind, uri, own, one))
    return found


class Sources:
    """The sources of a run by position: opens them and reports their state.

    Args:
        settings: The run's settings.
        sources: Its sources.
        copies: Returns how many outputs copy the other streams of a source's file.
        stopping: Whether the run is stopping.
        ring: Creates the packet buffer of the source at a position; returns None if nothing needs
            it.
    """

    def __init__(
        self,
        settings: Settings,
        sources: Sequence[Watched],
        copies: Callable[[int], int],
        stopping: Callable[[], bool],
        ring: Callable[[int], PacketRing | None] = lambda source: None,
    ) -> None:
        self._settings, self._sources = settings, list(sources)
        self._copies, self._stopping = copies, stopping
        self._scene = None if settings.scene is None else read_scene(settings.scene)
        self._lives = [Life() for _ in sources]
        self._make_ring, self._rings = ring, dict[int, PacketRing | None]()

    def __len__(self) -> int:
        return len(self._sources)

    def __getitem__(self, position: int) -> Watched:
        return self._sources[position]

    def add(self, source: Watched) -> int:
        """Add a source; returns its position."""
        self._lives.append(Life())
        self._sources.append(source)
        return len(self._sources) - 1

    def use(self, settings: Settings) -> None:
        """Take other settings of the run, for sources that are added, and of sources by name."""
        self._settings = settings
        self._scene = None if settings.scene is None else read_scene(settings.scene)
        for position, source in enumerate(self._sources):
            own = settings.sources.get(source.named or "")
            if own is not None:
                self._sources[position] = replace(source, settings=own)

    def discard_last(self) -> None:
        """Discard the source that was added last, which is not to be watched after all."""
        self._sources.pop()
        self._lives.pop()

    def now(self, position: int) -> Vitals:
        """The current state of a source, from any thread."""
        return self._lives[position].now

    def begin_closing(self, position: int) -> None:
        """Ask a source to end soon, even one that is still being opened."""
        self._lives[position].closing.set()

    def ring(self, position: int) -> PacketRing | None:
        """The packet buffer of an opened source; None if nothing needs it."""
        return self._rings.get(position)

    def record(self, position: int) -> str:
        """How a source is recorded: ``off``, ``continuous`` or ``on-event``."""
        own = self._sources[position].settings.record
        return self._settings.record if own is None else own

    def record_sound(self, position: int) -> bool:
        """Whether the sound of a source is in its recording and clips."""
        own = self._sources[position].settings.record_sound
        return self._settings.record_sound if own is None else own

    def live_settings(self, position: int) -> LiveSettings:
        """The initial live settings of a source."""
        own, run = self._sources[position].settings, self._settings
        return LiveSettings(
            conf=run.conf if own.conf is None else own.conf,
            iou=run.iou if own.iou is None else own.iou,
            classes=run.classes if own.classes is None else own.classes,
            paused=own.paused,
            scene=self._scene if own.scene is None else own.read_scene(),
        )

    def open(self, position: int) -> Source:
        """Open a source.

        Raises:
            SourceError: It cannot be opened.
        """
        source, run = self._sources[position], self._settings
        own = source.settings
        decoder = run.decoder if own.decoder is None else own.decoder
        ring = self._rings[position] = self._make_ring(position)
        options = SourceOptions(
            index=position,
            stride=run.vid_stride if own.vid_stride is None else own.vid_stride,
            fps=run.fps if own.fps is None else own.fps,
            loop=run.loop if own.loop is None else own.loop,
            retry_for=run.retry_for if own.retry_for is None else own.retry_for,
            every_frame=run.mode == "every-frame",
            decoder=decoder,
            copies=self._copies(position),
            stopping=lambda: self._stopping() or self._lives[position].closing.is_set(),
            life=self._lives[position],
            ring=ring,
            stretch=source.stretch,
        )
        opened = self._opened(source, options, decoder)
        if source.named is not None:
            opened.info = replace(opened.info, name=source.named)
        return opened

    def _opened(self, source: Watched, options: SourceOptions, decoder: str) -> Source:
        if source.kind == "stream":
            from livevision.capture.jetson import pipeline_for

            pipeline = pipeline_for(source.uri, decoder)
            if pipeline is not None:
                try:
                    return _made("gstreamer", pipeline, options)
                except SourceError as error:
                    log.warning("%s; falling back to FFmpeg in software", error)
        return _made(source.kind, source.uri, options)

    def turns(self) -> list[list[int]]:
        """Groups of sources: files are read one after the other, everything else in parallel."""
        files = [n for n, source in enumerate(self._sources) if source.kind in FILES]
        others = [[n] for n in range(len(self._sources)) if n not in files]
        return ([files] if files else []) + others

    @property
    def pictures(self) -> list[int]:
        """Positions of sources of still pictures."""
        return [n for n, source in enumerate(self._sources) if source.kind == "images"]

    @property
    def live(self) -> int:
        """Number of sources whose newer frames replace waiting ones."""
        if self._settings.mode == "freshest":
            return len(self._sources)
        return sum(source.kind not in FILES for source in self._sources)

    @property
    def every_frame(self) -> bool:
        """Whether no frame may be dropped, so that throughput counts and not latency."""
        if self._settings.mode == "auto":
            return all(source.kind in FILES for source in self._sources)
        return self._settings.mode == "every-frame"

    @property
    def large(self) -> bool:
        """Whether decoding, drawing and encoding take as long as a light net.

        Measured in docs/performance.md, "Threads of a light net".
        """
        from livevision.capture.video_file import picture_size

        first = self._sources[0]
        size = picture_size(first.uri) if first.kind == "video_file" else None
        return size is None or size[0] * size[1] >= _LARGE

    def sizes(self) -> list[tuple[int, int] | None]:
        """(width, height) of the upright pictures of each video file; None for other sources."""
        from livevision.capture.video_file import upright_size

        return [
            upright_size(source.uri) if source.kind == "video_file" else None
            for source in self._sources
        ]


def _made(kind: str, uri: str, options: SourceOptions) -> Source:
    return registry.resolve(registry.SOURCES, kind, "kind of source")(uri, options)
