"""How many streams are held: the search, the time code, and a measurement with real streams."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from livevision.bench import time_code
from livevision.bench.serving import Served, StreamServer
from livevision.bench.streams import Bounds, Held, capacity, measure
from livevision.capture.video_file import VideoFileSource
from livevision.config import Settings
from tests import clips

HELD = Held(1, 10.0, 1.0, 1.0, (10.0, 20.0), 0.1, {}, None, holds=True)


@pytest.mark.parametrize("limit", [0, 1, 5, 12, 16, 23, 64])
def test_the_search_finds_the_limit(limit: int) -> None:
    tried: list[int] = []

    def try_(number: int) -> Held:
        tried.append(number)
        return replace(HELD, streams=number, holds=number <= limit)

    told: list[Held] = []
    assert capacity(try_, 64, told.append) == limit
    assert [held.streams for held in told] == tried
    assert len(tried) <= 12
    assert len(set(tried)) == len(tried)


def test_a_number_is_read_from_a_picture_behind_a_codec(tmp_path: Path) -> None:
    random = np.random.default_rng(0)

    def paint(number: int, size: tuple[int, int]) -> np.ndarray:
        image = random.integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
        time_code.draw(image, 4099 * number)
        return image

    clip = clips.make_clip(
        tmp_path / "in.mp4", frames=15, size=(320, 180), paint=paint, options={"crf": "28"}
    )
    with closing(VideoFileSource(str(clip.path))) as source:
        assert [time_code.read(frame.image) for frame in source] == [4099 * n for n in range(15)]
    assert time_code.read(np.full((180, 320, 3), 128, np.uint8)) is None


def test_streams_are_served_and_their_ages_are_true() -> None:
    settings = Settings.of(
        source="synthetic", model="thundernet-snet49", headless=True, output="null"
    )
    with closing(StreamServer(Served((320, 180), 10, 3))) as server:
        held = measure(server, 2, settings, 1.0, Bounds(share=0.0, age_ms=8000))
    assert held.streams == 2
    assert held.holds
    assert 0 < held.least <= held.most < 2
    assert 0 < held.age_ms[0] <= held.age_ms[1] < 8000
    assert 0 < held.cores < 64
    assert held.fps > 1
