"""Without torch every shipped model runs, and what needs torch says so in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from livevision.models import catalog
from tests import clips
from tests.offline import sitecustomize
from tests.training import small_data

Run = Callable[..., subprocess.CompletedProcess[str]]

# To Python a module that is None is one that cannot be found.
NONE_OF_THEM = """
import sys
sys.path.insert(0, {watch!r})
import sitecustomize_of_tests
sys.modules.update(dict.fromkeys(("torch", "torchvision"), None))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs Python in a folder of its own where torch is not installed, with caches of its own."""
    root = tmp_path_factory.mktemp("without")
    (root / "site").mkdir()
    watch = Path(sitecustomize.__file__).read_text()
    (root / "site" / "sitecustomize_of_tests.py").write_text(watch)
    code = NONE_OF_THEM.format(watch=str(root / "site"))
    (root / "site" / "sitecustomize.py").write_text(code)
    (root / "work").mkdir()
    clips.make_clip(root / "work" / "clip.mp4", frames=6)
    small_data.boxes(root / "work" / "boxes")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=root / "work",
            env={
                **os.environ,
                "PYTHONPATH": str(root / "site"),
                "XDG_CACHE_HOME": str(root / "cache"),
                "XDG_DATA_HOME": str(root / "data"),
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.mark.parametrize("task", ["both", "classify"])
def test_every_task_runs_on_a_video(python: Run, task: str) -> None:
    flags = ("--source", "clip.mp4", "--task", task, "--headless", "--overwrite")
    done = python("-m", "livevision", *flags, "--output", f"{task}.jsonl", "--report", "r.json")
    assert done.returncode == 0, done.stderr
    assert "exporting" not in done.stderr


def test_a_shipped_model_becomes_a_file_of_its_own(python: Run, tmp_path: Path) -> None:
    path = tmp_path / "own.onnx"
    done = python("-m", "livevision", "export", "thundernet-snet49", "--output", str(path))
    assert done.returncode == 0, done.stderr
    flags = ("--source", "clip.mp4", "--headless", "--overwrite", "--output", "own.jsonl")
    done = python("-m", "livevision", *flags, "--weights", str(path))
    assert done.returncode == 0, done.stderr


RUN = "--source clip.mp4 --headless --overwrite --output out.jsonl"


@pytest.mark.parametrize(
    "command",
    [
        f"{RUN} --engine torch",
        f"{RUN} --model thundernet-snet49 --imgsz 96",
        f"{RUN} --model bisenet-resnet18 --untrained",
        "export thundernet-snet49 --output other.onnx --imgsz 96x96",
        "train thundernet-snet49 --data boxes",
        "import checkpoint.pth --as mine",
        "models --counts",
        "bench nets thundernet-snet49 --parts",
    ],
)
def test_what_needs_torch_says_how_to_get_it(python: Run, command: str, tmp_path: Path) -> None:
    if command.startswith("import"):
        (tmp_path / "checkpoint.pth").write_bytes(b"PK")
        command = command.replace("checkpoint.pth", str(tmp_path / "checkpoint.pth"))
    done = python("-m", "livevision", *command.split())
    lines = [line for line in done.stderr.splitlines() if "error:" in line]
    assert done.returncode == 4, done.stderr
    assert len(lines) == 1
    assert "internal error" not in done.stderr
    assert "Traceback" not in done.stderr
    assert "pip install torch --index-url https://download.pytorch.org/whl/cpu" in lines[0]
    assert "exporting" not in done.stderr, "no more than that it needs torch"
    if "--imgsz" in command:
        assert "'livevision[torch]'" in lines[0]
    if command == "models --counts":
        assert "livevision models --counts needs PyTorch" in lines[0], "named as it was called"


TWO_NETS = """
import sys
from livevision.cli import main
from livevision.models import catalog

catalog.names = lambda: ["thundernet-snet49", "shufflenetv2-1.0-tiny-imagenet"]
sys.exit(main(["bench", "nets", "--repeats", "1"]))
"""


def test_shipped_models_are_timed(python: Run) -> None:
    # The doctor has an image go through each of them, below.
    done = python("-c", TWO_NETS)
    assert done.returncode == 0, done.stderr
    timed = [line.split()[0] for line in done.stdout.splitlines()[2:]]
    assert timed == ["thundernet-snet49", "shufflenetv2-1.0-tiny-imagenet"]
    assert (
        "nets without weights are left out: making them needs PyTorch: pip install" in done.stderr
    )


def test_from_python_too(python: Run) -> None:
    code = (
        "import livevision\n"
        "from livevision.errors import ModelError\n"
        "try: livevision.train('x.yaml')\n"
        "except ModelError as error: print(error)\n"
    )
    done = python("-c", code)
    assert done.stdout.startswith("livevision.train needs PyTorch: pip install torch "), done.stderr


def test_every_shipped_model_looks_at_an_image(python: Run) -> None:
    done = python("-m", "livevision", "doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    for name in catalog.names():
        assert f"{name}: weights whole, a test image went through openvino" in done.stdout
