"""Clips and pictures of events, from real files, real streams and sources without packets."""

from __future__ import annotations

import itertools
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from livevision.analysis.event import Event, Ulids
from livevision.capture.options import SourceOptions
from livevision.capture.stream import StreamSource
from livevision.capture.synthetic import SyntheticSource
from livevision.capture.video_file import VideoFileSource
from livevision.errors import OutputError
from livevision.frame import Inferred
from livevision.media.packets import PacketRing
from livevision.runtime.clips import Clips, ClipSettings
from tests import clips
from tests.analysis.making import detections
from tests.capture.servers import rtsp_server

_ulids = Ulids()
BOX = [100.0, 20.0, 180.0, 100.0]


def event(frame: Any, **more: Any) -> Event:
    fields: dict[str, Any] = {
        "id": _ulids(1_800_000_000 + frame.time),
        "source": "door",
        "time": "2026-11-29T08:15:30.042Z",
        "rule": "came in",
        "phase": "began",
        "place": "gate",
        "kind": "crosses",
        "value": 1,
        "tracks": (1,),
        "classes": ("person",),
        "frame": frame.index,
        "frame_time": frame.time,
        "way": "in",
    }
    return Event(**{**fields, **more})


def watched(
    made: Clips,
    open_source: Callable[[Any], Any],
    happens: Callable[[Any], list[Event]],
    stop: Callable[[Any], bool] = lambda frame: False,
    ring: PacketRing | None = None,
) -> list[Event]:
    """Look at a source as a run does; the events as they were told."""
    ring = ring or made.ring()
    source = open_source(ring)
    made.opened(0, source.info, ring)
    told: list[Event] = []
    for frame in source:
        found = Inferred(frame, {"net": detections([BOX], numbers=[1])})
        made.look(found)
        told += made.of(happens(frame), found, 0)
        if stop(frame):
            source.close()
            break
    made.ended(0)
    made.close()
    return told


def at(*moments: float) -> Callable[[Any], list[Event]]:
    """An event at the first frame of each moment."""
    left = list(moments)

    def happens(frame: Any) -> list[Event]:
        if left and frame.time >= left[0] - 1e-6:
            left.pop(0)
            return [event(frame)]
        return []

    return happens


def file(path: Path, **options: Any) -> Callable[[Any], VideoFileSource]:
    return lambda ring: VideoFileSource(str(path), SourceOptions(ring=ring, **options))


def keeping(folder: Path, **more: Any) -> Clips:
    return Clips(ClipSettings(folder, **{"before": 2.0, "after": 1.0, **more}))


def numbers(path: str | None) -> list[int]:
    assert path is not None
    return [frame.number or 0 for frame in clips.read_clip(Path(path))]


def rows(clip: str | None) -> list[dict[str, Any]]:
    assert clip is not None
    text = Path(clip).with_suffix(".jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("kind", sorted(clips.KINDS))
def test_a_clip_is_the_seconds_around_an_event_as_the_file_has_them(
    tmp_path: Path, kind: str
) -> None:
    name, choices = clips.KINDS[kind]
    made = clips.make_clip(tmp_path / name, frames=240, gop=30, **choices)
    start = 0.0 if name.endswith(".ts") else made.times[0]
    (told,) = watched(keeping(tmp_path / "c"), file(made.path), at(start + 4.0))
    got = numbers(told.clip)
    # From the key frame at or before 2 s ahead of it until 1 s behind it.
    assert got == list(range(60, got[-1] + 1))
    assert Path(told.clip or "").suffix == (".mkv" if kind == "ffv1" else ".mp4")
    assert 149 <= got[-1] <= 154
    shown = clips.read_clip(Path(told.clip or ""))
    gaps = np.diff([frame.time for frame in shown])
    assert np.allclose(gaps, 1 / 30, atol=0.002)
    found = [row for row in rows(told.clip) if "event" not in row]
    assert [row["frame"] for row in found] == got
    times = [row["clip_time"] for row in found]
    assert np.allclose(times, [frame.time - shown[0].time for frame in shown], atol=0.003)
    assert found[0]["detections"][0]["track_id"] == 1
    (happened,) = [row for row in rows(told.clip) if "event" in row]
    assert happened["event"] == told.to_dict()
    assert abs(happened["clip_time"] - 2.0) < 0.01
    assert not list((tmp_path / "c").rglob(".*")), "nothing half written is left"


def test_the_picture_is_the_frame_of_the_event_with_its_box(tmp_path: Path) -> None:
    made = clips.make_clip(tmp_path / "a.mp4", frames=60)
    (told,) = watched(keeping(tmp_path / "c"), file(made.path), at(1.0))
    image = cv2.imread(str(told.picture))
    assert image is not None
    assert clips.frame_number(np.asarray(image, np.uint8)) == 30 == told.frame
    plain = clips.numbered(30)
    changed = np.abs(image.astype(int) - plain).max(axis=2) > 60
    assert changed[:130, 80:200].any()
    assert not changed[:, :80].any(), "nothing is drawn but the box of the event"


def test_a_clip_that_the_file_ends_in_is_finished(tmp_path: Path) -> None:
    made = clips.make_clip(tmp_path / "a.mp4", frames=100, gop=10)
    (told,) = watched(keeping(tmp_path / "c"), file(made.path), at(3.2))
    assert numbers(told.clip) == list(range(30, 100))


def test_events_close_together_share_a_clip_and_later_ones_have_another(tmp_path: Path) -> None:
    made = clips.make_clip(tmp_path / "a.mp4", frames=400, gop=10)
    told = watched(keeping(tmp_path / "c", before=1.0), file(made.path), at(2, 2.5, 3.2, 10))
    assert told[0].clip == told[1].clip == told[2].clip
    assert numbers(told[0].clip)[-1] in range(125, 131)
    assert numbers(told[3].clip)[0] == 270
    assert len({each.picture for each in told}) == 4


def test_what_lasts_is_shown_until_it_ended(tmp_path: Path) -> None:
    made = clips.make_clip(tmp_path / "a.mp4", frames=400, gop=10)
    begun: list[Event] = []

    def happens(frame: Any) -> list[Event]:
        lasting = {"way": None, "kind": "count"}
        if frame.index == 90:
            begun.append(event(frame, **lasting))
            return begun[:]
        if frame.index == 240:
            return [event(frame, phase="ended", began=begun[0].id, lasted=5.0, **lasting)]
        return []

    first, last = watched(keeping(tmp_path / "c"), file(made.path), happens)
    assert first.clip == last.clip
    got = numbers(first.clip)
    assert got[0] == 30
    assert 269 <= got[-1] <= 275


def test_a_file_that_is_looped_goes_on_in_its_clip(tmp_path: Path) -> None:
    made = clips.make_clip(tmp_path / "a.mp4", frames=60, gop=10)
    (told,) = watched(
        keeping(tmp_path / "c"),
        file(made.path, loop=True),
        at(4.5),
        stop=lambda frame: frame.time > 6,
    )
    assert numbers(told.clip)[:100] == [n % 60 for n in range(70, 170)][: len(numbers(told.clip))]


def test_a_source_without_packets_has_clips_of_its_frames(tmp_path: Path) -> None:
    uri = "synthetic://320x240@30?frames=150&paced=0"
    (told,) = watched(keeping(tmp_path / "c"), lambda ring: SyntheticSource(uri), at(3.0))
    assert str(told.clip).endswith(".mp4")
    found = [row["frame"] for row in rows(told.clip) if "event" not in row]
    assert found == list(range(30, 121))
    assert len(clips.read_clip(Path(told.clip or ""))) == 91


def test_what_is_hidden_is_in_no_clip_and_no_picture(tmp_path: Path) -> None:
    def paint(number: int, size: tuple[int, int]) -> Any:
        image = clips.numbered(number, size)
        # A person in stripes of two pixels: the finest that could be told.
        image[20:100, 100:180:4] = 255
        image[20:100, 101:180:4] = 255
        image[20:100, 102:180:4] = 0
        image[20:100, 103:180:4] = 0
        return image

    made = clips.make_clip(tmp_path / "a.mp4", frames=90, paint=paint)
    hidden = keeping(tmp_path / "c", hidden=frozenset({"person"}))
    (told,) = watched(hidden, file(made.path), at(1.5))
    seen = [frame.image for frame in clips.read_clip(Path(told.clip or ""))]
    assert len(seen) > 40
    picture = cv2.imread(str(told.picture))
    assert picture is not None
    for image in (*seen, picture):
        inside = image[30:90, 110:170].astype(int)
        assert np.abs(np.diff(inside, axis=1)).max() < 30, "no stripe is left"


def test_nothing_is_left_of_what_was_not_finished(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    old = folder / "2026-01-01"
    old.mkdir(parents=True)
    mine = old / "01M8K66VZME30KATAPW7SHC65N.mp4"
    for path in (mine, mine.with_suffix(".jpg"), old / "holiday.mp4", old / "notes.txt"):
        path.write_bytes(b"x" * 1000)
    (old / ".livevision-999999-3.part.mp4").write_bytes(b"x")
    made = keeping(folder)
    assert sorted(path.name for path in old.iterdir()) == [
        mine.name.replace(".mp4", ".jpg"),
        mine.name,
        "holiday.mp4",
        "notes.txt",
    ]
    assert made.report()["bytes"] == 2000


def test_the_oldest_go_where_there_is_no_room_and_others_files_stay(tmp_path: Path) -> None:
    made = clips.make_clip(tmp_path / "a.mp4", frames=1200, gop=10)
    folder = tmp_path / "c"
    folder.mkdir()
    (folder / "holiday.mp4").write_bytes(b"x" * 3_000_000)
    one = keeping(folder, before=0.2, after=0.2)
    told = watched(one, file(made.path), at(*range(2, 39, 2)))
    size = sum(p.stat().st_size for p in folder.rglob("*") if len(p.stem) == 26)
    assert one.report()["bytes"] == size
    bounded = keeping(folder, before=0.2, after=0.2, most_bytes=size // 2)
    assert bounded.report()["bytes"] <= size // 2
    left = {path.stem for path in folder.rglob("*.mp4")} - {"holiday"}
    assert left == {each.id for each in told[-len(left) :]}, "the newest stay"
    assert 3 < len(left) < 19
    assert (folder / "holiday.mp4").exists()
    told += watched(bounded, file(made.path), at(2, 4, 6))
    assert bounded.report()["bytes"] <= size // 2
    assert numbers(told[-1].clip)


def test_old_ones_go(tmp_path: Path) -> None:
    made = clips.make_clip(tmp_path / "a.mp4", frames=60)
    (told,) = watched(keeping(tmp_path / "c"), file(made.path), at(1))
    assert Path(told.clip or "").exists()
    time.sleep(0.3)
    keeping(tmp_path / "c", keep=0.2)
    assert not list((tmp_path / "c").rglob("*.*"))


def test_a_folder_that_cannot_be_is_told_and_a_lost_one_costs_no_event(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot keep clips"):
        keeping(tmp_path / "file" / "c")
    made = clips.make_clip(tmp_path / "a.mp4", frames=90)
    folder = tmp_path / "c"
    lost = keeping(folder)
    shutil.rmtree(folder)
    folder.write_text("")  # as a disk that was taken away
    (told,) = watched(lost, file(made.path), at(1))
    assert (told.clip, told.picture) == (None, None)
    assert lost.report()["failed"] == 2


@pytest.fixture
def long_clip(tmp_path: Path) -> Path:
    return clips.make_clip(tmp_path / "long.mkv", frames=900, gop=15).path


def test_a_stream_that_breaks_within_a_clip(tmp_path: Path, long_clip: Path) -> None:
    folder = tmp_path / "c"
    with rtsp_server(long_clip) as server:
        killed: list[float] = []

        def happens(frame: Any) -> list[Event]:
            if not killed and frame.time > 3:
                server.kill()
                server.start()
                killed.append(frame.time)
                return [event(frame)]
            return []

        (told,) = watched(
            keeping(folder, before=1.5, after=4.0),
            lambda ring: StreamSource(server.url, SourceOptions(ring=ring, retry_for=20)),
            happens,
            stop=lambda frame: bool(killed) and frame.time > killed[0] + 6,
        )
    got = numbers(told.clip)
    # Frames before the break, and those of the new connection, which begins the film again.
    fall = next(n for n in range(1, len(got)) if got[n] < got[n - 1])
    assert fall > 30
    assert got[:fall] == list(range(got[0], got[0] + fall))
    assert len(got) - fall > 15
    times = [frame.time for frame in clips.read_clip(Path(told.clip or ""))]
    assert all(a < b for a, b in itertools.pairwise(times))
    assert times[-1] - times[0] >= 5.0
