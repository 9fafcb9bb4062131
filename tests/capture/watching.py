"""A clip with numbers in its pictures, and live streams of it that are watched for a while."""

from __future__ import annotations

import time
from pathlib import Path

from livevision.capture.stream import StreamSource
from livevision.frame import Frame
from tests import clips
from tests.clips import frame_number

RATE = 30
MPEGTS = ("-c", "copy", "-f", "mpegts")


def numbered_clip(folder: Path, suffix: str = ".mkv", *, seconds: int = 40) -> Path:
    """Has a key frame each half second."""
    path = folder / f"a{suffix}"
    return clips.make_clip(path, frames=seconds * RATE, rate=RATE, gop=15).path


def watch(source: StreamSource, seconds: float) -> list[tuple[Frame, int, float]]:
    """Frames for a while: each with the number in its picture and when it came."""
    found = []
    until = time.monotonic() + seconds
    for frame in source:
        found.append((frame, frame_number(frame.image), time.monotonic()))
        if time.monotonic() > until:
            break
    source.close()
    return found
