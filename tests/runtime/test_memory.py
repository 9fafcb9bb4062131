"""Memory that nothing uses goes back to the system during a run."""

from __future__ import annotations

import gc
import platform
import time
import weakref
from collections.abc import Iterator

import psutil
import pytest

from livevision.runtime.memory import unused_memory_returned

SIZE, COUNT = 4000, 25_000  # 100 MB in blocks that malloc does not map one by one


def resident() -> int:
    return int(psutil.Process().memory_info().rss)


def fragmented() -> list[bytearray]:
    """What is left after all blocks but the last were freed: malloc cannot shrink its heap."""
    blocks = [bytearray(SIZE) for _ in range(COUNT)]
    for block in blocks:
        block[::1000] = b"\1" * len(block[::1000])  # every page is touched
    return blocks[-1:]


def fell_by(least: int, before: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while before - resident() < least:
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


class Ring:
    """Something in a circle, which only a search for garbage frees."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc_trim is glibc's")
def test_freed_memory_goes_back_to_the_system() -> None:
    left = fragmented()
    held = resident()
    with unused_memory_returned(own_process=False, every=0.01):
        assert not fell_by(SIZE * COUNT // 2, held, 0.5)
    with unused_memory_returned(own_process=True, every=0.01):
        assert fell_by(SIZE * COUNT // 2, held, 20)
    assert left


def test_circles_are_freed_without_waiting_for_more_of_them() -> None:
    gc.disable()  # Python itself looks for them after some more objects
    with unused_memory_returned(own_process=False, every=0.01):
        seen = weakref.ref(Ring())
        time.sleep(0.3)
        assert seen() is not None
    with unused_memory_returned(own_process=True, every=0.01):
        seen = weakref.ref(Ring())
        until = time.monotonic() + 20
        while seen() is not None and time.monotonic() < until:
            time.sleep(0.02)
        assert seen() is None
