"""Frames that are taken: every n-th, or so many a second; and what need not be decoded for it."""

from __future__ import annotations

from contextlib import closing
from fractions import Fraction
from pathlib import Path

import pytest

from livevision.capture.decoder import Decoder
from livevision.capture.key_frames import KeyFrames
from livevision.capture.options import SourceOptions
from livevision.capture.sampling import Sampler
from livevision.capture.video_file import VideoFileSource
from tests import clips


def taken(sampler: Sampler, times: list[float]) -> list[int]:
    return [number for number, time in enumerate(times) if sampler.takes(number, time)]


def test_so_many_a_second_at_any_rate() -> None:
    at_25 = [n / 25 for n in range(100)]
    assert taken(Sampler(), at_25) == list(range(100))
    assert taken(Sampler(10), at_25) == list(range(0, 100, 10))
    assert len(taken(Sampler(fps=2), at_25)) == 8
    assert len(taken(Sampler(fps=10), at_25)) == 40
    assert len(taken(Sampler(fps=30), at_25)) == 100
    assert len(taken(Sampler(2, fps=12.5), at_25)) == 50
    at_ntsc = [n * 1001 / 30000 for n in range(300)]
    assert len(taken(Sampler(fps=5), at_ntsc)) == pytest.approx(50, abs=1)
    # A slot without a frame is not made up for.
    assert taken(Sampler(fps=1), [0, 0.5, 3.2, 3.4, 3.9, 4.1]) == [0, 2, 5]
    assert taken(Sampler(fps=1), [5, 5.5, 0, 0.5, 1]) == [0, 2, 4], "a clock that begins anew"


def test_what_is_said_of_the_rate_and_the_number() -> None:
    rate = Fraction(30000, 1001)
    assert Sampler(3).rate(rate) == rate / 3
    assert Sampler(fps=2).rate(rate) == 2
    assert Sampler(fps=60).rate(rate) == rate
    assert Sampler(fps=2).rate(None) is None
    assert Sampler(fps=2).count(300, Fraction(30)) == 20
    assert Sampler(4).count(10, None) == 3
    assert Sampler(fps=2).count(300, None) is None


@pytest.mark.parametrize(("gop", "alone"), [(10, True), (13, False), (60, False)])
def test_key_frames_alone_are_decoded_where_they_come_as_often(
    tmp_path: Path, gop: int, alone: bool
) -> None:
    clip = clips.make_clip(tmp_path / "in.mp4", frames=120, gop=gop, rate=25)
    losses = {"corrupt": 0}
    decoder = Decoder(str(clip.path), "in", losses, fps=2.5)
    with closing(decoder):
        decoded = [(number, clips.frame_number(frame.to_ndarray(format="bgr24")))
                   for number, frame in decoder]  # fmt: skip
    assert losses == {"corrupt": 0}
    assert all(number == shown for number, shown in decoded), "numbers stay those of the file"
    if alone:
        assert decoder.count >= 111
        # All until four key frames were seen, then those alone.
        assert len(decoded) < 45
        assert [n for n, _ in decoded if n > 40] == [50, 60, 70, 80, 90, 100, 110]
    else:
        wanted = range(0, 240, 10)  # the end of the file comes as a surprise
        needed = {n for n in range(120) if any(n <= w < n - n % gop + gop for w in wanted)}
        needed |= set(range(0, 120, gop))
        # As soon as four key frames were seen, no more than that.
        known = 3 * gop
        assert [n for n, _ in decoded] == [n for n in range(120) if n < known or n in needed]

    with closing(VideoFileSource(str(clip.path), SourceOptions(fps=2.5))) as source:
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(0, 120, 10))
    assert [frame.time for frame in frames] == pytest.approx([n * 0.4 for n in range(12)])
    assert source.info.rate == Fraction(5, 2)
    assert source.info.frames == 12


def test_where_frames_refer_to_later_ones_all_are_decoded(tmp_path: Path) -> None:
    options = {"preset": "veryfast", "bf": "3"}
    path = tmp_path / "in.mkv"
    clip = clips.make_clip(path, frames=120, gop=13, rate=25, b_frames=3, options=options)
    losses = {"corrupt": 0}
    with closing(Decoder(str(clip.path), "in", losses, fps=2.5)) as decoder:
        assert len(list(decoder)) == 120
    assert losses == {"corrupt": 0}


def test_an_irregular_stream_is_decoded_whole() -> None:
    keys = KeyFrames(2)
    for at in (0.0, 2.0, 4.0, 5.6, 8.0):
        keys.suffice(at)
        assert not keys.alone
    assert not any(keys.unseen(8 + n / 25) for n in range(1, 50))


def test_a_clock_that_stands_or_begins_anew_decodes_all() -> None:
    keys = KeyFrames(2)
    for at in (0.0, 2.0, 4.0, 6.0):
        keys.suffice(at)
    unseen = [keys.unseen(6 + n / 25) for n in range(1, 50)]
    assert unseen.index(True) == 38, "all behind the frame of 1.5 s is unseen"
    assert keys.suffice(8.0) is False
    assert not keys.unseen(8.0)
    assert not keys.unseen(None)
    assert keys.suffice(1.0) is False
    assert not any(keys.unseen(1 + n / 25) for n in range(1, 50))
