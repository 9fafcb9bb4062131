"""One contract for every engine: the same answers as PyTorch, and the same manners.

The tolerances are those the README states: scores within 0.002, boxes within half a pixel, and at
most one pixel in two hundred of another class.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from livevision import registry
from livevision.errors import ModelError, UsageError
from livevision.inference.select import GPU_ONLY
from tests import small_models

SCORE, PIXELS, SHARE = 2e-3, 0.5, 5e-3

ON_CPU = [name for name in registry.ENGINES if name not in GPU_ONLY]


def _open(name: str, task: str, precision: str = "fp32", device: str = "cpu") -> Any:
    kind = registry.resolve(registry.ENGINES, name, "engine")
    return kind(small_models.files(task, with_graph=True), device, precision)


def _batch(task: str, seed: int, iou: float = 0.5) -> dict[str, Any]:
    width, height = small_models.CARDS[task].input_size
    batch: dict[str, Any] = {"image": small_models.picture(width, height, seed)[None]}
    if task == "detect":
        batch["iou_threshold"] = np.array([iou], np.float32)
    return batch


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture(scope="module")
def reference() -> Any:
    """PyTorch's answers, by task, seed and overlap."""
    engines = {task: _open("torch", task) for task in small_models.CARDS}
    return lambda task, seed, iou=0.5: engines[task](_batch(task, seed, iou))


@pytest.mark.parametrize("name", ON_CPU)
def test_segmentation_agrees_with_torch(name: str, reference: Any) -> None:
    engine = _open(name, "segment")
    for seed in range(3):
        found, wanted = engine(_batch("segment", seed)), reference("segment", seed)
        assert len(np.unique(wanted["class_map"])) > 2, "the net must tell classes apart"
        assert (found["class_map"] != wanted["class_map"]).mean() <= SHARE
    engine.close()


@pytest.mark.parametrize("name", ON_CPU)
def test_detection_agrees_with_torch(name: str, reference: Any) -> None:
    engine = _open(name, "detect")
    for seed in range(3):
        found, wanted = engine(_batch("detect", seed)), reference("detect", seed)
        assert len(np.unique(wanted["classes"][wanted["scores"] > 0.2])) > 1
        np.testing.assert_allclose(
            np.sort(found["scores"][0]), np.sort(wanted["scores"][0]), atol=SCORE
        )
        for row in np.flatnonzero(wanted["scores"][0] > 0.05):
            near = (
                (found["classes"][0] == wanted["classes"][0, row])
                & (abs(found["scores"][0] - wanted["scores"][0, row]) <= SCORE)
                & (abs(found["boxes"][0] - wanted["boxes"][0, row]).max(1) <= PIXELS)
            )
            assert near.any(), f"picture {seed}: no engine row is like row {row} of PyTorch's"
    engine.close()


@pytest.mark.parametrize("name", ON_CPU)
def test_classification_agrees_with_torch(name: str, reference: Any) -> None:
    engine = _open(name, "classify")
    for seed in range(3):
        found, wanted = engine(_batch("classify", seed)), reference("classify", seed)
        assert wanted["probabilities"].shape == (1, 5)
        assert wanted["classes"].dtype == np.int32
        assert (np.diff(wanted["probabilities"]) <= 0).all()
        np.testing.assert_allclose(found["probabilities"], wanted["probabilities"], atol=SCORE)
        apart = -np.diff(wanted["probabilities"][0]) > 2 * SCORE
        sure = np.flatnonzero(np.append(apart, False) & np.append(True, apart))
        assert sure.size, "the net must tell classes apart"
        np.testing.assert_array_equal(found["classes"][0, sure], wanted["classes"][0, sure])
    engine.close()


@pytest.mark.parametrize("name", ON_CPU)
def test_overlap_threshold_is_an_input(name: str) -> None:
    engine = _open(name, "detect")
    kept = [(engine(_batch("detect", 0, iou))["scores"] > 0.01).sum() for iou in (0.05, 0.95)]
    assert kept[0] < kept[1]


@pytest.mark.parametrize("name", ON_CPU)
@pytest.mark.parametrize("task", small_models.CARDS)
def test_spec_tells_what_comes_out(name: str, task: str) -> None:
    engine = _open(name, task, precision="auto")
    found = engine(_batch(task, 0))
    spec = engine.spec
    assert (spec.engine, spec.device, spec.precision) == (name, "cpu", "fp32")
    assert {k: (v.shape, v.dtype.name) for k, v in found.items()} == {
        k: (v.shape, v.dtype) for k, v in spec.outputs.items()
    }
    width, height = small_models.CARDS[task].input_size
    assert spec.inputs["image"].shape == (1, height, width, 3)
    if task == "detect":
        assert {k: v.dtype for k, v in spec.outputs.items()} == {
            "boxes": "float32",
            "scores": "float32",
            "classes": "int32",
        }


@pytest.mark.parametrize("name", ON_CPU)
def test_outputs_stay_the_callers(name: str) -> None:
    engine = _open(name, "segment")
    first = engine(_batch("segment", 0))["class_map"]
    kept = first.copy()
    engine(_batch("segment", 1))
    engine.close()
    np.testing.assert_array_equal(first, kept)
    first[:] = 0  # and may be written to


@pytest.mark.parametrize("threads", [1, 2])
def test_batches_begun_together_give_what_each_gives_alone(threads: int) -> None:
    kind = registry.resolve(registry.ENGINES, "openvino", "engine")
    for task in small_models.CARDS:
        files = small_models.files(task, with_graph=True)
        alone = kind(files, "cpu", "fp32")
        overlapping = kind(files, "cpu", "fp32", threads, overlap=True)
        assert alone.depth == 1
        assert overlapping.depth == 2
        wanted = [alone(_batch(task, seed)) for seed in range(4)]
        for _ in range(2):  # the second time requests are used again
            waiting = [overlapping.start(_batch(task, seed)) for seed in range(4)]
            found = {seed: waiting[seed]() for seed in (2, 0, 3, 1)}
            for seed in range(4):
                for output, array in wanted[seed].items():
                    np.testing.assert_allclose(found[seed][output], array, atol=1e-4)
        overlapping.close()


def test_a_batch_tells_when_it_was_done_however_late_it_is_asked_for() -> None:
    kind = registry.resolve(registry.ENGINES, "openvino", "engine")
    engine = kind(small_models.files("segment", with_graph=True), "cpu", "fp32", 2, overlap=True)
    assert 1 <= engine.streams <= engine.depth
    alone: list[float] = []
    for pause in (0.0, 1.0):  # much longer than so small a net takes
        begun = time.perf_counter()
        waiting = engine.start(_batch("segment", 0))
        assert waiting.done is None
        time.sleep(pause)
        waiting()
        assert waiting.done is not None
        alone.append(waiting.done - begun)
    assert all(0 < seconds < 0.9 for seconds in alone)
    engine.close()


def test_closing_ends_what_was_begun_and_never_asked_for() -> None:
    kind = registry.resolve(registry.ENGINES, "openvino", "engine")
    engine = kind(small_models.files("segment", with_graph=True), "cpu", "fp32", 2, overlap=True)
    for seed in range(3):
        engine.start(_batch("segment", seed))
    engine.close()
    with pytest.raises(ModelError, match="closed"):
        engine.start(_batch("segment", 0))


@pytest.mark.parametrize("name", ON_CPU)
def test_read_only_and_strided_inputs_are_taken(name: str, reference: Any) -> None:
    engine = _open(name, "segment")
    batch = _batch("segment", 0)
    padded = np.zeros((1, 64, 200, 3), np.uint8)
    padded[:, :, :96] = batch["image"]
    padded.setflags(write=False)
    found = engine({"image": padded[:, :, :96]})["class_map"]
    assert (found != reference("segment", 0)["class_map"]).mean() <= SHARE


@pytest.mark.parametrize("name", ON_CPU)
def test_wrong_inputs_are_told(name: str) -> None:
    engine = _open(name, "segment")
    image = _batch("segment", 0)["image"]
    with pytest.raises(ModelError, match="1×63×96×3; the model takes uint8 1×64×96×3"):
        engine({"image": image[:, :-1]})
    with pytest.raises(ModelError, match="float32 1×64×96×3"):
        engine({"image": image.astype(np.float32)})
    with pytest.raises(ModelError, match="takes the inputs image; given: picture"):
        engine({"picture": image})


@pytest.mark.parametrize("name", ON_CPU)
def test_closing_twice_is_once(name: str) -> None:
    engine = _open(name, "segment")
    engine.close()
    engine.close()
    with pytest.raises(ModelError, match="closed"):
        engine(_batch("segment", 0))


@pytest.mark.parametrize("name", ON_CPU)
def test_devices_and_precisions_that_are_not_there(name: str) -> None:
    with pytest.raises(UsageError, match="cuda:7"):
        _open(name, "segment", device="cuda:7")
    with pytest.raises(UsageError, match="fp8"):
        _open(name, "segment", precision="fp8")


@pytest.mark.parametrize("name", ["openvino", "onnx"])
@pytest.mark.parametrize("content", [b"", b"no graph at all", b"half"])
def test_a_broken_graph_is_told(name: str, content: bytes, tmp_path: Any) -> None:
    broken = tmp_path / "broken.onnx"
    whole = small_models.graph("segment").read_bytes()
    broken.write_bytes(whole[: len(whole) // 2] if content == b"half" else content)
    files = replace(small_models.files("segment"), graph=broken)
    kind = registry.resolve(registry.ENGINES, name, "engine")
    with pytest.raises(ModelError, match=r"broken\.onnx"):
        kind(files, "cpu", "auto")


def test_bf16_is_taken_only_when_asked_for(reference: Any) -> None:
    try:
        engine = _open("openvino", "segment", precision="bf16")
    except UsageError:
        pytest.skip("this processor does not compute in bf16")
    assert engine.spec.precision == "bf16"
    found = engine(_batch("segment", 0))["class_map"]
    # A random net doubles small errors from layer to layer, so the two must differ; that the
    # default precision does not is what the tests of agreement above show.
    assert (found != reference("segment", 0)["class_map"]).any()
