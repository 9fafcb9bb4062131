"""`livevision eval` from outside: table, JSON, files, and what is told when something is wrong."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from livevision import cli
from tests import small_models
from tests.datasets.making import picture, png, text


def maps(root: Path) -> Path:
    """Two pictures with labels for CamVid's classes, one of them void."""
    random = np.random.default_rng(0)
    for name in "ab":
        picture(root / "images" / "val" / f"{name}.jpg", (96, 64))
        png(root / "labels" / "val" / f"{name}.png", random.integers(0, 12, (64, 96)))
    return root


def run(*arguments: object) -> int:
    return cli.main(["eval", *map(str, arguments), "--engine", "torch"])


def weights(root: Path) -> Path:
    """The small segmenter as training leaves it: weights with a card beside them."""
    card = small_models.CARDS["segment"]
    path = root / f"{card.name}.safetensors"
    path.write_bytes(small_models.weights("segment").read_bytes())
    text(
        path.with_suffix(".md"),
        f"---\nname: {card.name}\ntask: segment\nnet: {card.net}\ninput_size: [96, 64]\n"
        f"net_options: {{num_classes: 11, aux: false}}\nlabels: [{', '.join(card.labels)}]\n"
        "---\nSmall.\n",
    )
    return path


def test_scores_as_json_and_in_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data, mine = maps(tmp_path / "maps"), weights(tmp_path)
    report, table, plots = tmp_path / "r.json", tmp_path / "r.csv", tmp_path / "plots"
    files = ("--report", report, "--csv", table, "--plots", plots)
    assert run("--weights", mine, "--data", data, "--json", *files) == 0
    out, err = capfd.readouterr()
    told = json.loads(out)
    assert json.loads(report.read_text()) == told
    assert (told["task"], told["pictures"], told["input_size"]) == ("segment", 2, [96, 64])
    assert told["data"] == f"{data} (val)"
    assert set(told["scores"]) == {"mIoU", "pixel_accuracy"}
    assert list(told["classes"]) == list(small_models.CAMVID)
    assert f"mIoU {100 * told['scores']['mIoU']:.1f}" in err
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == [*small_models.CAMVID, "all"]
    assert float(rows[0]["IoU"]) == told["classes"]["sky"]["IoU"]
    assert float(rows[-1]["mIoU"]) == told["scores"]["mIoU"]
    assert {p.name for p in plots.iterdir()} == {"classes.png", "confusion.png"}


def test_the_table_is_what_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = maps(tmp_path / "maps")
    text(data / "classes.txt", "\n".join([*small_models.CAMVID[:-1], "bike"]))
    flags = ("--weights", weights(tmp_path), "--data", data)
    assert run(*flags, "--rename", "bike=bicyclist", "--ignore", "sky") == 0
    out, _ = capfd.readouterr()
    head, *rows = out.splitlines()
    assert head.split() == ["class", "IoU", "accuracy", "share"]
    assert "sky" not in out
    assert [row.split()[0] for row in rows[:10]] == list(small_models.CAMVID[1:])
    assert "(1 of 11 classes do not occur in these pictures)" in out
    merged = ("--coarse", "bike=bicyclist+pedestrian", "--ignore", "sky", "--json")
    assert run(*flags, *merged) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["classes"]["any bike"]["pixels"] > 0
    assert told["classes"]["bicyclist"]["IoU"] is None
    assert run(*flags) == 2
    assert "lacks 1 of its classes: bike. " in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], 2, "missing option '--data'"),
        (["--model", "bisenet", "--data", "."], 2, "unknown model 'bisenet'"),
        (["--data", "."], 2, "no model was named"),
        (["--data", "none"], 3, "--data none: there is no such file or folder"),
        (["--data", ".", "--rename", "a"], 2, "--rename 'a': give THEIRS=OURS"),
        (["--data", ".", "--coarse", "a"], 2, "--coarse 'a': give THEIRS=OURS, such as --coarse v"),
        (["--data", ".", "--report", "none/r.json"], 5, "--report none/r.json: the folder none"),
        (["--data", ".", "--csv", "."], 2, "--csv . is a folder; it takes a file"),
        (
            ["--data", ".", "--model", "bisenet-xception39-camvid", "--format", "yoli"],
            2,
            "unknown format 'yoli'. Did you mean 'yolo'?",
        ),
        (
            ["--data", ".", "--model", "bisenet-xception39-camvid"],
            3,
            "no labels for the task segment were found there",
        ),
    ],
)
def test_what_is_wrong_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == code
    out, err = capfd.readouterr()
    assert out == ""
    (line,) = [row for row in err.splitlines() if "error: " in row]
    assert told in line
    assert err.splitlines()[-1] == line


def test_broken_labels_end_it_with_file_and_pixel(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = maps(tmp_path / "maps")
    broken = png(data / "labels" / "val" / "b.png", np.full((64, 96), 99))
    assert run("--weights", weights(tmp_path), "--data", data) == 3
    assert f"error: {broken}: pixel (0, 0) has the value 99" in capfd.readouterr().err
