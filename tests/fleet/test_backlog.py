"""A backlog on processes of this machine makes what a single run makes, whatever happens to it."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from livevision.config import Settings
from livevision.fleet.backlog import ATTEMPTS, Backlog
from livevision.fleet.films import Done, Film, Task, Whole
from livevision.fleet.inputs import films, videos
from livevision.fleet.local import LocalPool
from livevision.fleet.pool import Ended
from livevision.fleet.running import expected
from livevision.fleet.worker import Job
from tests import clips
from tests.fleet.conftest import SIZE, Made, Outcome, inline_pool

Call = Callable[..., Outcome]


def _same(folder: Path, made: Made, names: list[str]) -> None:
    for name in names:
        assert (folder / name).read_bytes() == (made.single / name).read_bytes(), name


def test_a_backlog_is_a_single_run_byte_for_byte_and_is_done_once(
    made: Made, backlog: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    words = ("--source", made.clips, "--output", f"{out}/", "--output", out / "all.jsonl")
    first = backlog(*words)
    assert first.code == 0, first.err
    assert first.report["videos"] == {"done": 4, "passed": 0, "failed": 0}
    assert first.report["frames_out"] == 8 + 9 + 10 + 11
    assert first.report["workers"] == 2
    _same(out, made, [*made.names, "all.jsonl"])
    assert sorted(p.name for p in out.iterdir()) == [".livevision", "all.jsonl", *made.names]

    # Again: nothing is done; a half output, one without its sidecar, and changed inputs are.
    before = {p.name: p.stat().st_mtime_ns for p in out.glob("*.mp4")}
    os.utime(made.clips / "c0.mp4")  # the same content, read again
    (out / "c1.mp4").write_bytes((out / "c1.mp4").read_bytes()[:-9])
    (out / ".livevision" / "c2.mp4.json").unlink()
    monkeypatch.setattr("livevision.fleet.running.pool_of", inline_pool)
    second = backlog(*words)
    assert second.code == 0, second.err
    states = {Path(row["source"]).name: row["state"] for row in second.report["sources"]}
    assert states == {"c0.mp4": "passed", "c1.mp4": "done", "c2.mp4": "done", "c3.mp4": "passed"}
    _same(out, made, [*made.names, "all.jsonl"])
    after = {p.name: p.stat().st_mtime_ns for p in out.glob("*.mp4")}
    assert [name for name in sorted(after) if after[name] != before[name]] == ["c1.mp4", "c2.mp4"]


@pytest.mark.usefixtures("inline")
def test_a_long_film_is_divided_and_joined_byte_for_byte(
    made: Made, backlog: Call, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ("--source", made.film, "--part", "8s")
    ended = backlog(*words, "--output", f"{out}/", "--output", out / "film.csv")
    assert ended.code == 0, ended.err
    (row,) = ended.report["sources"]
    assert (row["parts"], row["frames_out"]) == (3, 150)
    _same(out, made, ["film.mp4", "film.csv"])
    assert sorted(p.name for p in out.iterdir()) == [".livevision", "film.csv", "film.mp4"]
    assert all(p.suffix == ".json" for p in (out / ".livevision").iterdir()), "parts are deleted"


@pytest.mark.usefixtures("inline")
def test_other_settings_make_other_results(made: Made, backlog: Call, tmp_path: Path) -> None:
    words = ("--source", made.clips / "c0.mp4", "--output", tmp_path / "a.jsonl")
    states = [
        backlog(*words, *more).report["sources"][0]["state"]
        for more in ((), ("--workers", 1), ("--iou", "0.4"), ("--iou", "0.4"))
    ]
    assert states == ["done", "passed", "done", "passed"]


@pytest.mark.usefixtures("inline")
def test_a_film_held_to_its_bit_rate_has_the_same_frames(backlog: Call, tmp_path: Path) -> None:
    """The cap of the encoder looks back over parts, so that bytes differ; times do not."""
    film = tmp_path / "film.mkv"
    clips.make_clip(film, frames=110, size=SIZE, rate=8, gop=15, sound=True, first=7)
    found = []
    for name, flags in (("one", ("--part", "1h")), ("many", ("--part", "8s"))):
        out = tmp_path / name
        assert backlog("--source", film, "--output", f"{out}/", *flags).code == 0
        found.append(_packets(out / "film.mkv"))
    (one, one_sound), (many, many_sound) = found
    assert [times for times, _ in one] == [times for times, _ in many]
    assert one_sound == many_sound
    pictures = [clips.read_clip(tmp_path / name / "film.mkv") for name in ("one", "many")]
    assert len(pictures[0]) == 110
    for a, b in zip(*pictures, strict=True):
        assert np.abs(a.image.astype(int) - b.image).mean() < 12


def _packets(path: Path) -> tuple[list[tuple[object, bytes]], list[tuple[object, bytes]]]:
    found: tuple[list[tuple[object, bytes]], list[tuple[object, bytes]]] = ([], [])
    with av.open(str(path)) as file:
        for packet in file.demux():
            if packet.size:
                row = ((packet.pts, packet.duration), bytes(packet))
                found[packet.stream.type == "audio"].append(row)
    return found


@pytest.mark.usefixtures("inline")
def test_what_fails_three_times_is_set_aside_and_the_rest_goes_on(
    made: Made, backlog: Call, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "good.mp4").symlink_to(made.clips / "c0.mp4")
    (folder / "broken.mp4").write_bytes(b"\0" * 5000)
    content = (made.clips / "c3.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(content)
    clips.make_clip(folder / "cut.mkv", frames=40, size=SIZE)
    cut = (folder / "cut.mkv").read_bytes()
    (folder / "cut.mp4").unlink()
    (folder / "cut.mkv").write_bytes(cut[: len(cut) * 2 // 3])
    out = tmp_path / "out"
    ended = backlog("--source", folder, "--output", f"{out}/")
    assert ended.code == 3
    assert ended.report["videos"] == {"done": 1, "passed": 0, "failed": 2}
    assert ended.report["attempts_failed"] == 2 * ATTEMPTS
    lines = [line for line in ended.err.splitlines() if "set aside" in line]
    assert [("broken.mp4" in line, "cut.mkv" in line) for line in lines] == [
        (True, False),
        (False, True),
    ]
    assert (out / "good.mp4").read_bytes() == (made.single / "c0.mp4").read_bytes()
    # What was read of the damaged one is kept, as by a single run, and is tried again.
    assert 10 < len(clips.read_clip(out / "cut.mkv")) < 40
    assert backlog("--source", folder, "--output", f"{out}/").report["videos"]["passed"] == 1


def test_a_killed_worker_costs_the_part_it_had(made: Made, tmp_path: Path) -> None:
    settings = Settings.of(
        source=str(made.clips),
        output=f"{tmp_path}/out/",
        model="thundernet-snet49",
        hud=False,
        conf=0.1,
        task="detect",
    )
    all_films, _ = films(videos(settings.source), settings.output)
    pool = LocalPool(Job(settings, "hash", 1), 2)
    try:
        state = Backlog(all_films, {}, pool)
        killed = False
        while state.step(0.2):
            busy = [one for one in pool._processes.values() if one.ready and one.tasks]
            if busy and not killed:
                busy[0].process.kill()
                killed = True
        assert killed
        assert [tally.state for tally in state.tallies] == ["done"] * 4
        assert sum(state.attempts.values()) == 1
    finally:
        pool.close()
    _same(tmp_path / "out", made, made.names)


class _Pool:
    """Workers that fail as they are told; counts what they hold."""

    def __init__(self, most: int, failing: frozenset[int] = frozenset()) -> None:
        self.most, self._failing = most, failing
        self.held: deque[tuple[int, Task]] = deque()
        self.largest = 0
        self.largest_each = 0

    def workers(self) -> list[int]:
        return list(range(self.most))

    def give(self, worker: int, task: Task) -> None:
        self.held.append((worker, task))
        self.largest = max(self.largest, len(self.held))
        each = [number for number, _ in self.held]
        self.largest_each = max(self.largest_each, *map(each.count, each))

    def wait(self, seconds: float) -> list[Ended]:
        if not self.held:
            return []
        worker, task = self.held.popleft()
        assert isinstance(task, Whole)
        if task.film.number in self._failing:
            return [Ended(worker, task, None, "it is broken")]
        return [Ended(worker, task, Done(frames=10))]

    def frames(self) -> int:
        return 0

    def close(self) -> None:
        pass


def test_no_more_is_in_flight_than_two_for_each_worker() -> None:
    pool = _Pool(3, failing=frozenset([5]))
    state = Backlog([Film(n, f"f{n}", f"/f{n}", ()) for n in range(40)], {}, pool)
    while state.step(0):
        assert expected(state) in (None, *range(380, 401))
    assert (pool.largest, pool.largest_each) == (6, 2)
    assert [tally.state for tally in state.tallies].count("done") == 39
    assert state.tallies[5].state == "failed"
    assert state.attempts == {("film", 5): ATTEMPTS}
    assert state.frames == 390


def test_lists_globs_and_addresses_name_videos(made: Made, tmp_path: Path) -> None:
    names = tmp_path / "list.txt"
    names.write_text(f"# mine\n\n{made.clips}/c[01].mp4\n{made.film}\n")
    assert [Path(uri).name for _, uri in videos([str(names)])] == ["c0.mp4", "c1.mp4", "film.mp4"]
    address = f"local://{made.clips}"
    assert [Path(uri).name for _, uri in videos([address])] == made.names
    assert videos([f"{address}/c2.mp4"]) == [(f"{address}/c2.mp4", f"{address}/c2.mp4")]
    found = [("a/x.mp4", "/a/x.mp4"), ("b/x.mkv", "/b/x.mkv"), ("c/x.mp4", "/c/x.mp4")]
    made_films, gathered = films(found, ["/out/", "/out/{source}.csv", "/out/all.jsonl"])
    assert [[Path(o).name for o in film.outputs] for film in made_films] == [
        ["x.mp4", "x.csv", "x.jsonl"],
        ["x.mkv", "x-2.csv", "x-2.jsonl"],
        ["x-2.mp4", "x-3.csv", "x-3.jsonl"],
    ]
    assert list(gathered) == ["/out/all.jsonl"]


@pytest.mark.usefixtures("inline")
def test_addresses_of_fsspec_are_read_and_written_by_workers(
    made: Made, backlog: Call, tmp_path: Path
) -> None:
    out = f"local://{tmp_path}/far"
    words = ("--source", f"local://{made.clips}/c[01].mp4", "--output", f"{out}/")
    ended = backlog(*words, "--output", f"{out}/all.jsonl")
    assert ended.code == 0, ended.err
    _same(tmp_path / "far", made, ["c0.mp4", "c1.mp4"])
    rows = [json.loads(line) for line in (tmp_path / "far" / "all.jsonl").read_text().splitlines()]
    assert [row["source"] for row in rows] == [
        *[f"local://{made.clips}/c0.mp4"] * 8,
        *[f"local://{made.clips}/c1.mp4"] * 9,
    ]
    assert backlog(*words).report["videos"]["passed"] == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--output", "{out}/x.mp4"), 2, "put {source} into its name"),
        (("--output", "{out}/", "--output", "web://127.0.0.1:0"), 2, "a backlog writes videos"),
        (("--output", "{out}/", "--target-latency", "50"), 2, "--target-latency is for one"),
        (("--output", "{out}/", "--on", "spark"), 2, "'spark' is not ray, or ray://"),
        (("--output", "{out}/", "--workers", "0"), 2, "from 1 to 4096"),
        (("--output", "{clips}/"), 5, "it is an input"),
    ],
    ids=["one file", "a page", "latency", "engine", "no worker", "over its input"],
)
def test_what_makes_no_sense_is_one_line(
    made: Made, backlog: Call, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    given = [
        word.replace("{out}", str(tmp_path)).replace("{clips}", str(made.clips)) for word in words
    ]
    ended = backlog("--source", made.clips, *given)
    assert (ended.code, said in ended.err) == (code, True), ended.err


def test_a_camera_is_no_backlog(backlog: Call, tmp_path: Path) -> None:
    ended = backlog("--source", "rtsp://x/y", "--output", f"{tmp_path}/")
    assert ended.code == 2
    assert "a backlog is of video files" in ended.err


@pytest.mark.usefixtures("inline")
def test_files_that_no_backlog_made_are_not_replaced(
    made: Made, backlog: Call, tmp_path: Path
) -> None:
    (tmp_path / "c2.mp4").write_bytes(b"mine")
    ended = backlog("--source", made.clips, "--output", f"{tmp_path}/")
    assert (ended.code, "add --overwrite" in ended.err) == (5, True), ended.err
    assert (tmp_path / "c2.mp4").read_bytes() == b"mine"


def test_without_ray_the_command_that_installs_it_is_told(
    made: Made, backlog: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livevision.fleet.running.find_spec", lambda name: None)
    ended = backlog("--source", made.clips, "--output", f"{tmp_path}/", "--on", "ray")
    assert ended.code == 4
    assert "--on ray needs the package 'ray': pip install 'livevision[ray]'" in ended.err
