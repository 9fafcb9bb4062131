"""PyTorch on CUDA, with a device that does things only when somebody waits for it.

What a graph is captured from is a real net on the CPU; that real nets can be captured is seen from
their running on PyTorch's ``meta`` device, which has no numbers for anyone to wait for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from livevision.errors import ModelError
from livevision.inference import torch_cuda, torch_engine
from livevision.inference.graph import build_graph, example_inputs
from livevision.inference.model_files import ModelFiles
from livevision.inference.torch_cuda import Constants, CudaLayer
from livevision.inference.torch_engine import TorchEngine
from livevision.models import catalog
from tests import small_models


class LazyLayer(CudaLayer):
    """Streams are lists of what is still to be done; a captured graph computes when it is run."""

    can_capture = True
    made: list[LazyLayer]

    def __init__(self, device: torch.device) -> None:
        self.replays = self.runs = self.most_waiting = 0
        self._streams: list[list[Any]] = []
        self._marked: dict[int, list[Any]] = {}
        self._reached: dict[int, float] = {}
        LazyLayer.made.append(self)

    def pinned(self, like: torch.Tensor) -> torch.Tensor:
        return torch.full(like.shape, 77, dtype=like.dtype)

    memory = pinned

    def stream(self) -> Any:
        self._streams.append([])
        return self._streams[-1]

    def event(self) -> Any:
        return object()

    def copy(self, to: torch.Tensor, of: torch.Tensor, stream: Any) -> None:
        stream.append(lambda: to.copy_(of))

    def run(self, what: Callable[[], Any], stream: Any) -> Any:
        if getattr(what, "is_replay", False):
            stream.append(what)
            return None
        self.runs += 1
        self.settle(stream)
        return what()

    def capture(self, what: Callable[[], Any], stream: Any) -> tuple[Callable[[], None], Any]:
        if not self.can_capture:
            raise RuntimeError("operation not permitted when stream is capturing\nand more")
        given = what()

        def replay() -> None:
            self.replays += 1
            for kept, found in zip(given, what(), strict=True):
                kept.copy_(found)

        replay.is_replay = True  # type: ignore[attr-defined]
        return replay, given

    def settle(self, stream: Any) -> None:
        while stream:
            self._do(stream.pop(0))

    def record(self, event: Any, stream: Any) -> None:
        stream.append((event,))
        self._marked[id(event)] = stream
        self.most_waiting = max(self.most_waiting, sum(map(bool, self._streams)))

    def wait(self, event: Any) -> None:
        stream = self._marked[id(event)]
        while (event,) in stream:
            self._do(stream.pop(0))

    def seconds(self, first: Any, last: Any) -> float:
        return self._reached[id(last)] - self._reached[id(first)]

    def _do(self, what: Any) -> None:
        if callable(what):
            what()
        else:
            self._reached[id(what[0])] = time.perf_counter()


@pytest.fixture
def layer(monkeypatch: pytest.MonkeyPatch) -> type[LazyLayer]:
    """Places on the CPU as if it were CUDA."""
    monkeypatch.setattr(torch_cuda, "CudaLayer", LazyLayer)
    monkeypatch.setattr(LazyLayer, "can_capture", True)
    LazyLayer.made = []
    return LazyLayer


class OnLazyCuda(TorchEngine):
    """The engine, its net on the CPU and its places on the lazy device."""

    def __init__(self, files: ModelFiles, overlap: bool = False) -> None:
        super().__init__(files, "cpu", "fp32", None)
        self.depth = torch_engine.AT_ONCE if overlap else 1
        self._places = self._make_places(example_inputs(files))


def _batch(task: str, seed: int) -> dict[str, Any]:
    width, height = small_models.CARDS[task].input_size
    batch: dict[str, Any] = {"image": small_models.picture(width, height, seed)[None]}
    if task == "detect":
        batch["iou_threshold"] = np.array([0.5], np.float32)
    return batch


@pytest.mark.parametrize("task", small_models.CARDS)
@pytest.mark.parametrize("can_capture", [True, False])
def test_the_answers_are_those_of_the_cpu(
    layer: type[LazyLayer],
    task: str,
    can_capture: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(layer, "can_capture", can_capture)
    files = small_models.files(task)
    reference, engine = TorchEngine(files, "cpu", "fp32"), OnLazyCuda(files)
    assert ("this net cannot be captured in a CUDA graph" in caplog.text) is not can_capture
    assert "and more" not in caplog.text, "one line"
    (device,) = layer.made
    runs = device.runs
    for seed in range(2):
        found, wanted = engine(_batch(task, seed)), reference(_batch(task, seed))
        assert list(found) == list(wanted)
        for name, array in wanted.items():
            np.testing.assert_allclose(found[name], array, atol=1e-5)
    assert device.replays == (2 if can_capture else 0)
    assert device.runs - runs == (0 if can_capture else 2)
    engine.close()


def test_several_are_in_flight_and_each_gets_its_own(layer: type[LazyLayer]) -> None:
    files = small_models.files("segment")
    reference, engine = TorchEngine(files, "cpu", "fp32"), OnLazyCuda(files, overlap=True)
    assert engine.depth == 2
    (device,) = layer.made
    wanted = [reference(_batch("segment", seed))["class_map"] for seed in range(4)]
    for _ in range(2):  # the second time buffers are used again
        waiting = [engine.start(_batch("segment", seed)) for seed in range(4)]
        found = {seed: waiting[seed]()["class_map"] for seed in (2, 0, 3, 1)}
        for seed in range(4):
            np.testing.assert_array_equal(found[seed], wanted[seed])
    assert device.most_waiting == 4
    found[0][:] = 0  # the caller's own
    engine.start(_batch("segment", 0))
    engine.close()
    with pytest.raises(ModelError, match="closed"):
        engine.start(_batch("segment", 0))


def test_a_batch_tells_when_it_was_done(layer: type[LazyLayer]) -> None:
    engine = OnLazyCuda(small_models.files("segment"), overlap=True)
    for _ in range(2):  # the second time in a place that was used before
        before = time.perf_counter()
        waiting = engine.start(_batch("segment", 0))
        assert waiting.done is None
        waiting()
        assert waiting.done is not None
        assert before < waiting.done <= time.perf_counter()
    engine.close()


def test_on_a_cpu_one_is_computed_at_a_time() -> None:
    engine = TorchEngine(small_models.files("segment"), "cpu", "fp32", None, overlap=True)
    assert (engine.depth, engine.streams) == (1, 1)
    before = time.perf_counter()
    done = engine.start(_batch("segment", 0)).done
    assert done is not None
    assert before < done <= time.perf_counter()
    waiting = [engine.start(_batch("segment", seed)) for seed in range(2)]
    found = [finish()["class_map"] for finish in waiting]
    for seed in range(2):
        np.testing.assert_array_equal(found[seed], engine(_batch("segment", seed))["class_map"])


@pytest.mark.parametrize("task", small_models.CARDS)
def test_weights_cast_beforehand_change_nothing(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = small_models.files(task)
    engine = TorchEngine(files, "cpu", "bf16")
    layers = [m for m in engine._graph.modules() if isinstance(m, torch.nn.Conv2d)]
    assert {layer.weight.dtype for layer in layers} == {torch.bfloat16}
    monkeypatch.setattr(torch_engine, "_shorten_weights", lambda graph, dtype: None)
    plain = TorchEngine(files, "cpu", "bf16")
    found, wanted = engine(_batch(task, 0)), plain(_batch(task, 0))
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)


_NETS = ("thundernet-snet49", "light-head-s", "bisenet-xception39", "dfanet-a", "bisenetv2")


@pytest.mark.parametrize("name", [*_NETS, "stdc1-seg", "bisenet-shufflenetv2", "shufflenetv2-1.0"])
def test_nets_wait_for_nothing_and_send_nothing_twice(name: str) -> None:
    card = catalog.find(name)
    files = ModelFiles(card.name, card.task, card.net, (128, 96), card.net_options)
    graph: Any = build_graph(files).to("meta")
    inputs = [tensor.to("meta") for tensor in example_inputs(files).values()]
    constants = Constants()
    with torch.no_grad(), constants.next_run():
        graph(*inputs)  # raises where it asks for a number
    kept = list(map(id, constants._kept))
    assert all(tensor.device.type == "meta" for tensor in constants._kept)
    with torch.no_grad(), constants.next_run():
        graph(*inputs)
    assert list(map(id, constants._kept)) == kept


def test_constants_are_known_by_their_number_in_a_run() -> None:
    class Net(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            made = torch.tensor([1.0, 2.0], device=x.device)
            sent = torch.arange(3).to(x.device)
            here = torch.tensor([3.0])
            return [made, sent, here.to(torch.float64), sent.to(x)]

    net, x, constants = Net(), torch.zeros(1, device="meta"), Constants()
    with constants.next_run():
        first = net(x)
    with constants.next_run():
        second = net(x)
    assert [a is b for a, b in zip(first, second, strict=True)] == [True, True, False, False]
