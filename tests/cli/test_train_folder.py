"""`livevision train FOLDER`: labelled pictures, and the rest chosen and told."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import pytest
import yaml

import livevision
from livevision import cli
from livevision.models import catalog
from livevision.nets import build
from livevision.training.weights import save_weights
from tests.training import small_data

SHIPPED = {  # net, task and size of what stands in for the shipped models
    "thundernet-mobilenetv2": ("thundernet-mobilenetv2", "detect", 64),
    "bisenet-mobilenetv2-voc": ("bisenet-mobilenetv2", "segment", 64),
    "mobilenetv2-tiny-imagenet": ("mobilenetv2", "classify", 32),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of random weights in the place of the shipped ones."""
    folder = tmp_path_factory.mktemp("weights")
    for name, (net, task, side) in SHIPPED.items():
        save_weights(build(net, num_classes=3), folder / f"{name}.safetensors", ("aux_heads.",))
        card: dict[str, Any] = {"name": name, "task": task, "net": net, "labels": ["a", "b", "c"]}
        card |= {"input_size": [side, side], "net_options": {"num_classes": 3}}
        (folder / f"{name}.md").write_text(f"---\n{yaml.safe_dump(card)}---\n")
    return folder


@pytest.fixture(autouse=True)
def _here(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "weights_folder", lambda: models)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    small_data.draw_no_plots(monkeypatch)


def run(
    capfd: pytest.CaptureFixture[str], *arguments: object, code: int = 0
) -> tuple[list[str], str]:
    """Standard output's lines, and standard error."""
    got = cli.main(["train", *map(str, arguments)])
    out, err = capfd.readouterr()
    assert got == code, err
    return out.splitlines(), err


def yolo(root: Path, count: int = 12, splits: tuple[str, ...] = ("train",)) -> Path:
    """YOLO's form."""
    for split in splits:
        (root / "images" / split).mkdir(parents=True)
        (root / "labels" / split).mkdir(parents=True)
        for seed in range(count):
            image, (x1, y1, x2, y2) = small_data.drawn(seed)
            cv2.imwrite(str(root / "images" / split / f"{seed}.jpg"), image)
            w, h = small_data.WIDTH, small_data.HEIGHT
            line = f"0 {(x1 + x2) / 2 / w} {(y1 + y2) / 2 / h} {(x2 - x1) / w} {(y2 - y1) / h}\n"
            (root / "labels" / split / f"{seed}.txt").write_text(line)
    told = {split: f"images/{split}" for split in splits}
    (root / "data.yaml").write_text(yaml.safe_dump({"names": ["plate"], **told}))
    return root


def voc(root: Path, count: int = 12) -> Path:
    """Pascal VOC's form, without splits."""
    root.mkdir()
    for seed in range(count):
        image, box = small_data.drawn(seed)
        cv2.imwrite(str(root / f"{seed}.jpg"), image)
        keys = ("xmin", "ymin", "xmax", "ymax")
        corners = "".join(f"<{k}>{v + 1}</{k}>" for k, v in zip(keys, box, strict=True))
        item = f"<object><name>plate</name><bndbox>{corners}</bndbox></object>"
        (root / f"{seed}.xml").write_text(f"<annotation>{item}</annotation>")
    return root


def maps(root: Path) -> Path:
    small_data.class_maps(root, train=12, val=0)
    shutil.rmtree(root / "images" / "val")
    shutil.rmtree(root / "labels" / "val")
    (root / "classes.txt").write_text("dark\nbright\n")
    return root


def folders(root: Path) -> Path:
    """Class folders without splits."""
    small_data.class_folders(root / "all", train=12, val=0)
    shutil.move(root / "all" / "train", root / "mine")
    shutil.rmtree(root / "all")
    return root / "mine"


@pytest.mark.parametrize(
    ("make", "task", "model"),
    [
        (lambda root: small_data.boxes(root / "coco"), "detect", "thundernet-mobilenetv2"),
        (lambda root: yolo(root / "yolo") / "data.yaml", "detect", "thundernet-mobilenetv2"),
        (lambda root: voc(root / "voc"), "detect", "thundernet-mobilenetv2"),
        (lambda root: maps(root / "maps"), "segment", "bisenet-mobilenetv2-voc"),
        (folders, "classify", "mobilenetv2-tiny-imagenet"),
    ],
    ids=["coco", "yolo", "voc", "class-maps", "class-folders"],
)
def test_one_command_from_pictures_to_a_model_that_runs(
    make: Any, task: str, model: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = make(tmp_path)
    out, said = run(capfd, data, "--epochs", 1, "--batch", 6)
    name = data.parent.name if data.suffix else data.name
    assert f"task: {task}" in said
    assert f"from the weights of {model} (--model NAME, --imgsz N)" in said
    assert "1 epochs, " in said
    assert "(--epochs N, --batch N)" in said
    assert f"results: runs/{name}, " in said
    assert ("every tenth picture is set aside" in said) == (name != "coco")
    assert out[0].startswith("best after step ")
    assert out[-1] == f"run it: livevision --source webcam --weights runs/{name}/best.safetensors"
    recipe = yaml.safe_load(Path(f"runs/{name}/recipe.yaml").read_text())
    assert (recipe["task"], recipe["initial_weights"], recipe["epochs"]) == (task, model, 1.0)
    # The command that was told, on a picture.
    picture = next(p for p in sorted(tmp_path.rglob("*.jpg")) + sorted(tmp_path.rglob("*.png")))
    command = out[-1].removeprefix("run it: livevision ").replace("webcam", str(picture)).split()
    assert cli.main([*command, "--engine", "torch", "--headless", "--output", "found.jsonl"]) == 0


def test_the_same_pictures_are_set_aside_again_and_it_resumes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = yolo(tmp_path / "mine")
    first = run(capfd, data, "--epochs", 1)[1]
    again = run(capfd, data, "--epochs", 1, "--resume")[1]
    assert "finished, all" in again
    lines = [line for line in first.splitlines() if "its part" in line]
    assert "(10)" in lines[0] or "(11)" in lines[0]
    assert "--resume it" in run(capfd, data, "--epochs", 1, code=2)[1]
    assert "epochs was 1.0 and is 2.0" in run(capfd, data, "--epochs", 2, "--resume", code=2)[1]


def test_what_is_said_counts(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = yolo(tmp_path / "mine", splits=("train", "val"))
    flags = ["--net", "thundernet-snet146", "--imgsz", "96x64", "--batch", 3, "--out", "there"]
    _, said = run(capfd, data, *flags, "--set", "steps=2", "--set", "seed=5", "--device", "cpu")
    assert "net: thundernet-snet146 at 96x64, from random weights" in said
    assert "length: 2 steps of 3 pictures" in said
    assert "set aside" not in said
    recipe = yaml.safe_load(Path("there/recipe.yaml").read_text())
    assert recipe["data"]["val"] == [{"path": str(data), "split": "val"}]
    assert (recipe["net"], recipe["input_size"], recipe["batch_size"], recipe["steps"]) == (
        "thundernet-snet146", [96, 64], 3, 2,
    )  # fmt: skip
    assert (recipe["seed"], recipe["device"], recipe["initial_weights"]) == (5, "cpu", "")
    # And from there on, by the weights' file.
    _, said = run(
        capfd, data, "--model", "there/best.safetensors", "--set", "steps=1", "--out", "more"
    )
    assert "net: thundernet-snet146 at 96x64, from the weights of there/best.safetensors" in said


def test_val_pictures_that_are_trained_on_are_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = yolo(tmp_path / "mine")
    (data / "data.yaml").write_text("names: [plate]\ntrain: images/train\nval: images/train\n")
    _, said = run(capfd, data, "--epochs", 1)
    assert "12 of the 12 val pictures are trained on too: scores flatter" in said


def test_both_tasks_of_a_folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = small_data.class_maps(tmp_path / "mine", train=4, val=2)
    (data / "classes.txt").write_text("dark\nbright\n")
    small_data.boxes(tmp_path / "boxes")
    for split in ("train", "val"):
        shutil.copy(tmp_path / "boxes" / f"instances_{split}.json", data)
    _, said = run(capfd, data, "--epochs", 1, "--out", "a")
    assert "task: detect; it has labels for segment too (--task segment)" in said
    _, said = run(capfd, data, "--epochs", 1, "--out", "b", "--task", "segment")
    assert "from the weights of bisenet-mobilenetv2-voc" in said
    _, said = run(capfd, data, "--epochs", 1, "--out", "c", "--model", "bisenet-mobilenetv2-voc")
    assert yaml.safe_load(Path("c/recipe.yaml").read_text())["task"] == "segment"


def test_soft_labels_of_a_folder_are_used(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = maps(tmp_path / "mine")
    small_data.soft_labels(data)
    _, said = run(capfd, data, "--epochs", 1, "--batch", 6)
    assert "soft labels: half of the loss comes from them" in said
    assert "soft labels of 11 of 11 pictures" in said
    recipe = yaml.safe_load(Path("runs/mine/recipe.yaml").read_text())
    assert recipe["task_options"]["soft_labels"] == {"weight": 0.5, "temperature": 2.0}
    without = ("--set", "task_options.soft_labels=null", "--out", "without")
    _, said = run(capfd, data, "--epochs", 1, "--batch", 6, *without)
    assert "soft labels of" not in said


def test_a_model_without_weights_begins_at_random(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    few = tmp_path / "few"
    few.mkdir()
    shutil.copy(models / "thundernet-mobilenetv2.md", few)
    monkeypatch.setattr(catalog, "weights_folder", lambda: few)
    _, said = run(capfd, yolo(tmp_path / "mine"), "--epochs", 1)
    assert "from random weights" in said


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], 2, "say what to train on: livevision train FOLDER"),
        (["nothing/here"], 3, "nothing/here: there is no such folder"),
        (["nothing.zip"], 3, "nothing.zip: there is no such folder or file"),
        (["nothing"], 2, "there is no file or folder 'nothing'"),
        (["bare"], 3, "bare: no labels were found there"),
        (["tests-only"], 3, "none of its splits is called train; it has test"),
        (["mine", "--task", "segment"], 3, "no labels for the task segment"),
        (["mine", "--model", "mobilenetv2-tiny-imagenet"], 2, "does the task classify"),
        (["mine", "--model", "thundernet-snet94"], 2, "unknown model or net 'thundernet-snet94'"),
        (["mine", "--model", "gone.safetensors"], 2, "--model gone.safetensors: there is no such"),
        (["mine", "--imgsz", "big"], 2, "--imgsz 'big'"),
        (["mine", "--epochs", "0"], 2, "epochs"),
        (["mine", "--set", "stepz=1"], 2, "Did you mean 'steps'"),
        (["mine", "--set", "steps=5", "--set", "epochs=5"], 2, "one of the two"),
        (["mine", "--data", "."], 2, "--data . is for recipes"),
        (["mine", "bare"], 2, "takes one folder or recipe"),
        (["thundernet-snet49", "--model", "thundernet-snet49"], 2, "--model is for a folder"),
        (
            ["data=mine", "model=yolo11n.pt", "epochs=3", "imgsz=320"],
            2,
            "livevision train mine --epochs 3 --imgsz 320;",
        ),
        (["mine", "epochs=3"], 2, "livevision train mine --epochs 3;"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: list[str],
    code: int,
    told: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    yolo(tmp_path / "mine", count=3)
    yolo(tmp_path / "tests-only", count=3, splits=("test",))
    (tmp_path / "bare").mkdir()
    cv2.imwrite(str(tmp_path / "bare" / "a.jpg"), small_data.drawn(0)[0])
    out, said = run(capfd, *arguments, code=code)
    assert out == []
    assert told in said
    assert said.count("error: ") == 1
    assert "internal error" not in said
    assert not (tmp_path / "runs").exists()


def test_a_folder_is_trained_on_from_python(tmp_path: Path) -> None:
    best = livevision.train(yolo(tmp_path / "mine"), settings=["steps=1", "batch_size=2"])
    assert best["step"] == 1
    assert Path("runs/mine/best.safetensors").is_file()


def test_the_flags_are_a_recipe_s_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    small_data.class_maps(tmp_path / "maps")
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({**small_data.SEGMENT, **small_data.SHORT}))
    out, _ = run(capfd, file, "--epochs", 2, "--batch", 4, "--imgsz", "64x64", "--device", "cpu")
    recipe = yaml.safe_load(Path("runs/mine/recipe.yaml").read_text())
    assert (recipe["epochs"], recipe["batch_size"], recipe["input_size"]) == (2.0, 4, [64, 64])
    assert out[-1].startswith("run it: livevision ")


def test_one_folder_of_pictures_is_no_class(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    yolo(tmp_path / "mine")
    _, err = run(capfd, tmp_path / "mine" / "images", code=3)
    assert "all pictures are in one folder, train" in err
    assert not (tmp_path / "runs").exists()


def test_a_model_of_ultralytics_is_answered(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    yolo(tmp_path / "mine")
    _, err = run(capfd, tmp_path / "mine", "--model", "yolov8n.pt", code=2)
    assert "YOLO weights are not supported" in err
