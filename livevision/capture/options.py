"""What a run may ask of its sources; each takes the same options and reads what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livevision.capture.life import Life
    from livevision.media.packets import PacketRing


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Settings of a source.

    Attributes:
        index: Position of the source in the run's list of sources: ``Frame.source``.
        stride: Keep every ``stride``-th frame.
        loop: Start a file again at its end, endlessly, index and time growing on. Cameras and
            streams have no end to start again at.
        retry_for: Seconds to go on trying to reach a live source that gives no frames.
        every_frame: No frame of a live source may be left out, however late it comes.
        decoder: What decodes video: "auto", "software" or a name of ``codecs.DECODERS``.
        copies: How many outputs copy what a file holds beside its pictures, such as its sound.
        stopping: Asked now and then while a stream is being opened; once it says True, opening is
            given up.
        life: What the source is to keep as its ``life``, where somebody reads or closes it while it
            is being opened; it makes one of its own otherwise.
        ring: Takes the packets of a file or stream as they are read; None where nobody wants them.
    """

    index: int = 0
    stride: int = 1
    loop: bool = False
    retry_for: float = 30.0
    every_frame: bool = False
    decoder: str = "auto"
    copies: int = 0
    stopping: Callable[[], bool] | None = None
    life: Life | None = field(default=None, compare=False, repr=False)
    ring: PacketRing | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.stride < 1:
            raise ValueError(f"a stride of {self.stride}: it takes 1 or more")


DEFAULTS = SourceOptions()
