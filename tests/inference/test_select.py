"""Which engine runs where."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable

import pytest

from livevision.errors import ModelError, UsageError
from livevision.inference import select
from livevision.registry import ENGINES


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend that only these packages are installed, and that a CUDA device is at hand or not."""

    def pretend(*packages: str, cuda: bool = False, onnx_cuda: bool = False) -> None:
        monkeypatch.setattr(select, "find_spec", lambda p: object() if p in packages else None)
        monkeypatch.setattr(select, "has_driver", lambda: cuda)
        monkeypatch.setattr(select, "has_cuda", lambda: cuda and "torch" in packages)
        monkeypatch.setattr(select, "_count_by_bindings", lambda: int(cuda))
        monkeypatch.setattr(select, "_onnx_has_cuda", lambda: onnx_cuda)

    return pretend


ALL = ("torch", "openvino", "onnxruntime")
GPU = (*ALL, "tensorrt", "cuda", "cuda.bindings")


@pytest.mark.parametrize(
    ("packages", "cuda", "graph", "wanted", "why"),
    [
        (GPU, True, "", ("tensorrt", "cuda"), ""),
        (GPU, True, ".onnx", ("tensorrt", "cuda"), ""),
        (GPU, True, ".engine", ("tensorrt", "cuda"), ""),
        (GPU, True, ".xml", ("openvino", "cpu"), ""),
        (GPU, False, "", ("openvino", "cpu"), "no CUDA device here"),
        (GPU[:-1], True, "", ("torch", "cuda"), "cuda-bindings is not installed"),
        (ALL, True, "", ("torch", "cuda"), "tensorrt is not installed"),
        (ALL, True, ".onnx", ("openvino", "cpu"), "the installed onnxruntime is one for CPUs"),
        (ALL, False, "", ("openvino", "cpu"), "no CUDA device here"),
        (("torch", "onnxruntime"), False, "", ("onnx", "cpu"), "openvino is not installed"),
        (("torch",), False, "", ("torch", "cpu"), "onnxruntime is not installed"),
        (("openvino",), True, "", ("openvino", "cpu"), "torch is not installed"),
    ],
)
def test_auto(
    installed: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
    packages: tuple[str, ...],
    cuda: bool,
    graph: str,
    wanted: tuple[str, str],
    why: str,
) -> None:
    installed(*packages, cuda=cuda)
    with caplog.at_level(logging.INFO):
        assert select.choose_engine("auto", "auto", "auto", ENGINES, graph) == wanted
    assert f"{wanted[0]} on {wanted[1]}" in caplog.text
    assert why in caplog.text


def test_auto_goes_by_precision(installed: Callable[..., None]) -> None:
    installed(*GPU, cuda=True, onnx_cuda=True)

    def chosen(device: str, precision: str, graph: str = "", stored: str = "fp32") -> str:
        return select.choose_engine("auto", device, precision, ENGINES, graph, stored)[0]

    assert chosen("auto", "fp16") == "tensorrt"
    assert chosen("auto", "bf16") == "torch"
    assert chosen("auto", "int8") == "tensorrt"
    assert chosen("cpu", "int8") == "openvino"
    assert chosen("auto", "auto", ".onnx", "int8") == "onnx"
    assert chosen("cpu", "int8", ".onnx") == "openvino", "from a file of its own"
    assert chosen("auto", "auto", ".engine", "int8") == "tensorrt"
    assert chosen("cpu", "auto", ".onnx", "fp16") == "openvino"
    with pytest.raises(ModelError, match="int8 on cuda:0: none takes such a graph there"):
        chosen("cuda:0", "auto", ".onnx", "int8")


def test_a_device_that_is_named_decides(installed: Callable[..., None]) -> None:
    installed("torch", "openvino", "onnxruntime", cuda=True)
    assert select.choose_engine("auto", "cpu", "auto", ENGINES) == ("openvino", "cpu")
    assert select.choose_engine("auto", "cuda:1", "auto", ENGINES) == ("torch", "cuda:1")
    assert select.choose_engine("torch", "auto", "auto", ENGINES) == ("torch", "cuda")
    assert select.choose_engine("onnx", "auto", "auto", ENGINES) == ("onnx", "cpu")
    installed("openvino", "onnxruntime", cuda=True, onnx_cuda=True)
    assert select.choose_engine("openvino", "auto", "auto", ENGINES) == ("openvino", "cpu")
    assert select.choose_engine("onnx", "auto", "auto", ENGINES) == ("onnx", "cuda")
    assert select.choose_engine("onnx", "auto", "int8", ENGINES) == ("onnx", "cpu")
    assert select.choose_engine("auto", "auto", "auto", ENGINES) == ("onnx", "cuda")
    assert select.choose_engine("onnx-tensorrt", "auto", "auto", ENGINES)[1] == "cuda"


def test_what_is_not_installed_is_told(installed: Callable[..., None]) -> None:
    installed("torch")
    with pytest.raises(ModelError, match=r"pip install 'livevision\[openvino\]'"):
        select.choose_engine("openvino", "auto", "auto", ENGINES)
    with pytest.raises(ModelError, match=r"pip install 'livevision\[tensorrt\]'"):
        select.choose_engine("tensorrt", "auto", "auto", ENGINES)
    with pytest.raises(ModelError, match="pip install"):
        select.choose_engine("auto", "auto", "auto", ENGINES, ".onnx")
    with pytest.raises(ModelError, match="openvino"):
        select.choose_engine("auto", "auto", "int8", ENGINES)
    installed("openvino")
    with pytest.raises(ModelError, match="cuda:0: no CUDA device here"):
        select.choose_engine("auto", "cuda:0", "auto", ENGINES)
    installed("tensorrt")
    with pytest.raises(ModelError, match="cuda-bindings"):
        select.choose_engine("tensorrt", "auto", "auto", ENGINES)
    with pytest.raises(ModelError, match="a CUDA device: no CUDA device here"):
        select.choose_engine("auto", "auto", "auto", ENGINES, ".engine")


@pytest.mark.parametrize(
    ("engine", "device", "precision", "line"),
    [
        ("openvinno", "auto", "auto", "Did you mean 'openvino'"),
        ("auto", "gpu", "auto", "unknown device 'gpu'"),
        ("auto", "auto", "fp8", "unknown precision 'fp8'"),
    ],
)
def test_wrong_names_are_told(engine: str, device: str, precision: str, line: str) -> None:
    with pytest.raises(UsageError, match=line):
        select.choose_engine(engine, device, precision, ENGINES)


def test_torch_runs_no_graphs() -> None:
    with pytest.raises(UsageError, match=r"cannot run \.onnx graphs"):
        select.choose_engine("torch", "cpu", "auto", ENGINES, ".onnx")


@pytest.mark.parametrize(
    ("engine", "device", "precision", "graph", "line"),
    [
        ("onnx", "auto", "auto", ".xml", "an .xml graph is for --engine openvino"),
        ("auto", "cuda", "auto", ".xml", "a graph .xml is for the device cpu, with openvino"),
        ("torch", "auto", "int8", "", "int8 is for --engine tensorrt or openvino or onnx"),
        ("openvino", "auto", "auto", ".engine", "an .engine graph is for --engine tensorrt"),
        ("auto", "cpu", "auto", ".engine", "an .engine graph is for CUDA devices"),
        ("tensorrt", "cpu", "auto", "", "--engine tensorrt is for CUDA devices"),
        ("openvino", "cuda:0", "auto", "", "--engine openvino is for the device cpu"),
    ],
)
def test_what_does_not_go_together(
    engine: str, device: str, precision: str, graph: str, line: str
) -> None:
    with pytest.raises(UsageError, match=line):
        select.choose_engine(engine, device, precision, ENGINES, graph)


def test_looking_for_cuda_imports_nothing_where_there_is_no_driver() -> None:
    code = (
        "import sys; from livevision.inference import select; select._CUDA_FILES = ();"
        "assert not select.has_cuda(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
