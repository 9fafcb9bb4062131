"""When a process began, and what it leaves alone while packages are imported."""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
import time

import pytest

from livevision.runtime.own_process import without_collection

ASK = "from livevision.runtime.own_process import process_start; print(process_start())"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="to a second elsewhere")
def test_a_process_knows_when_it_began() -> None:
    before = time.monotonic()
    asked = subprocess.run([sys.executable, "-c", ASK], capture_output=True, check=True)
    began = float(asked.stdout)
    assert before - 0.03 < began < time.monotonic()


def test_garbage_is_sought_again_after_an_import_that_failed() -> None:
    frozen = gc.get_freeze_count()
    try:
        with contextlib.suppress(ImportError), without_collection():
            assert not gc.isenabled()
            raise ImportError
        assert gc.isenabled()
        assert gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()
