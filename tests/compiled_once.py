"""Graphs that OpenVINO compiled in this process, which later runs of it take again.

Hundreds of tests run a shipped model in the process of the tests. To load one from the cache takes
half a second of CPU; its requests are each engine's own, so that a compiled graph may be shared.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from livevision.files import cache_folder

Compile = Callable[[Any, str, dict[str, Any]], Any]

MOST = 6


def compiled_once(compile_graph: Compile) -> Compile:
    """In place of ``openvino_engine._compiled``: the newest graphs stay, by file and settings.

    A test that sets a cache of its own is about caches, or changes its graphs: it compiles.
    """
    kept: OrderedDict[tuple[object, ...], Any] = OrderedDict()
    usual = os.environ.get("XDG_CACHE_HOME")

    def compiled(core: Any, graph: str, settings: dict[str, Any]) -> Any:
        path = Path(graph)
        if os.environ.get("XDG_CACHE_HOME") != usual or not path.is_file():
            return compile_graph(core, graph, settings)
        key = (graph, *_version(path), *sorted(settings.items()))
        if key not in kept:
            kept[key] = compile_graph(core, graph, settings)
        kept.move_to_end(key)
        while len(kept) > MOST:
            kept.popitem(last=False)
        return kept[key]

    return compiled


def _version(path: Path) -> tuple[int, ...]:
    """What tells a file from others of its name; in a cache the name does, and times change."""
    state = path.stat()
    cached = path.is_relative_to(cache_folder("graphs") or "")
    return (state.st_ino, state.st_size, *(() if cached else (state.st_mtime_ns,)))
