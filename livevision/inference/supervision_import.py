"""Imports supervision without the packages that it needs only for data sets and curves.

supervision imports parts of SciPy, requests, tqdm's bars for asyncio and parsers of XML for a few
of its functions. With all of them it takes 0.9 s of CPU to import, without SciPy and requests
0.2 s, without the others 0.12 s (two cores of an AMD EPYC, 2026-11-29; the first figure beside
other programs). They are imported when one of these functions is called.
"""

from __future__ import annotations

import builtins
import importlib
import sys
import threading
from collections.abc import Mapping, Sequence
from types import ModuleType

from livevision.inference.later import Later

_DEFERRED = (
    "defusedxml.ElementTree",
    "defusedxml.minidom",
    "requests",
    "scipy.interpolate",
    "scipy.spatial",
    "tqdm.auto",
    "yaml",
)
_lock = threading.Lock()


def import_supervision() -> None:
    """Import supervision unless that is done. Imports of other modules are as always."""
    with _lock:
        if "supervision" in sys.modules:
            return
        plain = builtins.__import__

        def lighter(
            name: str,
            globals: Mapping[str, object] | None = None,
            locals: Mapping[str, object] | None = None,
            fromlist: Sequence[str] | None = (),
            level: int = 0,
        ) -> ModuleType:
            own = str((globals or {}).get("__name__", "")).startswith("supervision.")
            if own and name in _DEFERRED and name not in sys.modules:
                return Later(name, names=tuple(fromlist or ()))
            return plain(name, globals, locals, fromlist or (), level)

        builtins.__import__ = lighter
        try:
            importlib.import_module("supervision")
        finally:
            builtins.__import__ = plain
