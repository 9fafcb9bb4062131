"""The YAML files that come with livevision: settings of runs, and recipes of trainings."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).parent
_FOLDERS = (_PACKAGE / "configs", _PACKAGE.parent / "configs")  # installed, and in the repository


def shipped(kind: Literal["run", "train"]) -> dict[str, Path]:
    """The files for runs or for training, by name."""
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), None)
    return {f.stem: f for f in sorted((folder / kind).glob("*.yaml"))} if folder else {}
