"""Time and score of models at several sizes: what is measured, written and drawn."""

from __future__ import annotations

import csv
import re
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.datasets.making import picture, png
from tests.models.foreign import making


def test_every_size_is_timed_scored_and_drawn(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("a", "b"):
        picture(tmp_path / "streets" / "images" / "val" / f"{name}.png")
        png(tmp_path / "streets" / "labels" / "val" / f"{name}.png", np.zeros((48, 64), np.uint8))
    model = "bisenet-xception39-camvid"
    part = script.Field("Streets", "streets", ("mIoU", "mIoU, %"), (model,), ((64, 32), (96, 64)))
    out = tmp_path / "out"
    arguments = ["--data", str(tmp_path), "--out", str(out), "--rounds", "1", "--repeats", "2"]
    assert script.main(arguments, [part]) == 0
    with (out / "speed.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["width"], row["height"]) for row in rows] == [("64", "32"), ("96", "64")]
    for row in rows:
        assert row["model"] == model
        assert row["engine"].endswith("cpu fp32")
        assert 0 < float(row["low_ms"]) <= float(row["ms"]) <= float(row["high_ms"])
        assert 0 <= float(row["score"]) <= 100
    drawn = (out / "speed.svg").read_text()
    for text in ("Streets", model, "64×32", "96×64", "mIoU, %"):
        assert f">{text}<" in drawn


def test_each_round_times_all_before_the_next(
    script: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from livevision.bench.nets import NetTime

    asked: list[tuple[str, str]] = []
    times = iter([1.0, 10.0, 3.0, 30.0, 2.0, 20.0])

    def timed(name: str, precision: str, imgsz: tuple[int, int], repeats: int) -> NetTime:
        asked.append((name, precision))
        return NetTime(name, "engine", imgsz, 1e9, next(times), (0.0, 0.0))

    class Loaded:
        def __enter__(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    class Scores:
        figures = types.MappingProxyType({"mIoU": 0.5})
        engine = "engine cpu fp32"

    monkeypatch.setattr(script.nets, "measure", timed)
    monkeypatch.setattr(script.livevision, "load", lambda *_, **__: Loaded())
    monkeypatch.setattr(script.livevision, "evaluate", lambda *_: Scores())
    part = script.Field("", "d", ("mIoU", ""), ("a", "b"), ((8, 8),))
    points = script.measure([part], ["fp32"], tmp_path, 3, 5)
    assert [name for name, _ in asked] == ["a", "b"] * 3
    assert [(p.ms, p.low_ms, p.high_ms, p.score) for p in points] == [
        (2.0, 1.0, 3.0, 50.0), (20.0, 10.0, 30.0, 50.0),
    ]  # fmt: skip


def test_other_precisions_are_dashed(script: Any, tmp_path: Path) -> None:
    part = script.Field("T", "d", ("mIoU", "y"), ("a",), ((8, 8), (16, 16)))
    points = [
        script.Point("d", "a", f"e cpu {p}", p, n, n, ms, ms, ms, 50.0)
        for p, ms in (("fp32", 2.0), ("bf16", 1.0))
        for n in (8, 16)
    ]
    script.plot(points, [part], "", tmp_path / "p.svg")
    again = tmp_path / "q.svg"
    script.plot(points, [part], "", again)
    text = again.read_text()
    assert text == (tmp_path / "p.svg").read_text()
    assert ">in bf16<" in text
    assert re.search(r"stroke-dasharray: [\d.]+,", text)


def test_files_of_others_stand_beside_ours(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    open_, closed = making.yolox(tmp_path / "x.onnx", 64, written=False), tmp_path / "y.onnx"
    rows = np.zeros((1, 6, 84), np.float32)
    told = {"names": "['a', 'b']", "imgsz": "[64, 64]"}
    making.fixed(closed, {"output0": rows}, metadata=told)
    sizes = ((32, 32), (64, 64))
    assert script.sizes_of(str(open_), sizes) == list(sizes)
    assert script.sizes_of(str(closed), sizes) == [(64, 64)]
    assert script.sizes_of(str(closed), sizes[:1]) == [(64, 64)]
    parts = script.with_others(script.FIELDS, [str(closed)], tmp_path)
    (part,) = parts
    assert (part.data, part.figure[0], part.models[-1]) == (".", "AP50", str(closed))
    (tmp_path / "camvid").mkdir()
    (part,) = script.with_others(script.FIELDS, [str(closed)], tmp_path)
    assert str(closed) not in part.models
