"""A run that was stopped, however it was, ends bit for bit like one that was not."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from livevision.errors import LivevisionError, ModelError, UsageError
from livevision.training import train_recipe
from livevision.training.recipe import Recipe
from livevision.training.recipe_file import to_yaml
from tests.training import small_data

LONG = {"steps": 10, "evaluate_every": 4, "log_every": 1}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = small_data.all_kinds(tmp_path_factory.mktemp("data"))
    small_data.soft_labels(root / "maps")
    return root


def recipe_of(kind: str, precision: str) -> Recipe:
    """Nets with dropout, where the task has one; a segmenter with soft labels."""
    settings: dict[str, Any] = {
        "classify": (small_data.CLASSIFY, {"net": "mobilenetv2", "net_options": {"width": 0.35}}),
        "segment": (small_data.SEGMENT, {"task_options": {"crop": [64, 64], "soft_labels": {}}}),
        "detect": (small_data.DETECT, {"task_options": {
            "pre_nms": 50, "proposals": 12, "sizes": [[96, 96], [128, 96]]}}),
    }  # fmt: skip
    base, changes = settings[kind]
    return small_data.recipe(base, precision=precision, **changes, **LONG)


def assert_same_end(one: Path, other: Path) -> None:
    states = [torch.load(p / "last.pt", weights_only=True) for p in (one, other)]
    assert states[0]["step"] == states[1]["step"] == LONG["steps"]
    for part in ("net", "average"):
        for name, tensor in states[0][part].items():
            assert torch.equal(states[1][part][name], tensor), f"{part} {name}"
    moments = [s["optimizer"]["state"] for s in states]
    for key, values in moments[0].items():
        assert all(torch.equal(v, moments[1][key][n]) for n, v in values.items())
    # The figures of every step are there once, whatever was taken twice.
    logs = [list(csv.DictReader((p / "log.csv").open())) for p in (one, other)]
    for log in logs:
        assert [r["step"] for r in log if r["loss"]] == [str(i + 1) for i in range(LONG["steps"])]
        assert [r["step"] for r in log if not r["loss"]] == ["4", "8", "10"]


def child_environment() -> dict[str, str]:
    """With as many threads as this process has: sums are rounded by how they are shared out."""
    threads = str(torch.get_num_threads())
    return {**os.environ, "PYTHONPATH": str(Path.cwd()), "OMP_NUM_THREADS": threads}


def stopped_child(
    recipe: Recipe, data: Path, out: Path, how: signal.Signals, resume: bool = False
) -> int:
    """Train in a process of its own, stopped once it has a checkpoint; returns its exit code."""
    file = out.with_suffix(".yaml")
    file.write_text(to_yaml(recipe))
    command = [sys.executable, "-m", "livevision", "train", str(file)]
    begin = time.time()
    child = subprocess.Popen(
        [*command, "--data", str(data), "--out", str(out), *["--resume"] * resume],
        stderr=subprocess.DEVNULL, env=child_environment(),
    )  # fmt: skip
    try:
        checkpoint = out / "last.pt"
        while child.poll() is None and time.time() < begin + 120:
            if checkpoint.exists() and checkpoint.stat().st_mtime > begin:
                child.send_signal(how)
                break
            time.sleep(0.005)
        return child.wait(120)
    finally:
        child.kill()


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unbroken run of the classifier."""
    out = tmp_path_factory.mktemp("whole")
    train_recipe(recipe_of("classify", "fp32"), data, out)
    return out


@pytest.mark.parametrize(("kind", "precision"), [("segment", "bf16"), ("detect", "fp32")])
def test_a_killed_run_resumes_exactly(
    kind: str, precision: str, data: Path, tmp_path: Path
) -> None:
    recipe = recipe_of(kind, precision)
    train_recipe(recipe, data, tmp_path / "whole")
    broken = tmp_path / "broken"
    assert stopped_child(recipe, data, broken, signal.SIGKILL) == -signal.SIGKILL
    left = torch.load(broken / "last.pt", weights_only=True)["step"]
    assert 0 < left < LONG["steps"]
    train_recipe(recipe, data, broken, resume=True)
    assert_same_end(tmp_path / "whole", broken)


def test_a_run_told_to_stop_saves_at_once(whole: Path, data: Path, tmp_path: Path) -> None:
    recipe = recipe_of("classify", "fp32")
    stopped = tmp_path / "stopped"
    assert stopped_child(recipe, data, stopped, signal.SIGTERM) == 143
    left = torch.load(stopped / "last.pt", weights_only=True)["step"]
    assert 4 <= left < LONG["steps"]  # not that of an evaluation only
    train_recipe(recipe, data, stopped, resume=True)
    assert_same_end(whole, stopped)


# Ctrl-C during the second evaluation, for which nobody should have to wait.
STOPPED_EVALUATION = """
import os, signal, sys, time
from pathlib import Path
from livevision.training import train_recipe
from livevision.training.classification import ClassificationJob
from livevision.training.recipe_file import read_recipe

good, calls = ClassificationJob.evaluate, []

def interrupted(self, net):
    calls.append(1)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(600)
    return good(self, net)

ClassificationJob.evaluate = interrupted
recipe, data, out = map(Path, sys.argv[1:])
try:
    train_recipe(read_recipe(recipe), data, out)
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_a_run_stopped_while_it_evaluates_evaluates_when_it_goes_on(
    whole: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from livevision.training.classification import ClassificationJob

    recipe, out = recipe_of("classify", "fp32"), tmp_path / "stopped"
    file = tmp_path / "recipe.yaml"
    file.write_text(to_yaml(recipe))
    command = [sys.executable, "-c", STOPPED_EVALUATION, str(file), str(data), str(out)]
    child = subprocess.run(command, env=child_environment(), timeout=120, capture_output=True)
    assert child.returncode == 130, child.stderr
    state = torch.load(out / "last.pt", weights_only=True)
    assert (state["step"], state["unevaluated"]) == (8, True)
    good, calls = ClassificationJob.evaluate, []

    def counted(self: ClassificationJob, net: Any) -> Any:
        calls.append(1)
        return good(self, net)

    monkeypatch.setattr(ClassificationJob, "evaluate", counted)
    train_recipe(recipe, data, out, resume=True)
    assert len(calls) == 2  # the one broken off after 8, and after 10
    assert_same_end(whole, out)


def test_batches_made_ahead_of_pictures_on_disk_are_the_same(
    whole: Path, data: Path, tmp_path: Path
) -> None:
    recipe = recipe_of("classify", "fp32").model_copy(update={"workers": 2, "memory_gb": 0.0})
    train_recipe(recipe, data, tmp_path)
    assert_same_end(whole, tmp_path)


def test_a_checkpoint_of_another_recipe_is_refused(data: Path, tmp_path: Path) -> None:
    recipe = small_data.recipe(small_data.CLASSIFY, steps=2)
    best = train_recipe(recipe, data, tmp_path)
    other = recipe.model_copy(update={"learning_rate": 0.5, "batch_size": 3, "log_every": 7})
    with pytest.raises(UsageError, match=r"batch_size was 2 and is 3; learning_rate was") as error:
        train_recipe(other, data, tmp_path, resume=True)
    assert "log_every" not in str(error.value)  # changes nothing of what is computed
    with pytest.raises(UsageError, match="--resume it"):
        train_recipe(recipe, data, tmp_path)
    with pytest.raises(UsageError, match="no checkpoint"):
        train_recipe(recipe, data, tmp_path / "elsewhere", resume=True)
    assert train_recipe(recipe, data, tmp_path, resume=True) == best


def test_a_checkpoint_from_before_a_setting_goes_on(data: Path, tmp_path: Path) -> None:
    recipe = small_data.recipe(small_data.CLASSIFY, steps=2)
    best = train_recipe(recipe, data, tmp_path)
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    del state["recipe"]["epochs"], state["recipe"]["task_options"]["label_smoothing"]
    torch.save(state, tmp_path / "last.pt")
    assert train_recipe(recipe, data, tmp_path, resume=True) == best
    other = small_data.recipe(small_data.CLASSIFY, steps=2, task_options={"label_smoothing": 0.25})
    with pytest.raises(UsageError, match=r"label_smoothing was 0\.1 and is 0\.25"):
        train_recipe(other, data, tmp_path, resume=True)


def test_epochs_are_counted_evaluated_and_resumed(data: Path, tmp_path: Path) -> None:
    # 8 pictures, 2 a step: an epoch is 4 steps.
    recipe = small_data.recipe(small_data.CLASSIFY, steps=0, epochs=2, evaluate_every=0)
    best = train_recipe(recipe, data, tmp_path)
    rows = (tmp_path / "log.csv").read_text().splitlines()
    place = rows[0].split(",").index("top1")
    evaluated = [row.split(",")[0] for row in rows[1:] if row.split(",")[place]]
    assert evaluated == ["4", "8"]
    assert "epochs: 2.0" in (tmp_path / "recipe.yaml").read_text()
    assert "\nsteps:" not in (tmp_path / "recipe.yaml").read_text()
    assert "of 8," in (tmp_path / "best.md").read_text().replace("\n", " ")
    assert train_recipe(recipe, data, tmp_path, resume=True) == best


def test_a_finished_run_says_so(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = small_data.recipe(small_data.CLASSIFY, steps=2)
    train_recipe(recipe, data, tmp_path)
    capsys.readouterr()
    train_recipe(recipe, data, tmp_path, resume=True)
    assert "finished, all 2 steps" in capsys.readouterr().err


def test_a_broken_checkpoint_is_told(data: Path, tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(b"half a file")
    with pytest.raises(ModelError, match=r"last\.pt"):
        train_recipe(small_data.recipe(small_data.CLASSIFY), data, tmp_path, resume=True)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from livevision.training.classification import ClassificationJob

    good = ClassificationJob.loss

    def bad_at_step_5(self: Any, net: Any, batch: Any) -> Any:
        self.calls = getattr(self, "calls", -1) + 1
        factor = float("nan") if self.calls == 5 else 1.0
        return {name: part * factor for name, part in good(self, net, batch).items()}

    monkeypatch.setattr(ClassificationJob, "loss", bad_at_step_5)
    recipe = small_data.recipe(small_data.CLASSIFY, steps=12, evaluate_every=4)
    with pytest.raises(LivevisionError, match=r"at step 5 .*last\.pt is the last good"):
        train_recipe(recipe, data, tmp_path)
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    assert state["step"] == 4
    assert all(v.isfinite().all() for v in state["net"].values() if v.is_floating_point())
