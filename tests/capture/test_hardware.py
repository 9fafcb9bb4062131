"""Hardware decoders: tried for real, chosen by what works, and left for software where not.

The tests' machine need not have any. What uses one is run with FFmpeg's software decoders in the
hardware's place, and what such machines answer is what is really tried here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from livevision.capture import hardware, jetson
from livevision.capture.options import SourceOptions
from livevision.capture.video_file import VideoFileSource
from livevision.config import Settings
from livevision.errors import SourceError, UsageError
from livevision.media.codecs import DECODERS, NOT_BUILT
from livevision.runtime import sources
from livevision.runtime.metering import Meter
from livevision.runtime.run import Run
from tests import clips
from tests.clips import frame_number


@pytest.fixture(autouse=True)
def _forgetful() -> Iterator[None]:
    hardware.choose.cache_clear()
    hardware.why_not.cache_clear()
    yield
    hardware.choose.cache_clear()
    hardware.why_not.cache_clear()


@pytest.mark.parametrize("name", DECODERS)
def test_each_decoder_works_or_says_why_not(name: str) -> None:
    reason = hardware.why_not(name)
    assert reason is None or (reason.strip() and "\n" not in reason)
    assert av.logging.get_level() is None, "FFmpeg is as silent as before"


def test_a_driver_that_is_missing_is_named() -> None:
    if Path("/dev/nvidiactl").exists() or "cuda" not in av.codec.hwaccel.hwdevices_available():
        pytest.skip("there is an NVIDIA card, or this PyAV is built without its decoders")
    assert "libcuda" in (hardware.why_not("cuda") or "")


def _works(monkeypatch: pytest.MonkeyPatch, *names: str) -> list[str]:
    """Say that these decoders work, and note which were tried."""
    tried: list[str] = []

    def why_not(name: str) -> str | None:
        tried.append(name)
        return None if name in names else "no such card"

    monkeypatch.setattr(hardware, "why_not", why_not)
    monkeypatch.setattr(hardware, "hardware_at_hand", lambda: True)
    return tried


def test_auto_takes_the_first_that_works(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    tried = _works(monkeypatch, "vaapi", "v4l2m2m")
    assert hardware.choose("auto") == "vaapi"
    assert hardware.choose("auto") == "vaapi"
    assert tried == ["cuda", "vaapi"], "once, in order, and no further"
    assert caplog.text.count("video is decoded by vaapi") == 1


def test_auto_without_any_is_software_without_a_word(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    tried = _works(monkeypatch)
    assert hardware.choose("auto") == "software"
    assert tried == [name for name in DECODERS if name != "nvv4l2decoder"]
    assert caplog.text == ""


def test_where_no_device_is_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = _works(monkeypatch, "cuda")
    monkeypatch.setattr(hardware, "hardware_at_hand", lambda: False)
    assert hardware.choose("auto") == "software"
    assert hardware.choose("software") == "software"
    assert tried == []


def test_one_that_was_asked_for_and_does_not_work_is_told_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _works(monkeypatch)
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=8)
    for _ in range(2):
        frames = list(VideoFileSource(str(clip.path), SourceOptions(decoder="cuda")))
        assert [frame_number(frame.image) for frame in frames] == list(range(8))
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["--decoder cuda does not work here (no such card): software decodes"]


def test_the_trial_looks_at_what_was_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    # FFmpeg's own decoder in the card's place: the trial goes all its way.
    monkeypatch.setattr("av.codec.hwaccel.HWAccel", lambda *_, **__: None)
    monkeypatch.setattr("av.codec.hwaccel.hwdevices_available", lambda: ["cuda"])
    assert hardware.why_not("cuda") is None
    assert hardware.why_not("vaapi") == NOT_BUILT
    for found, says in (([40, 90, 140, 190], "4 of 5 frames"), ([0] * 5, "pictures are wrong")):
        hardware.why_not.cache_clear()
        monkeypatch.setattr(hardware, "_decode", lambda *_, found=found: found)
        assert says in (hardware.why_not("cuda") or "")


@pytest.mark.parametrize("make", [clips.constant_rate, clips.with_b_frames, clips.late_start])
def test_a_decoder_beside_the_containers_own_gives_the_same_frames(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make(tmp_path / "in.mp4")
    expected = list(VideoFileSource(str(clip.path), SourceOptions(decoder="software")))
    # As those of boards are, but FFmpeg's own decoder of the codec.
    monkeypatch.setattr(hardware, "_SEPARATE", {"v4l2m2m": "{}"})
    _works(monkeypatch, "v4l2m2m")
    source = VideoFileSource(str(clip.path), SourceOptions(decoder="v4l2m2m"))
    assert source._decoder._context is not source._decoder.stream.codec_context
    assert not source._decoder.in_software
    found = list(source)
    assert [f.index for f in found] == [f.index for f in expected]
    assert [f.time for f in found] == pytest.approx([f.time for f in expected])
    assert [frame_number(f.image) for f in found] == list(range(clip.frames))


def test_a_codec_that_the_hardware_does_not_know_is_decoded_in_software(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    _works(monkeypatch, "v4l2m2m")
    clip = clips.odd_size(tmp_path / "in.mp4")
    monkeypatch.setattr(hardware, "_SEPARATE", {"v4l2m2m": "{}_of_no_board"})
    frames = list(VideoFileSource(str(clip.path), SourceOptions(decoder="v4l2m2m")))
    assert len(frames) == clip.frames
    assert "is decoded in software, not by v4l2m2m" in caplog.text


def test_rtsp_goes_through_gstreamer_on_a_jetson(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jetson, "why_not", lambda name: None)
    uri = "rtsp://user:secret@cam/stream"
    pipeline = jetson.pipeline_for(uri, "auto")
    assert pipeline is not None
    assert pipeline == jetson.pipeline_for(uri, "nvv4l2decoder")
    assert pipeline.startswith(f'gst:rtspsrc location="{uri}"')
    assert "! nvv4l2decoder !" in pipeline
    assert jetson.pipeline_for(uri, "software") is None
    assert jetson.pipeline_for("http://cam/stream", "auto") is None


def test_without_a_jetsons_decoder_ffmpeg_reads_the_stream(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(jetson, "why_not", lambda name: "GStreamer has no such element")
    assert jetson.pipeline_for("rtsp://cam/stream", "auto") is None
    assert caplog.text == ""
    assert jetson.pipeline_for("rtsp://cam/stream", "nvv4l2decoder") is None
    assert "does not work here (GStreamer has no such element)" in caplog.text
    assert hardware.choose("nvv4l2decoder") == "software"


def test_a_pipeline_that_gives_no_frame_leaves_the_stream_to_ffmpeg(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opened: list[tuple[str, str]] = []

    def made(kind: str, uri: str, options: SourceOptions) -> str:
        opened.append((kind, uri))
        if kind == "gstreamer":
            raise SourceError("the pipeline gives no frame")
        return "a stream"

    monkeypatch.setattr(jetson, "why_not", lambda name: None)
    monkeypatch.setattr(sources, "_made", made)
    run = Run(Settings.of(source="rtsp://cam/stream", headless=True), Meter())
    assert run.sources.open(0) == "a stream"  # type: ignore[comparison-overlap]
    assert [kind for kind, _ in opened] == ["gstreamer", "stream"]
    assert "no frame; falling back to FFmpeg" in caplog.text


def test_what_a_decoder_may_be_called() -> None:
    for name in ("auto", "software", *DECODERS):
        assert Settings.of(source="webcam", decoder=name).decoder == name
    with pytest.raises(UsageError, match="unknown decoder 'nvdec'"):
        Settings.of(source="webcam", decoder="nvdec")
