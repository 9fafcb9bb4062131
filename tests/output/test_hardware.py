"""Hardware encoders: tried for real, chosen by what works, and left for libx264 where not.

The tests' machine need not have any. What writes with one is run with libx264 in the hardware's
place, and what such machines answer is what is really tried here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from livevision.cli import machine
from livevision.config import Settings
from livevision.errors import UsageError
from livevision.media.codecs import DECODERS, ENCODERS, NOT_BUILT
from livevision.output import hardware, hardware_encoders
from livevision.output.hardware import choose, why_not
from livevision.output.hardware_encoders import HardwareEncoder, encoder_of
from livevision.output.options import OutputOptions
from tests import clips
from tests.output.feeding import copy, plain_info

# In a card's place, and set up like one: other pixels than libx264 has here, and by bit rate.
STAND_IN = HardwareEncoder(
    "libx264", "nv12", None, lambda quality, bits: {"b": str(bits), "bf": "0"}
)


@pytest.fixture(autouse=True)
def _forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_tried", {})


@pytest.mark.parametrize("name", ENCODERS)
def test_each_encoder_works_or_says_why_not(name: str) -> None:
    reason = why_not(name)
    assert reason is None or (reason.strip() and "\n" not in reason)
    assert av.logging.get_level() is None, "FFmpeg is as silent as before"
    assert encoder_of(name).name == name


def test_a_driver_that_is_missing_is_named() -> None:
    if Path("/dev/nvidiactl").exists() or "h264_nvenc" not in av.codecs_available:
        pytest.skip("there is an NVIDIA card, or this PyAV is built without its encoders")
    assert "libcuda" in (why_not("h264_nvenc") or "")
    assert "libcuda" in (why_not("hevc_nvenc") or "")


def test_a_listed_encoder_that_cannot_be_opened_is_told_of_and_libx264_writes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if why_not("h264_nvenc", (320, 240)) is None:
        pytest.skip("it works here")
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=12)
    copy(clip.path, tmp_path / "out.mp4", encoder="h264_nvenc")
    assert [frame.number for frame in clips.read_clip(tmp_path / "out.mp4")] == list(range(12))
    lines = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(lines) == 1
    assert lines[0].startswith("--encoder h264_nvenc does not work here (")
    assert lines[0].endswith("libx264 encodes")


def _works(monkeypatch: pytest.MonkeyPatch, *names: str) -> list[str]:
    """Say that these encoders work, and note which were tried."""
    tried: list[str] = []

    def why_not(name: str, size: tuple[int, int] = (0, 0)) -> str | None:
        tried.append(name)
        return None if name in names else "no such card"

    monkeypatch.setattr(hardware, "why_not", why_not)
    monkeypatch.setattr(hardware, "hardware_at_hand", lambda: True)
    return tried


def test_auto_takes_the_first_of_h264_that_works(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    tried = _works(monkeypatch, "h264_qsv", "h264_v4l2m2m", "hevc_nvenc")
    chosen = choose(plain_info(), OutputOptions())
    assert chosen is not None
    assert chosen.name == "h264_qsv"
    assert tried == ["h264_nvenc", "h264_vaapi", "h264_qsv"]
    assert "video is encoded by h264_qsv" in caplog.text


@pytest.mark.parametrize(
    "options", [OutputOptions(encoder="libx264"), OutputOptions(preset="fast")]
)
def test_who_asks_for_libx264_gets_it(
    options: OutputOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = _works(monkeypatch, *ENCODERS)
    assert choose(plain_info(), options) is None
    assert tried == []


def test_auto_without_any_is_libx264_without_a_word(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    tried = _works(monkeypatch, "hevc_nvenc")
    assert choose(plain_info(), OutputOptions()) is None
    assert tried == [name for name in ENCODERS if name.startswith("h264")]
    monkeypatch.setattr(hardware, "hardware_at_hand", lambda: False)
    assert choose(plain_info(), OutputOptions()) is None
    assert len(tried) == sum(name.startswith("h264") for name in ENCODERS)
    assert caplog.text == ""


def test_the_trial_looks_at_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[tuple[int, int]] = []
    real = hardware._written_and_read

    def with_stand_in(_: HardwareEncoder, size: tuple[int, int]) -> list[int]:
        tries.append(size)
        return real(STAND_IN, size)

    monkeypatch.setattr(hardware, "_written_and_read", with_stand_in)
    monkeypatch.setattr("av.codec.Codec", lambda *_: None)
    assert why_not("h264_nvenc", (641, 359)) is None
    assert why_not("h264_nvenc", (641, 359)) is None
    assert why_not("h264_nvenc", (320, 240)) is None
    assert tries == [(641, 359), (320, 240)], "once for each size"
    for found, says in (([40, 90], "2 of 5 frames"), ([128] * 5, "pictures are wrong")):
        monkeypatch.setattr(hardware, "_tried", {})
        monkeypatch.setattr(hardware, "_written_and_read", lambda *_, found=found: found)
        assert says in (why_not("h264_nvenc") or "")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize(
    "make", [clips.constant_rate, clips.variable_rate, clips.odd_size, clips.with_sound]
)
def test_a_video_by_another_encoder_has_every_frame_at_its_time(
    make: Callable[[Path], clips.Clip], suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "choose", lambda info, options: STAND_IN)
    clip = make(tmp_path / "in.mp4")
    out = tmp_path / f"out{suffix}"
    copy(clip.path, out)
    written = clips.read_clip(out)
    assert [frame.number for frame in written] == list(range(clip.frames))
    assert [frame.time for frame in written] == pytest.approx(clip.times, abs=0.002)


def test_quality_and_bit_rate_reach_the_encoder() -> None:
    info = plain_info((1280, 720), rate=Fraction(25), bit_rate=4_000_000)
    seen: list[tuple[int, int]] = []

    def settings(quality: int, bits: int) -> dict[str, str]:
        seen.append((quality, bits))
        return {}

    from io import BytesIO

    encoder = HardwareEncoder("libx264", "nv12", None, settings)
    with av.open(BytesIO(), "w", format="mp4") as output:
        for told in (info, plain_info((1280, 720), rate=Fraction(25))):
            stream = hardware_encoders.add_stream(
                output, encoder, Fraction(25), told, OutputOptions(crf=30)
            )
            assert stream.codec_context.options["g"] == "100"
            stream.width, stream.height, stream.pix_fmt = 1280, 720, "nv12"
    assert seen == [(30, 4_800_000), (30, 2_304_000)]


def test_h265_is_marked_as_apples_players_want_it() -> None:
    assert encoder_of("hevc_nvenc").tag == "hvc1"
    assert encoder_of("h264_nvenc").tag is None
    assert encoder_of("h264_vaapi").device == "vaapi"


def test_the_doctor_tells_what_works_and_why_the_rest_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from livevision.capture import hardware as decoding

    answers = {"h264_nvenc": None, "h264_vaapi": NOT_BUILT}
    monkeypatch.setattr(hardware, "why_not", lambda n: answers.get(n, "no card"))
    monkeypatch.setattr(decoding, "why_not", lambda n: NOT_BUILT)
    status, text, _ = machine.encoders()
    assert status == "ok"
    assert text.startswith("h264_nvenc, and libx264; h264_qsv, h264_amf")
    assert text.endswith("no card; not in this PyAV: h264_vaapi")
    _, text, _ = machine.decoders()
    assert text == f"software; no hardware works here; not in this PyAV: {', '.join(DECODERS)}"


def test_what_an_encoder_may_be_called() -> None:
    for name in ("auto", "libx264", *ENCODERS):
        assert Settings.of(source="webcam", encoder=name).encoder == name
    with pytest.raises(UsageError, match="unknown encoder 'nvenc'"):
        Settings.of(source="webcam", encoder="nvenc")
    with pytest.raises(UsageError, match="preset fast is for libx264"):
        Settings.of(source="webcam", encoder="h264_nvenc", preset="fast")
