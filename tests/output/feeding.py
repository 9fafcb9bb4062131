"""Feeds sinks in tests as the application does, and reads the packets of what they wrote."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from livevision.capture.options import SourceOptions
from livevision.capture.video_file import VideoFileSource
from livevision.frame import Frame, Image, Rendered
from livevision.output.options import OutputOptions
from livevision.output.video_file import VideoFileSink
from livevision.protocols import SourceInfo
from tests.clips import numbered


def rendered(
    index: int = 0,
    image: Image | None = None,
    *,
    time: float | None = None,
    size: tuple[int, int] = (320, 240),
    source: int = 0,
    results: dict[str, Any] | None = None,
) -> Rendered:
    """A finished frame; by default a picture that carries its number, at 30 frames a second."""
    image = numbered(index, size) if image is None else image
    moment = index / 30 if time is None else time
    return Rendered(Frame(source, index, moment, 0.0, image), results or {}, image)


def plain_info(size: tuple[int, int] = (320, 240), **more: Any) -> SourceInfo:
    return SourceInfo(
        **{"name": "clip.mp4", "live": False, "size": size, "rate": Fraction(30), **more}
    )


def reading(path: Path, *, copies: int = 1, **options: Any) -> VideoFileSource:
    """The application's reader of a video file, for so many outputs that copy its sound."""
    return VideoFileSource(str(path), SourceOptions(copies=copies, **options))


def feed(
    sink: Any,
    reader: Any,
    *,
    frames: int | None = None,
    draw: Callable[[Image], Image] = lambda image: image,
) -> None:
    """Give a sink the (first) frames of a reader."""
    for count, frame in enumerate(reader, 1):
        sink.write(Rendered(frame, {}, draw(frame.image)))
        if count == frames:
            break


def copy(
    source: Path,
    target: Path,
    *,
    frames: int | None = None,
    stride: int = 1,
    draw: Callable[[Image], Image] = lambda image: image,
    **options: Any,
) -> None:
    """Put the (first) frames of a video file through a sink."""
    options = {"preset": "ultrafast", **options}
    reader = reading(source, stride=stride)
    sink = VideoFileSink(str(target), reader.info, OutputOptions(**options))
    feed(sink, reader, frames=frames, draw=draw)
    reader.close()
    sink.close()


def sound_packets(path: Path) -> list[list[tuple[float, bytes]]]:
    """(time, bytes) of every packet of each track of sound."""
    with av.open(str(path)) as container:
        tracks: dict[int, list[tuple[float, bytes]]] = {
            s.index: [] for s in container.streams.audio
        }
        for packet in container.demux(container.streams.audio):
            if packet.pts is not None and packet.size:
                time = float(packet.pts * packet.time_base)
                tracks[packet.stream_index].append((time, bytes(packet)))
    return list(tracks.values())


def duration(path: Path) -> float:
    """How long the video lasts in seconds, by its header: of its track, else of the file."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        if video.duration is not None:
            return float(video.duration * video.time_base)
        return (container.duration or 0) / 1e6
