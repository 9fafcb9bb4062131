"""One thread for all runs: such small nets are quicker so, and bits do not hang on the machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.training import small_data


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")  # of processes that tests start, too
        yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """None, which take half a second a run; tests of plots put their own in the place of this."""
    small_data.draw_no_plots(monkeypatch)
