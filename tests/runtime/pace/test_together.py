"""Several images in one call of the net: real engines, the decision, the frames' way through."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from livevision.capture.life import Life
from livevision.errors import ModelError
from livevision.frame import Batch, Frame, Inferred, Prepared, Rendered
from livevision.inference.model_files import ModelFiles
from livevision.models import model
from livevision.models.model import Model
from livevision.protocols import EngineSpec, SourceInfo
from livevision.runtime.links import Channel
from livevision.runtime.metering import Meter
from livevision.runtime.pace import together
from livevision.runtime.pace.together import frames_at_once, infer_together
from livevision.runtime.pipeline import Pipeline
from tests import small_models
from tests.runtime.standins import Net, Work

IMAGE = np.zeros((4, 4, 3), np.uint8)


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def _model(task: str, engine: str = "openvino", **changes: Any) -> Model:
    files = replace(small_models.files(task), **changes)
    card = small_models.CARDS[task]
    return Model(card, files, {"conf": 0.01}, (engine, "cpu", "auto"), threads=1)


@pytest.mark.parametrize(
    ("task", "engine"),
    [("detect", "openvino"), ("segment", "openvino"), ("segment", "onnx"), ("detect", "torch")],
)
def test_two_images_in_one_call_give_what_each_gives_alone(task: str, engine: str) -> None:
    with _model(task, engine) as opened:
        opened.open()
        opened.open_together(2)
        batches = [opened.prepare(small_models.picture(150, 90, seed))[0] for seed in (5, 6)]
        alone = [opened.infer(batch) for batch in batches]
        both = opened.together(batches)
        assert len(both) == 2
        for one, other in zip(alone, both, strict=True):
            assert one.keys() == other.keys()
            for name, expected in one.items():
                assert other[name].shape == expected.shape
                np.testing.assert_allclose(other[name], expected, atol=2e-3, rtol=1e-3)
        key = "scores" if task == "detect" else "class_map"
        assert not np.array_equal(alone[0][key], alone[1][key]), "they are told apart"


@pytest.mark.parametrize(
    "changes", [{"weights": None, "graph": Path("own.onnx")}, {"precision": "int8"}]
)
def test_a_graph_for_one_image_takes_no_more(changes: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="for one image per call"):
        _model("segment", **changes).open_together(2)


def test_results_of_several_tasks_and_frames_are_kept_apart() -> None:
    models = [_model("segment"), _model("detect")]
    pictures = [small_models.picture(150, 90, seed) for seed in (5, 6)]
    frames = [
        Prepared(Frame(source, 3, 0.0, 0.0, image), {m.name: m.prepare(image) for m in models})
        for source, image in enumerate(pictures)
    ]
    try:
        for opened in models:
            opened.open_together(2)
        found = infer_together(models, frames)
        assert [inferred.frame.source for inferred in found] == [0, 1]
        for inferred, image in zip(found, pictures, strict=True):
            assert list(inferred.results) == [m.name for m in models]
            found_map: Any = inferred.results[models[0].name]
            np.testing.assert_array_equal(found_map.class_map, models[0](image).class_map)
    finally:
        for opened in models:
            opened.close()


class Timed:
    """A net whose calls take as long as is told, on a device that is told."""

    def __init__(self, device: str, one: float, several: float, fails: bool = False) -> None:
        self.name, self.task = "timed", "detect"
        self.files = ModelFiles("timed", "detect", "", (32, 32))
        self.engine_spec = EngineSpec("timed", device, "fp16")
        self.images: int | None = None
        self._one, self._several, self._fails = one, several, fails

    def prepare(self, image: Any) -> tuple[Batch, None]:
        return {"image": image[None]}, None

    def infer(self, batch: Batch) -> None:
        time.sleep(self._one)

    def together(self, batches: Sequence[Batch]) -> None:
        assert len(batches) == self.images
        time.sleep(self._several)

    def open_together(self, images: int) -> None:
        if self._fails:
            raise ModelError("no weights")
        self.images = images

    def close_together(self) -> None:
        self.images = None


@pytest.mark.parametrize(
    ("device", "sources", "asked", "several", "expected"),
    [
        ("cuda:0", 4, None, 0.012, 4),  # 4 in one call: on average later only from 25 ms on
        ("cuda:0", 4, None, 0.060, 1),
        ("cuda:0", 20, None, 0.012, 8),
        ("cuda:0", 4, 2, 0.012, 2),
        ("cuda:0", 4, 4, 0.026, 4),  # asked for: more frames, each a little later
        ("cuda:0", 4, 4, 0.080, 1),
        ("cuda:0", 4, 1, 0.012, 1),
        ("cuda:0", 1, None, 0.012, 1),
        ("cpu", 4, None, 0.012, 1),
        ("cpu", 4, 2, 0.012, 2),
        ("cpu", 4, 2, 0.050, 1),
    ],
)
def test_frames_go_together_where_they_are_no_later_so(
    device: str, sources: int, asked: int | None, several: float, expected: int
) -> None:
    net: Any = Timed(device, 0.01, several)
    assert frames_at_once([net], sources, asked) == expected
    assert net.images == (expected if expected > 1 else None)


def test_the_decision_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    net: Any = Timed("cuda:0", 0.01, 0.002)
    frames_at_once([net], 3, None)
    assert "frames of 3 sources go through the net 3 at once where they wait" in caplog.text
    assert frames_at_once([net], 1, 2) == 1
    assert "--batch 2: frames of one live source" in caplog.text
    broken: Any = Timed("cuda:0", 0.01, 0.002, fails=True)
    assert frames_at_once([broken], 3, None) == 1
    assert "one by one: no weights" in caplog.text


class Camera:
    """Live frames, one a period."""

    def __init__(self, position: int, count: int, period: float) -> None:
        self.info = SourceInfo(f"camera-{position}", True, (4, 4))
        self.losses: dict[str, int] = {}
        self.life = Life()
        self._position, self._count, self._period = position, count, period

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self._count):
            time.sleep(self._period)
            yield Frame(self._position, index, index / 30, time.monotonic(), IMAGE)

    def close(self) -> None:
        pass


def _run(
    together: Callable[[Sequence[Prepared]], list[Inferred]], meter: Meter, count: int = 100
) -> list[Frame]:
    def one(prepared: Prepared) -> Inferred:
        time.sleep(0.01)
        return Inferred(prepared.frame, {})

    stages = [
        Work("preprocess", lambda frame: Prepared(frame, {})),
        Net(one, together=together, most=3),
        Work("overlay", lambda inferred: Rendered(inferred.frame, {}, inferred.frame.image)),
    ]
    sources = [lambda n=n: Camera(n, count, 0.004) for n in range(3)]
    pipeline = Pipeline(sources, [[0], [1], [2]], stages, meter)
    with closing(pipeline.events()) as events:
        return [event.frame for event in events if isinstance(event, Rendered)]


def test_frames_that_wait_go_together_in_order_and_accounted_for() -> None:
    calls: list[list[int]] = []

    def together(frames: Sequence[Prepared]) -> list[Inferred]:
        calls.append([prepared.frame.source for prepared in frames])
        time.sleep(0.012)
        return [Inferred(prepared.frame, {}) for prepared in frames]

    meter = Meter()
    out = _run(together, meter)
    assert len(calls) > 5, "a busy net finds frames of all sources waiting"
    assert all(sorted(call) == [0, 1, 2] for call in calls), "one of each source"
    for source in range(3):
        indices = [frame.index for frame in out if frame.source == source]
        assert indices == sorted(set(indices))
        assert indices[-1] >= 97
    report = meter.report()
    dropped = sum(n for causes in report["dropped"].values() for n in causes.values())
    assert report["frames_in"] == 300 == len(out) + dropped
    told = {row["source"]: row["frames_out"] for row in report["sources"]}
    assert told == {f"camera-{n}": sum(f.source == n for f in out) for n in range(3)}


def test_an_error_in_a_call_for_several_leaves_no_frame_uncounted() -> None:
    def together(frames: Sequence[Prepared]) -> list[Inferred]:
        raise RuntimeError("out of memory")

    meter = Meter()
    with pytest.raises(RuntimeError, match="out of memory"):
        _run(together, meter)
    report = meter.report()
    dropped = sum(n for causes in report["dropped"].values() for n in causes.values())
    assert report["frames_in"] == report["frames_out"] + dropped
    assert report["dropped"]["overlay"]["failed"] == 3


def test_a_link_gives_several_frames_or_none() -> None:
    dropped: list[int] = []
    link: Channel[int] = Channel(5, lambda item, _: dropped.append(item))
    for number in (1, 2, 3):
        link.put(number, 0, freshest=False)
    assert link.take(4) == []
    assert link.take(2) == [1, 2]
    link.tell(99)
    link.put(4, 0, freshest=False)
    assert link.take(2) == [], "what is no frame is not taken past"
    assert [link.get(), link.get(), link.get()] == [3, 99, 4]
    assert dropped == []


def test_the_default_on_a_cpu_opens_no_second_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("not asked for")

    monkeypatch.setattr(model.Model, "open_together", refuse)
    monkeypatch.setattr(together, "_measured", refuse)
    with _model("segment") as opened:
        opened.open()
        assert frames_at_once([opened], 2, None) == 1
