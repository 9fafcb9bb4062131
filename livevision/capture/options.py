"""Options of sources; each takes the same and uses what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livevision.capture.life import Life
    from livevision.capture.stretches import Stretch
    from livevision.media.packets import PacketRing


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Options of a source.

    Attributes:
        index: Position of the source in the run's list of sources: ``Frame.source``.
        stride: Keep every ``stride``-th frame.
        fps: Of these, keep at most so many a second; None for all. Pictures ignore it.
        loop: Restart a file at its end, endlessly; index and time keep growing. Cameras and streams
            ignore it.
        retry_for: Seconds to retry a live source that gives no frames.
        every_frame: Frames of a live source are never skipped, however late.
        decoder: Video decoder: "auto", "software" or a name of ``codecs.DECODERS``.
        copies: Number of outputs that copy the file's other streams, such as audio.
        stopping: Polled while a stream is being opened; True gives up.
        life: The ``life`` for the source to use, if it is to be observed or closed while it is
            being opened; by default it creates its own.
        stretch: The part of a video file to read; None for all of it.
        ring: Receives the packets of a file or stream as they are read; None if nothing needs them.
    """

    index: int = 0
    stride: int = 1
    fps: float | None = None
    loop: bool = False
    retry_for: float = 30.0
    every_frame: bool = False
    decoder: str = "auto"
    copies: int = 0
    stopping: Callable[[], bool] | None = None
    life: Life | None = field(default=None, compare=False, repr=False)
    ring: PacketRing | None = field(default=None, compare=False, repr=False)
    stretch: Stretch | None = None

    def __post_init__(self) -> None:
        if self.stride < 1:
            raise ValueError(f"a stride of {self.stride}: it takes 1 or more")


DEFAULTS = SourceOptions()
