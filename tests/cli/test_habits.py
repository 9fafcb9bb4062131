"""Commands in other tools' words: each is refused with the right flag named."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

import livevision
from livevision import cli
from livevision.cli import habits as cli_habits
from livevision.config import Settings, habits
from livevision.errors import UsageError


def refused(words: str, capfd: pytest.CaptureFixture[str]) -> str:
    assert cli.main(shlex.split(words)) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("livevision: error: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("predict source=in.mp4", "livevision --source in.mp4"),
        ("source=in.mp4", "livevision --source in.mp4"),
        ("help", "livevision COMMAND --help"),
        ("help train", "livevision COMMAND --help"),
        ("version", "livevision --version"),
        ("source=0 show=True", "livevision --source 0 --output window"),
        ("detect predict source=a.mp4", "livevision --task detect --source a.mp4"),
        ("task=segment mode=predict source=a.mp4", "livevision --task segment --source a.mp4"),
        ("predict source='my file.mp4' conf=0.5 imgsz=640 device=0", "--source 'my file.mp4' "
         "--conf 0.5 --imgsz 640 --device cuda:0"),
        ("predict source=a.mp4 save show=False half", "--source a.mp4 --output runs/ --precision "
         "fp16"),
        ("predict source=a.mp4 classes=[0,2] max_det=5 vid_stride=2", "--classes 0,2 --max-det 5 "
         "--vid-stride 2"),
        ("predict model=yolo11n.pt source=a.mp4", "livevision --source a.mp4; YOLO weights are "
         "not supported; `livevision models`"),
        ("predict model=yolo11n-seg.pt source=a.mp4", "livevision --task segment --source a.mp4;"),
        ("predict model=thundernet-snet49 source=a.mp4", "--model thundernet-snet49 --source"),
        ("predict model=yolo11n.pt", "--source …"),
        ("predict --source a.mp4 --conf 0.5", "livevision --source a.mp4 --conf 0.5"),
        ("predict source=a.mp4 line_width=2", "line-width: boxes and labels are always drawn"),
        ("predict source=a.mp4 nonsense=2", "nonsense: there is nothing of that name"),
        ("track source=0 tracker=a.yaml", "livevision --track --source 0; tracker: --track"),
        ("val data=coco8.yaml", "livevision eval --model NAME --data FOLDER"),
        ("pose predict source=a.mp4", "poses are not in this version"),
        ("detectnet /dev/video0 out.mp4", "livevision --task detect --source /dev/video0 --output "
         "out.mp4"),
        ("segnet csi://0", "livevision --task segment --source csi://0"),
        ("in.mp4 out.mp4", "livevision --source in.mp4 --output out.mp4"),
        ("0", "livevision --source 0"),
        ("rtsp://me:secret@cam/1", "livevision --source 'rtsp://***@cam/1'"),
        ("predict source=rtsp://me:secret@cam/1", "rtsp://***@cam/1"),
        ("export model=yolo11n.pt format=onnx", "livevision export NAME --format onnx; YOLO"),
        ("export model=thundernet-snet49 format=engine imgsz=320", "livevision export "
         "thundernet-snet49 --format tensorrt --imgsz 320"),
        ("run source=a.mp4", "--source a.mp4"),
        ("--source a.mp4 --rect", "--imgsz fit"),
        ("--source a source='rtsp://me:my secret@cam/1'", "rtsp://***@cam/1"),
        ("predict 'rtsp://me:my secret@cam/1'", "rtsp://***@cam/1"),
        ("--source a.mp4 conf=0.5", "'conf=0.5': here it is --conf 0.5"),
        ("--source a.mp4 save=True show=True", "--output runs/ --output window"),
        ("--source a.mp4 --classes 0 2 5", "--classes 0,2,5"),
        ("--source a.mp4 --show", "--output window"),
        ("--source a.mp4 --view-img", "--output window"),
        ("--source a.mp4 --save", "--output FILE.mp4"),
        ("--source a.mp4 --save-txt", "--output results.jsonl"),
        ("--source a.mp4 --save_txt", "--output results.jsonl"),
        ("--source a.mp4 --half", "--precision fp16"),
        ("--source a.mp4 --img 640", "--imgsz"),
        ("--source a.mp4 --conf-thres 0.4", "--conf"),
        ("--source a.mp4 --iou_thres 0.4", "--iou"),
        ("--source a.mp4 --project x", "--output FOLDER/"),
        ("--source a.mp4 --exist-ok", "--overwrite"),
        ("--source a.mp4 --nosave", "without --output"),
        ("--source a.mp4 -o x.mp4", "--output"),
        ("-i a.mp4", "--source"),
        ("--input a.mp4", "--source"),
        ("--source a.mp4 --network ssd", "--model"),
        ("--source a.mp4 --threshold 0.4", "--conf"),
        ("--source a.mp4 --device 0", "cuda:0"),
        ("--source a.mp4 --device gpu", "is not auto, cpu, cuda or cuda:N"),
        ("--source a.mp4 --vid_stride 2", "--vid-stride"),
    ],
)  # fmt: skip
def test_the_right_flag_is_named(words: str, says: str, capfd: pytest.CaptureFixture[str]) -> None:
    said = refused(words, capfd)
    assert says in said
    assert "secret" not in said


def test_the_command_that_is_named_is_one(tmp_path: Path) -> None:
    line = cli_habits.answer(
        shlex.split("predict source=a.mp4 conf=0.5 iou=0.6 imgsz=640 device=0 save half max_det=3 "
                    "classes=0,2 vid_stride=2 show_labels=True verbose=False model=yolo11s-seg.pt")
    )  # fmt: skip
    assert line is not None
    from livevision.cli.options import given
    from livevision.cli.run import command

    words = shlex.split(line.partition("here: livevision ")[2].partition("; ")[0])
    settings = Settings.of(**given(command.make_context("run", words)))
    assert settings.task == "segment"
    assert (settings.conf, settings.iou, settings.imgsz) == (0.5, 0.6, (640, 640))
    assert (settings.device, settings.precision, settings.max_det) == ("cuda:0", "fp16", 3)
    assert (settings.classes, settings.vid_stride, settings.output) == ((0, 2), 2, ("runs/",))
    assert settings.verbose is False


def test_every_flag_that_is_named_is_one() -> None:
    flags = {f"--{name.replace('_', '-')}" for name in Settings.model_fields}
    flags |= {f"--no-{name.replace('_', '-')}" for name in Settings.model_fields} | {"--config"}
    for name, instead in habits._BY_NAME.items():
        assert name.replace("-", "_") not in Settings.model_fields, "it is taken as it is"
        named = {word.rstrip(",;:") for word in instead.split() if word.startswith("--")}
        assert named <= flags, instead


@pytest.mark.parametrize("name", ["yolo11n.pt", "yolov8s", "best.pt", "YOLO11n"])
def test_models_of_ultralytics_are_named_as_such(name: str) -> None:
    with pytest.raises(UsageError, match="YOLO weights are not supported; `livevision models`"):
        livevision.load(name)


def test_settings_of_other_names_in_yaml_and_python(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match=r"unknown setting .show.\..*--output window"):
        Settings.of(source="a.mp4", show=True)
    with pytest.raises(UsageError, match="for GPU 0: cuda:0"):
        Settings.of(source="a.mp4", device=0)
    config = tmp_path / "run.yaml"
    config.write_text("source: a.mp4\nconf_thres: 0.4\n")
    assert f"{config}:2: unknown setting 'conf_thres'" in refused(f"--config {config}", capfd)


def test_a_file_with_an_equals_sign_is_still_a_source(tmp_path: Path) -> None:
    assert cli_habits.answer(["--source", "a=b.mp4", "--output", "c=d.mp4"]) is None


def test_without_an_output_it_is_told_that_nothing_is_kept(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from tests import clips

    clip = clips.constant_rate(tmp_path / "in.mp4", frames=2)
    light = ["--source", str(clip.path), "--model", "thundernet-snet49", "--headless"]
    assert cli.main(light) == 0
    assert "--headless without --output: nothing is kept; add --output" in capfd.readouterr().err
    assert cli.main([*light, "--report", str(tmp_path / "r.json")]) == 0
    assert "nothing but the report is kept" in capfd.readouterr().err
    assert cli.main([*light, "--output", str(tmp_path / "o.jsonl")]) == 0
    assert "kept" not in capfd.readouterr().err
