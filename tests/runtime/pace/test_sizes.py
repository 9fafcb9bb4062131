"""At which input sizes a model can be had, and how a graph of another one is made."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from livevision.errors import ModelError
from livevision.inference.model_files import ModelFiles
from livevision.models import export
from livevision.models.choice import int8_file
from livevision.models.export import cached_graph, export_graph
from livevision.runtime.pace import sizes
from livevision.runtime.pace.sizes import GraphMaker, sizes_of
from tests import small_models


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def _at(width: int, height: int) -> ModelFiles:
    return replace(small_models.files("segment"), input_size=(width, height))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((320, 320), [(320, 320), (256, 256), (192, 192), (160, 160)]),
        ((640, 384), [(640, 384), (512, 320), (384, 224), (320, 192)]),
        ((480, 360), [(480, 360), (384, 288), (288, 224), (256, 192)]),
        ((96, 96), [(96, 96)]),
    ],
)
def test_sizes_fall_step_by_step_in_about_the_same_shape(
    size: tuple[int, int], expected: list[tuple[int, int]]
) -> None:
    found = sizes_of(_at(*size), "torch", "weights").files
    assert [files.input_size for files in found] == expected
    assert found[0] == _at(*size)
    assert all(files.graph is None for files in found[1:])


def test_without_pytorch_an_engine_of_graphs_has_one_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "find_spec", lambda package: None)
    found = sizes_of(_at(320, 320), "openvino", "graph")
    assert len(found.files) == 1
    assert "pip install torch --index-url" in found.note


def test_graphs_of_the_same_model_that_lie_beside_it(tmp_path: Path) -> None:
    card, files = small_models.CARDS["segment"], small_models.files("segment")
    graph = Path(shutil.copy(small_models.graph("segment"), tmp_path / "a.onnx"))
    export_graph(replace(files, input_size=(64, 64)), card, tmp_path / "b.onnx")
    shutil.copy(small_models.graph("classify"), tmp_path / "other.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    own = replace(files, weights=None, graph=graph)
    found = sizes_of(own, "openvino", "graph")
    assert [(f.input_size, f.graph) for f in found.files] == [
        ((96, 64), graph),
        ((64, 64), tmp_path / "b.onnx"),
    ]
    (tmp_path / "b.onnx").unlink()
    alone = sizes_of(own, "openvino", "graph")
    assert alone.files == (own,)
    assert "--imgsz" in alone.note


def test_int8_takes_the_files_that_were_made_before(tmp_path: Path) -> None:
    files = replace(_at(320, 320), precision="int8", graph=tmp_path / "own.xml")
    assert len(sizes_of(files, "openvino", "graph").files) == 1
    assert "--precision int8" in sizes_of(files, "openvino", "graph").note
    made = int8_file(replace(files, input_size=(256, 256)))
    made.parent.mkdir(parents=True)
    made.write_text(json.dumps("stands for a graph"))
    found = sizes_of(files, "openvino", "graph").files
    assert [f.input_size for f in found] == [(320, 320), (256, 256)]
    assert found[1].graph == made


def test_a_graph_is_made_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    files, card = _at(64, 64), small_models.CARDS["segment"]
    GraphMaker().make(files, card)

    def again(*_: object) -> float:
        raise AssertionError("it is in the cache")

    monkeypatch.setattr(export, "export_graph", again)
    assert cached_graph(files, card).is_file()


def test_what_cannot_be_made_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"bisenet-small at 64x64 cannot be made: .*broken"):
        GraphMaker().make(replace(_at(64, 64), weights=broken), small_models.CARDS["segment"])


def test_making_ends_with_the_run() -> None:
    maker = GraphMaker()
    failed: list[Callable[[], str]] = []

    def make() -> None:
        try:
            maker.make(_at(320, 320), small_models.CARDS["segment"])
        except ModelError as error:
            failed.append(error.__str__)

    thread = threading.Thread(target=make)
    thread.start()
    maker.cancel()
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert "it was stopped" in failed[0]()
