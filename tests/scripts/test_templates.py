"""`scripts/templates`: the graphs without weights that are shipped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from livevision.models import catalog
from livevision.models.choice import files_of


def test_the_script_makes_the_shipped_file(script: Any, tmp_path: Path) -> None:
    # With units whose channels are put in order, and norms.
    card = catalog.find("shufflenetv2-1.0-tiny-imagenet")
    files = files_of(card, None, None, untrained=False)
    made, apart = script.make_template(replace(files, graph=None))
    made.write(tmp_path / "a.npz")
    assert card.template is not None
    assert apart < 1e-6
    assert (tmp_path / "a.npz").read_bytes() == card.template.read_bytes()
