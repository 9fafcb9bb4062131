"""Cameras, by a camera made of code: none is at hand where the tests run."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import pytest

from livevision.capture import camera, gstreamer, life
from livevision.capture.camera import CameraSource
from livevision.capture.gstreamer import GStreamerSource
from livevision.capture.options import SourceOptions
from livevision.errors import SourceError, UsageError
from tests import clips
from tests.capture.servers import SYSTEM_PYTHON, FakeCamera, fake_camera


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeCamera]:
    monkeypatch.setattr(life, "FIRST_PAUSE_S", 0.01)
    return fake_camera(monkeypatch)


def test_the_newest_frame_and_the_fastest_format_are_asked_for(fake: type[FakeCamera]) -> None:
    source = CameraSource("/dev/video2")
    source.close()
    assert fake.arguments[0] == 2
    assert fake.settings[cv2.CAP_PROP_BUFFERSIZE] == 1
    assert fake.settings[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
    assert source.info.live
    assert source.info.rate == 100


def test_a_camera_that_is_faster_without_motion_jpeg_stays_so(
    fake: type[FakeCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    mjpg = cv2.VideoWriter.fourcc(*"MJPG")

    def get(self: FakeCamera, prop: int) -> float:
        if prop == cv2.CAP_PROP_FPS:
            return 15.0 if fake.settings.get(cv2.CAP_PROP_FOURCC) == mjpg else 30.0
        return fake.settings.get(prop, 7.0)

    monkeypatch.setattr(fake, "get", get)
    source = CameraSource("0")
    source.close()
    assert source.info.rate == 30
    assert fake.settings[cv2.CAP_PROP_FOURCC] == 7.0


def test_a_camera_that_comes_back_goes_on(fake: type[FakeCamera]) -> None:
    source = CameraSource("0", SourceOptions(retry_for=20))
    frames = iter(source)
    before = list(itertools.islice(frames, 3))
    fake.unplugged = True
    threading.Timer(0.2, lambda: setattr(fake, "unplugged", False)).start()
    after = next(frames)
    source.close()
    assert after.index == 3
    assert after.time > before[-1].time
    assert source.losses == {"reconnects": 1}
    assert fake.opened == 2


def test_a_camera_that_stays_away_is_an_error_in_the_end(fake: type[FakeCamera]) -> None:
    frames = iter(CameraSource("0", SourceOptions(retry_for=0.2)))
    next(frames)
    fake.unplugged = True
    started = time.monotonic()
    with pytest.raises(SourceError, match=r"camera 0: disconnected.* 0\.2 s"):
        next(frames)
    assert time.monotonic() - started >= 0.2


def test_close_ends_the_wait_for_a_camera_that_went_away(fake: type[FakeCamera]) -> None:
    source = CameraSource("0", SourceOptions(retry_for=600))
    frames = iter(source)
    next(frames)
    fake.unplugged = True
    threading.Timer(0.1, source.close).start()
    assert list(frames) == []


def test_a_camera_without_pictures(fake: type[FakeCamera], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake, "read", lambda self: (False, None))
    with pytest.raises(SourceError, match="another program"):
        CameraSource("0")


@pytest.mark.parametrize(
    ("there", "says"),
    [
        ([], "no camera is connected"),
        (["/dev/video0", "/dev/video1"], "connected are /dev/video0, /dev/video1"),
    ],
)
def test_a_camera_that_is_not_there(
    there: list[str],
    says: str,
    fake: type[FakeCamera],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake.unplugged = True
    monkeypatch.setattr(camera.sys, "platform", "linux")
    monkeypatch.setattr(Path, "glob", lambda self, pattern: [Path(name) for name in there])
    with pytest.raises(SourceError, match=says):
        CameraSource("77")


def test_a_camera_that_may_not_be_used_names_the_group(
    fake: type[FakeCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.unplugged = True
    monkeypatch.setattr(camera.sys, "platform", "linux")
    monkeypatch.setattr(Path, "glob", lambda self, pattern: [Path("/dev/video0")])
    monkeypatch.setattr(Path, "exists", lambda self: True)
    monkeypatch.setattr(camera.os, "access", lambda path, mode: False)
    null = Path("/dev/null").stat()
    monkeypatch.setattr(Path, "stat", lambda self: null)
    with pytest.raises(SourceError, match=r"usermod -aG \w+ \$USER"):
        CameraSource("0")


def test_the_real_opencv_says_nothing_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SourceError, match="camera 98"):
        CameraSource("98")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("opener", [CameraSource, GStreamerSource])
def test_a_stride_divides_the_rate(opener: Any, fake: type[FakeCamera]) -> None:
    uri = "0" if opener is CameraSource else "gst:videotestsrc"
    source = opener(uri, SourceOptions(stride=4))
    indices = [frame.index for frame in itertools.islice(source, 3)]
    assert source.info.rate == 25
    assert all(index % 4 == 0 for index in indices)


# GStreamer ---------------------------------------------------------------------------------------


def test_a_pipeline_gets_a_sink_that_holds_the_newest_frame(fake: type[FakeCamera]) -> None:
    GStreamerSource("gst:v4l2src ! videoscale").close()
    pipeline, interface = fake.arguments
    assert interface == cv2.CAP_GSTREAMER
    assert pipeline.startswith("v4l2src ! videoscale ! ")
    assert "format=BGR ! appsink" in pipeline
    assert "drop=true max-buffers=1" in pipeline


def test_a_pipeline_that_reads_a_file_loses_no_frame(fake: type[FakeCamera]) -> None:
    source = GStreamerSource("gst:filesrc location=a.mp4 ! decodebin")
    source.close()
    assert not source.info.live
    assert "drop=true" not in fake.arguments[0]


def test_a_csi_camera_is_a_pipeline(fake: type[FakeCamera]) -> None:
    GStreamerSource("csi://1?size=640x480&rate=60").close()
    assert "nvarguscamerasrc sensor-id=1 " in fake.arguments[0]
    assert "width=640,height=480,framerate=60/1" in fake.arguments[0]


@pytest.mark.parametrize("uri", ["gst:", "csi://left", "csi://0?size=big"])
def test_pipelines_that_mean_nothing(uri: str, fake: type[FakeCamera]) -> None:
    with pytest.raises(UsageError):
        GStreamerSource(uri)


def test_a_pipeline_without_frames_hides_its_password(
    fake: type[FakeCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake, "read", lambda self: (False, None))
    with pytest.raises(SourceError) as caught:
        GStreamerSource("gst:rtspsrc location=rtsp://me:geheim@host/a ! decodebin")
    assert "gives no frame" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_pipeline_that_never_starts(
    fake: type[FakeCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    for_ever = threading.Event()
    monkeypatch.setattr(gstreamer, "_LONGEST_START", 0.1)
    monkeypatch.setattr(cv2, "VideoCapture", lambda *arguments: for_ever.wait(60))
    with pytest.raises(SourceError, match=r"no frame in 0\.1 s; try it alone: gst-launch"):
        GStreamerSource("gst:videotestsrc")
    for_ever.set()


class Stuck:
    """A fake whose restarts hang, until they are let go."""

    def __init__(self, fake: type[FakeCamera], monkeypatch: pytest.MonkeyPatch) -> None:
        self.let_go = threading.Event()
        self.starts = 0
        self._fake = fake
        monkeypatch.setattr(life, "FIRST_PAUSE_S", 0.01)
        monkeypatch.setattr(gstreamer, "_LONGEST_START", 0.2)
        monkeypatch.setattr(cv2, "VideoCapture", self._start)

    def _start(self, *arguments: Any) -> FakeCamera:
        self.starts += 1
        if self.starts > 1:
            self.let_go.wait(20)
            self._fake.unplugged = False
        return self._fake(*arguments)


def threads_of_gstreamer() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "gstreamer" in thread.name]


def test_a_restart_that_hangs_is_waited_for_as_long_as_was_asked(
    fake: type[FakeCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = Stuck(fake, monkeypatch)
    source = GStreamerSource("gst:v4l2src", SourceOptions(retry_for=600))
    frames = iter(source)
    before = next(frames)
    fake.unplugged = True
    # Longer than a start may take at first.
    threading.Timer(1.0, stuck.let_go.set).start()
    after = next(frame for frame in frames if source.losses["reconnects"])
    assert after.index > before.index
    assert after.time > before.time + 0.5
    assert stuck.starts == 2
    assert len(threads_of_gstreamer()) == 1
    source.close()
    assert not threads_of_gstreamer()


def test_a_restart_that_hangs_for_ever_ends_in_time_and_leaves_one_thread(
    fake: type[FakeCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = Stuck(fake, monkeypatch)
    frames = iter(GStreamerSource("gst:v4l2src", SourceOptions(retry_for=0.5)))
    next(frames)
    fake.unplugged = True
    started = time.monotonic()
    with pytest.raises(SourceError, match=r"stopped and gave no frame for 0\.5 s"):
        list(frames)
    assert 0.4 < time.monotonic() - started < 5
    assert stuck.starts == 2
    assert len(threads_of_gstreamer()) == 1
    stuck.let_go.set()  # it ends as soon as OpenCV comes back
    for thread in threads_of_gstreamer():
        thread.join(5)
    assert not threads_of_gstreamer()


def test_a_pipeline_that_falls_silent_ends_in_time(
    fake: type[FakeCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    silent, over = threading.Event(), threading.Event()
    read = FakeCamera.read

    def falling_silent(self: FakeCamera) -> Any:
        if silent.is_set():
            over.wait(20)
        return read(self)

    monkeypatch.setattr(fake, "read", falling_silent)
    monkeypatch.setattr(gstreamer, "_SILENT_S", 0.1)
    source = GStreamerSource("gst:v4l2src", SourceOptions(retry_for=0.5))
    states: list[str] = []
    monkeypatch.setattr(source.life, "lost", lambda why: states.append(f"{why}: retrying"))
    frames = iter(source)
    next(frames)
    silent.set()
    with pytest.raises(SourceError, match="gave no frame for"):
        list(frames)
    assert "no frame for 0.1 s: retrying" in states
    assert source.life.state == "ended"
    over.set()


def test_a_pipeline_may_be_given_up_before_its_first_frame(
    fake: type[FakeCamera], monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    monkeypatch.setattr(fake, "read", lambda self: (over.wait(20), None))
    giving_up = threading.Event()
    threading.Timer(0.3, giving_up.set).start()
    started = time.monotonic()
    with pytest.raises(SourceError, match="given up"):
        GStreamerSource("gst:v4l2src", SourceOptions(stopping=giving_up.is_set))
    assert time.monotonic() - started < 5
    over.set()


def test_an_element_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    if not shutil.which("gst-inspect-1.0"):
        pytest.skip("needs the program gst-inspect-1.0")
    monkeypatch.setattr(cv2.videoio_registry, "hasBackend", lambda backend: True)
    with pytest.raises(SourceError, match="no element 'videotestsource'"):
        GStreamerSource("gst:videotestsource ! video/x-raw,width=320")


_REAL_GSTREAMER = """
import itertools, sys
import cv2
if not cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
    sys.exit("none")
from livevision.capture.gstreamer import GStreamerSource
source = GStreamerSource("gst:videotestsrc is-live=true ! video/x-raw,width=320,height=240")
frames = list(itertools.islice(source, 5))
source.close()
print(source.info.live, source.info.size, [f.index for f in frames])
source = GStreamerSource("gst:filesrc location=" + sys.argv[1] + " ! matroskademux ! jpegdec")
print(source.info.live, source.info.size, len(list(source)))
"""


def test_a_real_gstreamer(tmp_path: Path) -> None:
    """By the system's OpenCV, which in Debian has GStreamer; the wheels from PyPI have none."""
    if not Path(SYSTEM_PYTHON).exists():
        pytest.skip(f"needs {SYSTEM_PYTHON}")
    clip = clips.make_clip(tmp_path / "a.mkv", codec="mjpeg", pix_fmt="yuvj420p")
    done = subprocess.run(
        [SYSTEM_PYTHON, "-c", _REAL_GSTREAMER, str(clip.path)],
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode and ("none" in done.stderr or "No module" in done.stderr):
        pytest.skip(f"needs python3-opencv with GStreamer for {SYSTEM_PYTHON}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "True (320, 240) [0, 1, 2, 3, 4]",
        "False (320, 240) 30",
    ]


def test_an_opencv_without_gstreamer_says_which_has_it() -> None:
    if cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        pytest.skip("this OpenCV has GStreamer")
    with pytest.raises(SourceError, match="built without GStreamer"):
        GStreamerSource("gst:videotestsrc")
