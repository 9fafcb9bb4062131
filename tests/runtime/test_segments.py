"""Recordings in segments, from real files, real streams and sources without packets."""

from __future__ import annotations

import itertools
import logging
import shutil
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from livevision.analysis.event import Event
from livevision.capture.options import SourceOptions
from livevision.capture.stream import StreamSource
from livevision.capture.synthetic import SyntheticSource
from livevision.errors import OutputError
from livevision.frame import Inferred, Rendered
from livevision.media.packets import PacketRing
from livevision.output import segment_folder
from livevision.output.segment_folder import SegmentFolder
from livevision.output.segment_index import Segment, SegmentIndex
from livevision.runtime import open_segment, segment_writer
from livevision.runtime.metering import Meter
from livevision.runtime.segments import RecordSettings, Segments
from tests import clips
from tests.analysis.making import detections
from tests.capture.servers import rtsp_server
from tests.runtime.test_clips import BOX, at, event, file, numbers

Opening = Callable[[Any], Any]


def nothing(frame: Any) -> list[Event]:
    return []


def recorded(
    folder: Path,
    open_source: Opening,
    mode: str = "continuous",
    happens: Callable[[Any], list[Event]] = nothing,
    see: Callable[[Any, Segments], bool | None] = lambda frame, made: None,
    draw: Callable[[Any], Any] | None = None,
    ring: PacketRing | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Record a source as a run does, until ``see`` says to stop; the report."""
    ring = ring or PacketRing(2.0)
    given = {"seconds": 3.0, "before": 2.0, "after": 1.0, **settings}
    made = Segments(RecordSettings(folder, **given), lambda n: mode, lambda n: ring, Meter())
    source = open_source(ring)
    made.opened(0, replace(source.info, name="door"))
    for frame in source:
        found = Inferred(frame, {"net": detections([BOX], numbers=[1])})
        for each in happens(frame):
            made.happened(0, each)
        if draw is None:
            assert made(found) is found
        else:
            made(Rendered(frame, found.results, draw(frame)))
        if see(frame, made):
            source.close()
            break
    made.ended(0)
    made.close()
    return made.report()


def index(folder: Path) -> list[Segment]:
    one = SegmentIndex(folder / "index.sqlite")
    try:
        return one.segments()
    finally:
        one.close()


def seconds(row: Segment) -> float:
    return (datetime.fromisoformat(row.end) - datetime.fromisoformat(row.start)).total_seconds()


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


@pytest.mark.parametrize("kind", sorted(clips.KINDS))
def test_segments_are_the_file_cut_at_key_frames(tmp_path: Path, kind: str) -> None:
    name, choices = clips.KINDS[kind]
    made = clips.make_clip(tmp_path / name, frames=240, gop=30, **choices)
    folder = tmp_path / "r"
    report = recorded(folder, file(made.path))
    rows = index(folder)
    files = [folder / row.file for row in rows]
    films = [clips.read_clip(path) for path in files]
    assert [[frame.number for frame in shown] for shown in films] == [
        list(range(0, 90)), list(range(90, 180)), list(range(180, 240)),
    ]  # fmt: skip
    for shown in films:
        assert np.allclose(np.diff([frame.time for frame in shown]), 1 / 30, atol=0.002)
    suffix = ".mkv" if kind == "ffv1" else ".mp4"
    assert all(path.suffix == suffix for path in files)
    for row, path, shown in zip(rows, files, films, strict=True):
        start = datetime.fromisoformat(row.start)
        assert path.parent.name == f"{start:%Y-%m-%d}"
        assert path.name.startswith(f"door-{start:%Y%m%dT%H%M%S}.")
        assert (row.source, row.complete, row.bytes) == ("door", True, path.stat().st_size)
        assert seconds(row) == pytest.approx(shown[-1].time - shown[0].time, abs=0.01)
    starts = [datetime.fromisoformat(row.start) for row in rows]
    gaps = [(b - a).total_seconds() for a, b in itertools.pairwise(starts)]
    assert gaps == pytest.approx([3, 3], abs=0.01)
    assert abs(time.time() - starts[0].timestamp()) < 60
    assert report == {
        "segments": 3, "failures": 0, "deleted": 0, "bytes": sum(row.bytes for row in rows),
    }  # fmt: skip
    left = [p.name for p in folder.rglob("*") if p.is_file() and p not in files]
    assert all(name.startswith("index.sqlite") for name in left)


def test_nothing_is_encoded_anew(tmp_path: Path) -> None:
    made = clips.make_clip(tmp_path / "a.mp4", frames=60, gop=10)
    recorded(tmp_path / "r", file(made.path))
    (row,) = index(tmp_path / "r")
    assert packets(tmp_path / "r" / row.file) == packets(made.path)


def test_on_events_the_seconds_around_them_are_recorded_and_listed(tmp_path: Path) -> None:
    made = clips.make_clip(tmp_path / "a.mp4", frames=420, gop=10)
    told: list[Event] = []
    moments = at(4, 4.5, 11)

    def happens(frame: Any) -> list[Event]:
        told.extend(new := moments(frame))
        return new

    folder = tmp_path / "r"
    recorded(folder, file(made.path), "on-event", happens, seconds=60.0)
    first, second = index(folder)
    got = numbers(str(folder / first.file))
    assert got == list(range(60, got[-1] + 1))
    assert 164 <= got[-1] <= 170
    got = numbers(str(folder / second.file))
    assert got == list(range(270, got[-1] + 1))
    assert 359 <= got[-1] <= 365
    with sqlite3.connect(folder / "index.sqlite") as read:
        found = read.execute("SELECT file, id, rule FROM events ORDER BY time, id").fetchall()
    names = [first.file, first.file, second.file]
    assert found == [(name, e.id, e.rule) for name, e in zip(names, told, strict=True)]


def test_without_an_event_nothing_is_recorded(tmp_path: Path) -> None:
    made = clips.make_clip(tmp_path / "a.mp4", frames=60)
    report = recorded(tmp_path / "r", file(made.path), "on-event")
    assert index(tmp_path / "r") == []
    assert (report["segments"], report["bytes"]) == (0, 0)


def test_what_lasts_is_recorded_until_its_end_in_segments(tmp_path: Path) -> None:
    made = clips.make_clip(tmp_path / "a.mp4", frames=420, gop=10)
    begun: list[Event] = []

    def happens(frame: Any) -> list[Event]:
        lasting = {"way": None, "kind": "count"}
        if frame.index == 90:
            begun.append(event(frame, **lasting))
            return begun[:]
        if frame.index == 300:
            return [event(frame, phase="ended", began=begun[0].id, lasted=7.0, **lasting)]
        return []

    folder = tmp_path / "r"
    recorded(folder, file(made.path), "on-event", happens)
    rows = index(folder)
    assert len(rows) == 4, "from 1 s to 11 s, in segments of 3 s"
    got = [n for row in rows for n in numbers(str(folder / row.file))]
    assert got == list(range(30, got[-1] + 1))
    assert 329 <= got[-1] <= 335
    with sqlite3.connect(folder / "index.sqlite") as read:
        found = read.execute("SELECT file FROM events ORDER BY phase").fetchall()
    assert found == [(rows[0].file,), (rows[-1].file,)]


def test_an_event_at_the_end_of_a_file_is_recorded(tmp_path: Path) -> None:
    made = clips.make_clip(tmp_path / "a.mp4", frames=100, gop=10)
    recorded(tmp_path / "r", file(made.path), "on-event", at(3.29))
    (row,) = index(tmp_path / "r")
    assert numbers(str(tmp_path / "r" / row.file)) == list(range(30, 100))


def test_a_source_without_packets_is_recorded_frame_by_frame(tmp_path: Path) -> None:
    uri = "synthetic://320x240@30?frames=150&paced=0"
    recorded(tmp_path / "r", lambda ring: SyntheticSource(uri))
    rows = index(tmp_path / "r")
    assert [len(clips.read_clip(tmp_path / "r" / row.file)) for row in rows] == [90, 60]
    with av.open(str(tmp_path / "r" / rows[0].file)) as container:
        assert container.streams.video[0].codec_context.name == "h264"


def striped(number: int, size: tuple[int, int]) -> Any:
    """A picture with a person in stripes of two pixels, the finest that could be told."""
    image = clips.numbered(number, size)
    for place in range(4):
        image[20:100, 100 + place : 180 : 4] = 255 if place < 2 else 0
    return image


def test_what_is_hidden_is_in_no_segment(tmp_path: Path) -> None:
    made = clips.make_clip(tmp_path / "a.mp4", frames=60, paint=striped)
    recorded(tmp_path / "r", file(made.path), hidden=frozenset({"person"}))
    (row,) = index(tmp_path / "r")
    seen = clips.read_clip(tmp_path / "r" / row.file)
    assert [frame.number for frame in seen] == list(range(60))
    for frame in seen:
        inside = frame.image[30:90, 110:170].astype(int)
        assert np.abs(np.diff(inside, axis=1)).max() < 30, "no stripe is left"


def test_the_annotated_picture_is_recorded_if_wanted(tmp_path: Path) -> None:
    made = clips.make_clip(tmp_path / "a.mp4", frames=60)

    def draw(frame: Any) -> Any:
        image = frame.image.copy()
        image[:40] = (0, 255, 0)
        return image

    recorded(tmp_path / "r", file(made.path), "on-event", at(1.0), draw=draw, annotated=True)
    (row,) = index(tmp_path / "r")
    seen = clips.read_clip(tmp_path / "r" / row.file)
    assert [frame.number for frame in seen] == list(range(60)), "with the seconds before"
    assert all(frame.image[10, :, 1].min() > 200 for frame in seen)


def test_a_source_is_left_out_where_its_setting_says_so(tmp_path: Path) -> None:
    made = clips.make_clip(tmp_path / "a.mp4", frames=30)
    recorded(tmp_path / "r", file(made.path), "off")
    assert index(tmp_path / "r") == []


def test_a_stream_that_breaks_goes_on_in_its_recording(tmp_path: Path) -> None:
    clip = clips.make_clip(tmp_path / "long.mkv", frames=900, gop=15).path
    folder = tmp_path / "r"
    with rtsp_server(clip) as server:
        killed: list[float] = []
        began = time.time()

        def see(frame: Any, made: Segments) -> bool:
            if not killed and frame.time > 3:
                server.kill()
                server.start()
                killed.append(frame.time)
            return bool(killed) and frame.time > killed[0] + 5

        recorded(
            folder,
            lambda ring: StreamSource(server.url, SourceOptions(ring=ring, retry_for=20)),
            see=see,
            seconds=2.0,
        )
        ended = time.time()
    rows = index(folder)
    assert len(rows) > 2
    assert all(row.complete for row in rows)
    got = [n for row in rows for n in numbers(str(folder / row.file))]
    fall = next(n for n in range(1, len(got)) if got[n] < got[n - 1])
    assert fall > 60, "what came before the break"
    assert got[:fall] == list(range(got[0], got[0] + fall))
    assert len(got) - fall > 60, "and what came after it"
    starts = [datetime.fromisoformat(row.start).timestamp() for row in rows]
    ends = [datetime.fromisoformat(row.end).timestamp() for row in rows]
    assert began - 1 < starts[0] < began + 6
    # A busy machine takes the first packet late, and the rest for later than it was.
    assert ended - 3 < ends[-1] < ended + 2
    assert all(a <= b for a, b in zip(ends, starts[1:], strict=False))


# The disk ----------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_segment, "_CHECK_S", 0.05)
    for name in ("FIRST_PAUSE_S", "LONGEST_PAUSE_S"):
        monkeypatch.setattr(segment_writer, name, 0.05)
    monkeypatch.setattr(segment_writer, "_SURE_S", 0.3)


@pytest.mark.usefixtures("quick")
def test_a_lost_folder_stops_the_recording_with_one_warning_until_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "r"
    frames: list[int] = []
    rows: dict[int, Any] = {}

    def see(frame: Any, made: Segments) -> None:
        frames.append(frame.index)
        rows[frame.index] = made.row(0)
        if len(frames) == 20:
            shutil.rmtree(folder)
            folder.write_text("")  # as a disk that was taken away
        if len(frames) == 50:
            folder.unlink()

    caplog.set_level(logging.DEBUG)
    uri = "synthetic://160x120@25?frames=120&paced=1"
    report = recorded(folder, lambda ring: SyntheticSource(uri), see=see, seconds=60.0)
    assert len(frames) > 90, "the watching goes on"
    kinds = [rows[n] for n in sorted(rows)]
    assert kinds[10] is not None
    assert kinds[10]["error"] is None
    assert kinds[10]["file"].startswith("door-")
    assert str(folder) in kinds[45]["error"]
    assert kinds[45]["file"] is None
    assert kinds[-1]["error"] is None
    warned = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warned) == 2, warned
    assert "recording stopped" in warned[0]
    assert "recording goes on" in warned[1]
    assert report["failures"] == 1
    (row,) = index(folder)
    assert row.complete
    assert len(clips.read_clip(folder / row.file)) > 40


def test_a_disk_that_was_taken_away_is_not_written_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mount" / "r"
    one = SegmentFolder(folder, None, None)
    now = datetime.fromisoformat("2026-11-29T08:15:30.042Z")
    shutil.rmtree(folder)
    true = segment_folder._disk_of
    monkeypatch.setattr(segment_folder, "_disk_of", lambda path: true(path) + 1)
    with pytest.raises(OutputError, match="its disk is gone"):
        one.new("door", now, ".mp4")
    assert not folder.exists()
    SegmentFolder(folder, None, None).close()  # it is back, with its index
    assert one.new("door", now, ".mp4").name == "door-20261129T081530.042Z.mp4"
    assert one.new("door", now, ".mp4").name == "door-20261129T081530.043Z.mp4"
    one.close()


def test_the_oldest_segments_go_and_others_files_stay(tmp_path: Path) -> None:
    made = clips.make_clip(tmp_path / "a.mp4", frames=600, gop=10)
    folder = tmp_path / "r"
    recorded(folder, file(made.path), seconds=1.0)
    rows = index(folder)
    assert len(rows) == 20
    size = sum(row.bytes for row in rows)
    on_page = folder / "door-20261129-081530.mp4"
    on_page.write_bytes(b"x" * 2 * size)
    report = recorded(folder, file(made.path), seconds=1.0, most_bytes=size // 2)
    left = index(folder)
    assert on_page.exists()
    assert report["bytes"] <= size // 2
    assert report["deleted"] == 40 - len(left)
    assert {row.file for row in left} == {
        path.relative_to(folder).as_posix() for path in folder.glob("*/*.mp4")
    }
    assert numbers(str(folder / left[-1].file))[-1] == 599, "the newest stay"
    assert not {row.file for row in left} & {row.file for row in rows}


def test_a_folder_smaller_than_a_segment_holds_the_newest_of_it(tmp_path: Path) -> None:
    made = clips.make_clip(tmp_path / "a.mp4", frames=600, gop=10)
    folder, size = tmp_path / "r", made.path.stat().st_size
    report = recorded(folder, file(made.path), seconds=3600.0, most_bytes=size // 2)
    assert report["failures"] == 0
    assert report["bytes"] <= size // 2
    got = [n for row in index(folder) for n in numbers(str(folder / row.file))]
    assert got == list(range(got[0], 600))
    assert len(got) > 100


def test_old_segments_go_but_not_the_one_being_written(tmp_path: Path) -> None:
    made = clips.make_clip(tmp_path / "a.mp4", frames=30)
    folder = tmp_path / "r"
    recorded(folder, file(made.path))
    (old,) = index(folder)
    one = SegmentFolder(folder, None, 0.2)
    now = datetime.fromisoformat("2026-11-29T08:15:30.042Z")
    current = one.new("door", now, ".mp4")
    current.write_bytes(b"x" * 1000)
    one.grew(current, current, "door", now, now)
    time.sleep(0.3)
    one.grew(current, current, "door", now, now)
    assert current.exists()
    assert not (folder / old.file).exists()
    assert [row.complete for row in index(folder)] == [False]
    assert one.size == 1000
    one.finished(current, "door", now, now, complete=True)
    assert not current.exists(), "finished, it is as old as the others"
    assert index(folder) == []
    one.close()


@pytest.mark.usefixtures("quick")
def test_a_disk_without_room_is_told_and_nothing_is_written_below_the_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = clips.make_clip(tmp_path / "a.mp4", frames=60)
    folder = tmp_path / "r"
    recorded(folder, file(made.path))
    (old,) = index(folder)
    usage = type(shutil.disk_usage(tmp_path))
    monkeypatch.setattr(
        "livevision.output.kept_files.shutil.disk_usage", lambda path: usage(10**10, 10**10, 10**6)
    )
    report = recorded(folder, file(made.path))
    assert report["segments"] == 0
    assert report["failures"] == 1
    assert not (folder / old.file).exists(), "the oldest went, and it was not enough"
    assert not list(folder.rglob("*.mp4"))


def test_what_cannot_be_made_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot record into"):
        SegmentFolder(tmp_path / "file" / "r", None, None)
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "index.sqlite").write_text("something else " * 100)
    with pytest.raises(OutputError, match="index"):
        SegmentFolder(tmp_path / "r", None, None)


def test_an_index_that_was_lost_is_made_from_the_files(tmp_path: Path) -> None:
    made = clips.make_clip(tmp_path / "a.mp4", frames=240, gop=30)
    folder = tmp_path / "r"
    recorded(folder, file(made.path))
    before = index(folder)
    for path in folder.glob("index.sqlite*"):
        path.unlink()
    (folder / before[1].file).unlink()
    SegmentFolder(folder, None, None).close()
    after = index(folder)
    assert [row.file for row in after] == [before[0].file, before[2].file]
    for old, new in zip((before[0], before[2]), after, strict=True):
        assert (new.source, new.start, new.bytes) == ("door", old.start, old.bytes)
        assert seconds(new) == pytest.approx(seconds(old), abs=0.05)
