"""What ``--output`` may say, what it means, and what is found out before anything is loaded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from livevision.errors import OutputError, UsageError
from livevision.output.target import Target, check, in_folder, locate


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("out.mp4", "video_file"),
        ("a/b/OUT.MKV", "video_file"),
        ("out.mov", "video_file"),
        ("out.jsonl", "records"),
        ("out.csv", "records"),
        ("frames/%06d.jpg", "images"),
        ("photo.png", "images"),
        ("runs/", "folder"),
        ("window", "window"),
        ("window:", "window"),
        ("null", "null"),
        ("null:", "null"),
        ("-", "records"),
    ],
)
def test_the_suffix_or_scheme_tells_the_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    target = locate(uri)
    assert target.kind == kind
    assert target.target == ("" if kind in ("window", "null") else str(Path(uri)))


def test_a_folder_that_exists_needs_no_slash(tmp_path: Path) -> None:
    assert locate(str(tmp_path)) == ("folder", str(tmp_path))
    (tmp_path / "odd.mp4").mkdir()
    assert locate(str(tmp_path / "odd.mp4")).kind == "folder"


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("rtmpx://host/live", "unknown scheme 'rtmpx'"),
        ("windw://", "Did you mean 'window'"),
        ("out.avi", r"\.avi is not written; videos are written as \.mp4, \.mkv"),
        ("out.webm", r"\.mp4"),
        ("out.json", r"\.jsonl or \.csv"),
        ("out.bmp", r"\.jpg or \.png"),
        ("out.mp3", r"Did you mean '\.mp4'"),
        ("out", "no suffix"),
    ],
)
def test_what_is_not_known_gets_a_suggestion(uri: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as told:
        locate(uri)
    assert uri in str(told.value)
    assert "\n" not in str(told.value)


def test_several_sources_need_a_folder_or_records() -> None:
    for uri in ("out.mp4", "out/%d.jpg"):
        with pytest.raises(UsageError, match=r"3 sources.*folder"):
            locate(uri, sources=3)
    assert locate("out/", sources=3).kind == "folder"
    assert locate("out.jsonl", sources=3).kind == "records"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("clips/clip.mp4", "runs/clip.mp4"),
        ("clip.mkv", "runs/clip.mkv"),
        ("clip.avi", "runs/clip.mp4"),
        ("my clip.v2.mov", "runs/my clip.v2.mov"),
        ("10:30 %d*.mp4", "runs/10:30 %d*.mp4"),
        ("caf\udce9.ts", "runs/caf\udce9.mp4"),
        ("x" * 252 + ".ts", "runs/" + "x" * 251 + ".mp4"),
    ],
)
def test_a_folder_gets_a_copy_with_the_name_of_its_file(source: str, expected: str) -> None:
    assert in_folder("runs", source, pictures=False) == ("video_file", expected)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("webcam", "runs/webcam.mp4"),
        ("0", "runs/0.mp4"),
        ("-", "runs/source.mp4"),
        ("/dev/video0", "runs/video0.mp4"),
        ("gst:videotestsrc ! x264enc", "runs/gst-videotestsrc-x264enc.mp4"),
        ("rtsp://***@10.0.0.5:554/main", "runs/10.0.0.5-554-main.mp4"),
        ("http://host/a/b.mp4", "runs/host-a-b.mp4.mp4"),
        ("http://host/" + "x" * 300, "runs/host-" + "x" * 246 + ".mp4"),
    ],
)
def test_a_folder_gets_a_copy_named_after_an_address(source: str, expected: str) -> None:
    assert in_folder("runs", source, pictures=False, is_file=False) == ("video_file", expected)


@pytest.mark.parametrize(
    ("source", "several", "expected"),
    [
        ("photos/cat.jpg", False, "runs/cat.jpg"),
        ("photos/cat.webp", False, "runs/cat.jpg"),
        ("photos/50%.png", False, "runs/50%.png"),
        ("photos/a%02d.png", False, "runs/a-02d.png"),
        ("photos/scan.tiff", True, "runs/scan/*.*"),
        ("photos/", True, "runs/photos/*.*"),
        ("photos/*.jpg", True, "runs/photos/*.*"),
    ],
)
def test_a_folder_gets_pictures_with_their_names(source: str, several: bool, expected: str) -> None:
    found = in_folder("runs", source, pictures=True, several=several)
    assert found == ("images", expected)


def test_the_folder_one_is_in_has_a_name_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "v1.0").mkdir()
    monkeypatch.chdir(tmp_path / "v1.0")
    for source in (".", "*.jpg", "../v1.0"):
        assert in_folder("r", source, pictures=True, several=True).target == "r/v1.0/*.*"


def test_a_name_that_no_file_can_have_is_told() -> None:
    with pytest.raises(OutputError, match="255 bytes at most"):
        locate("x" * 252 + ".mp4")
    assert locate("x" * 251 + ".mp4").kind == "video_file"


def test_sources_of_one_name_get_numbers() -> None:
    taken: list[str] = []
    for source in ("a/clip.mp4", "b/clip.mp4", "c/clip.avi"):
        taken.append(in_folder("runs", source, pictures=False, taken=taken).target)
    assert taken == ["runs/clip.mp4", "runs/clip-2.mp4", "runs/clip-3.mp4"]


class TestCheck:
    def test_nothing_is_made(self, tmp_path: Path) -> None:
        check(Target("video_file", str(tmp_path / "new" / "folder" / "a.mp4")), overwrite=False)
        check(Target("folder", str(tmp_path / "runs")), overwrite=False)
        check(Target("null", ""), overwrite=False)
        assert list(tmp_path.iterdir()) == []

    def test_an_existing_file(self, tmp_path: Path) -> None:
        target = tmp_path / "a.mp4"
        target.write_bytes(b"x")
        with pytest.raises(OutputError, match="exists; add --overwrite"):
            check(Target("video_file", str(target)), overwrite=False)
        check(Target("video_file", str(target)), overwrite=True)

    def test_the_input_is_never_replaced(self, tmp_path: Path) -> None:
        source = tmp_path / "in.mp4"
        source.write_bytes(b"x")
        link = tmp_path / "link.mp4"
        link.symlink_to(source)
        for target in (source, link, tmp_path / "." / "in.mp4"):
            with pytest.raises(OutputError, match="it is the input"):
                check(Target("video_file", str(target)), overwrite=True, inputs=[source])

    @pytest.mark.parametrize("source", ["photos", "photos/a.jpg", "photos/*.jpg"])
    def test_input_pictures_are_never_replaced(self, tmp_path: Path, source: str) -> None:
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "a.jpg").write_bytes(b"x")
        inputs = [tmp_path / source]
        with pytest.raises(OutputError, match="holds the input pictures"):
            check(
                Target("images", str(tmp_path / "photos" / "%d.jpg")), overwrite=True, inputs=inputs
            )
        check(Target("images", str(tmp_path / "other" / "%d.jpg")), overwrite=True, inputs=inputs)
        video = [tmp_path / "photos" / "clip.mp4"]
        check(Target("images", str(tmp_path / "photos" / "%d.jpg")), overwrite=False, inputs=video)

    def test_a_folder_given_as_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "a.mp4").mkdir()
        with pytest.raises(OutputError, match="it is a folder"):
            check(Target("video_file", str(tmp_path / "a.mp4")), overwrite=True)

    @pytest.mark.parametrize("kind", ["video_file", "folder"])
    def test_a_file_where_a_folder_should_be(self, tmp_path: Path, kind: str) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(OutputError, match="is a file, not a folder"):
            check(Target(kind, str(tmp_path / "file" / "x" / "a.mp4")), overwrite=False)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_a_folder_without_permission(self, tmp_path: Path) -> None:
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o500)
        with pytest.raises(OutputError, match="no permission"):
            check(Target("video_file", str(locked / "a.mp4")), overwrite=False)

    def test_a_window_without_a_display(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("DISPLAY", raising=False)
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        with pytest.raises(OutputError, match="DISPLAY is not set"):
            check(Target("window", ""), overwrite=False)
