"""`livevision eval --task track` from outside: table, JSON, files, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from livevision import cli
from tests.analysis.making import crowd, mot_sequence


def run(*arguments: object) -> int:
    return cli.main(["eval", "--task", "track", *map(str, arguments)])


def test_scores_of_sequences(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name, seed in (("gate", 1), ("yard", 2)):
        mot_sequence(tmp_path / "data" / name, crowd()[:4], 4, seed)
    report, tracks = tmp_path / "r.json", tmp_path / "tracks"
    files = ("--report", report, "--tracks", tracks)
    assert run("--data", tmp_path / "data", "--track", "sort", "--json", *files) == 0
    out, err = capfd.readouterr()
    told = json.loads(out)
    assert told == json.loads(report.read_text())
    assert (told["tracker"], told["frames"], told["left_out"]) == ("sort", 200, 0)
    assert told["sequences"].keys() == {"gate", "yard"}
    assert told["scores"]["objects"] == 8
    assert told["scores"]["IDF1"] > 0.8
    assert told["scores"]["HOTA"] > 0.6
    assert f"{100 * told['scores']['MOTA']:.1f}" in err
    lines = (tracks / "gate.txt").read_text().splitlines()
    frame, number, *box, _, a, b, c = lines[0].split(",")
    assert (int(frame), int(number)) >= (1, 1)
    assert len(box) == 4
    assert [a, b, c] == ["-1"] * 3


def test_perfect_boxes_of_one_object_score_all_but_the_first(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "one"
    for name, number, more in (("gt/gt.txt", 5, ",1,1,1"), ("det/det.txt", -1, ",0.9")):
        (folder / name).parent.mkdir(parents=True)
        rows = [f"{f},{number},{10 + f},20,30,60{more}\n" for f in range(1, 101)]
        (folder / name).write_text("".join(rows))
    assert run("--data", folder, "--json") == 0
    scores = json.loads(capfd.readouterr().out)["scores"]
    # A track has its number from its second box on.
    assert scores["FN"] == 1
    assert scores["MOTA"] == pytest.approx(0.99)
    assert scores["IDF1"] == pytest.approx(2 * 99 / 199, abs=1e-4)
    assert (scores["IDSW"], scores["FP"], scores["tracks"]) == (0, 0, 1)


def test_what_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def refusal(code: int, *arguments: object) -> str:
        assert run(*arguments) == code
        return capfd.readouterr().err

    assert "gt/gt.txt" in refusal(3, "--data", tmp_path)
    data = mot_sequence(tmp_path / "data", crowd()[:2], 1)
    assert "Did you mean 'ocsort'" in refusal(2, "--data", data, "--track", "oc-sort")
    assert "--csv" in refusal(2, "--data", data, "--csv", tmp_path / "a.csv")
    assert "drop is 1" in refusal(2, "--data", data, "--drop", 1)
    (data / "det" / "det.txt").unlink()
    assert "--model" in refusal(3, "--data", data)
    (data / "gt" / "gt.txt").write_text("1,1,5,5,20,40\n2,1,6,five,20,40\n")
    assert "gt.txt:2: '2,1,6,five,20,40'" in refusal(3, "--data", data)
