"""Clips that flash and beep at the same moments, and the moments at which a file does."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

RATE = 10  # pictures a second
SIZE = (160, 120)
_LASTS_S = 0.2
_LAYOUTS = {1: "mono", 2: "stereo"}


def beeping(
    path: Path,
    *,
    seconds: float = 6.0,
    codec: str = "aac",
    rate: int = 44100,
    channels: int = 1,
    heard: tuple[float, float] = (0.0, 1e9),
    gop: int = 10,
    b_frames: int = 0,
) -> Path:
    """Write a clip with a white picture and a beep of 0.2 s in the middle of each second.

    Args:
        codec: FFmpeg's encoder of the sound.
        heard: From when to when the track of sound has packets; the track is there in any case.
    """
    import av

    with av.open(str(path), "w") as out:
        video: Any = out.add_stream(
            "libx264", rate=RATE, options={"preset": "ultrafast", "bf": str(b_frames)}
        )
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        video.codec_context.gop_size, video.codec_context.max_b_frames = gop, b_frames
        sound: Any = out.add_stream(codec, rate=rate, layout=_LAYOUTS[channels])
        into = av.AudioResampler(sound.codec_context.format.name, _LAYOUTS[channels], rate)
        for number in range(round(seconds * RATE)):
            white = _is_on(number / RATE)
            image = np.full((SIZE[1], SIZE[0], 3), 230 if white else 20, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(video.encode(frame))
            if heard[0] <= number / RATE < heard[1]:
                for ready in into.resample(_wave(number, rate, channels)):
                    out.mux(sound.encode(ready))
        out.mux(video.encode(None))
        for ready in into.resample(None):
            out.mux(sound.encode(ready))
        out.mux(sound.encode(None))
    return path


def _is_on(moment: float) -> bool:
    return 0.5 - 1e-6 <= moment % 1 < 0.5 + _LASTS_S - 1e-6


def _wave(number: int, rate: int, channels: int) -> Any:
    """The sound of one picture."""
    import av

    count = rate // RATE
    at = np.arange(number * count, (number + 1) * count)
    loud = 0.8 if _is_on(number / RATE) else 0.0
    wave = (loud * np.sin(at * (2 * np.pi * 1000 / rate))).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(np.tile(wave, (channels, 1)), "fltp", _LAYOUTS[channels])
    frame.sample_rate, frame.pts, frame.time_base = rate, number * count, Fraction(1, rate)
    return frame


def flashes(path: Path) -> list[float]:
    """When the picture turns white, in seconds of the file."""
    import av

    found, was = [], True
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            white = frame.to_ndarray(format="gray").mean() > 128
            if white and not was:
                found.append(float(frame.time))
            was = white
    return found


def beeps(path: Path) -> list[float]:
    """When a beep begins, in seconds of the file."""
    import av

    found, quiet_since = [], float("-inf")
    with av.open(str(path)) as container:
        for start, rate, wave in _waves(container):
            for place in np.flatnonzero(np.abs(wave) > 0.2):
                moment = start + place / rate
                if moment - quiet_since > _LASTS_S / 2:
                    found.append(float(moment))
                quiet_since = moment
    return found


def _waves(container: Any) -> Iterator[tuple[float, int, Any]]:
    import av

    into = av.AudioResampler("fltp", "mono")
    for frame in container.decode(audio=0):
        for ready in into.resample(frame):
            yield float(ready.pts * ready.time_base), ready.sample_rate, ready.to_ndarray()[0]
