"""Small real clips for the tests, made on the spot by PyAV; every picture carries its own number.

The number stands in the lowest quarter of the picture as two rows of nine blocks, bright or dark,
placed in shares of the width and height, so that it survives H.264, a change of size and drawing
in the upper part. ``frame_number`` reads it back from a BGR picture.

    clip = make_clip(tmp_path / "a.mp4", frames=30, sound=True)
    clip.times[3]                      # the time that was written for picture 3, in seconds
    [f.number for f in read_clip(clip.path)]

All sizes are (width, height) of the picture as a viewer sees it, upright.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Paint = Callable[[int, tuple[int, int]], Image]

CODE_ROWS, CODE_COLUMNS = 2, 9
CODE_SHARE = 4  # the code takes the lowest 1/4 of the height
SOUND_RATE = 44100

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "mp4": ("a.mp4", {}),
    "b-frames": ("a.mkv", {"b_frames": 3, "options": {"preset": "veryfast", "bf": "3"}}),
    "transport-stream": ("a.ts", {}),
    "late-start": ("a.mp4", {"start": 2.5}),
    "mpeg4": ("a.avi", {"codec": "mpeg4"}),
    "ffv1": ("a.mkv", {"codec": "ffv1"}),
    "motion-jpeg": ("a.mkv", {"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
}
"""Kinds of video that differ to those who copy packets: file names and options of `make_clip`."""


@dataclass(frozen=True, slots=True)
class Clip:
    """What was written: the truth that a test compares with."""

    path: Path
    size: tuple[int, int]
    times: tuple[float, ...]
    rate: Fraction
    rotation: int = 0
    sound: bool = False

    @property
    def frames(self) -> int:
        return len(self.times)


@dataclass(frozen=True, slots=True)
class ReadFrame:
    """One picture read back, upright: its number (None where there is no code) and its time."""

    number: int | None
    time: float
    image: Image


# The picture and its number ----------------------------------------------------------------------


def numbered(number: int, size: tuple[int, int] = (320, 240)) -> Image:
    """A picture, uint8 H×W×3 BGR, with a moving square, colours, and its number (0..65535)."""
    width, height = size
    image = np.empty((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(40, 200, width, dtype=np.uint8)[None, :]
    image[..., 1] = np.linspace(60, 180, height, dtype=np.uint8)[:, None]
    image[..., 2] = 90
    side = max(1, min(width, height) // 5)
    room = max(1, width - side)
    left = (number * max(1, width // 40)) % room
    top = max(0, height // 4 - side // 2)
    image[top : top + side, left : left + side] = (30, 60, 220)
    draw_number(image, number)
    return image


def draw_number(image: Image, number: int) -> None:
    """Write the number into the lowest quarter of a picture, in place."""
    for (y0, y1, x0, x1), bright in zip(_cells(image), _bits(number), strict=True):
        image[y0:y1, x0:x1] = 235 if bright else 16


def frame_number(image: Image) -> int:
    """The number that a picture carries.

    Raises:
        ValueError: The picture carries none: too small, or not one of these pictures.
    """
    levels = []
    for y0, y1, x0, x1 in _cells(image):
        # The middle of a block: its edges are blurred by the codec and by changes of size.
        dy, dx = (y1 - y0) // 4, (x1 - x0) // 4
        middle = image[y0 + dy : max(y0 + dy + 1, y1 - dy), x0 + dx : max(x0 + dx + 1, x1 - dx)]
        levels.append(float(middle.mean()) if middle.size else 0.0)
    white, black = levels[0], levels[CODE_COLUMNS]
    if white - black < 40:
        raise ValueError("this picture carries no number")
    middle_level = (white + black) / 2
    number = 0
    for place, level in enumerate(levels):
        if place not in (0, CODE_COLUMNS):
            number = number * 2 + (level > middle_level)
    return number


def _bits(number: int) -> list[bool]:
    bits = [bool(number >> place & 1) for place in reversed(range(16))]
    return [True, *bits[:8], False, *bits[8:]]


def _cells(image: Image) -> list[tuple[int, int, int, int]]:
    height, width = image.shape[:2]
    top = height - height // CODE_SHARE
    ys = [top + (height - top) * i // CODE_ROWS for i in range(CODE_ROWS + 1)]
    xs = [width * i // CODE_COLUMNS for i in range(CODE_COLUMNS + 1)]
    return [
        (ys[r], ys[r + 1], xs[c], xs[c + 1]) for r in range(CODE_ROWS) for c in range(CODE_COLUMNS)
    ]


# One clip with every choice open -----------------------------------------------------------------


def make_clip(
    path: Path,
    *,
    frames: int = 30,
    size: tuple[int, int] = (320, 240),
    rate: int | Fraction = 30,
    times: Sequence[float] | None = None,
    start: float = 0.0,
    rotation: int = 0,
    sound: bool = False,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    gop: int = 12,
    b_frames: int = 0,
    colour: Mapping[str, int] | None = None,
    corrupt: Collection[int] = (),
    container_options: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    paint: Paint = numbered,
    first: int = 0,
) -> Clip:
    """Write a clip; the suffix of ``path`` chooses the container.

    Args:
        times: Presentation times in seconds, one a frame; else constant at ``rate`` from ``start``.
        rotation: Degrees clockwise (0, 90, 180, 270) that a viewer has to turn the stored pictures;
            mp4 and mov only. ``size`` and ``paint`` are as the viewer sees it.
        sound: Add an AAC track as long as the video.
        colour: Codec context attributes such as ``{"colorspace": 1, "color_range": 2}``.
        corrupt: Numbers of packets (in coding order) whose bytes are replaced by noise.
        first: The number that the first picture carries.
    """
    import av

    rate = Fraction(rate)
    time_base = Fraction(1, 60000)  # fits 24, 25, 30, 30000/1001; MPEG-4 allows no finer
    if path.suffix in (".avi", ".mpg"):
        time_base = 1 / rate  # AVI counts frames and knows no other time; MPEG-2 has few
    moments = list(times) if times is not None else [start + float(i / rate) for i in range(frames)]
    stored = size if rotation in (0, 180) else (size[1], size[0])
    with av.open(str(path), "w", options=dict(container_options or {})) as out:
        video: Any = out.add_stream(codec, rate=rate, options=_encoder_options(codec, options))
        context = video.codec_context
        context.width, context.height, context.pix_fmt = *stored, pix_fmt
        context.time_base = video.time_base = time_base
        context.gop_size, context.max_b_frames = gop, b_frames
        for name, value in (colour or {}).items():
            setattr(context, name, value)
        audio = out.add_stream("aac", rate=SOUND_RATE) if sound else None
        if not moments:
            out.start_encoding()
        packets = 0

        def mux(encoded: list[Any]) -> None:
            nonlocal packets
            for packet in encoded:
                out.mux(_noise_like(packet) if packets in corrupt else packet)
                packets += 1

        ends = [*moments[1:], moments[-1] + float(1 / rate)] if moments else []
        for place, (moment, end) in enumerate(zip(moments, ends, strict=True)):
            image = np.rot90(paint(first + place, size), k=rotation // 90)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
            frame = _in_pixel_format(frame, pix_fmt, colour or {})
            frame.pts, frame.time_base = round(moment / time_base), time_base
            frame.duration = round((end - moment) / time_base)
            mux(video.encode(frame))
        mux(video.encode(None)) if moments else None
        if audio is not None and moments:
            for sound_frame in _tone(moments[0], ends[-1]):
                out.mux(audio.encode(sound_frame))
            out.mux(audio.encode(None))
    if rotation:
        _write_display_matrix(path, rotation, stored)
    return Clip(path, size, tuple(moments), rate, rotation, sound)


def _encoder_options(codec: str, options: Mapping[str, str] | None) -> dict[str, str]:
    quick = {"libx264": {"preset": "ultrafast", "crf": "18"}, "mjpeg": {"q": "2"}}
    return {**quick.get(codec, {}), **(options or {})}


def _in_pixel_format(frame: Any, pix_fmt: str, colour: Mapping[str, int]) -> Any:
    """Convert with the matrix and range that the stream declares (BT.601, limited by default).

    A matrix other than those of BT.601, BT.709 and BT.2020 is declared only.
    """
    if pix_fmt == "bgr24":
        return frame
    full = pix_fmt.startswith("yuvj") or colour.get("color_range") == 2
    grey = pix_fmt.startswith("gray")
    declared = colour.get("colorspace")
    matrix = declared if declared in (1, 9) else 5
    converted = frame.reformat(
        format=pix_fmt,
        dst_colorspace=matrix,
        src_color_range=2,
        dst_color_range=2 if full or grey else 1,
    )
    for name, value in colour.items():
        setattr(converted, name, value)
    return converted


def _noise_like(packet: Any) -> Any:
    import av

    # Without its first bytes the mp4 writer would leave the packet out; 0 could begin a new one.
    chance = random.Random(packet.pts)
    head = bytes(packet)[:5]
    noise = av.Packet(head + bytes(chance.randrange(1, 256) for _ in range(max(16, packet.size))))
    noise.stream, noise.time_base = packet.stream, packet.time_base
    noise.pts, noise.dts, noise.duration = packet.pts, packet.dts, packet.duration
    noise.is_keyframe = packet.is_keyframe
    return noise


def _tone(start: float, end: float) -> Iterator[Any]:
    import av

    at, stop = round(start * SOUND_RATE), round(end * SOUND_RATE)
    while at < stop:
        count = min(1024, stop - at)
        wave = 0.2 * np.sin(np.arange(at, at + count) * (2 * np.pi * 440 / SOUND_RATE))
        frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, at, Fraction(1, SOUND_RATE)
        yield frame
        at += count


def _write_display_matrix(path: Path, degrees: int, stored: tuple[int, int]) -> None:
    """Set the video track's matrix in the header: PyAV has no way to write it."""
    width, height = stored
    turn = {
        90: (0, 1, -1, 0, height, 0),
        180: (-1, 0, 0, -1, width, height),
        270: (0, -1, 1, 0, 0, width),
    }[degrees]
    a, b, c, d, x, y = (value * 65536 for value in turn)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4
    at += 40 if data[at] == 0 else 52  # version 1 has 64-bit times
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, x, y, 1 << 30)
    path.write_bytes(data)


# Clips by name -----------------------------------------------------------------------------------


def constant_rate(path: Path, **choices: Any) -> Clip:
    """30 frames at 30 a second, 320×240, H.264 in the container that the suffix names."""
    return make_clip(path, **choices)


def variable_rate(path: Path, **choices: Any) -> Clip:
    """Frames 20, 40, 100 and 33 ms apart in turn, as phones and screen recorders write."""
    count = choices.pop("frames", 24)
    times, now = [], 0.0
    for place in range(count):
        times.append(now)
        now += (0.02, 0.04, 0.1, 0.033)[place % 4]
    return make_clip(path, times=times, **choices)


def rotated(path: Path, degrees: int, **choices: Any) -> Clip:
    """A clip stored turned, with a display matrix that turns it upright (mp4, mov)."""
    return make_clip(path, rotation=degrees, **choices)


def with_sound(path: Path, **choices: Any) -> Clip:
    return make_clip(path, sound=True, **choices)


def grey(path: Path, **choices: Any) -> Clip:
    """One plane of 8 bits a pixel (mkv, mp4)."""
    return make_clip(path, pix_fmt="gray", **choices)


def ten_bit(path: Path, **choices: Any) -> Clip:
    return make_clip(path, pix_fmt="yuv420p10le", **choices)


def alpha(path: Path, **choices: Any) -> Clip:
    """PNG pictures with an opaque alpha plane (mov)."""
    return make_clip(path, codec="png", pix_fmt="rgba", **choices)


def odd_size(path: Path, **choices: Any) -> Clip:
    """641×359 with halved chroma (MPEG-4: H.264 encoders want even sizes)."""
    return make_clip(
        path, size=(641, 359), codec="mpeg4", options={"qscale": "2", "flags": "+qscale"}, **choices
    )


def one_pixel(path: Path, **choices: Any) -> Clip:
    """1×1, too small for a number."""
    return make_clip(path, size=(1, 1), pix_fmt="yuv444p", **choices)


def huge(path: Path, **choices: Any) -> Clip:
    """Two frames of 7680×4320."""
    return make_clip(path, size=(7680, 4320), frames=2, **choices)


def with_b_frames(path: Path, **choices: Any) -> Clip:
    return make_clip(path, b_frames=3, options={"preset": "veryfast", "bf": "3"}, **choices)


def late_start(path: Path, start: float = 2.5, **choices: Any) -> Clip:
    """The first picture is shown ``start`` seconds into the file."""
    return make_clip(path, start=start, **choices)


def zero_frames(path: Path) -> Clip:
    """A well-formed file (mp4, avi) with a video stream that holds nothing."""
    # Without fragments the mp4 writer leaves an empty track out altogether.
    movflags = {"movflags": "empty_moov+frag_keyframe"} if path.suffix == ".mp4" else None
    return make_clip(path, frames=0, container_options=movflags)


def truncated(path: Path, keep: float = 0.5, **choices: Any) -> Clip:
    """An mp4 with its index at the front, cut off after ``keep`` of its bytes: half is readable."""
    options = {"movflags": "faststart"}
    clip = make_clip(path, **{"frames": 60, "container_options": options, **choices})
    cut(path, keep)
    return clip


def truncated_without_index(path: Path, keep: float = 0.5, **choices: Any) -> Clip:
    """An mp4 with its index at the end, cut off before it: nothing is readable."""
    clip = make_clip(path, **{"frames": 60, **choices})
    cut(path, keep)
    return clip


def corrupted(path: Path, corrupt: Collection[int] = (10, 11, 20), **choices: Any) -> Clip:
    """Only key frames; the packets of the frames in ``corrupt`` hold noise."""
    return make_clip(path, corrupt=corrupt, gop=1, **choices)


def cut(path: Path, keep: float) -> None:
    """Keep only the first ``keep`` (0..1) of a file's bytes."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])


# Reading back, apart from livevision's own reader ------------------------------------------------


def read_clip(path: Path) -> list[ReadFrame]:
    """All pictures of a file in order of presentation, upright, with their numbers and times."""
    import av

    found = []
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0]):
            turned = np.rot90(frame.to_ndarray(format="bgr24"), k=round(frame.rotation / 90))
            image = np.ascontiguousarray(turned, np.uint8)
            try:
                number: int | None = frame_number(image)
            except ValueError:
                number = None
            found.append(ReadFrame(number, float(frame.time), image))
    return found


def sound_span(path: Path) -> tuple[float, float] | None:
    """Start and end of a file's sound in seconds by its packets, or None where it has none."""
    import av

    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        base = float(stream.time_base or 1)
        spans = [
            (p.pts * base, (p.pts + (p.duration or 0)) * base)
            for p in container.demux(stream)
            if p.pts is not None
        ]
        return min(start for start, _ in spans), max(end for _, end in spans)
