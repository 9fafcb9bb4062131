"""The comparison with others: who takes part, what the table says, and the plot."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import pytest


def turn(fps: float) -> dict[str, float]:
    return {
        "fps": fps, "cpu_ms_per_frame": 1e3 / fps, "first_frame_s": 1.0, "whole_s": 9.0,
        "peak_mb": 300.0,
    }  # fmt: skip


def test_ours_comes_first_and_in_bf16_where_the_processor_has_it(
    script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for can, ours in ((["fp32"], 1), (["fp32", "bf16"], 2)):
        monkeypatch.setattr(script, "precisions", lambda can=can: can)
        for task in ("detect", "segment"):
            rows = script.contestants(task, "our-python", "their-python")
            mine = [row for row in rows if row.program == "livevision_run.py"]
            assert rows[:ours] == mine
            assert [row.arguments[4] for row in mine] == can
            theirs = [row for row in rows if row.python == "their-python"]
            assert len({row.title for row in rows}) == len(rows)
            held = {"openvino-fp32"} if "bf16" in can else set()
            assert {row.arguments[-1] for row in theirs} == {"torch", "openvino"} | held


def test_nets_of_others_run_from_the_same_weights(
    script: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(script, "precisions", lambda: ["fp32", "bf16"])
    programs = Path(script.__file__).with_name("peers")
    for net in script.FOREIGN:
        rows = script.of_others(net, "our-python", "their-python")
        mine = [row.arguments[4:] for row in rows if row.python == "our-python"]
        assert mine[:2] == [("fp32",), ("bf16",)]
        wide = [("fp32", "640x384"), ("bf16", "640x384")]
        assert mine[2:] == (wide if script.FOREIGN[net] == "Ultralytics" else [])
        assert rows[0].arguments[2] == f"{{shared}}/{net}.onnx"
        theirs = [row for row in rows if row.python == "their-python"]
        assert theirs
        assert all(any("{shared}" in a for a in row.arguments) for row in theirs)
        assert all((programs / row.program).is_file() for row in rows)
    mine = tmp_path / "mine.onnx"
    mine.write_bytes(b"a graph")
    script.prepare("yolox-nano", "no-python", tmp_path, mine)
    assert (tmp_path / "yolox-nano.onnx").read_bytes() == b"a graph"


def test_rates_are_told_as_ratios_to_ours(script: Any) -> None:
    text = script.table({"livevision": turn(100), "another": turn(40)})
    assert text.splitlines()[2].endswith("×1.00 |")
    assert text.splitlines()[3].endswith("×2.50 |")


def test_a_failing_contestant_is_named(script: Any, tmp_path: Path) -> None:
    row = script.Contestant("No such clip", sys.executable, "opencv_loop.py", ("{clip}", "out"))
    with pytest.raises(RuntimeError, match="No such clip"):
        script.run(row, tmp_path / "missing.mp4", tmp_path / "folder")


def test_a_plot_is_drawn_from_the_json(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    results: dict[str, Any] = {
        "processor": "a processor",
        "date": "2026-11-24",
        "detect": {
            "livevision, thundernet-snet49": [turn(100), turn(110)],
            "Another": [turn(30), turn(40)],
        },
        "scores": script.scores(),
    }
    told, picture = tmp_path / "peers.json", tmp_path / "peers.png"
    told.write_text(json.dumps(results))
    arguments = ["bench_peers", "--from", str(told), "--plot", str(picture)]
    monkeypatch.setattr(sys, "argv", arguments)
    assert script.main() == 0
    drawn = cv2.imread(str(picture))
    assert drawn is not None
    assert (drawn.reshape(-1, 3) == (180, 119, 31)).all(1).any(), "ours is a blue bar"
    assert script.first_score({"text": "words", "mIoU": 0.5}) == "mIoU 0.5"
