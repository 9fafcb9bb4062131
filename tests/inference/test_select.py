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
    """Pretend that only these packages are installed, and that CUDA is at hand or not."""

    def pretend(*packages: str, cuda: bool = False) -> None:
        monkeypatch.setattr(select, "find_spec", lambda p: object() if p in packages else None)
        monkeypatch.setattr(select, "has_cuda", lambda: cuda and "torch" in packages)

    return pretend


@pytest.mark.parametrize(
    ("packages", "cuda", "graph", "wanted"),
    [
        (("torch", "openvino", "onnxruntime"), True, "", ("torch", "cuda")),
        (("torch", "openvino", "onnxruntime"), True, ".onnx", ("openvino", "cpu")),
        (("torch", "openvino", "onnxruntime"), False, "", ("openvino", "cpu")),
        (("torch", "onnxruntime"), False, "", ("onnx", "cpu")),
        (("torch",), False, "", ("torch", "cpu")),
        (("openvino",), True, "", ("openvino", "cpu")),
    ],
)
def test_auto(
    installed: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
    packages: tuple[str, ...],
    cuda: bool,
    graph: str,
    wanted: tuple[str, str],
) -> None:
    installed(*packages, cuda=cuda)
    with caplog.at_level(logging.INFO):
        assert select.choose_engine("auto", "auto", "auto", ENGINES, graph) == wanted
    assert f"{wanted[0]} on {wanted[1]}" in caplog.text


def test_a_device_that_is_named_decides(installed: Callable[..., None]) -> None:
    installed("torch", "openvino", cuda=True)
    assert select.choose_engine("auto", "cpu", "auto", ENGINES) == ("openvino", "cpu")
    assert select.choose_engine("auto", "cuda:1", "auto", ENGINES) == ("torch", "cuda:1")
    assert select.choose_engine("torch", "auto", "auto", ENGINES) == ("torch", "cuda")


def test_what_is_not_installed_is_told(installed: Callable[..., None]) -> None:
    installed("torch")
    with pytest.raises(ModelError, match=r"pip install 'livevision\[openvino\]'"):
        select.choose_engine("openvino", "auto", "auto", ENGINES)
    with pytest.raises(ModelError, match="pip install"):
        select.choose_engine("auto", "auto", "auto", ENGINES, ".onnx")
    with pytest.raises(ModelError, match="openvino"):
        select.choose_engine("auto", "auto", "int8", ENGINES)
    installed("openvino")
    with pytest.raises(ModelError, match="torch"):
        select.choose_engine("auto", "cuda:0", "auto", ENGINES)


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
    with pytest.raises(UsageError, match=r"runs no \.onnx graph"):
        select.choose_engine("torch", "cpu", "auto", ENGINES, ".onnx")


def test_what_only_openvino_computes() -> None:
    for precision, graph in (("int8", ""), ("auto", ".xml")):
        assert select.choose_engine("auto", "auto", precision, ENGINES, graph)[0] == "openvino"
        for engine, device in (("onnx", "auto"), ("torch", "auto"), ("auto", "cuda")):
            with pytest.raises(UsageError, match="openvino"):
                select.choose_engine(engine, device, precision, ENGINES, graph)


def test_looking_for_cuda_imports_nothing_where_there_is_no_driver() -> None:
    code = (
        "import sys; from livevision.inference import select; select._CUDA_FILES = ();"
        "assert not select.has_cuda(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
