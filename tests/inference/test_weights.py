"""Weights files: what is refused, and how it is told."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from livevision.errors import ModelError
from livevision.inference.description import read_description
from livevision.inference.weights import check_weights, load_weights
from tests import small_models


class _Tiny(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 1)
        self.norm = torch.nn.BatchNorm2d(4)


def _save(path: Path, **changes: Any) -> Path:
    tensors = {**_Tiny().state_dict(), **changes}
    save_file({k: v for k, v in tensors.items() if v is not None}, path)
    return path


def test_tensors_arrive_as_float32(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.safetensors", **{"conv.bias": torch.arange(4).half()})
    net = _Tiny()
    load_weights(net, path)
    assert net.conv.bias.dtype == torch.float32
    assert net.conv.bias.tolist() == [0, 1, 2, 3]


def test_heads_that_only_training_has_are_left(tmp_path: Path) -> None:
    path = _save(tmp_path / "a.safetensors", **{"aux_heads.0.bias": torch.zeros(2)})
    load_weights(_Tiny(), path)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"conv.weight": torch.zeros(5, 3, 1, 1)},
            r"'conv.weight' is \(5, 3, 1, 1\).*\(4, 3, 1, 1",
        ),
        ({"conv.bias": None}, "'conv.bias' is missing"),
        ({"head.bias": torch.zeros(2)}, "no 'head.bias'"),
    ],
)
def test_the_first_misfit_is_named(tmp_path: Path, changes: dict[str, Any], line: str) -> None:
    path = _save(tmp_path / "a.safetensors", **changes)
    with pytest.raises(ModelError, match=line):
        load_weights(_Tiny(), path)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pkl", ".ckpt", ".bin", ""])
def test_pickles_are_refused_unopened(tmp_path: Path, suffix: str) -> None:
    trap, sprung = tmp_path / f"trap{suffix}", tmp_path / "sprung"

    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (sprung,))

    trap.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ModelError, match=r"pickle.*\.safetensors"):
        check_weights(trap)
    renamed = tmp_path / "trap.safetensors"
    renamed.write_bytes(trap.read_bytes())
    with pytest.raises(ModelError, match="not a safetensors file"):
        load_weights(_Tiny(), renamed)
    assert not sprung.exists()


@pytest.mark.parametrize("left", [0, 5, 100, -1])
def test_files_cut_short_are_told(tmp_path: Path, left: int) -> None:
    path = _save(tmp_path / "a.safetensors")
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(ModelError, match="cut short"):
        check_weights(path)


def test_a_header_that_lies_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    for header in ([], {}, {"a": {"data_offsets": "x"}}, {"a": 3}, {"a": {"data_offsets": "xy"}}):
        text = json.dumps(header).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text)
        with pytest.raises(ModelError, match="not a safetensors file"):
            check_weights(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        check_weights(tmp_path / "a.safetensors")


def test_the_whole_net_of_a_model_loads() -> None:
    from livevision.inference.graph import build_graph

    graph: Any = build_graph(small_models.files("segment"))
    given = load_file(small_models.weights("segment"))
    assert torch.equal(graph.net.head[1].weight, given["head.1.weight"].float())


def test_an_exported_graph_tells_what_it_is(tmp_path: Path) -> None:
    told = read_description(small_models.graph("segment"))
    assert told["task"] == "segment"
    assert told["input_size"] == "96x64"
    assert told["colour_order"] == "BGR"
    assert json.loads(told["labels"]) == list(small_models.CAMVID)


def test_graphs_of_other_tools_are_told(tmp_path: Path) -> None:
    import onnx

    model = onnx.load(small_models.graph("segment"))
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(ModelError, match="livevision export"):
        read_description(tmp_path / "other.onnx")


@pytest.mark.parametrize("content", [b"text, not a graph", b"\x00" * 40, b"\xff" * 40])
def test_files_that_are_no_graphs_are_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not an ONNX file"):
        read_description(path)


def test_a_graph_cut_short_is_told(tmp_path: Path) -> None:
    whole = small_models.graph("segment").read_bytes()
    (tmp_path / "a.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="cut short"):
        read_description(tmp_path / "a.onnx")
