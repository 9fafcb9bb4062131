"""What a run may ask of its outputs; every sink takes the same options and reads what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livevision.output.live_view import LiveView


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Settings of a sink.

    Attributes:
        overwrite: Replace what stands at the target.
        preset: "auto", or x264's trade of speed for size, "ultrafast" .. "veryslow".
        encoder: "auto", "libx264" or a name of ``codecs.ENCODERS``.
        crf: x264's constant quality, 0 (lossless) .. 51; the lower, the better and larger. "auto"
            holds the quantizer instead, two higher.
        sound: Copy the source's sound into a video.
        threads: Threads of the video encoder; 0 leaves half of the cores to the nets.
        pace: A window shows a file at its own speed, where it would come faster.
        stopping: Whether the run has been told to end, so that nothing may be waited for long.
        hidden: Classes of which nothing may be left.
        max_disk: What a folder that grows for ever may take, in bytes; None for no bound.
        keep: Seconds that files in such a folder stay; None for ever.
        sources: Names of the run's sources by ``Frame.source``, for records of several sources.
        view: Where the frames of a page go.
    """

    overwrite: bool = False
    preset: str = "auto"
    encoder: str = "auto"
    crf: int = 23
    sound: bool = True
    threads: int = 0
    pace: bool = False
    stopping: Callable[[], bool] = lambda: False
    hidden: frozenset[str] = frozenset()
    max_disk: int | None = None
    keep: float | None = None
    sources: tuple[str, ...] = ()
    view: LiveView | None = None


DEFAULTS = OutputOptions()
