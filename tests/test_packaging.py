"""The lock files against pyproject.toml, and what is inside the wheel."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from livevision.version import __version__

ROOT = Path(__file__).parent.parent


def pins(name: str) -> dict[str, str]:
    """Versions in a lock file and those it includes, by package."""
    found = {}
    for line in (ROOT / name).read_text().splitlines():
        if line.startswith("-r "):
            found |= pins(line.removeprefix("-r "))
        elif line and not line.startswith("#"):
            package, version = re.fullmatch(r"([\w.-]+)==([\w.]+)( ; .+)?", line).groups()[:2]  # type: ignore[union-attr]
            found[canonicalize_name(package)] = version
    return found


def requirements(texts: Iterable[str]) -> list[Requirement]:
    every = map(Requirement, texts)
    return [
        r
        for r in every
        if r.name != "livevision" and (r.marker is None or r.marker.evaluate({"extra": ""}))
    ]


@pytest.fixture(scope="module")
def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]  # type: ignore[no-any-return]


def test_every_dependency_is_pinned_at_a_version_that_is_allowed(
    project: dict[str, list[str]],
) -> None:
    locked = pins("requirements.lock")
    for requirement in requirements(project["dependencies"]):
        version = locked[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement


@pytest.mark.parametrize("extra", ["onnx", "export", "docs", "dev"])
def test_what_the_tests_need_is_pinned_too(
    project: dict[str, dict[str, list[str]]], extra: str
) -> None:
    locked = pins("requirements-dev.lock")
    for requirement in requirements(project["optional-dependencies"][extra]):
        version = locked[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement


def test_the_changelog_has_the_version() -> None:
    content = (ROOT / "CHANGELOG.md").read_text()
    released = re.findall(r"^## \[([\d.]+)\] – \d{4}-\d\d-\d\d$", content, re.MULTILINE)
    assert released[0] == __version__
    assert content.count("## [Unreleased]") == 1


def test_torch_is_held_at_one_version() -> None:
    assert pins("requirements.lock")["torch"] == "2.13.0"


def test_extras_that_error_messages_name_exist(project: dict[str, dict[str, list[str]]]) -> None:
    assert {"onnx", "openvino", "torch", "export"} <= set(project["optional-dependencies"])


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_holds_the_package_its_weights_and_configs(wheel: Path) -> None:
    assert wheel.name == f"livevision-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
        for folder in ("weights", "configs"):
            for file in (path for path in (ROOT / folder).rglob("*") if path.is_file()):
                packed = f"livevision/{file.relative_to(ROOT).as_posix()}"
                assert packed in names
                assert opened.read(packed) == file.read_bytes()
        metadata = opened.read(f"livevision-{__version__}.dist-info/METADATA").decode()
        entry_points = opened.read(f"livevision-{__version__}.dist-info/entry_points.txt").decode()
    assert "livevision/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "scripts/"))]
    assert "License-Expression: MIT" in metadata
    needed = [line for line in metadata.splitlines() if line.startswith("Requires-Dist: torch")]
    assert needed
    assert all("extra ==" in line for line in needed), "torch brings gigabytes that no run needs"
    assert wheel.stat().st_size < 100e6  # what PyPI takes
    assert "livevision = livevision.cli:main" in entry_points


def test_the_wheel_finds_its_own_weights_and_configs(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(tmp_path / "site")

    def installed(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "livevision", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    files = (ROOT / "weights").iterdir()
    shipped = {file.name for file in files if file.suffix in (".npz", ".safetensors")}
    listed = {name for row in json.loads(installed("models", "--json")) for name in row["weights"]}
    assert listed == shipped
    assert "task: segment" in installed("--config", "webcam-segment", "--print-config")
