"""H.264 in fragments of MP4, read by a decoder."""

from __future__ import annotations

import io
import itertools
from typing import Any

import av
import numpy as np
import pytest

from livevision.output.live_video import LiveVideo, can_encode
from tests.clips import frame_number, numbered


def decoded(data: bytes) -> list[Any]:
    with av.open(io.BytesIO(data)) as container:
        return list(container.decode(video=0))


def test_each_fragment_is_a_picture_that_can_be_read_at_once() -> None:
    video = LiveVideo((320, 240))
    data = video.head
    for number in range(12):
        fragment = video.encode(numbered(number), 7.0 + 0.1 * number, key=number in (0, 8))
        assert fragment.key == (number in (0, 8))
        data += fragment.data
        frames = decoded(data)
        assert len(frames) == number + 1
        assert frame_number(frames[-1].to_ndarray(format="bgr24")) == number
    assert [frame.key_frame for frame in frames] == [n in (0, 8) for n in range(12)]


def test_watching_begins_at_any_key_frame() -> None:
    video = LiveVideo((320, 240))
    parts = [video.encode(numbered(n), n / 10, key=n in (0, 5)).data for n in range(9)]
    frames = decoded(video.head + b"".join(parts[5:]))
    assert [frame_number(f.to_ndarray(format="bgr24")) for f in frames] == [5, 6, 7, 8]


def test_times_have_no_gaps_whatever_the_source_does() -> None:
    video = LiveVideo((64, 48))
    moments = [0.0, 0.1, 0.3, 0.31, 60.0, 60.1, 60.1, 61.0]
    data = video.head + b"".join(
        video.encode(np.full((48, 64, 3), 20 * n, np.uint8), at).data
        for n, at in enumerate(moments)
    )
    with av.open(io.BytesIO(data)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    for one, after in itertools.pairwise(packets):
        assert one.pts + one.duration == after.pts
    lengths = [float(p.duration * p.time_base) for p in packets]
    assert lengths == pytest.approx([0.04, 0.1, 0.2, 1 / 60, 1.0, 0.1, 1 / 60, 0.9], abs=0.001)


@pytest.mark.parametrize("size", [(321, 181), (2, 2), (17, 300)], ids=["odd", "tiny", "high"])
def test_any_size_is_encoded(size: tuple[int, int]) -> None:
    video = LiveVideo(size)
    fragment = video.encode(np.full((size[1], size[0], 3), 128, np.uint8), 0.0)
    (frame,) = decoded(video.head + fragment.data)
    assert (frame.width - size[0], frame.height - size[1]) in {(0, 0), (1, 0), (0, 1), (1, 1)}


def test_the_type_names_the_codec_of_the_head() -> None:
    video = LiveVideo((320, 240))
    at = video.head.index(b"avcC") + 5
    assert video.mime == f'video/mp4; codecs="avc1.{video.head[at : at + 3].hex().upper()}"'
    assert can_encode()
