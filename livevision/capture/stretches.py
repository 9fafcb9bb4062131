"""Stretches of a video file that are computed apart, as if the file were read from its beginning.

A stretch is read from the last key frame before it. A file is divided only where that is certain to
give the same frames, with the same numbers and times: its clock has no breaks, every packet has a
time, and none is damaged.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livevision.capture.cut_off import cut_off
from livevision.errors import SourceError

_AHEAD = 32  # frames that are computed and not delivered, after which drawings are settled
_IDR = 5  # H.264's type of a picture that no later one refers past
_FAR = 2  # a key frame may be this share of a stretch before what is read of it


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a video file.

    Attributes:
        start: Number of its first frame.
        stop: Number of the first frame behind it; None for the end of the file.
        key_time: Time of the key frame to read from, in the stream's unit.
        key_number: Number of that frame.
        ahead: Frames of ``Sampler`` before ``start`` that are given too, to be thrown away.
    """

    start: int
    stop: int | None
    key_time: int
    key_number: int
    ahead: int = 0

    @property
    def first(self) -> int:
        """Number of the first frame that is given."""
        return self.start - self.ahead


class Overshot(Exception):
    """A file was sought and cannot be read from the key frame on."""


def from_key(packets: Iterator[Any], key_time: int) -> Generator[tuple[Any, bool]]:
    """The packets from a key frame on, as ``Decoder`` takes them.

    Pictures that are stored behind the key frame and shown before it need those before it, which
    are not read; they are left out.

    Raises:
        Overshot: The key frame is not among them.
    """
    found = False
    for packet in packets:
        if packet.size == 0 and packet.dts is None:
            if not found:
                raise Overshot
            yield packet, True
        elif not found and packet.is_keyframe and packet.pts == key_time:
            found = True
            yield packet, True
        elif not found and packet.pts is not None and packet.is_keyframe and packet.pts > key_time:
            raise Overshot
        elif found and (packet.pts is None or packet.pts > key_time):
            yield packet, True


def divide(uri: str, frames: int, stride: int, unit: int) -> list[Stretch]:
    """Divide a file into stretches of about ``frames`` frames; one where it cannot be divided.

    Args:
        uri: Path of the file.
        frames: Taken frames of a stretch.
        stride: Every ``stride``-th frame is taken.
        unit: The number of taken frames before a stretch is a multiple of it.
    """
    whole = [Stretch(0, None, 0, 0)]
    keys, total = _keys(uri) or ((), 0)
    length = max(unit, round(frames / unit) * unit)
    if len(keys) < 2 or total < 1.5 * length * stride:
        return whole
    numbers = [number for number, _ in keys]
    found: list[tuple[int, int, int, int]] = []
    for taken in range(length, -(-total // stride) - max(2, length // 4), length):
        ahead = min(_AHEAD, length // 4) * stride
        start = taken * stride
        number, time = keys[bisect_right(numbers, start - ahead) - 1]
        if start - number <= ahead + length * stride / _FAR:
            found.append((start, ahead, number, time))
    if not found:
        return whole
    stops: list[int | None] = [start for start, *_ in found]
    rest = [
        Stretch(start, stop, time, number, ahead)
        for (start, ahead, number, time), stop in zip(found, [*stops[1:], None], strict=True)
    ]
    return [Stretch(0, stops[0], keys[0][1], 0), *rest]


def _keys(uri: str) -> tuple[list[tuple[int, int]], int] | None:
    """(number, time) of the key frames to read from, and the number of frames.

    None where numbers and times cannot be told without decoding.
    """
    import av

    from livevision.capture.decoder import Decoder

    if cut_off(Path(uri)):
        return None
    losses = {"corrupt": 0}
    try:
        decoder = Decoder(str(Path(uri).absolute()), uri, losses)
    except (SourceError, av.error.FFmpegError, ValueError):
        return None
    try:
        if not decoder.regular:
            return None
        h264 = decoder.stream.codec_context.name == "h264"
        times: list[int] = []
        keys: list[int] = []
        for packet in decoder.packets:
            if packet.size == 0:
                if packet.dts is None:
                    continue
                return None
            if packet.pts is None or packet.is_corrupt:
                return None
            if packet.is_discard:
                continue
            if packet.is_keyframe and (not h264 or _IDR in _kinds(packet)):
                keys.append(packet.pts)
            times.append(packet.pts)
        if decoder.breaks or not keys or not times or keys[0] != min(times):
            return None
    except av.error.FFmpegError:
        return None
    finally:
        decoder.close()
    ordered = sorted(times)
    if len(set(ordered)) < len(ordered):
        return None
    rank = {time: number for number, time in enumerate(ordered)}
    return sorted((rank[time], time) for time in keys), len(ordered)


def _kinds(packet: Any) -> set[int]:
    """Types of the units of an H.264 packet, in either of its two forms."""
    data = memoryview(packet)
    kinds: set[int] = set()
    if bytes(data[:3]) == b"\0\0\1" or bytes(data[:4]) == b"\0\0\0\1":
        content, at = bytes(data), 0
        while (at := content.find(b"\0\0\1", at)) >= 0 and at + 3 < len(content):
            kinds.add(content[at + 3] & 31)
            at += 3
        return kinds
    at = 0
    while at + 4 < len(data):
        kinds.add(data[at + 4] & 31)
        at += 4 + int.from_bytes(data[at : at + 4])
    return kinds
