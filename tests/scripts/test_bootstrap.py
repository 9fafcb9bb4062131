"""How scripts/livevision sets itself up, with a Python that only notes what it is asked to do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

STAND_IN = """#!/usr/bin/env bash
echo "$*" >>"$NOTES"
case "$*" in
    *fcntl*) exec {python} "$@" ;;
    "-m venv --clear"*)
        mkdir -p "$4/bin"
        cp "$0" "$4/bin/python"
        printf '#!/bin/sh\\necho "ran $*"\\n' >"$4/bin/livevision"
        chmod +x "$4/bin/livevision" ;;
    *"install"*) echo "pip talks"; sleep "${{PIP_SECONDS:-0}}"; exit "${{PIP_EXIT:-0}}" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in a folder with a space in its name, and the stand-in beside it."""
    folder = tmp_path / "my checkout"
    (folder / "scripts").mkdir(parents=True)
    for name in ("scripts/livevision", "scripts/test", "scripts/environment.sh"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("requirements.lock", "requirements-dev.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    stand_in = tmp_path / "python"
    stand_in.write_text(STAND_IN.format(python=sys.executable))
    stand_in.chmod(0o755)
    return folder


def start(checkout: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    notes = checkout.parent / "notes"
    return subprocess.Popen(
        [checkout / "scripts" / "livevision", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={
            **os.environ,
            "LIVEVISION_PYTHON": str(checkout.parent / "python"),
            "NOTES": str(notes),
            **environment,
        },
    )


def run(checkout: Path, *arguments: str, **environment: str) -> tuple[int, str, list[str]]:
    """Exit code, standard output, and what Python was asked to do this time."""
    notes = checkout.parent / "notes"
    notes.write_text("")
    process = start(checkout, *arguments, **environment)
    out, _ = process.communicate(timeout=60)
    return process.returncode, out, notes.read_text().splitlines()


def installs(asked: list[str]) -> list[str]:
    return [line for line in asked if " install " in line]


def venvs(asked: list[str]) -> list[str]:
    return [line for line in asked if line.startswith("-m venv")]


def test_first_use_makes_everything_and_later_starts_ask_nothing(checkout: Path) -> None:
    code, out, asked = run(checkout, "--source", "my clip.mp4")
    assert code == 0
    assert out == "ran --source my clip.mp4\n"
    assert len(venvs(asked)) == 1
    assert any("requirements.lock" in line for line in installs(asked))
    assert any("--editable" in line and "--no-deps" in line for line in installs(asked))
    assert run(checkout, "--version") == (0, "ran --version\n", [])


def test_an_edited_lock_file_installs_again_into_the_same_environment(checkout: Path) -> None:
    run(checkout)
    lock = checkout / "requirements.lock"
    lock.write_text(lock.read_text() + "# edited\n")
    _, _, asked = run(checkout)
    assert installs(asked)
    assert not venvs(asked)
    assert run(checkout)[2] == []


def test_a_checkout_that_moved_is_set_up_again(checkout: Path) -> None:
    run(checkout)
    moved = checkout.rename(checkout.with_name("elsewhere"))
    assert installs(run(moved)[2])


def test_a_failed_installation_starts_over(checkout: Path) -> None:
    code, out, _ = run(checkout, PIP_EXIT="1")
    assert (code, out) == (1, "")
    code, out, asked = run(checkout)
    assert (code, out) == (0, "ran \n")
    assert len(venvs(asked)) == 1


def test_killed_half_way_it_starts_over(checkout: Path) -> None:
    process = start(checkout, PIP_SECONDS="600")
    assert process.stderr is not None
    while "pip talks" not in process.stderr.readline():
        pass
    # With all its children, as when the power goes: a pip that lived on would be waited for.
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
    code, out, asked = run(checkout)
    assert (code, out) == (0, "ran \n")
    assert len(venvs(asked)) == 1


def test_two_starts_at_once_install_once(checkout: Path) -> None:
    notes = checkout.parent / "notes"
    notes.write_text("")
    both = [start(checkout, PIP_SECONDS="0.5") for _ in range(2)]
    results = [process.communicate(timeout=60) for process in both]
    assert [out for out, _ in results] == ["ran \n", "ran \n"]
    asked = notes.read_text().splitlines()
    assert len(venvs(asked)) == 1
    assert len([line for line in installs(asked) if "requirements.lock" in line]) == 1


def test_an_old_python_is_told_in_one_line(checkout: Path) -> None:
    old = checkout.parent / "old"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    process = start(checkout, LIVEVISION_PYTHON=str(old))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out == ""
    assert "3.11" in err
