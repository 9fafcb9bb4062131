"""TensorRT's engine with stand-ins for the GPU: what it is given, when it waits, what it keeps."""

from __future__ import annotations

import logging
import sys
import time
import types
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from livevision import registry
from livevision.errors import ModelError, UsageError
from livevision.inference import onnx_half, onnx_int8
from tests import small_models
from tests.inference import fake_cuda


@pytest.fixture
def trt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[fake_cuda.TensorRT]:
    """TensorRT and CUDA as the engine imports them, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with fake_cuda.installed(monkeypatch) as fake:
        yield fake


@pytest.fixture
def cuda(trt: fake_cuda.TensorRT) -> fake_cuda.Runtime:
    return trt.cuda


def _open(task: str, precision: str = "auto", device: str = "cuda", **others: Any) -> Any:
    kind = registry.resolve(registry.ENGINES, "tensorrt", "engine")
    given = {"files": small_models.files(task, with_graph=True), **others}
    return kind(device=device, precision=precision, **given)


def _batch(task: str, seed: int) -> dict[str, Any]:
    width, height = small_models.CARDS[task].input_size
    batch: dict[str, Any] = {"image": small_models.picture(width, height, seed)[None]}
    if task == "detect":
        batch["iou_threshold"] = np.array([0.5], np.float32)
    return batch


def _reference(task: str) -> Any:
    kind = registry.resolve(registry.ENGINES, "onnx", "engine")
    return kind(small_models.files(task, with_graph=True), "cpu", "fp32", 1)


@pytest.mark.parametrize("task", small_models.CARDS)
def test_fp32_gives_what_onnx_runtime_gives(trt: fake_cuda.TensorRT, task: str) -> None:
    engine, reference = _open(task), _reference(task)
    assert str(engine.spec) == "tensorrt cuda:0 fp32"
    assert engine.spec.inputs == reference.spec.inputs
    assert engine.spec.outputs == reference.spec.outputs
    for seed in range(2):
        found, wanted = engine(_batch(task, seed)), reference(_batch(task, seed))
        assert list(found) == list(engine.spec.outputs)
        for name, array in wanted.items():
            np.testing.assert_allclose(found[name], array, atol=1e-4)
    engine.close()


def test_fp16_is_a_graph_in_fp16(trt: fake_cuda.TensorRT, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        engine = _open("classify", "fp16")
    assert "agreement with fp32 unknown" in caplog.text
    assert engine.spec.precision == "fp16"
    (built,) = trt.built
    graph = onnx.load_from_string(built).graph
    half, whole = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    weights = [t for t in graph.initializer if len(t.dims) == 4]
    assert {t.data_type for t in weights} == {half}
    assert {o.type.tensor_type.elem_type for o in graph.output} == {whole, onnx.TensorProto.INT32}
    wanted = _reference("classify")(_batch("classify", 0))["probabilities"]
    found = engine(_batch("classify", 0))["probabilities"]
    assert 0 < abs(found - wanted).max() < 0.1, "another arithmetic, and the same net"
    engine.close()


def test_a_graph_in_fp16_is_taken_as_it_is(trt: fake_cuda.TensorRT, tmp_path: Path) -> None:
    graph = tmp_path / "half.onnx"
    onnx.save(onnx_half.halve(onnx.load(small_models.graph("classify"))), graph)
    stored = replace(small_models.files("classify"), graph=graph, precision="fp16")
    engine, made = _open("classify", files=stored), _open("classify", "fp16")
    assert str(engine.spec) == str(made.spec) == "tensorrt cuda:0 fp16"
    batch = _batch("classify", 0)
    np.testing.assert_array_equal(engine(batch)["probabilities"], made(batch)["probabilities"])
    engine.close()
    made.close()


def test_several_are_in_flight_and_each_gets_its_own(
    trt: fake_cuda.TensorRT, cuda: fake_cuda.Runtime
) -> None:
    engine, reference = _open("segment", overlap=True), _reference("segment")
    assert engine.depth == 2
    wanted = [reference(_batch("segment", seed))["class_map"] for seed in range(4)]
    for _ in range(2):  # the second time buffers are used again
        waiting = []
        for seed in range(4):
            batch = _batch("segment", seed)
            waiting.append(engine.start(batch))
        found = {seed: waiting[seed]()["class_map"] for seed in (2, 0, 3, 1)}
        for seed in range(4):
            np.testing.assert_array_equal(found[seed], wanted[seed])
    assert cuda.most_waiting == 4
    found[0][:] = 0  # the caller's own
    engine.start(_batch("segment", 0))
    engine.close()
    engine.close()
    with pytest.raises(ModelError, match="closed"):
        engine.start(_batch("segment", 0))


def test_a_batch_tells_when_it_was_done(trt: fake_cuda.TensorRT, cuda: Any) -> None:
    engine = _open("segment", overlap=True)
    for _ in range(2):
        before = time.perf_counter()
        waiting = engine.start(_batch("segment", 0))
        assert waiting.done is None
        waiting()
        assert waiting.done is not None
        assert before < waiting.done <= time.perf_counter()
    engine.close()


def test_wrong_inputs_and_devices_are_told(trt: fake_cuda.TensorRT, cuda: Any) -> None:
    engine = _open("segment")
    assert engine.depth == 1
    with pytest.raises(ModelError, match="takes the inputs image; given: picture"):
        engine({"picture": _batch("segment", 0)["image"]})
    engine.close()
    for device, line in (
        ("cpu", "'cpu' is not a CUDA device"),
        ("cuda:7", r"'cuda:7'.*finds 1\); use --device cpu"),
    ):
        with pytest.raises(UsageError, match=line):
            _open("segment", device=device)
    cuda.devices = 0
    with pytest.raises(UsageError, match="cudaErrorNoDevice"):
        _open("segment")
    for precision in ("bf16", "int8", "fp8"):
        with pytest.raises(UsageError, match=precision):
            _open("segment", precision)


def test_a_plan_is_built_once_for_all_that_it_depends_on(
    trt: fake_cuda.TensorRT, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache" / "livevision" / "tensorrt"

    def builds(**others: Any) -> int:
        before = len(trt.built)
        _open("segment", **others).close()
        return len(trt.built) - before

    assert [builds(), builds()] == [1, 0]
    (plan,) = folder.iterdir()
    assert plan.name.startswith("bisenet-small-96x64-fp32-Fake-GPU-3000-8-7-trt10.15.1-")
    assert builds(precision="fp16") == 1
    other = tmp_path / "other.onnx"
    model = onnx.load(small_models.graph("segment"))
    model.doc_string = "another graph"
    onnx.save(model, other)
    assert builds(files=replace(small_models.files("segment"), graph=other)) == 1
    with monkeypatch.context() as changed:
        changed.setattr(fake_cuda, "CAPABILITY", (9, 0))
        assert builds() == 1
    with monkeypatch.context() as changed:
        changed.setattr(fake_cuda, "GPU", "Fake GPU 4000")
        assert builds() == 1
    with monkeypatch.context() as changed:
        changed.setattr(fake_cuda.TensorRT, "__version__", "10.16.0")
        assert builds() == 1
    assert builds() == 0
    for content in (b"", b"nonsense"):
        plan.write_bytes(content)
        assert [builds(), builds()] == [1, 0], "a broken one is built anew"
    assert not [path for path in folder.iterdir() if ".part" in path.name]


def test_the_log_tells_how_far_a_build_is(
    trt: fake_cuda.TensorRT, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = sys.modules["livevision.inference.tensorrt_build"]
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr(build, "time", types.SimpleNamespace(monotonic=lambda: next(clock)))
    trt.steps = 10
    with caplog.at_level(logging.INFO):
        _open("segment").close()
    assert "building bisenet-small with TensorRT 10.15.1; this takes minutes" in caplog.text
    assert caplog.text.count(" %, ") == 5, "every five seconds, and not at every step"
    assert "Building 40 %" in caplog.text
    assert "built bisenet-small in" in caplog.text


def test_what_cannot_be_built_is_told(trt: fake_cuda.TensorRT, tmp_path: Path) -> None:
    trt.fails_with = "no tactic found"
    with pytest.raises(ModelError, match="cannot build bisenet-small in fp32: no tactic found"):
        _open("segment")
    trt.fails_with = None
    unknown = tmp_path / "unknown.onnx"
    model = onnx.load(small_models.graph("segment"))
    node = next(n for n in model.graph.node if n.op_type == "Relu")
    node.op_type = "Mish"
    model.opset_import[0].version = 18
    onnx.save(model, unknown)
    with pytest.raises(ModelError, match=r"10\.15\.1 cannot read .* Mish is not known"):
        _open("segment", files=replace(small_models.files("segment"), graph=unknown))
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(small_models.graph("segment").read_bytes()[:5000])
    with pytest.raises(ModelError, match=r"broken\.onnx"):
        _open("segment", files=replace(small_models.files("segment"), graph=broken))


def test_int8_takes_a_graph_that_was_quantised_for_it(
    trt: fake_cuda.TensorRT, tmp_path: Path
) -> None:
    files = small_models.files("segment", with_graph=True)
    assert files.graph is not None
    batches = [_batch("segment", seed) for seed in range(4)]
    for symmetric in (True, False):
        graph = tmp_path / f"{symmetric}.onnx"
        onnx_int8.quantise(files.graph, batches, graph, symmetric=symmetric)
        lowered = replace(files, graph=graph, precision="int8")
        if not symmetric:
            with pytest.raises(ModelError, match=r"quantised for CPUs.*--format tensorrt"):
                _open("segment", files=lowered)
            continue
        engine = _open("segment", files=lowered)
        assert str(engine.spec) == "tensorrt cuda:0 int8"
        assert engine(batches[0])["class_map"].any()
        engine.close()
        with pytest.raises(UsageError, match="stored in int8 and cannot compute in fp32"):
            _open("segment", "fp32", files=lowered)


def test_halving_keeps_the_geometry_of_boxes_whole() -> None:
    model = onnx_half.halve(onnx.load(small_models.graph("detect")))
    onnx.checker.check_model(model, full_check=True)
    graph, half = model.graph, onnx.TensorProto.FLOAT16
    kinds = {p.name: p.type.tensor_type.elem_type for p in (*graph.value_info, *graph.output)}
    kinds.update({tensor.name: tensor.data_type for tensor in graph.initializer})
    for node in graph.node:
        if node.op_type in ("TopK", "GridSample", "Exp", "Softmax", "GatherElements", "Trilu"):
            assert kinds[node.output[0]] != half, node.name
        if node.op_type == "Conv":
            assert kinds[node.output[0]] == half, node.name
