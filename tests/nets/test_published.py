"""The rows printed beside our counts are near them, but for those that say why they are not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from livevision.nets import names
from livevision.nets.published import PUBLISHED, Published


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row.net}-{row.multiply_adds}")
def test_row(row: Published) -> None:
    assert row.net in names()
    parameters, multiply_adds = row.count()
    near = 0.25 if row.remark else 0.075
    assert multiply_adds == pytest.approx(row.multiply_adds, rel=near)
    if row.parameters is not None:
        assert parameters == pytest.approx(row.parameters, rel=0.15 if row.remark else 0.05)


def test_the_table_is_had_without_torch() -> None:
    code = "import sys, livevision.nets.published; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
