"""How every contestant of the comparison is timed: the same clock around the same work.

Plain Python without dependencies, since the contestants live in different environments.
"""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Iterable
from typing import Any

WARM_UP = 10  # frames that are delivered before the rate is taken: engines compile on the first


def timed(frames: Iterable[Any]) -> None:
    """Drain `frames`, one item a frame written to the output, and print the figures as JSON.

    The rate runs from the warm-up's last frame to the end of the iteration, by when the output has
    to be closed. Times count from BENCH_STARTED, the parent's clock when it started the process.
    """
    started = float(os.environ["BENCH_STARTED"])
    count, first, warm = 0, 0.0, 0.0
    cpu_warm = 0.0
    for _ in frames:
        count += 1
        if count == 1:
            first = time.time()
        if count == WARM_UP:
            warm, cpu_warm = time.time(), time.process_time()
    end = time.time()
    if count <= WARM_UP:
        raise SystemExit(f"the clip has {count} frames; more than {WARM_UP} are needed")
    measured = count - WARM_UP
    figures = {
        "frames": count,
        "fps": measured / (end - warm),
        "cpu_ms_per_frame": 1e3 * (time.process_time() - cpu_warm) / measured,
        "first_frame_s": first - started,
        "whole_s": end - started,
        # Kibibytes on Linux; the largest of the process's life.
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    }
    print("FIGURES " + json.dumps(figures), flush=True)
