"""The examples of docs/page.md, run by curl during a run."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import cv2
import pytest

from tests import clips
from tests.docs.pages import ROOT, commands, examples
from tests.web.running import LIVE, page, wait_for

DOCS = ROOT / "docs" / "page.md"


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here: apt-get install curl")
def test_the_documented_requests_work(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "in.jpg"), clips.numbered(1))
    (example,) = [e for e in examples(DOCS) if e.text.startswith("curl http://127.0.0.1:8080")]
    with page(source=LIVE.format("320x240", 5), conf=0.02) as one:
        wait_for(lambda: one.source(0)["frames_out"] > 1)
        for _, line in commands(example):
            words = shlex.split(line.replace("127.0.0.1:8080", f"127.0.0.1:{one.port}"))
            command = ["curl", "--silent", "--show-error", "--fail-with-body", *words[1:]]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
            endless = "--max-time" in words
            assert done.returncode == (28 if endless else 0), (line, done.stdout, done.stderr)
            if not endless and "--output" not in words:
                json.loads(done.stdout)
        assert one.source(0)["settings"] == {
            "conf": 0.4, "iou": 0.5, "classes": ["person"], "paused": True,
        }  # fmt: skip
        assert cv2.imread(str(tmp_path / "now.jpg")).shape == (240, 320, 3)


def test_every_path_of_the_api_is_documented() -> None:
    from livevision.web.endpoints import BASE, ENDPOINTS

    told = set(re.findall(r"`(GET|POST|PATCH|PUT|DELETE) (/[^`]*)`", DOCS.read_text()))
    for endpoint in ENDPOINTS:
        path = endpoint.path.removeprefix(BASE).replace("{id}", "0").replace("{file}", "FILE")
        path = path.replace("{event}", "EVENT").replace("{day}", "DAY")
        if path == "/openapi.json" or (endpoint.method, path) == ("GET", "/sources/0/settings"):
            continue
        assert (endpoint.method, path) in told


@pytest.mark.parametrize("name", ["page-overview.png", "page-source.png", "page-phone.png"])
def test_pictures_of_the_page_are_small(name: str) -> None:
    assert 1000 < (ROOT / "docs" / "images" / name).stat().st_size < 150_000
