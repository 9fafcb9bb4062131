"""A folder of small clips, and what a single run makes of them."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from livevision import cores
from livevision.cli import main
from livevision.config import Settings
from livevision.fleet.films import Task
from livevision.fleet.pool import Ended
from livevision.fleet.worker import Job, Worker, explained
from tests import clips


class Inline:
    """A worker in this process; see ``livevision.fleet.pool.Pool``."""

    most = 1

    def __init__(self, job: Job) -> None:
        self._worker = Worker(job)
        self._tasks: deque[Task] = deque()

    def workers(self) -> list[int]:
        return [0]

    def give(self, worker: int, task: Task) -> None:
        self._tasks.append(task)

    def wait(self, seconds: float) -> list[Ended]:
        if not self._tasks:
            return []
        task = self._tasks.popleft()
        try:
            return [Ended(0, task, self._worker.do(task))]
        except Exception as error:
            return [Ended(0, task, None, explained(error))]

    def frames(self) -> int:
        return 0

    def close(self) -> None:
        pass


def inline_pool(settings: Settings, job: Job, most: int) -> Inline:
    """In place of ``running.pool_of``: processes take a second to start."""
    return Inline(job)


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backlogs of this test are worked off in this process."""
    monkeypatch.setattr("livevision.fleet.running.pool_of", inline_pool)


@pytest.fixture(autouse=True)
def _all_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A worker limits its process to its share."""
    threads = cv2.getNumThreads()
    monkeypatch.setattr(cores, "_share", None)
    yield
    cv2.setNumThreads(threads)


FLAGS = ("--model", "thundernet-snet49", "--no-hud", "--conf", "0.1", "--headless", "-q")
SIZE = (160, 120)


@dataclass(frozen=True, slots=True)
class Made:
    """Inputs, and the outputs of a single run."""

    clips: Path
    film: Path
    single: Path

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.clips.iterdir())


def noisy(number: int, size: tuple[int, int]) -> clips.Image:
    """A numbered picture with noise, so that its copy is not held to a low bit rate."""
    image = clips.numbered(number, size)
    random = np.random.default_rng(number)
    image[: size[1] // 2] = random.integers(0, 255, (size[1] // 2, size[0], 3), np.uint8)
    return image


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Four clips, one with sound; a film of 19 s with sound; a single run of all."""
    root = tmp_path_factory.mktemp("backlog")
    one = Made(root / "clips", root / "film.mp4", root / "single")
    one.clips.mkdir()
    for n in range(4):
        path = one.clips / f"c{n}.mp4"
        clips.make_clip(path, frames=8 + n, size=SIZE, sound=n == 1, first=100 * n, paint=noisy)
    clips.make_clip(
        one.film, frames=150, size=SIZE, rate=8, gop=15, sound=True, b_frames=2, paint=noisy
    )
    single(one.clips, one.single, "all.jsonl")
    single(one.film, one.single, "film.csv")
    return one


def single(source: Path, folder: Path, records: str) -> None:
    """Run one process."""
    words = ("--source", source, *FLAGS, "--output", f"{folder}/", "--output", folder / records)
    assert main([str(word) for word in words]) == 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a backlog left: exit code, messages, and its report."""

    code: int
    err: str
    report: dict[str, Any]


@pytest.fixture
def backlog(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run a backlog of two workers."""

    def call(*words: object) -> Outcome:
        report = tmp_path / "report.json"
        report.unlink(missing_ok=True)
        given = [*words, *FLAGS, "--report", report]
        if "--workers" not in words and "--on" not in words:
            given += ["--workers", 2]
        code = main([str(word) for word in given])
        found = json.loads(report.read_text()) if report.exists() else {}
        return Outcome(code, capfd.readouterr().err, found)

    return call
