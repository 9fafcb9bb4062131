"""Every example in the README and in docs/ runs, or says why it does not and is well formed.

The examples of a page run in their order in one folder, as a reader would have it. Commands run in
this process, since starting one costs most; what needs a shell runs in one.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
import yaml

from livevision import cli
from livevision.cli.commands import cli as commands_of_livevision
from livevision.models import catalog
from tests.docs.pages import PAGES, ROOT, Example, commands, examples
from tests.docs.workplace import furnish
from tests.training import small_data

LANGUAGES = {"sh", "python", "yaml", "json", "toml"}
REASONS = (  # what an example may need that no test has
    "installs packages",
    "needs GPUs",
    "needs a GPU",
    "needs a camera",
    "needs a Jetson",
    "needs a container engine",
    "needs a checkpoint of another project",
    "needs a data set",
    "needs a file of others",
    "needs a network stream",
    "needs the network",
    "runs in a test of its own",
    "needs the package",
    "takes minutes",
    "needs a server",
)
SHORT_TRAINING = ("--epochs", "0.5", "--imgsz", "96", "--batch", "2", "--device", "cpu")
SHORT_RECIPE = {"epochs": 0.5, "batch_size": 2, "input_size": [96, 96], "warmup_steps": 0}


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that each page gets a copy of."""
    return furnish(tmp_path_factory.mktemp("furnished"))


@pytest.fixture
def here(furnished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh copy of it, the current folder; `livevision` on the path is this one."""
    folder = tmp_path / "here"
    subprocess.run(["cp", "-r", str(furnished), str(folder)], check=True)
    programs = tmp_path / "programs"
    programs.mkdir()
    program = programs / "livevision"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m livevision "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.chdir(folder)
    small_data.draw_no_plots(monkeypatch)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples(page: Path, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for example in examples(page):
        assert example.language in LANGUAGES, f"{example} has no language; use one of {LANGUAGES}"
        if example.reason:
            assert example.reason in REASONS, f"{example}: not among {REASONS}"
            _check_only(example)
        elif example.language == "sh":
            for number, line in commands(example):
                _run(f"{page.name}:{number}", line, capfd)
        elif example.language == "python":
            exec(compile(example.text, str(example), "exec", dont_inherit=True), {"__name__": "x"})
        elif example.language == "yaml":
            _keep(example, here)
        elif example.language == "toml":
            tomllib.loads(example.text)
        else:
            json.loads(example.text)


def _run(where: str, line: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Run a line; a command alone in this process, anything else in a shell."""
    words = shlex.split(line, comments=True)
    if words == ["livevision", "doctor"]:
        code = _doctor()
    elif words[0] == "livevision" and "|" not in words:
        code = cli.main(_short(words[1:]))
    else:
        shell = ["bash", "-c", line]  # without pipefail: head leaves before the writer is done
        code = subprocess.run(shell, stdin=subprocess.DEVNULL, timeout=120, check=False).returncode
    said = capfd.readouterr().err
    # doctor's 1 says that something is missing on the machine of the test.
    assert code == 0 or words[1:] == ["doctor"], f"{where}: {line}: exit code {code}\n{said}"


def _doctor() -> int:
    """Look at the default models; tests/test_without_torch.py has it look at all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "names", lambda: sorted(catalog.DEFAULTS.values()))
        return cli.main(["doctor"])


def _short(arguments: list[str]) -> list[str]:
    """The arguments, with less to do for a training of a folder."""
    folder = arguments[0] == "train" and not arguments[1].endswith(".yaml")
    return [*arguments, *SHORT_TRAINING] if folder else arguments


def _keep(example: Example, here: Path) -> None:
    """Write a YAML whose first line is its name, a recipe made short; others must just be read."""
    content = yaml.safe_load(example.text)
    first = example.text.splitlines()[0].removeprefix("# ").partition(",")[0]
    if not first.endswith(".yaml"):
        return
    if "net" in content:
        assert SHORT_RECIPE.keys() <= content.keys()
        content |= SHORT_RECIPE
    if first != "theirs.yaml":  # which belongs to another file than ours
        (here / first).write_text(yaml.safe_dump(content))


def _check_only(example: Example) -> None:
    """Read what is not run: a Python program compiles, a command of livevision has such flags."""
    if example.language == "python":
        compile(example.text, str(example), "exec")
        return
    if example.reason == "needs the package":  # tests/end_to_end/test_extending.py runs it
        return
    for number, line in commands(example):
        words = shlex.split(line, comments=True)
        if words[0] != "livevision":
            continue
        try:
            _parse(words[1:])
        except click.ClickException as error:
            pytest.fail(f"{example.page.name}:{number}: {line}: {error.format_message()}")


def _parse(arguments: list[str]) -> None:
    if arguments[0].startswith("-"):
        assert cli.main([*arguments, "--print-config"]) == 0, arguments
        return
    command: click.Command = commands_of_livevision
    context = click.Context(command, info_name="livevision")
    while isinstance(command, click.Group):
        found = command.get_command(context, arguments[0])
        assert found is not None, arguments
        command, arguments = found, arguments[1:]
        context = click.Context(command, parent=context, info_name=command.name)
    command.make_context(command.name, list(arguments), parent=context.parent)
