"""The caches: bounded, and safe where others use them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from livevision import registry
from livevision.files import cache_folder, data_folder, prune
from livevision.protocols import Engine
from tests import small_models


def _file(folder: Path, name: str, hours_ago: float, size: int = 100) -> Path:
    path = folder / name
    path.write_bytes(b"x" * size)
    then = time.time() - 3600 * hours_ago
    os.utime(path, (then, then))
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, where OpenVINO's compiled graphs will be kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "livevision" / "openvino"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def start(cache: Path) -> Callable[[], Engine]:
    """Starts an engine that would keep its compiled graph in ``cache``."""
    kind: Any = registry.resolve(registry.ENGINES, "openvino", "engine")
    files = small_models.files("segment", with_graph=True)
    return lambda: kind(files, "cpu", "fp32")


def _answer(engine: Engine) -> Any:
    found = engine({"image": small_models.picture(96, 64)[None]})["class_map"]
    engine.close()
    return found


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
    start: Callable[[], Engine], cache: Path
) -> None:
    wanted = _answer(start())
    (blob,) = cache.iterdir()
    made = blob.stat().st_ino
    np.testing.assert_array_equal(_answer(start()), wanted)
    assert blob.stat().st_ino == made
    for broken in (blob.read_bytes()[:5000], b""):
        blob.chmod(0o600)
        blob.write_bytes(broken)
        np.testing.assert_array_equal(_answer(start()), wanted)
        assert blob.stat().st_size > 5000, "and it was written anew"


def test_one_that_starts_waits_for_another_in_the_cache(
    start: Callable[[], Engine], cache: Path
) -> None:
    with ThreadPoolExecutor(1) as pool:
        with FileLock(cache.with_suffix(".lock")):
            starting = pool.submit(start)
            with pytest.raises(TimeoutError):
                starting.result(timeout=1.0)
            assert list(cache.iterdir()) == []
        starting.result(timeout=60).close()
    assert len(list(cache.iterdir())) == 1


def test_a_cache_that_cannot_be_used_is_done_without(
    start: Callable[[], Engine], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = _answer(start())
    (blob,) = cache.iterdir()
    blob.unlink()
    blob.mkdir()
    (blob / "in the way").touch()  # so that it can be neither written over nor deleted
    np.testing.assert_array_equal(_answer(start()), wanted)

    monkeypatch.setattr("livevision.inference.openvino_engine._LOCK_S", 0.2)
    with FileLock(cache.with_suffix(".lock")):  # as of a process that was stopped in there
        np.testing.assert_array_equal(_answer(start()), wanted)


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


def test_without_a_home_there_is_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(user: object) -> None:
        raise KeyError(user)

    monkeypatch.chdir(tmp_path)
    for variable in ("HOME", "USERPROFILE", "HOMEPATH", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    if sys.platform != "win32":
        monkeypatch.setattr("pwd.getpwuid", unknown)  # as of a container's user
    assert cache_folder("graphs") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cached", [True, False])
def test_graphs_pass_where_no_cache_takes_them(
    cached: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, and no cache at all: the graph is made all the same, once, and goes away."""
    code = (
        "import livevision, numpy as np\n"
        "from contextlib import contextmanager\n"
        "from livevision import files\n"
        "from livevision.models import export\n"
        "made = []\n"
        "@contextmanager\n"
        "def whole(path):\n"
        "    made.append(path)\n"
        f"    if {str(tmp_path / 'cache')!r} in str(path):\n"
        "        raise OSError(28, 'No space left on device')\n"
        "    with files.whole(path) as part:\n"
        "        yield part\n"
        "export.whole = whole\n"
        "for _ in range(2):\n"
        "    with livevision.load('thundernet-snet49') as model:\n"
        "        model(np.full((64, 96, 3), 90, np.uint8))\n"
        "assert len({str(path) for path in made if 'cache' not in str(path)}) == 1, made\n"
    )
    (tmp_path / "tmp").mkdir()
    (tmp_path / "cache").mkdir() if cached else (tmp_path / "cache").write_text("in the way")
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "TMPDIR": str(tmp_path / "tmp"),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "tmp").iterdir()) == []
