"""How far live streams are behind, by their own clocks, while a slow decoder keeps up with them."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from livevision.capture.decoder import Decoder
from livevision.capture.options import SourceOptions
from livevision.capture.stream import StreamSource
from livevision.frame import Frame
from tests.capture.servers import http_files, http_live, rtsp_server
from tests.capture.watching import MPEGTS, RATE, numbered_clip, watch

MOTION_JPEG = (
    *("-c:v", "mjpeg", "-q:v", "3", "-f", "mpjpeg"),
    *("-content_type", "multipart/x-mixed-replace;boundary=ffmpeg"),
)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered_clip(tmp_path_factory.mktemp("clip"))


@contextlib.contextmanager
def server_of(kind: str, clip: Path) -> Iterator[str]:
    if kind == "rtsp":
        with rtsp_server(clip) as rtsp:
            yield rtsp.url
    else:
        with http_live(clip, *(MPEGTS if kind == "mpegts" else MOTION_JPEG)) as http:
            yield http.url


@dataclass(frozen=True)
class Watched:
    """A stream that was watched: when that began, what came, and what was lost."""

    began: float
    seen: list[tuple[Frame, int, float]]
    losses: Mapping[str, int]


def watched(server: AbstractContextManager[str], seconds: float, **options: Any) -> Watched:
    with server as url:
        source = StreamSource(url, SourceOptions(**options))
        began = time.monotonic()
        seen = watch(source, seconds)
    return Watched(began, seen, dict(source.losses))


@pytest.fixture(scope="module")
def slowly(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Watched]:
    """Streams watched by a decoder that manages 20 frames a second; all at once, to wait once."""
    decode = Decoder._decode

    def slow(self: Decoder, packet: Any, last: bool) -> list[Any]:
        time.sleep(0.05)
        return decode(self, packet, last)

    folder = tmp_path_factory.mktemp("pieces")
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor() as pool:
        patch.setattr(Decoder, "_decode", slow)
        begun = {
            kind: pool.submit(watched, server_of(kind, clip), 7, retry_for=15)
            for kind in ("rtsp", "mpegts", "motion_jpeg")
        }
        server = server_of("mpegts", clip)
        begun["every frame"] = pool.submit(watched, server, 5, every_frame=True)
        begun["pieces"] = pool.submit(watched, hls_server(clip, folder), 6, retry_for=15)
        return {name: one.result() for name, one in begun.items()}


@pytest.mark.parametrize("kind", ["rtsp", "mpegts", "motion_jpeg"])
def test_a_slow_decoder_is_seen_and_kept_up_with(kind: str, slowly: dict[str, Watched]) -> None:
    one = slowly[kind]
    # By the numbers in the pictures: when each would have been seen without any delay.
    zero = min(came - number / RATE for _, number, came in one.seen)
    assert zero < one.began + 0.5
    for frame, number, came in one.seen:
        age = came - number / RATE - zero
        assert came - frame.wall_time == pytest.approx(age, abs=0.25)
        assert age < 1.2
        assert 0 <= frame.lag <= came - frame.wall_time
        assert frame.index == number - (one.seen[0][1] - one.seen[0][0].index)
    assert one.losses["behind"] > 20
    assert one.losses["corrupt"] == one.losses["reconnects"] == 0
    assert one.seen[-1][1] > 5.5 * RATE, "the last frame is one of the last seconds"


def test_where_every_frame_counts_the_lag_grows_and_is_told(slowly: dict[str, Watched]) -> None:
    seen = slowly["every frame"].seen
    numbers = [number for _, number, _ in seen]
    assert numbers == list(range(numbers[0], numbers[0] + len(seen)))
    (first, _, began), (last, _, ended) = seen[0], seen[-1]
    # At most 20 of 30 frames a second; how many fewer is for the machine to say.
    grown = (ended - began) - (len(seen) - 1) / RATE
    assert grown > 1
    assert last.lag - first.lag == pytest.approx(grown, abs=0.3)


@contextlib.contextmanager
def hls_server(clip: Path, folder: Path) -> Iterator[str]:
    """A playlist that grows by a piece of a second at a time."""
    if not shutil.which("ffmpeg"):
        pytest.skip("needs the program ffmpeg")
    command = ["ffmpeg", "-loglevel", "quiet", "-re", "-i", str(clip), "-c", "copy", "-f", "hls"]
    command += ["-hls_time", "1", "-hls_list_size", "6", str(folder / "live.m3u8")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while len(list(folder.glob("*.ts"))) < 5:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with http_files(folder) as address:
            yield f"{address}/live.m3u8"
    finally:
        process.kill()
        process.wait()


def test_a_stream_in_pieces_is_played_at_its_own_pace(clip: Path, tmp_path: Path) -> None:
    with hls_server(clip, tmp_path) as url:
        seen = watch(StreamSource(url, SourceOptions(retry_for=15)), 6)
    numbers = [number for _, number, _ in seen]
    assert numbers == list(range(numbers[0], numbers[0] + len(seen)))
    assert all(came - frame.wall_time < 0.8 for frame, _, came in seen)  # a busy machine is late
    # A piece comes at once, but what is in it is a second long.
    pace = [
        after - before for (_, _, before), (_, _, after) in zip(seen[30:], seen[60:], strict=False)
    ]
    assert median(pace) == pytest.approx(1, abs=0.4)  # a busy machine stands still now and then


def test_a_stream_in_pieces_is_caught_up_with_too(slowly: dict[str, Watched]) -> None:
    one = slowly["pieces"]
    assert one.losses["behind"] > 10
    assert all(came - frame.wall_time < 1.2 for frame, _, came in one.seen)
    assert one.seen[-1][1] - one.seen[0][1] > 4.5 * RATE
