"""One run with a page for the tests of a file, and a browser where there is one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.running import LIVE, Page, page, wait_for


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page of two live sources, door and yard; at this low confidence boxes always appear."""
    folder = tmp_path_factory.mktemp("two")
    sources = {
        "door": {"uri": LIVE.format("320x240", 10)},
        "yard": {"uri": LIVE.format("240x160", 5)},
    }
    with page(sources=sources, conf=0.02, recordings=str(folder / "recordings")) as served:
        for position in range(2):
            wait_for(lambda n=position: served.source(n)["frames_out"] > 2)
        yield served


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("LIVEVISION_CHROMIUM") or next(filter(None, map(shutil.which, names)), "")
    if not path or not Path(path).exists():
        pytest.skip("no Chromium here: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-background-networking", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()
