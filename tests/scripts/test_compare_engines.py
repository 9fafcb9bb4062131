"""scripts/compare-engines: what it looks at, what it tells, and that it sees a wrong engine."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from livevision.inference.onnx_engine import OnnxEngine
from tests.clips import frame_number, make_clip


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A clip of twenty pictures and two pictures whose names end in numbers."""
    made = [make_clip(tmp_path / "a.mp4", frames=20).path]
    for number in (1, 2):
        made.append(tmp_path / f"frame_{number:03}.png")
        noise = np.random.default_rng(number).integers(0, 256, (9, 13, 3), np.uint8)
        cv2.imwrite(str(made[-1]), cv2.resize(noise, (160, 120), interpolation=cv2.INTER_CUBIC))
    return made


def test_pictures_are_spread_over_all_files(script: Any, files: list[Path]) -> None:
    pictures = script.spread(files, 6)
    assert [p.shape == (120, 160, 3) for p in pictures[:2]] == [True, True]
    assert [frame_number(p) for p in pictures[2:]] == [0, 6, 12, 19]
    assert len(script.spread(files, 100)) == 22


def run(
    script: Any,
    files: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    engines: str = "onnx",
) -> None:
    given = ["compare-engines", model, *map(str, files), "--random", "--engines", engines]
    monkeypatch.setattr(sys, "argv", [*given, "--most", "4"])
    assert script.main() == 0


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def test_a_segmenter_whose_pixels_are_wrong_is_told(
    script: Any,
    files: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer, calls = OnnxEngine.__call__, 0

    def differs(self: OnnxEngine, batch: Any) -> dict[str, Any]:
        nonlocal calls
        calls += 1
        outputs = answer(self, batch)
        if calls <= 1 + 4:  # the exporter's own check and the first engine's pictures
            return outputs
        wrong = outputs["class_map"].copy()
        wrong[:, :40] = 18 - wrong[:, :40]
        return {"class_map": wrong}

    monkeypatch.setattr(OnnxEngine, "__call__", differs)
    run(script, files, monkeypatch, "bisenet-xception39", engines="onnx,onnx")
    right, off = lines(capsys.readouterr().out)
    assert right["frames"] == off["frames"] == 4
    assert right["other_pixels_max"] < 1e-3
    assert right["beyond_noise_max"] == 0
    assert 0 < right["logits_max"] < 1e-3
    assert 0 < right["noise"] < 1e-3
    assert off["beyond_noise_max"] > 0.05


def test_labels_and_the_table(
    script: Any,
    files: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(script, files, monkeypatch, "xception-b")
    out = capsys.readouterr().out
    (row,) = lines(out)
    assert row["score_max"] < 1e-3
    assert row["other_likeliest"] == 0
    assert out.splitlines()[-1].startswith("| `xception-b` | 4 | ")
    kept = files[0].parent / "kept.jsonl"
    boxes = {"boxes": 10, "without_like": 1, "score_max": 1e-4, "corner_max_px": 0.02}
    more = {"model": "a", "engine": "openvino", "precision": "fp32", "frames": 7, **boxes}
    kept.write_text(f"{json.dumps(row)}\n{json.dumps(more)}\n")
    monkeypatch.setattr(sys, "argv", ["compare-engines", "--table", str(kept)])
    assert script.main() == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[-1] == "| `a` | 7 |  | 1.0e-04, 0.02 px; 1 of 10 boxes |"


def test_boxes_without_a_like_are_counted(
    script: Any, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import supervision as sv

    def found(boxes: list[list[float]], scores: list[float]) -> sv.Detections:
        return sv.Detections(
            np.array(boxes, np.float32), confidence=np.array(scores), class_id=np.zeros(len(boxes))
        )

    ours = found([[0, 0, 10, 10], [50, 50, 60, 60]], [0.9, 0.24])
    # Moved by half a pixel; another below the line in one answer only; and one that is alone.
    theirs = found([[0, 0.5, 10, 10], [50, 50, 60, 60], [20, 20, 40, 40]], [0.8, 0.26, 0.5])
    row = {"model": "thundernet-snet49", "engine": "onnx", "precision": "fp32"}
    given = iter([[theirs], [ours]])
    monkeypatch.setattr(script, "answers", lambda *_: next(given))
    (told,) = script.compare_boxes("thundernet-snet49", None, [None], [row])
    assert (told["boxes"], told["without_like"], told["at_limit"]) == (4, 1, 0)
    assert told["score_max"] == pytest.approx(0.1)
    assert told["corner_max_px"] == pytest.approx(0.5)
