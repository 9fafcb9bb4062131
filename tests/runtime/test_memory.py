"""Memory that was freed goes back to the system during a run."""

from __future__ import annotations

import platform
import time

import psutil
import pytest

from livevision.runtime.memory import freed_memory_returned

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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc_trim is glibc's")
def test_freed_memory_goes_back_to_the_system_in_a_process_of_its_own() -> None:
    left = fragmented()
    held = resident()
    with freed_memory_returned(own_process=False, every=0.01):
        assert not fell_by(SIZE * COUNT // 2, held, 0.5)
    with freed_memory_returned(own_process=True, every=0.01):
        assert fell_by(SIZE * COUNT // 2, held, 20)
    assert left
