"""ONNX Runtime beyond the contract of all engines: devices, what it is told, bound buffers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from livevision.errors import ModelError, UsageError
from livevision.inference import onnx_engine
from livevision.inference.model_files import ModelFiles
from livevision.inference.onnx_engine import Bound, OnnxEngine, OnnxTensorRTEngine
from tests import small_models

FILES = "segment"


def _files() -> ModelFiles:
    return small_models.files(FILES, with_graph=True)


def _picture(seed: int) -> dict[str, Any]:
    return {"image": small_models.picture(96, 64, seed)[None]}


@pytest.fixture
def gpu_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Pretend that the build for GPUs is installed; its libraries are not there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    known = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(ort, "get_available_providers", lambda: known)


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch, gpu_build: None) -> list[Any]:
    """What sessions are asked for; each is one on the CPU that says it is what it is not."""
    asked: list[Any] = []
    real = ort.InferenceSession

    class Session:
        def __init__(self, graph: Any, options: Any, providers: list[Any]) -> None:
            asked.append((graph, providers))
            self._real = real(graph, options, providers=["CPUExecutionProvider"])
            self._names = [p if isinstance(p, str) else p[0] for p in providers]

        def get_providers(self) -> list[str]:
            return self._names

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

    def on_cpu(session: Any, spec: Any, device: str, number: int) -> Bound:
        assert (device, number) == ("cuda", 1)
        return Bound(session, spec, "cpu", 0)

    monkeypatch.setattr(ort, "InferenceSession", Session)
    monkeypatch.setattr(onnx_engine, "Bound", on_cpu)
    return asked


def test_a_build_for_cpus_computes_on_no_gpu() -> None:
    for kind in (OnnxEngine, OnnxTensorRTEngine):
        with pytest.raises(UsageError, match=r"has no .*ExecutionProvider; .* onnxruntime-gpu"):
            kind(_files(), "cuda:0", "auto")
    with pytest.raises(UsageError, match="computes on cuda, cuda:N; given: 'cpu'"):
        OnnxTensorRTEngine(_files(), "cpu", "auto")
    with pytest.raises(UsageError, match="fp16 here"):
        OnnxEngine(_files(), "cpu", "fp16")


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_it_never_goes_on_with_the_cpu_unasked(gpu_build: None) -> None:
    """The real ONNX Runtime, asked for what it does not have, warns and takes the CPU."""
    for kind, provider in ((OnnxEngine, "CUDA"), (OnnxTensorRTEngine, "Tensorrt")):
        with pytest.raises(ModelError, match=f"cannot start {provider}ExecutionProvider on cuda:0"):
            kind(_files(), "cuda:0", "auto")


def test_cuda_computes_in_fp32_and_in_halved_graphs(sessions: list[Any]) -> None:
    wanted = OnnxEngine(_files(), "cpu", "auto")(_picture(0))["class_map"]
    sessions.clear()
    engine = OnnxEngine(_files(), "cuda:1", "auto")
    assert str(engine.spec) == "onnx cuda:1 fp32"
    np.testing.assert_array_equal(engine(_picture(0))["class_map"], wanted)
    half = OnnxEngine(_files(), "cuda:1", "fp16")
    assert str(half.spec) == "onnx cuda:1 fp16"
    (graph, providers), (halved, _) = sessions
    assert graph == str(_files().graph)
    (name, options), last = providers
    assert (name, last) == ("CUDAExecutionProvider", "CPUExecutionProvider")
    assert options == {"device_id": "1", "use_tf32": "0"}
    kinds = {t.data_type for t in onnx.load_from_string(halved).graph.initializer if t.dims}
    assert onnx.TensorProto.FLOAT16 in kinds


def test_tensorrt_inside_keeps_plans_by_weights(sessions: list[Any], tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    model = onnx.load(small_models.graph(FILES))
    weights = next(t for t in model.graph.initializer if len(t.dims) == 4)
    changed = onnx.numpy_helper.to_array(weights) * 1.5
    weights.CopyFrom(onnx.numpy_helper.from_array(changed, weights.name))
    onnx.save(model, other)
    for files, precision in (
        (_files(), "fp32"),
        (_files(), "fp16"),
        (replace(_files(), graph=other), "fp32"),
    ):
        engine = OnnxTensorRTEngine(files, "cuda:1", precision)
        assert str(engine.spec) == f"onnx-tensorrt cuda:1 {precision}"
        assert engine(_picture(0))["class_map"].any()
    told = [providers[0][1] for _, providers in sessions]
    assert [providers[0][0] for _, providers in sessions] == ["TensorrtExecutionProvider"] * 3
    assert [t["trt_fp16_enable"] for t in told] == ["0", "1", "0"]
    assert len({t["trt_engine_cache_prefix"] for t in told}) == 3
    assert told[0]["trt_engine_cache_path"] == str(tmp_path / "livevision" / "onnx-tensorrt")
    for graph, _ in sessions:
        first = onnx.load_from_string(graph).graph.node[0]
        assert (first.op_type, first.input[0]) == ("Cast", "image"), "as TensorRT takes uint8"


@pytest.mark.parametrize("task", small_models.CARDS)
def test_bound_buffers_give_the_same_answers(task: str) -> None:
    files = small_models.files(task, with_graph=True)
    engine = OnnxEngine(files, "cpu", "fp32", 1)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(str(files.graph), options, providers=["CPUExecutionProvider"])
    bound = Bound(session, engine.spec, "cpu", 0)
    width, height = files.input_size
    kept = {}
    for seed in range(2):
        batch: dict[str, Any] = {"image": small_models.picture(width, height, seed)[None]}
        if task == "detect":
            batch["iou_threshold"] = np.array([0.5], np.float32)
        kept[seed] = bound(batch), engine(batch)
    for found, wanted in kept.values():  # after both, as each answer is the caller's own
        for name, array in wanted.items():
            np.testing.assert_array_equal(found[name], array)
