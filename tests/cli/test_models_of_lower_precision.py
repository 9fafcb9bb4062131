"""`livevision models` tells how far files of lower precision agree with fp32."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from livevision.cli.models import command
from livevision.errors import ModelError
from livevision.models.choice import int8_files
from livevision.models.lowering import Evidence, frames_for, write_onnx
from tests import shallow_model


@pytest.fixture
def int8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An int8 file where `--precision int8` would look for one of BiSeNet's."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    graph = shallow_model.graph(tmp_path)
    files = shallow_model.files(graph)
    frames = frames_for(shallow_model.CARD, files, [shallow_model.pictures(tmp_path / "good")])
    folder = tmp_path / "data" / "livevision" / "int8"
    folder.mkdir(parents=True)
    output = folder / f"bisenet-xception39-camvid-96x64-{12 * 'a'}.onnx"
    write_onnx(files, shallow_model.CARD, output, "int8", Evidence(frames))
    return output


def _print(*arguments: str) -> str:
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_a_file_tells_its_precision_and_agreement(int8: Path) -> None:
    text = _print(str(int8))
    assert "shallow" in text
    assert "int8: mIoU 0." in text
    told = json.loads(_print(str(int8), "--json"))
    assert told["name"] == "shallow"
    assert told["precision"] == "int8"
    assert 0.75 < told["agreement"]["value"] < 1
    plain = int8.parents[3] / "shallow.onnx"
    assert _print(str(plain)).rstrip().endswith("fp32")
    with pytest.raises(ModelError, match="no such file"):
        CliRunner().invoke(command, ["missing.onnx"], catch_exceptions=False)


def test_a_model_lists_the_files_made_of_it(int8: Path) -> None:
    other = int8.with_name(f"bisenet-xception39-camvid-wide-96x64-{12 * 'a'}.onnx")
    other.write_bytes(b"another model's")
    assert int8_files("bisenet-xception39-camvid") == [int8]
    text = _print("bisenet-xception39-camvid")
    assert f"{int8}: int8: mIoU 0." in text
    assert str(other) not in text
    assert "int8" not in _print()
