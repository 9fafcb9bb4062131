"""Processor time of reading a video at a few frames a second, against reading all of it.

Clips of 1280×720 at 25 fps without B-frames, as cameras send them, are read as a run reads them.
All candidates take turns, each in a process of its own; user and system seconds of all its threads
count.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections import defaultdict
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from livevision.capture import decoder
from livevision.capture.options import SourceOptions
from livevision.capture.synthetic import SyntheticSource
from livevision.capture.video_file import VideoFileSource

SIZE, RATE = (1280, 720), 25
CODECS = {"H.264": "libx264", "H.265": "libx265"}
GOPS = (50, 12)
Candidate = tuple[str, int, float | None, bool]
"""Codec, frames between key frames, ``--fps``, and whether all is decoded nevertheless."""


def make(path: Path, codec: str, gop: int, source: Path | None, seconds: int) -> None:
    options = {"preset": "veryfast", "tune": "zerolatency", "bf": "0", "g": str(gop)}
    options |= {"sc_threshold": "0"}
    if codec == "libx265":
        options["x265-params"] = f"keyint={gop}:min-keyint={gop}:scenecut=0:log-level=none"
    if source is None:
        pictures: Any = SyntheticSource(f"synthetic://{SIZE[0]}x{SIZE[1]}@{RATE}")
    else:
        pictures = VideoFileSource(str(source), SourceOptions(loop=True))
    with closing(pictures), av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for frame in islice(pictures, seconds * RATE):
            image = np.asarray(cv2.resize(frame.image, SIZE), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))


def read(path: str, fps: float | None, all_decoded: bool) -> tuple[int, float]:
    """Frames that came, and processor seconds."""
    if all_decoded:
        decoder.KeyFrames = lambda fps: None  # type: ignore[assignment, misc]
    begun = time.process_time()
    with closing(VideoFileSource(path, SourceOptions(fps=fps))) as source:
        frames = sum(1 for _ in source)
    return frames, time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, help="a video file; else a made-up scene")
    parser.add_argument("--seconds", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    spent: defaultdict[Candidate, list[float]] = defaultdict(list)
    frames: dict[Candidate, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        clips = {}
        for name, codec in CODECS.items():
            for gop in GOPS:
                clips[name, gop] = Path(folder) / f"{codec}-{gop}.mp4"
                make(clips[name, gop], codec, gop, asked.source, asked.seconds)
        slow = {50: 0.5, 12: 2.0}  # as often as key frames come
        candidates: list[Candidate] = []
        for name, gop in clips:
            candidates += [
                (name, gop, None, False),
                (name, gop, 2.0, True),
                (name, gop, 2.0, False),
            ]
            if slow[gop] != 2.0:
                candidates += [(name, gop, slow[gop], True), (name, gop, slow[gop], False)]
        spawn = multiprocessing.get_context("spawn")
        for _ in range(asked.rounds):
            for one in candidates:
                name, gop, fps, all_decoded = one
                with spawn.Pool(1) as pool:
                    came, seconds = pool.apply(read, (str(clips[name, gop]), fps, all_decoded))
                frames[one] = came
                spent[one].append(seconds)
    print(f"{asked.seconds} s of {SIZE[0]}×{SIZE[1]}, medians of {asked.rounds} rounds")
    print(f"{'':<8}{'GOP':>4}{'--fps':>7}{'decoded':>14}{'frames':>8}{'CPU s':>8}{'of all':>9}")
    for one in candidates:
        name, gop, fps, all_decoded = one
        whole = statistics.median(spent[name, gop, None, False])
        mine = statistics.median(spent[one])
        alone = fps is not None and not all_decoded and fps <= RATE / gop
        what = "key frames" if alone else "all"
        share = f"{100 * mine / whole:.0f} %"
        rate = "–" if fps is None else f"{fps:g}"
        print(f"{name:<8}{gop:>4}{rate:>7}{what:>14}{frames[one]:>8}{mine:>8.2f}{share:>9}")


if __name__ == "__main__":
    main()
