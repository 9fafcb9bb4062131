"""Files of others that are kept under a name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import livevision
from livevision.cli.import_ import command
from livevision.cli.models import command as models
from livevision.errors import ModelError, OutputError, UsageError
from livevision.models import catalog, imported, keeping
from tests.models.foreign import making


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def test_it_is_run_by_its_name_when_the_file_is_gone(tmp_path: Path) -> None:
    file = making.segmenter(tmp_path / "theirs.onnx", (1, 3, 64, 64))
    result = CliRunner().invoke(command, [str(file), "--as", "mine"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "licence: unknown" in result.stderr
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    with livevision.load(file, "onnx") as model:
        expected = model(image).class_map
    file.unlink()
    file.with_suffix(".yaml").unlink()
    with livevision.load("mine", "onnx") as model:
        assert model.name == "mine"
        assert model.labels == ["a", "b", "c"]
        assert np.array_equal(model(image).class_map, expected)


def test_it_is_listed(tmp_path: Path) -> None:
    file = making.segmenter(tmp_path / "theirs.onnx", (1, 3, 64, 64))
    keeping.keep_file("mine", file)
    rows = json.loads(CliRunner().invoke(models, ["--json"], catch_exceptions=False).stdout)
    (row,) = (row for row in rows if row["name"] == "mine")
    assert (row["task"], row["input_size"], row["licence"]) == ("segment", [64, 64], "unknown")
    assert (row["params"], row["madds"]) == (432, 32 * 32 * 432)
    assert row["weights"] == ["mine.onnx"]
    assert not row["default"]
    shown = CliRunner().invoke(models, ["mine"], catch_exceptions=False).stdout
    assert "imported from theirs.onnx" in shown


def test_names_that_are_taken_or_none(tmp_path: Path) -> None:
    file = making.segmenter(tmp_path / "theirs.onnx", (1, 3, 64, 64))
    keeping.keep_file("mine", file)
    with pytest.raises(OutputError, match="--overwrite"):
        keeping.keep_file("mine", file)
    assert keeping.keep_file("mine", file, overwrite=True).is_file()
    for name, says in (
        ("thundernet-snet49", "one of livevision's own"),
        ("yolox-nano", "models get"),
        ("a/b", "letters, digits"),
        ("../up", "letters, digits"),
        ("mine.onnx", "must not end"),
    ):
        with pytest.raises(UsageError, match=says):
            keeping.keep_file(name, file)
    assert imported.names() == ["mine"]


def test_a_name_that_is_not_known_is_looked_for_there_too(tmp_path: Path) -> None:
    keeping.keep_file("walkers", making.segmenter(tmp_path / "t.onnx", (1, 3, 64, 64)))
    with pytest.raises(UsageError, match="Did you mean 'walkers'"):
        livevision.load("walker")
    assert not catalog.is_foreign("yolox-nano")


def test_a_summary_that_is_gone(tmp_path: Path) -> None:
    path = keeping.keep_file("mine", making.segmenter(tmp_path / "t.onnx", (1, 3, 64, 64)))
    path.with_suffix(".json").write_text("{")
    with pytest.raises(ModelError, match="import the model again"):
        imported.summary("mine")


def test_a_file_that_cannot_be_run_is_not_kept(tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"\x80\x04pickle")
    with pytest.raises(ModelError, match="pickle"):
        keeping.keep_file("mine", bad)
    assert imported.names() == []


def test_it_is_removed_with_all_that_belongs_to_it(tmp_path: Path) -> None:
    file = making.segmenter(tmp_path / "theirs.onnx", (1, 3, 64, 64))
    for name in ("mine", "mine.2", "other"):
        keeping.keep_file(name, file)
    (imported.folder() / "other.bin").write_bytes(b"weights")
    result = CliRunner().invoke(models, ["remove", "mine", "other"], catch_exceptions=False)
    gone = [Path(line).name for line in result.stdout.splitlines()]
    assert gone == [
        *("mine.onnx", "mine.yaml", "mine.json"),
        *("other.onnx", "other.bin", "other.yaml", "other.json"),
    ]
    assert imported.names() == ["mine.2"]
    left = sorted(path.name for path in imported.folder().iterdir())
    assert left == ["mine.2.json", "mine.2.onnx", "mine.2.yaml"]
    with livevision.load("mine.2", "onnx") as model:
        assert model.labels == ["a", "b", "c"]
    with pytest.raises(UsageError, match="unknown model 'mine'"):
        livevision.load("mine")
    keeping.keep_file("mine", file)  # the name is free again


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["remove", "mien"], "unknown imported model 'mien'. Did you mean 'mine'"),
        (["remove", "mine", "thundernet-snet49"], "one of livevision's own"),
        (["remove", "mine", "--overwrite"], "takes no flags"),
        (["remove", "../mine"], "unknown imported model"),
        (["remove"], "give one of: livevision models remove mine"),
    ],
)
def test_what_cannot_be_removed(words: list[str], says: str, tmp_path: Path) -> None:
    keeping.keep_file("mine", making.segmenter(tmp_path / "theirs.onnx", (1, 3, 64, 64)))
    result = CliRunner().invoke(models, words)
    assert isinstance(result.exception, UsageError)
    assert says in str(result.exception)
    assert imported.names() == ["mine"]


def test_nothing_is_there_to_remove() -> None:
    result = CliRunner().invoke(models, ["remove", "mine"])
    assert "no model was imported or fetched" in str(result.exception)
