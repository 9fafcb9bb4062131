"""Deinterlaces frames with FFmpeg's bwdif.

In interlaced frames odd and even lines are captured at different moments, so moving edges look like
combs to a net and to an encoder of progressive pictures.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av import VideoFrame

Numbered = tuple[int, "VideoFrame"]


def deinterlaced(frames: Iterable[Numbered]) -> Iterator[Numbered]:
    """The same frames at the same times, deinterlaced.

    Nothing changes before the first interlaced frame. From then on each frame waits for the next
    one, which the filter needs; progressive frames pass unchanged.
    """
    filtered: _Filter | None = None
    for number, frame in frames:
        if filtered is not None and not filtered.takes(frame):
            yield from filtered.flush()
            filtered = None
        if filtered is None and not frame.interlaced_frame:
            yield number, frame
            continue
        filtered = filtered or _Filter(frame)
        yield from filtered(number, frame)
    if filtered is not None:
        yield from filtered.flush()


class _Filter:
    """A filter for frames with the format of a first one."""

    def __init__(self, first: VideoFrame) -> None:
        import av

        self._kind = _kind(first)
        self._waiting: deque[tuple[int, Any, Any, Any]] = deque()
        self._graph: Any = av.filter.Graph()
        source = self._graph.add_buffer(
            width=first.width,
            height=first.height,
            format=first.format,
            time_base=first.time_base or Fraction(1, 1_000_000),
        )
        bwdif = self._graph.add("bwdif", "mode=send_frame:deint=interlaced")
        sink = self._graph.add("buffersink")
        source.link_to(bwdif)
        bwdif.link_to(sink)
        self._graph.configure()

    def takes(self, frame: VideoFrame) -> bool:
        return _kind(frame) == self._kind

    def __call__(self, number: int, frame: VideoFrame) -> Iterator[Numbered]:
        # The filter counts in half time units and requires every frame to have a time.
        self._waiting.append((number, frame.pts, frame.time_base, frame.duration))
        self._graph.push(frame)
        yield from self._out()

    def flush(self) -> Iterator[Numbered]:
        self._graph.push(None)
        yield from self._out()

    def _out(self) -> Iterator[Numbered]:
        import av

        while self._waiting:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            number, frame.pts, frame.time_base, frame.duration = self._waiting.popleft()
            yield number, frame


def _kind(frame: VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name
