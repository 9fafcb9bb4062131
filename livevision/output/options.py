"""Options of sinks; each takes the same and uses what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livevision.output.live_view import LiveView


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Options of a sink.

    Attributes:
        overwrite: Replace an existing target.
        preset: "auto", or x264's preset, "ultrafast" .. "veryslow".
        encoder: "auto", "libx264" or a name of ``codecs.ENCODERS``.
        crf: x264's constant quality, 0 (lossless) .. 51; lower is better and larger. Preset "auto"
            uses a constant quantizer, two higher, instead.
        sound: Copy the source's audio to a video.
        threads: Threads of the video encoder; 0 leaves half of the cores to the nets.
        pace: A window shows a file at its own speed at most.
        stopping: Whether the run is stopping, so that nothing may be waited for long.
        hidden: Classes that must not be visible.
        max_disk: Maximum bytes of a folder that grows indefinitely; None for no limit.
        keep: Seconds that files in such a folder are kept; None for ever.
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
