"""When a run with a page ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from livevision.app import _stays
from livevision.config import Settings
from tests import clips

PAGE = "web://127.0.0.1:0"


@pytest.mark.parametrize(
    ("source", "more", "stays"),
    [
        ("synthetic://160x120?paced=1", {}, True),
        ("rtsp://127.0.0.1:9/x", {}, True),
        ("clip.mp4", {}, False),
        ("clip.mp4", {"loop": True}, True),
        ("rtsp://127.0.0.1:9/x", {"output": "out.jsonl"}, False),
    ],
    ids=["camera", "stream", "file", "loop", "no page"],
)
def test_a_run_with_a_page_continues_unless_it_only_reads_files(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    more: dict[str, object],
    stays: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    clips.make_clip(tmp_path / "clip.mp4", frames=2)
    given = {"source": source, "output": PAGE, "headless": True, **more}
    assert _stays(Settings.of(**given)) is stays
