"""What tests of every format share: folders of their own, and the graph of a small model."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import shallow_model


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture(scope="session")
def shallow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shallow_model.graph(tmp_path_factory.mktemp("shallow"))
