"""What a user's words for a source mean, and what is said when they mean nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from livevision.capture.locate import expand, locate
from livevision.errors import LivevisionError, SourceError, UsageError


@pytest.mark.parametrize(
    ("words", "kind", "uri"),
    [
        ("webcam", "camera", "0"),
        ("0", "camera", "0"),
        ("12", "camera", "12"),
        ("webcam://1", "camera", "1"),
        ("/dev/video3", "camera", "/dev/video3"),
        ("csi://0", "gstreamer", "csi://0"),
        ("gst:videotestsrc ! videoconvert", "gstreamer", "gst:videotestsrc ! videoconvert"),
        ("rtsp://user:word@host/a", "stream", "rtsp://user:word@host/a"),
        ("RTSP://host/a", "stream", "RTSP://host/a"),
        ("rtsps://host/a", "stream", "rtsps://host/a"),
        ("rtspu://host/a", "stream", "rtspu://host/a"),
        ("http://host/a.mjpg", "stream", "http://host/a.mjpg"),
        ("https://host/a?b=*", "stream", "https://host/a?b=*"),
        ("udp://@:1234", "stream", "udp://@:1234"),
        ("rtmp://host/live", "stream", "rtmp://host/live"),
        ("synthetic", "synthetic", "synthetic"),
        ("synthetic://64x48@10?frames=5", "synthetic", "synthetic://64x48@10?frames=5"),
        ("-", "video_file", "-"),
    ],
)
def test_words_that_are_no_files(words: str, kind: str, uri: str) -> None:
    assert locate(words) == (kind, uri)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.mp4", "a.MKV", "c.png", "d.JPG", "notes.txt", "[x].mov"):
        (tmp_path / name).touch()
    (tmp_path / "stills").mkdir()
    for name in ("2.png", "1.jpg", "list.txt"):
        (tmp_path / "stills" / name).touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_files_by_what_they_are(folder: Path) -> None:
    assert locate(str(folder / "b.mp4")) == ("video_file", str(folder / "b.mp4"))
    assert locate(str(folder / "c.png")) == ("images", str(folder / "c.png"))
    assert locate(f"file://{folder}/b.mp4") == ("video_file", str(folder / "b.mp4"))
    # What has an unknown ending may still be a video; FFmpeg will see.
    assert locate(str(folder / "notes.txt"))[0] == "video_file"
    assert locate(str(folder / "[x].mov")) == ("video_file", str(folder / "[x].mov"))


def test_a_folder_is_its_videos_each_and_its_pictures_together(folder: Path) -> None:
    assert expand([str(folder)]) == [
        ("video_file", str(folder / "[x].mov")),
        ("video_file", str(folder / "a.MKV")),
        ("video_file", str(folder / "b.mp4")),
        ("images", str(folder)),
    ]
    assert expand([str(folder / "stills")]) == [("images", str(folder / "stills"))]


def test_a_pattern_is_each_video_it_matches(folder: Path) -> None:
    assert expand([str(folder / "*.mp4"), "0"]) == [
        ("video_file", str(folder / "b.mp4")),
        ("camera", "0"),
    ]
    pattern = str(folder / "stills" / "?.*g")
    assert expand([pattern]) == [("images", pattern)]


def test_numbers_in_names_are_in_their_order(tmp_path: Path) -> None:
    names = ["1.mp4", "2.mp4", "10.mp4", "a2b1.mp4", "a2b10.mp4", "a10b1.mp4"]
    for name in reversed(names):
        (tmp_path / name).touch()
    for words in (tmp_path, tmp_path / "*.mp4"):
        assert [Path(uri).name for _, uri in expand([str(words)])] == names


@pytest.mark.parametrize(
    "name", ["10:30.mp4", "note:1.mp4", "file:a.mp4", "http:a.mp4", "a%02d.mp4", "caf\udce9.mp4"]
)
def test_a_colon_is_no_scheme_where_a_file_has_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert locate(name) == ("video_file", name)


@pytest.mark.parametrize("name", ["10:31.mp4", "note:2.mp4", "x" * 300 + ".mp4", "x" * 300])
def test_a_name_that_no_file_has_is_no_scheme_either(name: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        locate(name)
    assert locate("gst:" + name) == ("gstreamer", "gst:" + name)


def test_home_is_understood_in_a_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert locate("~/b.mp4") == ("video_file", str(folder / "b.mp4"))


@pytest.mark.parametrize(
    ("words", "error", "says"),
    [
        ("{folder}/b.mp5", SourceError, "Did you mean {folder}/b.mp4"),
        ("{folder}/nowhere/b.mp4", SourceError, "no folder 'nowhere'"),
        ("{folder}/*.avi", SourceError, "no file matches"),
        ("{folder}/*.txt", SourceError, "none of the 1 files"),
        ("{folder}/empty", SourceError, "no video and no picture"),
        ("screen", SourceError, "livevision --source -"),
        ("webcamm", SourceError, "Did you mean webcam?"),
        ("rtspp://host/a", UsageError, "Did you mean 'rtsp'"),
        ("ftp://user:word@host/a", UsageError, "unknown scheme 'ftp'"),
        ("http:/host/a", UsageError, "// is missing"),
        ("rtsp:///a", UsageError, "host is missing"),
        ("", UsageError, "empty"),
    ],
)
def test_what_means_nothing_is_told_in_one_line(
    words: str, error: type[LivevisionError], says: str, folder: Path
) -> None:
    with pytest.raises(error) as caught:
        expand([words.format(folder=folder)])
    message = str(caught.value)
    assert says.format(folder=folder) in message
    assert "\n" not in message
    assert ":word@" not in message


def test_one_source_is_wanted_where_several_are_meant(folder: Path) -> None:
    with pytest.raises(UsageError, match="4 sources"):
        locate(str(folder))
