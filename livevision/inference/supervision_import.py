"""Imports supervision without the packages that it needs only for data sets and curves.

supervision imports parts of SciPy and requests for a few of its functions. With them it takes 0.9 s
of CPU to import, without 0.5 s (two cores of an AMD EPYC, 2026-11-29), of the 1.3 s until the first
frame. They are imported when one of these functions is called.
"""

from __future__ import annotations

import builtins
import importlib
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

_DEFERRED = ("requests", "scipy.interpolate", "scipy.spatial")
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
                return _Later(name, names=tuple(fromlist or ()))
            return plain(name, globals, locals, fromlist or (), level)

        builtins.__import__ = lighter
        try:
            importlib.import_module("supervision")
        finally:
            builtins.__import__ = plain


class _Later(ModuleType):
    """Stands for a module, which is imported when something of it is used.

    Args:
        name: The module.
        names: Of the functions and classes that were imported from it: calls of them import it.
            Without any the module itself was imported, and its attributes are used later.
    """

    def __init__(self, name: str, names: tuple[str, ...]) -> None:
        super().__init__(name)
        for each in names:
            setattr(self, each, _call_later(name, each))

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self.__name__), attribute)


def _call_later(module: str, name: str) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*arguments, **named)

    return call
