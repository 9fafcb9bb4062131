"""The made-up scene."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest

from livevision.capture.synthetic import SyntheticSource
from livevision.errors import UsageError
from tests.clips import frame_number


def test_defaults() -> None:
    info = SyntheticSource("synthetic").info
    assert (info.size, info.rate, info.frames, info.live) == ((1280, 720), 30, 300, False)
    paced = SyntheticSource("synthetic?paced=1").info
    assert (paced.frames, paced.live) == (None, True)


def test_as_asked() -> None:
    source = SyntheticSource("synthetic://64x48@30000/1001?frames=5")
    frames = list(source)
    assert source.info.rate == Fraction(30000, 1001)
    assert [f.image.shape for f in frames] == [(48, 64, 3)] * 5
    assert [frame_number(f.image) for f in frames] == list(range(5))
    assert frames[4].time == pytest.approx(4 * 1001 / 30000)


def test_paced_it_keeps_time_and_drops_what_nobody_fetched() -> None:
    source = SyntheticSource("synthetic://64x48@100?frames=30&paced=1")
    started = time.monotonic()
    seen = []
    for frame in source:
        seen.append(frame.index)
        assert frame_number(frame.image) == frame.index
        assert frame.wall_time - started >= frame.time - 0.005
        if frame.index == 5:
            time.sleep(0.1)
    assert 6 not in seen
    assert source.losses["late"] == 30 - len(seen) >= 8


@pytest.mark.parametrize(
    "uri",
    [
        "synthetic://64",
        "synthetic://0x48",
        "synthetic://64x48@0",
        "synthetic://64x48@1/0",
        "synthetic?frames=many",
        "synthetic?paced=2",
        "synthetic?speed=2",
    ],
)
def test_other_forms_are_told_the_right_one(uri: str) -> None:
    with pytest.raises(UsageError, match="synthetic"):
        SyntheticSource(uri)
