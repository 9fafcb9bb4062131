"""The script of folds: no fold learns from what it is scored on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

SEQUENCES = ("one*", "two*", "three*")


def test_a_fold_learns_from_the_other_sequences(script: Any) -> None:
    entry = {"path": "streets", "names": ["road", "car"]}
    often = {**entry, "repeat": 3}
    recipe = {"data": {"train": [often, {"path": "more"}, entry], "val": [{"path": "streets"}]}}
    fold = script.without(recipe, "streets", SEQUENCES, "two*")
    assert [e.get("files") for e in fold["data"]["train"]] == [
        ["one*", "three*"], None, ["one*", "three*"],
    ]  # fmt: skip
    assert fold["data"]["val"] == [{"split": "train", **entry, "files": ["two*"]}]
    assert fold["data"]["train"][0]["repeat"] == 3
    assert "files" not in entry
    with pytest.raises(SystemExit, match="does not learn from elsewhere"):
        script.without(recipe, "elsewhere", SEQUENCES, "two*")


def test_folds_are_trained_and_told_once(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for name in ("one_1", "one_2", "two_1", "two_2", "three_1"):
        for folder, picture in (
            ("images", rng.integers(0, 255, (64, 64, 3), np.uint8)),
            ("masks", np.full((64, 64), name == "two_2", np.uint8)),
        ):
            path = tmp_path / "streets" / folder / "train" / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), picture)
    recipe = {
        "task": "segment",
        "net": "dfanet-b",
        "data": {
            "train": [{"path": "streets", "split": "train", "names": ["road", "car"]}],
            "val": [{"path": "streets", "names": ["road", "car"]}],
        },
        "labels": ["road", "car"],
        "licence": "ours",
        "input_size": [64, 64],
        "task_options": {"crop": [64, 64]},
        "batch_size": 2,
        "steps": 1,
        "warmup_steps": 0,
        "workers": 0,
        "samples": 0,
    }
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(recipe))
    given = [str(file), "--of", "streets", "--by", "one*", "t*", "--data", str(tmp_path)]
    given += ["--out", str(tmp_path / "runs")]
    assert script.main(given) == 0
    told = capsys.readouterr().out.splitlines()[-5:]
    assert told[:2] == ["| left out | mIoU |", "|---|---|"]
    assert [line.split(" | ")[0] for line in told[2:]] == ["| one*", "| t*", "| mean"]
    scores = [float(line.split(" | ")[1].rstrip(" |")) for line in told[2:]]
    assert scores[-1] == pytest.approx(sum(scores[:2]) / 2, abs=0.1)
    monkeypatch.setattr(script, "train", lambda *_: pytest.fail("it has been run"))
    assert script.main(given) == 0
