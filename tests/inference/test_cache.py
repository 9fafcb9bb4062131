"""The caches: bounded, and safe where others use them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livevision import registry
from livevision.inference.cache import cache_folder, data_folder, prune
from tests import small_models


def _file(folder: Path, name: str, hours_ago: float, size: int = 100) -> Path:
    path = folder / name
    path.write_bytes(b"x" * size)
    then = time.time() - 3600 * hours_ago
    os.utime(path, (then, then))
    return path


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    files = [_file(tmp_path, f"{hours}", hours) for hours in (9, 2, 5, 3)]
    prune(tmp_path, 400)
    assert all(path.exists() for path in files)
    prune(tmp_path, 250)
    assert [path.exists() for path in files] == [False, True, False, True]
    prune(tmp_path, 0)
    assert list(tmp_path.iterdir()) == []


def test_what_is_in_use_stays(tmp_path: Path) -> None:
    fresh, old = _file(tmp_path, "fresh", 0.1), _file(tmp_path, "old", 4)
    prune(tmp_path, 0)
    assert fresh.exists()
    assert not old.exists()
    read = _file(tmp_path, "read", 4)
    now = time.time()
    os.utime(read, (now, now - 9 * 3600))  # written long ago, read just now
    prune(tmp_path, 0)
    assert read.exists()


def test_folders_are_where_the_user_wants_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "d"))
    assert cache_folder("a") == tmp_path / "c" / "livevision" / "a"
    assert data_folder("a") == tmp_path / "d" / "livevision" / "a"


def test_a_second_start_takes_the_compiled_graph_and_survives_a_broken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kind: Any = registry.resolve(registry.ENGINES, "openvino", "engine")
    files = small_models.files("segment", with_graph=True)
    batch = {"image": small_models.picture(96, 64)[None]}

    def answer() -> Any:
        engine = kind(files, "cpu", "fp32")
        found = engine(batch)["class_map"]
        engine.close()
        return found

    wanted = answer()
    (blob,) = (tmp_path / "livevision" / "openvino").iterdir()
    made = blob.stat().st_ino
    np.testing.assert_array_equal(answer(), wanted)
    assert blob.stat().st_ino == made
    for broken in (blob.read_bytes()[:5000], b""):
        blob.chmod(0o600)
        blob.write_bytes(broken)
        np.testing.assert_array_equal(answer(), wanted)
        assert blob.stat().st_size > 5000, "and it was written anew"


def test_several_processes_may_start_at_once(tmp_path: Path) -> None:
    code = (
        "import livevision, numpy as np\n"
        f"with livevision.load(weights={str(small_models.graph('segment'))!r}) as model:\n"
        "    print(model(np.full((64, 96, 3), 90, np.uint8)).class_map.sum())\n"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment)
        for _ in range(3)
    ]
    answers = {process.communicate(timeout=120)[0] for process in started}
    assert [process.returncode for process in started] == [0, 0, 0]
    assert len(answers) == 1
