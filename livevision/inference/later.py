"""A module that is imported when something of it is used."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any


class Later(ModuleType):
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
        if attribute == "__path__":
            raise AttributeError(attribute)  # Python asks while it imports from what stands here
        return getattr(importlib.import_module(self.__name__), attribute)


def _call_later(module: str, name: str) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*arguments, **named)

    return call
