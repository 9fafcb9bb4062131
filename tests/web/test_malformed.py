"""A few hundred malformed requests; ``scripts/attack_page`` sends ten thousand."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.running import LIVE, page, wait_for

attacking = pytest.importorskip("tests.web.attacking", reason="Schemathesis is not installed")


def test_malformed_requests_are_refused_and_the_run_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livevision.web.limits.Rate.take", lambda self, peer: None)
    with page(source=LIVE.format("160x120", 5), recordings=str(tmp_path)) as one:
        wait_for(lambda: one.source(0)["frames_out"] > 1)
        answers = attacking.attack(one.address, 70)
        assert sum(answers.values()) > 50
        refused = sum(n for status, n in answers.items() if status.startswith("4"))
        assert refused > 20
        uri = LIVE.format("160x120", 5)
        added = one.api("POST", "/sources", {"name": "after", "uri": uri}).json["id"]
        wait_for(lambda: one.source(added)["frames_out"] > 1)
