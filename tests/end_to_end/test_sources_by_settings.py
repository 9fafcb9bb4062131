"""Several sources, each with settings of its own: in YAML, and changed while the run goes on."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from livevision import registry
from livevision.config import Settings, SourceSettings
from livevision.config.scene import scene_of
from livevision.config.yaml_file import load
from livevision.errors import LivevisionError, OutputError, UsageError
from livevision.frame import Rendered
from livevision.output.null import NullSink
from livevision.protocols import OutletPolicy
from livevision.runtime.metering import Meter
from livevision.runtime.run import Run
from tests import clips
from tests.end_to_end.conftest import rows

LIGHT, SHALLOW = "thundernet-snet49", "bisenet-mobilenetv2-person"
LIVE = "synthetic://160x120@20?paced=1&frames={}"


class Slow(NullSink):
    """Takes 100 ms a frame."""

    wants_image = True
    taken: ClassVar[Counter[str]] = Counter()

    def write(self, rendered: Rendered) -> None:
        time.sleep(0.1)
        Slow.taken[str(rendered.frame.source)] += 1


class Wire(NullSink):
    """Fails on every frame, and may not end the run."""

    policy = OutletPolicy("newest", "retry")

    def write(self, rendered: Rendered) -> None:
        raise OutputError("nobody answers")


def accounted_for(report: dict[str, Any]) -> None:
    lost = sum(n for causes in report["dropped"].values() for n in causes.values())
    assert report["frames_in"] == report["frames_out"] + lost
    for row in report["sources"]:
        dropped = sum(n for causes in row["dropped"].values() for n in causes.values())
        assert row["frames_in"] == row["frames_out"] + dropped
    for row in report["outlets"]:
        assert row["frames_in"] == row["frames_out"] + sum(row["dropped"].values())


def test_each_source_has_its_models_classes_and_outputs(tmp_path: Path) -> None:
    clip = clips.constant_rate(tmp_path / "in.mp4", frames=6)
    config = tmp_path / "cameras.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "sources": {
                    "door": {
                        "uri": str(clip.path),
                        "models": [LIGHT],
                        "classes": ["person"],
                        "outputs": [str(tmp_path / "door.mp4"), str(tmp_path / "door.jsonl")],
                    },
                    "yard": {
                        "uri": str(clip.path),
                        "models": [LIGHT, SHALLOW],
                        "conf": 0.0,
                        "vid-stride": 2,
                    },
                },
                "output": [str(tmp_path / "all.jsonl"), f"{tmp_path / 'copies'}/"],
                "headless": True,
            }
        )
    )
    settings = load(config, {})
    run = Run(settings, Meter())
    for _ in run.frames():
        pass
    run.outcome.raise_first()
    report = run.report()
    accounted_for(report)
    assert [(row["source"], row["frames_out"]) for row in report["sources"]] == [
        ("door", 6), ("yard", 3),
    ]  # fmt: skip
    assert report["model"] == f"{LIGHT}+{SHALLOW}"
    every = rows(tmp_path / "all.jsonl")
    assert Counter(row["source"] for row in every) == {"door": 6, "yard": 3}
    for row in every:
        assert ("segments" in row) == (row["source"] == "yard")
        if row["source"] == "door":
            assert {found["class"] for found in row["detections"]} <= {"person"}
    yard = [found for row in every if row["source"] == "yard" for found in row["detections"]]
    assert len({found["class"] for found in yard}) > 3, "of a very low score"
    assert min(found["confidence"] for found in yard) < 0.2
    assert [row["source"] for row in rows(tmp_path / "door.jsonl")] == ["door"] * 6
    for name, frames in (("door.mp4", 6), ("copies/door.mp4", 6), ("copies/yard.mp4", 3)):
        assert len(clips.read_clip(tmp_path / name)) == frames
    again = load(_printed(tmp_path, settings), {})
    assert again == settings


def _printed(tmp_path: Path, settings: Settings) -> Path:
    path = tmp_path / "printed.yaml"
    path.write_text(settings.to_yaml())
    return path


def test_four_sources_two_models_and_three_sinks_of_which_one_is_slow_and_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.SINKS, "slow", f"{__name__}:Slow")
    monkeypatch.setitem(registry.SINKS, "wire", f"{__name__}:Wire")
    monkeypatch.setattr("livevision.output.target.SCHEMES", ("window", "null", "slow", "wire"))
    monkeypatch.setattr("livevision.runtime.outlets._FIRST_PAUSE", 0.1)
    Slow.taken.clear()
    own = {"outputs": ["slow:", "wire:"]}
    settings = Settings.of(
        sources={f"cam{n}": {"uri": LIVE.format(30), **own} for n in range(4)},
        model=[LIGHT, SHALLOW],
        output=str(tmp_path / "all.jsonl"),
        headless=True,
    )
    run = Run(settings, Meter())
    for _ in run.frames():
        pass
    run.outcome.raise_first()
    report = run.report()
    accounted_for(report)
    assert report["sources_failed"] == 0
    written = Counter(row["source"] for row in rows(tmp_path / "all.jsonl"))
    told = {row["source"]: row["frames_out"] for row in report["sources"]}
    assert written == Counter(told), "every frame has its row, whatever the other sinks do"
    for row in report["outlets"]:
        if row["output"] == "wire" and row["frames_in"]:
            assert row["frames_out"] == 0
            assert row["error"] == "nobody answers"
    slow = [row for row in report["outlets"] if row["output"] == "slow"]
    assert sum(row["frames_out"] for row in slow) == sum(Slow.taken.values())
    assert all({"detections", "segments"} <= row.keys() for row in rows(tmp_path / "all.jsonl"))


def test_what_may_change_changes_while_the_run_goes_on() -> None:
    settings = Settings.of(source=LIVE.format(400), model=LIGHT, conf=0.0, headless=True)
    run = Run(settings, Meter(), draw=True)
    with pytest.raises(UsageError, match="Did you mean 'person'"):
        run.controls.change(0, classes=("persn",))
    with pytest.raises(UsageError, match="conf is 2"):
        run.controls.change(0, conf=2)
    with pytest.raises(UsageError, match="imgsz cannot be changed"):
        run.controls.change(0, imgsz=64)
    with pytest.raises(UsageError, match="no source 3"):
        run.controls.change(3, conf=0.5)
    seen: list[int] = []
    with closing(run.frames()) as frames:
        for rendered in frames:
            assert rendered.detections is not None
            seen.append(len(rendered.detections))
            if len(seen) == 5:
                assert min(seen) > 0
                run.controls.change(0, conf=1.0)
            if len(seen) > 5 and seen[-1] == 0:
                break
            assert len(seen) < 40
        run.controls.change(0, conf=0.0, paused=True)
        before = run.report()["frames_out"]
        threading.Timer(1.0, lambda: run.controls.change(0, paused=False)).start()
        for rendered in frames:
            if rendered.detections is not None and len(rendered.detections):
                break
    assert run.report()["frames_out"] - before < 8
    assert run.report()["dropped"]["preprocess"]["paused"] >= 10


ALL = {"points": [[0, 0], [1, 0], [1, 1], [0, 1]]}
CALM = {"rules": {"calm": {"when": {"zone": "all", "count": "<= 99"}}}, "zones": {"all": ALL}}


def test_each_source_has_a_scene_of_its_own(tmp_path: Path) -> None:
    scene = tmp_path / "yard.yaml"
    scene.write_text(yaml.safe_dump({"lines": {"gate": {"points": [[0, 0.5], [1, 0.5]]}}}))
    where = LIVE.format(6).replace("paced=1", "paced=0")
    config = tmp_path / "cameras.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "sources": {
                    "door": {"uri": where, **CALM},
                    "yard": {"uri": where, "scene": str(scene)},
                    "shop": {"uri": where},
                },
                "model": LIGHT,
                "conf": 0.01,
                "mode": "every-frame",
                "events": str(tmp_path / "events.jsonl"),
                "output": str(tmp_path / "all.jsonl"),
                "headless": True,
            }
        )
    )
    settings = load(config, {})
    assert load(_printed(tmp_path, settings), {}) == settings
    run = Run(settings, Meter())
    for _ in run.frames():
        pass
    run.outcome.raise_first()
    counted = run.report()["scene"]
    assert {name: (list(s["lines"]), list(s["zones"])) for name, s in counted.items()} == {
        "door": ([], ["all"]),
        "yard": (["gate"], []),
    }
    told = rows(tmp_path / "events.jsonl")
    assert {event["source"] for event in told} == {"door"}
    for row in rows(tmp_path / "all.jsonl"):
        numbered = any("track_id" in found for found in row["detections"])
        assert not numbered or row["source"] != "shop"

    wrong = CALM | {"zones": {"all": ALL | {"classes": ["persn"]}}}
    unknown = Settings.of(sources={"door": {"uri": where, **wrong}}, model=LIGHT, headless=True)
    with pytest.raises(UsageError, match=r"door: zone 'all'.*Did you mean 'person'"):
        Run(unknown, Meter())


def test_a_scene_changes_while_the_run_goes_on() -> None:
    settings = Settings.of(
        sources={"door": {"uri": LIVE.format(400), "zones": {"all": ALL}}},
        model=LIGHT, conf=0.0, headless=True,
    )  # fmt: skip
    run = Run(settings, Meter(), draw=True)
    with pytest.raises(UsageError, match="Did you mean 'person'"):
        run.controls.change(0, scene=scene_of({"zones": {"x": ALL | {"classes": ["persn"]}}}))
    with closing(run.frames()) as frames:
        next(frames)
        run.controls.change(0, scene=scene_of({"zones": {"other": ALL}}))
        for count, _ in enumerate(frames):
            if "other" in run.report().get("scene", {}).get("door", {"zones": ()})["zones"]:
                break
            assert count < 60
    alone = Run(Settings.of(source=LIVE.format(4), model=LIGHT, headless=True), Meter())
    with pytest.raises(UsageError, match="has no scene"):
        alone.controls.change(0, scene=scene_of({"zones": {"other": ALL}}))


def test_sources_come_and_go_while_the_run_goes_on(tmp_path: Path) -> None:
    settings = Settings.of(
        sources={"first": {"uri": LIVE.format(4000)}},
        model=LIGHT,
        output=str(tmp_path / "all.jsonl"),
        headless=True,
    )
    run = Run(settings, Meter(), stay=True)
    errors: list[BaseException] = []

    def change() -> None:
        try:
            _wait_for(lambda: run.sources.now(0).state == "live")
            with pytest.raises(UsageError, match="'first' exists already"):
                run.add("first", SourceSettings(uri=LIVE.format(9)))
            with pytest.raises(UsageError, match="not loaded"):
                run.add("other", SourceSettings(uri=LIVE.format(9), models=(SHALLOW,)))
            own = str(tmp_path / "second.mp4")
            second = run.add("second", SourceSettings(uri=LIVE.format(4000), outputs=(own,)))
            _wait_for(lambda: _rows_of(tmp_path, "second") > 5)
            run.remove(0)
            _wait_for(lambda: run.sources.now(0).state == "ended")
            run.remove(second)
            _wait_for(lambda: run.sources.now(second).state == "ended")
            again = run.add("first", SourceSettings(uri=LIVE.format(5)))
            assert again == 2
            _wait_for(lambda: run.sources.now(again).state == "ended")
        except BaseException as error:
            errors.append(error)
        run.pipeline.stop()

    changing = threading.Thread(target=change)
    changing.start()
    for _ in run.frames():
        pass
    changing.join()
    assert not errors
    run.outcome.raise_first()
    report = run.report()
    accounted_for(report)
    assert [row["source"] for row in report["sources"]] == ["first", "second", "first"]
    video = clips.read_clip(tmp_path / "second.mp4")
    assert len(video) == report["sources"][1]["frames_out"] > 5
    with pytest.raises(LivevisionError, match="the run is ending"):
        run.add("late", SourceSettings(uri=LIVE.format(5)))


def _rows_of(tmp_path: Path, source: str) -> int:
    path = tmp_path / "all.jsonl"
    return path.read_text().count(f'"source": "{source}"') if path.exists() else 0


def _wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("sources: {door: {uri: a.mp4, confidence: 0.5}}", "1: confidence: unknown setting of a"),
        ("sources:\n  door:\n    uri: a.mp4\n    conf: 7", ":4: conf: 7: "),
        ("sources: {door: {conf: 0.5}}", "a source needs a uri"),
        ("sources:\n  door: {uri: a.mp4}\n  door: {uri: b.mp4}", ":3: door is set a second time"),
        ("sources: {a/b: a.mp4}", "a name has letters"),
        ("sources: {door: [a, b]}", "is no source"),
        ("task: detect", "no source was given"),
        ("sources: {door: {uri: a.mp4, models: []}}", "no model was given"),
        ("sources: {door: {uri: a.mp4, zones: {a: {points: [[0, 0]]}}}}", "zone 'a'"),
        ("sources: {door: {uri: a.mp4, scene: a.yaml, lines: {}}}", "were both given"),
        ("sources: {door: {uri: a.mp4, scene: {zone: {}}}}", "Did you mean 'zones'"),
    ],
)
def test_settings_of_sources_that_cannot_be(text: str, line: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as told:
        load(path, {})
    assert line in str(told.value)
    assert "\n" not in str(told.value)


def test_a_text_is_a_source_and_a_flag_takes_the_place_of_all(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("sources: {door: a.mp4, yard: 0}")
    settings = load(path, {})
    assert {name: source.uri for name, source in settings.sources.items()} == {
        "door": "a.mp4", "yard": "0",
    }  # fmt: skip
    settings = load(path, {"source": ("b.mp4",)})
    assert (settings.sources, settings.source) == ({}, ("b.mp4",))
