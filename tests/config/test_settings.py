"""The settings of a run: bounds, one-line errors, YAML under flags, and YAML back."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from livevision.config import Settings
from livevision.config.yaml_file import load
from livevision.errors import UsageError
from livevision.shipped import shipped


def write(folder: Path, text: str) -> Path:
    file = folder / "run.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def refusal(**values: Any) -> str:
    with pytest.raises(UsageError) as caught:
        Settings.of(**values)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_defaults_are_those_that_are_promised() -> None:
    settings = Settings.of(source="webcam")
    assert (settings.conf, settings.iou, settings.max_det) == (0.25, 0.5, 100)
    assert (settings.task, settings.mode, settings.engine) == ("detect", "auto", "auto")
    assert settings.retry_for == 30
    assert settings.class_agnostic
    assert not settings.task_given


def test_values_take_their_form() -> None:
    settings = Settings.of(
        source=[0, Path("in.mp4")],
        imgsz="640x352",
        classes="person, 3",
        retry_for="inf",
        report="run.json",
        task="both",
    )
    assert settings.source == ("0", "in.mp4")
    assert settings.imgsz == (640, 352)
    assert settings.classes == ("person", 3)
    assert math.isinf(settings.retry_for)
    assert settings.report == Path("run.json")
    assert settings.tasks == ("segment", "detect")
    assert settings.task_given


@pytest.mark.parametrize(
    ("size", "pair"), [(320, (320, 320)), ("320", (320, 320)), ([640, 352], (640, 352))]
)
def test_input_sizes(size: Any, pair: tuple[int, int]) -> None:
    assert Settings.of(source="a", imgsz=size).imgsz == pair


def test_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    settings = Settings.of(source="~/in.mp4", output="~/out.mp4", report="~/r.json", weights="~/w")
    assert settings.source == ("/home/someone/in.mp4",)
    assert settings.output == ("/home/someone/out.mp4",)
    assert settings.report == Path("/home/someone/r.json")
    assert settings.weights == (Path("/home/someone/w"),)


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"source": []}, ["no source was given"]),
        ({}, ["no source was given"]),
        ({"source": ""}, ["an empty source"]),
        ({"source": "a", "conf": 2}, ["conf", "2", "from 0 to 1"]),
        ({"source": "a", "conf": math.nan}, ["conf", "nan", "from 0 to 1"]),
        ({"source": "a", "max_det": 0}, ["max_det", "0", "a whole number from 1"]),
        ({"source": "a", "max_frames": "1.5"}, ["max_frames", "1.5", "whole number"]),
        ({"source": "a", "headless": "maybe"}, ["headless", "maybe", "true or false"]),
        ({"source": "a", "imgsz": "wide"}, ["imgsz", "wide", "640x352"]),
        ({"source": "a", "imgsz": "fitted"}, ["imgsz", "fitted", "or fit"]),
        ({"source": "a", "imgsz": 8}, ["imgsz", "8x8", "from 32 to 4096"]),
        ({"source": "a", "classes": ""}, ["classes", "class names or numbers"]),
        ({"source": "a", "device": "gpu"}, ["device", "'gpu'", "cuda:N"]),
        ({"source": "a", "task": "segmnt"}, ["'segmnt'", "Did you mean 'segment'?", "both"]),
        ({"source": "a", "engine": "openvin"}, ["Did you mean 'openvino'?"]),
        ({"source": "a", "tsak": "detect"}, ["'tsak'", "Did you mean 'task'?"]),
        ({"source": "a", "weights": ["a", "b"]}, ["2 values of weights", "task both"]),
        ({"source": "a", "output": ["o.mp4", "o.mp4"]}, ["same output", "twice"]),
        ({"source": "a", "verbose": True, "quiet": True}, ["verbose and quiet"]),
        ({"source": {"a": 1}}, ["source", "is not a text"]),
    ],
)
def test_wrong_values_are_told_in_one_line(values: dict[str, Any], parts: list[str]) -> None:
    text = refusal(**values)
    for part in parts:
        assert part in text


def test_two_models_go_with_two_tasks() -> None:
    assert Settings.of(source="a", task="both", model=["a", "b"]).model == ("a", "b")


def test_flags_overrule_the_file_one_by_one(tmp_path: Path) -> None:
    file = write(tmp_path, "source: file.mp4\nconf: 0.4\nmax-det: 7\nheadless: on\n")
    settings = load(file, {"conf": "0.6", "headless": False})
    assert settings.source == ("file.mp4",)
    assert settings.conf == 0.6
    assert settings.max_det == 7
    assert settings.headless is False


def test_a_list_of_a_flag_replaces_that_of_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "source: [a.mp4, b.mp4]\nvid_stride: 2\n")
    settings = load(file, {"source": ("c.mp4",)})
    assert settings.source == ("c.mp4",)
    assert settings.vid_stride == 2


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("source: a\ncnf: 0.3\n", ["run.yaml:2", "unknown setting 'cnf'", "Did you mean 'conf'?"]),
        ("source: a\n\nconf: high\n", ["run.yaml:3", "conf", "'high'", "from 0 to 1"]),
        ("source: a\ntask: detct\n", ["run.yaml:2", "Did you mean 'detect'?"]),
        ("source: a\nconf: 0.1\nconf: 0.2\n", ["run.yaml:3", "conf", "second time"]),
        ("source: a\ntask: [detect\n", ["run.yaml:3", "not valid YAML"]),
        ("source: !!python/object/apply:os.getcwd []\n", ["run.yaml:1", "not valid YAML"]),
        ("source: 2026-13-45\n", ["run.yaml", "not valid YAML"]),
        ("- source\n", ["run.yaml", "lines of settings"]),
        ("{}\n", ["no source was given"]),
        ("", ["no source was given"]),
    ],
)
def test_a_wrong_file_is_told_with_its_line(tmp_path: Path, text: str, parts: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        load(write(tmp_path, text), {})
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


def test_a_wrong_flag_is_named_as_a_flag(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^--max-det: '0' is not a whole number from 1$"):
        load(write(tmp_path, "source: a\nmax-det: 3\n"), {"max_det": "0"})


@pytest.mark.parametrize("content", [b"\xff\xfe\x00s", b"\x00\x01\x02"])
def test_a_file_that_is_no_text(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "run.yaml"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=r"run\.yaml"):
        load(file, {})


def test_a_missing_file_names_the_ready_made_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="webcam-segment"):
        load(tmp_path / "none.yaml", {})
    with pytest.raises(UsageError, match="cannot read"):
        load(tmp_path, {})


@pytest.mark.parametrize("name", sorted(shipped("run")))
def test_ready_made_runs_are_valid_by_name_and_by_file_name(name: str) -> None:
    assert load(Path(name), {}) == load(Path(f"{name}.yaml"), {})


def test_ready_made_runs_are_there() -> None:
    assert set(shipped("run")) >= {"webcam-segment", "jetson-headless", "file-detect"}


def test_yaml_reads_back_to_the_same_settings(tmp_path: Path) -> None:
    settings = Settings.of(
        source=["0", "süß: a#b.mp4"],
        imgsz="640x352",
        classes="person,3",
        retry_for="inf",
        report="run.json",
        weights=["w.safetensors"],
        output=["out.mp4", "out.jsonl"],
        progress=False,
        max_frames=9,
    )
    assert load(write(tmp_path, settings.to_yaml()), {}) == settings


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"uri": "webcam", "clases": ["a"]}, "sources.door.clases: unknown setting of a source"),
        ({"conf": 0.5}, "sources.door.uri: a source needs a uri"),
        (3, "sources.door: 3 is no source; write 'uri: …' below its name"),
        ({"uri": "webcam", "conf": 3}, "sources.door.conf: 3: input should be less than"),
    ],
    ids=["key", "missing", "number", "value"],
)
def test_invalid_settings_of_a_source_are_one_line(source: Any, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        Settings.of(sources={"door": source})
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)
