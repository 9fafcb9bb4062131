"""How many cores a light net takes in a run: what the other stages need of them is left to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from livevision.config import Settings
from livevision.models import for_run
from livevision.runtime.metering import Meter
from livevision.runtime.run import Run
from tests import clips

LIGHT, HEAVY = "thundernet-snet49", "bisenet-mobilenetv2-camvid"


@pytest.mark.parametrize(
    ("model", "size", "given", "threads"),
    [
        (LIGHT, (1280, 720), {}, 3),
        (LIGHT, (320, 240), {}, None),
        (LIGHT, (1280, 720), {"output": "found.jsonl"}, None),
        (LIGHT, (320, 240), {"mode": "freshest"}, 3),
        (LIGHT, (320, 240), {"threads": 2}, 2),
        (HEAVY, (1280, 720), {}, None),
    ],
)
def test_threads_of_a_net_on_four_cores(
    model: str,
    size: tuple[int, int],
    given: dict[str, Any],
    threads: int | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    asked: list[int | None] = []
    load = for_run.load

    def asked_for(*arguments: Any, **named: Any) -> Any:
        asked.append(named["threads"])
        return load(*arguments, **named)

    monkeypatch.setattr(for_run, "load", asked_for)
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=2, size=size)
    settings = {"source": clip.path, "model": model, "headless": True, "output": "out.mp4", **given}

    Run(Settings.of(**settings), Meter())

    assert asked == [threads]
