"""The input of third-party graphs: colours, range, layout and dtype, on every engine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import livevision
from livevision.errors import ModelError, UsageError
from livevision.models import keeping
from livevision.models.foreign.opening import open_foreign
from livevision.preprocess.fit import make_fit
from tests.models.foreign import making

IMAGE = np.empty((32, 32, 3), np.uint8)
IMAGE[:] = (40, 90, 200)  # blue, green, red


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("engine", ["openvino", "onnx"])
@pytest.mark.parametrize(
    ("size", "dtype"),
    [
        ((1, 3, 32, 32), TensorProto.FLOAT),
        ((1, 32, 32, 3), TensorProto.FLOAT),
        ((1, 3, 32, 32), TensorProto.FLOAT16),
    ],
    ids=["NCHW", "NHWC", "fp16"],
)
@pytest.mark.parametrize("colour", ["RGB", "BGR"])
def test_pixels_are_normalised_in_the_described_order(
    engine: str, size: tuple[int, ...], dtype: int, colour: str, tmp_path: Path
) -> None:
    path = making.mean_colours(tmp_path / "m.onnx", size, dtype)
    path.with_suffix(".yaml").write_text(
        f"colour: {colour}\nmean: [10, 20, 30]\nstd: [50, 60, 70]\nlabels: [a, b, c]\n"
        "fit: stretch\n"
    )
    pixels = np.array([200, 90, 40] if colour == "RGB" else [40, 90, 200])
    expected = (pixels - [10, 20, 30]) / [50, 60, 70]
    powers = np.exp(expected - expected.max())
    with livevision.load(path, engine) as model:
        found = model(IMAGE)
    scores = np.empty(3)
    scores[found.class_id] = found.confidence
    assert scores == pytest.approx(powers / powers.sum(), rel=2e-3)


@pytest.mark.parametrize("size", [(1, 3, 32, 32), (1, 32, 32, 3)], ids=["NCHW", "NHWC"])
def test_a_uint8_graph_gets_uint8(size: tuple[int, ...], tmp_path: Path) -> None:
    path = making.mean_colours(tmp_path / "u.onnx", size, TensorProto.UINT8)
    path.with_suffix(".yaml").write_text("colour: RGB\nlabels: [a, b, c]\n")
    with livevision.load(path, "onnx") as model:
        found = model(IMAGE)
    assert found.class_id.tolist()[0] == 0  # red is the brightest


def test_an_input_may_have_a_reserved_name(tmp_path: Path) -> None:
    scores = np.array([[0.25, 0.75]], np.float32)
    path = making.fixed(tmp_path / "i.onnx", {"scores": scores}, image="image")
    path.with_suffix(".yaml").write_text(
        "colour: RGB\nmean: [0, 0, 0]\nstd: [1, 1, 1]\nlabels: [a, b]\n"
    )
    for engine in ("openvino", "onnx"):
        with livevision.load(path, engine) as model:
            assert model(IMAGE).confidence == pytest.approx([0.75, 0.25])


def test_the_cached_file_is_used_again(tmp_path: Path) -> None:
    path = making.fixed(tmp_path / "x.onnx", {"output": np.zeros((1, 84, 85), np.float32)})
    before = path.read_bytes()
    first, _ = open_foreign(path, "coco80").file((64, 64))
    stamp = first.stat().st_mtime_ns
    assert open_foreign(path).file((64, 64)) == (first, ())
    assert first.stat().st_mtime_ns == stamp
    assert path.read_bytes() == before
    onnx.checker.check_model(onnx.load(first), full_check=True)
    with pytest.raises(UsageError, match="takes images of 64x64 only; given: 96x96"):
        livevision.load(path, imgsz=96)


def test_letterboxes_by_corner_and_colour() -> None:
    image = np.full((10, 20, 3), 200, np.uint8)
    corner, placement = make_fit("letterbox-top-left", (20, 20), 114).place(image)
    assert (corner[0, :10] == 200).all()
    assert (corner[0, 10:] == 114).all()
    assert placement.offset == (0, 0)
    middle, placement = make_fit("letterbox", (20, 20), 0).place(image)
    assert (middle[0, 5:15] == 200).all()
    assert (middle[0, :5] == 0).all()
    assert placement.offset == (0, 5)
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 255
    square, _ = make_fit("centre-square", (10, 10)).place(wide)
    assert (square == 255).all()


# What tells how a graph is run -------------------------------------------------------------------


def test_the_description_overrides_the_graph(tmp_path: Path) -> None:
    path = making.fixed(tmp_path / "x.onnx", {"output": np.zeros((1, 84, 7), np.float32)})
    path.with_suffix(".yaml").write_text(
        "colour: rgb\nfill: 0\nlabels: names.txt\nlicence: CC0-1.0\n"
    )
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    card = open_foreign(path).card()
    assert (card.labels, card.licence, card.fill) == (("cat", "dog"), "CC0-1.0", 0)
    assert open_foreign(path).description.colour == "RGB"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("colours: RGB", "unknown key 'colours'. Did you mean 'colour'"),
        ("colour: CMYK", "unknown colour"),
        ("fit: squeeze", "unknown fit"),
        ("resize: bicubic", "unknown resize 'bicubic'"),
        ("output: yolo99", "unknown output"),
        ("std: [0.229, 0.224, 0.225]", "multiply them by 255"),
        ("std: [1, 2]", "take three numbers"),
        ("mean: high", "mean and std three"),
        ("input_size: [32, 32]", "its description has 32x32"),
        ("labels: 3", "labels takes a list"),
        ("- yolox", "has no keys"),
        ("a: [", "cannot be read"),
    ],
)
def test_an_invalid_description(text: str, says: str, tmp_path: Path) -> None:
    path = making.fixed(tmp_path / "x.onnx", {"output": np.zeros((1, 84, 85), np.float32)})
    path.with_suffix(".yaml").write_text(text)
    with pytest.raises(ModelError) as caught:
        livevision.load(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_values_are_reported_with_an_example(tmp_path: Path) -> None:
    path = making.mean_colours(tmp_path / "m.onnx", (1, 3, 32, 32))
    with pytest.raises(ModelError) as caught:
        livevision.load(path)
    text = str(caught.value)
    assert "does not contain its colour, mean, std" in text
    # The example is YAML that does, once it is put there.
    example = text.partition("for example: ")[2].replace('"coco80"', "coco80")
    path.with_suffix(".yaml").write_text(example.replace("labels: coco80", "labels: [a, b, c]"))
    with livevision.load(path, "onnx") as model:
        assert len(model(IMAGE).class_id) == 3


def test_guessed_labels_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for classes, first, says in ((80, "person", "coco80"), (3, "class 0", "their numbers")):
        rows = np.zeros((1, 84, 5 + classes), np.float32)
        path = making.fixed(tmp_path / f"{classes}.onnx", {"output": rows})
        assert livevision.load(path).labels[0] == first
        assert says in caplog.text
    caplog.clear()
    assert livevision.load(tmp_path / "80.onnx", labels="coco80").labels[2] == "car"
    assert "assumed to be" not in caplog.text


# Files that cannot be run ------------------------------------------------------------------------


def _odd(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / f"{kind}.onnx"
    scores = {"scores": np.zeros((1, 2), np.float32)}
    value = helper.make_tensor_value_info
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "pickle":
        path.write_bytes(b"\x80\x04\x95rest")
    elif kind == "text":
        path.write_text("hello, I am no graph")
    elif kind == "cut":
        making.fixed(path, scores)
        path.write_bytes(path.read_bytes()[:-40])
    elif kind == "large":
        with path.open("wb") as file:
            file.truncate(4 * 10**9)  # takes no room on the disk
    elif kind == "int64":
        making.fixed(path, scores, dtype=TensorProto.INT64)
    elif kind == "batch":
        making.fixed(path, scores, (8, 3, 64, 64))
    elif kind == "grey":
        making.fixed(path, scores, (1, 1, 64, 64))
    elif kind in ("rank", "operator"):
        rank = None if kind == "rank" else [1, 3, 64, 64]
        name, domain = ("Flatten", "") if kind == "rank" else ("DeformAttention", "mmdeploy")
        making.save(
            path,
            [helper.make_node(name, ["x"], ["y"], domain=domain)],
            [value("x", TensorProto.FLOAT, rank)],
            [value("y", TensorProto.FLOAT, [1, 12288])],
            domains=["mmdeploy"],
        )
    elif kind == "rotated":
        told = {"names": "['a', 'b']", "imgsz": "[64, 64]", "task": "obb"}
        making.fixed(path, {"output0": np.zeros((1, 7, 84), np.float32)}, metadata=told)
    elif kind == "weights":
        onnx.save(
            onnx.load(making.segmenter(path, (1, 3, 64, 64))),
            path,
            save_as_external_data=True,
            location="weights.bin",
            size_threshold=0,
        )
        (tmp_path / "weights.bin").unlink()
    elif kind == "folder":
        path.mkdir()
    elif kind == "archive":
        path.write_bytes(b"PK\x03\x04rest")
    elif kind == "two":
        both = [value(n, TensorProto.FLOAT, [1, 3, 64, 64]) for n in "ab"]
        node = helper.make_node("Add", ["a", "b"], ["y"])
        making.save(path, [node], both, [value("y", TensorProto.FLOAT, [1, 3, 64, 64])])
    return path


ODD = {
    "missing": "no such file",
    "empty": "is empty",
    "pickle": "pickle",
    "text": "not an ONNX file",
    "cut": "not an ONNX file, or cut short",
    "large": "4.0 GB",
    "int64": "int64",
    "batch": "takes 8 images a call",
    "grey": "three channels",
    "rank": "no fixed number of dimensions",
    "operator": "mmdeploy.DeformAttention",
    "two": "only one image",
    "rotated": "for the task 'obb'; livevision reads detect",
    "weights": "weights.bin",
    "folder": "no such file",
    "archive": "which can run any code",
}


@pytest.mark.parametrize("kind", ODD)
def test_invalid_files(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        livevision.load(_odd(tmp_path, kind))
    assert ODD[kind] in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["pickle", "operator", "int64", "large"])
def test_invalid_files_end_the_command_with_4(kind: str, tmp_path: Path) -> None:
    path = _odd(tmp_path, kind)
    asked = ["--source", "synthetic", "--model", str(path), "--headless"]
    done = subprocess.run(
        [sys.executable, "-m", "livevision", *asked, "--output", str(tmp_path / "out.jsonl")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    (line,) = done.stderr.splitlines()
    assert ODD[kind] in line


def test_weights_in_a_separate_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    whole = making.segmenter(tmp_path / "whole.onnx", (1, 3, 64, 64))
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    with livevision.load(whole, "onnx") as model:
        expected = model(image).class_map
    path = tmp_path / "parts" / "theirs.onnx"
    path.parent.mkdir()
    onnx.save(
        onnx.load(whole), path, save_as_external_data=True, location="w.data", size_threshold=0
    )
    whole.with_suffix(".yaml").rename(path.with_suffix(".yaml"))
    with livevision.load(path, "onnx") as model:
        assert np.array_equal(model(image).class_map, expected)
    keeping.keep_file("mine", path)
    shutil.rmtree(path.parent)
    for engine in ("onnx", "openvino"):
        with livevision.load("mine", engine) as model:
            assert np.array_equal(model(image).class_map, expected)


@pytest.mark.parametrize("name", ["orig_target_sizes", "orig_sizes"])
def test_the_input_for_sizes_has_several_names(name: str, tmp_path: Path) -> None:
    outputs = {
        "labels": np.array([[1]], np.int64),
        "boxes": np.array([[[0, 16, 32, 48]]], np.float32),
        "scores": np.array([[0.9]], np.float32),
    }
    path = making.fixed(tmp_path / "rt.onnx", outputs, sizes=True)
    model = onnx.load(path)
    model.graph.input[1].name = name
    model.graph.input[1].type.tensor_type.shape.dim[0].dim_param = "N"
    onnx.save(model, path)
    with livevision.load(path, "onnx") as loaded:
        assert loaded(IMAGE).xyxy.tolist() == [[0, 8, 16, 24]]


def test_the_number_of_labels_must_match(tmp_path: Path) -> None:
    path = making.fixed(tmp_path / "x.onnx", {"output": np.zeros((1, 84, 7), np.float32)})
    with pytest.raises(ModelError, match="it has 2 classes, but there are 80 labels"):
        livevision.load(path, labels="coco80")
    with pytest.raises(UsageError, match=r"labels 'coco': .*give coco80"):
        livevision.load(path, labels="coco")


def test_a_class_without_a_label(tmp_path: Path) -> None:
    rows = np.zeros((1, 300, 6), np.float32)
    rows[0, 0] = [24, 28, 40, 36, 0.9, 2]
    told = {"names": "{0: 'cat', 1: 'dog'}", "imgsz": "[64, 64]"}
    path = making.fixed(tmp_path / "e.onnx", {"output0": rows}, metadata=told)
    with (
        livevision.load(path, "onnx") as model,
        pytest.raises(ModelError, match="found class 2 and has 2 labels"),
    ):
        model(IMAGE)


def test_labels_are_only_for_third_party_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has its own"):
        livevision.load("thundernet-snet49", labels="voc20")
