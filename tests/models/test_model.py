"""Loading a model and looking at images, on real nets and real engines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import livevision
from livevision.config import Settings
from livevision.errors import ModelError, UsageError
from livevision.models import catalog, for_run
from livevision.results import ClassMap
from tests import small_models


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A weights folder with a card of each small net and no weights."""
    folder = tmp_path / "weights"
    folder.mkdir()
    for card in small_models.CARDS.values():
        (folder / f"{card.name}.md").write_text(
            f"---\nname: {card.name}\ntask: {card.task}\nnet: {card.net}\n"
            f"net_options: {dict(card.net_options)}\ninput_size: {list(card.input_size)}\n"
            f"fit: {card.fit}\nlabels: [{', '.join(card.labels)}]\n---\n# {card.name}\n"
        )
    monkeypatch.setattr(catalog, "weights_folder", lambda: folder)
    names = {task: card.name for task, card in small_models.CARDS.items()}
    monkeypatch.setattr(catalog, "DEFAULTS", names)
    return folder


def _ship(folder: Path, task: str, *suffixes: str) -> None:
    for suffix in suffixes:
        source = small_models.weights(task) if suffix == "safetensors" else small_models.graph(task)
        name = small_models.CARDS[task].name
        (folder / f"{name}.{suffix}").write_bytes(source.read_bytes())


def _wanted(**given: Any) -> Settings:
    """Settings of a run that detects, unless something else is asked for."""
    return Settings.of(source="webcam", untrained=True, **given)


def test_detections_of_an_image(cards: Path) -> None:
    _ship(cards, "detect", "safetensors", "onnx")
    image = small_models.picture(641, 359)
    with livevision.load("thundernet-small", conf=0.01) as loaded:
        assert loaded.engine_spec is None
        found = loaded(image)
        assert loaded.engine_spec is not None
        assert loaded.engine_spec.engine == "openvino"
    assert loaded.labels == list(small_models.VOC)
    assert loaded.task == "detect"
    assert len(found) > 3
    assert (found.xyxy >= 0).all()
    assert (found.xyxy <= [641, 359, 641, 359]).all()
    assert found.xyxy.max() > 128, "boxes are in the image's pixels, not in the input's"
    assert set(found.data["class_name"]) <= set(small_models.VOC)


def test_each_call_may_choose_anew(cards: Path) -> None:
    _ship(cards, "detect", "onnx")
    image = small_models.picture(200, 150)
    with livevision.load("thundernet-small", "onnx", conf=0.01) as loaded:
        every = loaded(image)
        strong = loaded(image, conf=float(np.median(every.confidence)))
        assert 0 < len(strong) < len(every)
        name = str(every.data["class_name"][0])
        assert set(loaded(image, classes=[name]).data["class_name"]) == {name}
        assert len(loaded(image, iou=0.01)) < len(loaded(image, iou=0.99))
        assert len(loaded(image)) == len(every), "the model's own settings stay"
        with pytest.raises(UsageError, match="unknown class"):
            loaded(image, classes=["persn"])


def test_an_object_has_one_class_in_every_call_unless_asked_otherwise(cards: Path) -> None:
    _ship(cards, "detect", "onnx")
    with livevision.load("thundernet-small", "onnx", imgsz=64) as loaded:
        # What the graph gives for a dog that might be a cat, whatever the picture.
        answer = {
            "boxes": np.array([[[8, 8, 50, 50], [8, 8, 50, 48]]], np.float32),
            "scores": np.array([[0.5, 0.9]], np.float32),
            "classes": np.array([[7, 11]], np.int32),
        }
        loaded.infer = lambda _: answer  # type: ignore[method-assign, assignment]
        image = small_models.picture(64, 64)
        assert loaded(image).class_id.tolist() == [11]
        assert loaded(image, class_agnostic=False).class_id.tolist() == [11, 7]
        assert loaded(image, classes=[7]).class_id.tolist() == [7]


def test_class_map_of_an_image(cards: Path) -> None:
    _ship(cards, "segment", "onnx")
    loaded = livevision.load("bisenet-small")
    found = loaded(small_models.picture(201, 99))
    assert isinstance(found, ClassMap)
    assert found.class_map.shape == (99, 201)
    assert sum(found.shares().values()) == pytest.approx(1)
    loaded.close()
    loaded.close()
    again = loaded(small_models.picture(201, 99))
    np.testing.assert_array_equal(again.class_map, found.class_map)
    with pytest.raises(UsageError, match="detection only"):
        loaded(small_models.picture(9, 9), classes=["car"])


def test_every_engine_finds_the_same(cards: Path) -> None:
    _ship(cards, "segment", "safetensors", "onnx")
    image = small_models.picture(300, 200)
    maps = [livevision.load("bisenet-small", e)(image).class_map for e in ("torch", "onnx", "auto")]
    assert (maps[0] != maps[1]).mean() <= 5e-3
    assert (maps[0] != maps[2]).mean() <= 5e-3


@pytest.mark.parametrize(
    ("image", "line"),
    [
        (None, "cv2.imread"),
        (np.zeros((4, 4, 3), np.float32), "float32.*uint8"),
        (np.zeros((4, 4), np.uint8), "COLOR_GRAY2BGR"),
        (np.zeros((4, 4, 1), np.uint8), "COLOR_GRAY2BGR"),
        (np.zeros((4, 4, 4), np.uint8), "COLOR_BGRA2BGR"),
        (np.zeros((1, 4, 4, 3), np.uint8), "H×W×3"),
        (np.zeros((0, 4, 3), np.uint8), "H×W×3"),
        (np.zeros((4, 4, 2), np.uint8), "H×W×3"),
    ],
)
def test_images_of_a_wrong_kind_are_told(cards: Path, image: Any, line: str) -> None:
    with pytest.raises(UsageError, match=line):
        livevision.load("bisenet-small", untrained=True)(image)


def test_odd_sizes_and_strides(cards: Path) -> None:
    _ship(cards, "segment", "onnx")
    loaded = livevision.load("bisenet-small")
    assert loaded(np.zeros((1, 1, 3), np.uint8)).class_map.shape == (1, 1)
    image = small_models.picture(90, 60)
    turned = loaded(image[::-1, ::-1]).class_map
    np.testing.assert_array_equal(turned, loaded(image[::-1, ::-1].copy()).class_map)


def test_untrained_nets_must_be_asked_for(cards: Path) -> None:
    with pytest.raises(ModelError, match=r"no trained weights.*--untrained"):
        livevision.load("thundernet-small")
    assert livevision.load("thundernet-small", untrained=True).name == "thundernet-small"


def test_a_graph_alone_never_stands_for_random_weights(cards: Path) -> None:
    _ship(cards, "segment", "onnx")
    with pytest.raises(ModelError, match=r"\.safetensors"):
        livevision.load("bisenet-small", "torch").open()
    with pytest.raises(ModelError, match=r"64x32.*\.safetensors"):
        livevision.load("bisenet-small", imgsz=(64, 32)).open()


def test_another_input_size_is_exported_once(cards: Path, tmp_path: Path) -> None:
    _ship(cards, "segment", "safetensors", "onnx")
    first = 0
    for _ in range(2):
        with livevision.load("bisenet-small", imgsz=(128, 64)) as loaded:
            loaded.open()
            assert loaded.engine_spec is not None
            assert loaded.engine_spec.inputs["image"].shape == (1, 64, 128, 3)
        (made,) = (tmp_path / "cache" / "livevision" / "graphs").iterdir()
        first = first or made.stat().st_ino
    assert made.stat().st_ino == first
    assert "128x64" in made.name


def test_weights_of_ones_own(cards: Path) -> None:
    image = small_models.picture(120, 80)
    own = livevision.load("bisenet-small", weights=small_models.weights("segment"))(image)
    _ship(cards, "segment", "onnx")
    shipped = livevision.load("bisenet-small")(image)
    np.testing.assert_array_equal(own.class_map, shipped.class_map)


def test_a_graph_runs_without_a_card() -> None:
    loaded = livevision.load(weights=str(small_models.graph("detect")))
    assert (loaded.name, loaded.task) == ("thundernet-small", "detect")
    assert loaded.labels == list(small_models.VOC)
    assert loaded.card.fit == "letterbox"
    with pytest.raises(UsageError, match="only"):
        livevision.load(weights=small_models.graph("detect"), imgsz=64)


def test_weights_that_do_not_fit_are_told(cards: Path) -> None:
    wrong = small_models.weights("detect")
    for engine in ("torch", "openvino"):
        with pytest.raises(ModelError, match="do not fit the net"):
            livevision.load("bisenet-small", engine, weights=wrong).open()
    with pytest.raises(UsageError, match="task detect"):
        livevision.load("bisenet-small", weights=small_models.graph("detect"))


def test_models_of_a_run(cards: Path) -> None:
    both = for_run.for_run(_wanted(task="both", classes=("person",))).models
    assert [m.task for m in both] == ["segment", "detect"]
    assert [m.class_agnostic for m in both if m.task == "detect"] == [True]
    every = for_run.for_run(_wanted(task="both", class_agnostic=False)).models
    assert [m.class_agnostic for m in every if m.task == "detect"] == [False]
    (alone,) = for_run.for_run(_wanted(model=("bisenet-small",))).models
    assert alone.task == "segment", "a model that is named settles the task"
    graph = small_models.graph("segment")
    (told,) = for_run.for_run(_wanted(weights=(graph,))).models
    assert told.task == "segment", "and so does a graph"
    files = (small_models.weights("segment"), small_models.graph("detect"))
    assert len(for_run.for_run(_wanted(task="both", weights=files)).models) == 2


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"task": "detect", "model": "bisenet-small"}, "does the task segment; requested: detect"),
        ({"model": ("bisenet-smal",)}, "Did you mean 'bisenet-small'"),
        ({"task": "classify", "model": "snet49", "classes": ("a",)}, "detection only"),
        ({"task": "segment", "classes": ("car",)}, "detection only"),
        (
            {"task": "both", "model": ("bisenet-small", "bisenet-small")},
            "given twice",
        ),
        ({"imgsz": (16, 16)}, "32 to 4096"),
        ({"classes": ("persn",)}, "Did you mean 'person'"),
    ],
)
def test_runs_that_cannot_be(cards: Path, changes: dict[str, Any], line: str) -> None:
    with pytest.raises(UsageError, match=line):
        for_run.for_run(_wanted(**changes))


@pytest.mark.parametrize("engine", ["auto", "openvino", "onnx"])
@pytest.mark.parametrize("task", small_models.CARDS)
def test_an_exported_model_runs_without_torch(engine: str, task: str, tmp_path: Path) -> None:
    kinds = {"detect": "Detections", "segment": "ClassMap", "classify": "Label"}
    code = f"""
import sys
sys.modules["torch"] = None
import numpy as np, livevision
image = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
model = livevision.load(weights={str(small_models.graph(task))!r}, engine={engine!r})
found = model(image)
assert type(found).__name__ == {kinds[task]!r}, found
model.close()
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
    )
    assert ran.returncode == 0, ran.stderr


def test_another_size_without_torch_says_what_is_missing(tmp_path: Path) -> None:
    code = f"""
import sys
sys.modules["torch"] = None
import livevision
from livevision.errors import ModelError
model = livevision.load("bisenet-xception39-camvid", imgsz=64, untrained=True,
                        weights={str(small_models.weights("segment"))!r})
try:
    model.open()
except ModelError as error:
    print(error)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
    )
    assert "64x64 needs PyTorch: pip install torch " in ran.stdout, ran.stderr


def test_loading_imports_no_engine() -> None:
    code = (
        "import sys, livevision; livevision.load('thundernet-snet49', untrained=True);"
        "assert not {'torch', 'openvino', 'onnxruntime', 'supervision'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
