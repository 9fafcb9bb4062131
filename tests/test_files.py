"""Files are there whole or not at all, whatever stood there and whatever goes wrong."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from livevision.files import whole, write_whole


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_file_appears_at_the_end_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    with whole(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
        assert part.parent == tmp_path
        assert part.suffix == ".json"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["report.json"]


@pytest.mark.parametrize("durable", [False, True])
def test_what_goes_wrong_leaves_the_old_file_alone(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "last.pt"
    path.write_bytes(b"old")

    def broken() -> None:
        with whole(path, durable=durable) as part:
            part.write_bytes(b"ne")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["last.pt"]


def test_a_durable_file_is_on_the_disk_before_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        done.append("synced")
        sync(descriptor)

    def replaced(self: Path, target: Path) -> Path:
        done.append(target.name)
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    write_whole(tmp_path / "a", b"1")
    write_whole(tmp_path / "b", b"2", durable=True)
    assert done == ["a", "synced", "b"]
    assert (tmp_path / "b").read_bytes() == b"2"


def test_text_is_utf_8_with_its_own_line_ends(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.txt", "größer\r\nmehr\n")
    assert (tmp_path / "a.txt").read_bytes() == "größer\r\nmehr\n".encode()


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    link = tmp_path / "link.txt"
    link.symlink_to(tmp_path / "far" / "file.txt")
    for content in ("first", "second"):
        write_whole(link, content)
        assert link.is_symlink()
        assert (tmp_path / "far" / "file.txt").read_text() == content
    assert names(tmp_path / "far") == ["file.txt"]


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_not_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "taken"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    with pytest.raises(OSError, match="not a file"):
        write_whole(path, b"")
    assert names(tmp_path) == ["taken"]
    assert not path.is_file()


@pytest.mark.parametrize("name", ["n" * 255, "n." + "s" * 253, "ü" * 127])
def test_a_name_may_be_as_long_as_the_disk_allows(tmp_path: Path, name: str) -> None:
    write_whole(tmp_path / name, b"1")
    assert names(tmp_path) == [name]


def test_rights_are_those_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    write_whole(tmp_path / "whole", b"")
    modes = [(tmp_path / name).stat().st_mode for name in ("plain", "whole")]
    assert modes[0] == modes[1]


def test_many_writers_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "shared"
    contents = [bytes([n]) * 100_000 for n in range(8)]
    writers = [threading.Thread(target=write_whole, args=(path, c)) for c in contents]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert path.read_bytes() in contents
    assert names(tmp_path) == ["shared"]
