"""What ``import livevision`` gives, and that editors are told the truth about it."""

from __future__ import annotations

import typing

import pytest

import livevision
from livevision.config import Settings
from livevision.config.run_options import RunOptions
from livevision.models import catalog, loading


@pytest.mark.parametrize("name", livevision.__all__)
def test_each_public_name_is_there(name: str) -> None:
    assert getattr(livevision, name) is not None


def test_the_errors_are_public_and_of_one_kind() -> None:
    errors = [name for name in livevision.__all__ if name.endswith("Error")]
    assert len(errors) == 6
    assert all(issubclass(getattr(livevision, name), livevision.LivevisionError) for name in errors)


def test_the_keywords_of_a_run_are_its_settings() -> None:
    assert set(RunOptions.__annotations__) == set(Settings.model_fields) - {"source", "task"}


def test_editors_know_what_each_shipped_model_gives() -> None:
    by_task: dict[str, list[str]] = {}
    for name in catalog.names():
        by_task.setdefault(catalog.find(name).task, []).append(name)
    told = {
        "detect": loading.Detector,
        "segment": loading.Segmenter,
        "classify": loading.Classifier,
    }
    assert {task: sorted(typing.get_args(names)) for task, names in told.items()} == by_task
    first = [str(f.__annotations__["name"]) for f in typing.get_overloads(livevision.load)]
    assert first[:3] == ["Detector", "Segmenter", "Classifier"]


def test_a_run_without_a_task_does_what_its_model_does() -> None:
    frames = livevision.run("synthetic://96x64?frames=1", model="bisenet-mobilenetv2-person")
    (frame,) = frames
    assert frame.class_map is not None
    assert frame.detections is None
