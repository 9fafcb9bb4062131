"""Classes that other installed packages add, found by their entry points on request.

A package names a class in one of the groups below, in its metadata; none of its code runs before
the user asks for that name. Built-in names cannot be replaced.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from livevision.errors import LivevisionError, ModelError, OutputError, SourceError
from livevision.redact import redact

log = logging.getLogger(__name__)

SOURCES, SINKS, ENGINES, OVERLAYS, MODELS = GROUPS = (
    "livevision.sources",
    "livevision.sinks",
    "livevision.engines",
    "livevision.overlays",
    "livevision.models",
)

_ERRORS: dict[str, type[LivevisionError]] = {
    SOURCES: SourceError,
    SINKS: OutputError,
    ENGINES: ModelError,
    MODELS: ModelError,
}
# Methods that are called on an object, attributes it must have, and those its class must have.
_CALLED = {
    SOURCES: ("close",),
    SINKS: ("write", "close", "opened", "attend"),
    ENGINES: ("__call__", "start", "close"),
    OVERLAYS: (),
}
_NEEDED = {
    SOURCES: ("info", "losses", "life", "__iter__", "close"),
    SINKS: ("where", "write", "close"),
    ENGINES: ("spec", "__call__", "close"),
    OVERLAYS: ("plan",),
}
_NEEDED_OF_CLASS = {SINKS: ("wants_image",), ENGINES: ("reads",)}


class Plugin:
    """One entry point of another package.

    Attributes:
        group: One of ``GROUPS``.
        name: Name by which users ask for it.
    """

    def __init__(self, group: str, entry: metadata.EntryPoint) -> None:
        self.group, self.name = group, entry.name
        self._entry = entry

    def __str__(self) -> str:
        return f"the {self.group.removeprefix('livevision.')[:-1]} {self.name!r} of {self.package}"

    @property
    def package(self) -> str:
        """Name and version of the package it comes from."""
        dist = self._entry.dist
        return "an unnamed package" if dist is None else f"{dist.name} {dist.version}"

    def load(self) -> Any:
        """Import the object that the entry point names.

        Raises:
            LivevisionError: The import failed; of the type that fits the group.
        """
        try:
            return self._entry.load()
        except (Exception, SystemExit) as error:
            raise self.error(f"cannot be loaded: {_said(error)}") from error

    def load_class(self) -> Any:
        """Import the class that it names; errors of its objects become one line with the package.

        Raises:
            LivevisionError: The import failed, or it is not such a class.
        """
        found = self.load()
        if not isinstance(found, type):
            raise self.error('names no class; write NAME = "package.module:Class"')
        for name in _NEEDED_OF_CLASS.get(self.group, ()):
            if not hasattr(found, name):
                raise self.error(f"its class {found.__name__} has no attribute {name!r}")
        return _guarded(found, self)

    def error(self, what: str) -> LivevisionError:
        return _ERRORS.get(self.group, LivevisionError)(f"{self}: {what}")

    @contextmanager
    def called(self) -> Iterator[None]:
        """Context of a call into the package.

        Raises:
            LivevisionError: As raised by the package, or wrapping anything else that it raised.
        """
        try:
            yield
        except Exception as error:
            from livevision.protocols import StopRequested

            if isinstance(error, LivevisionError | StopRequested):
                raise
            raise self.error(f"{_said(error)} (--verbose shows where)") from error


def find(group: str, name: str) -> Plugin | None:
    """The entry point of an installed package for a name; None if there is none."""
    return _installed(group).get(name)


def names(group: str, built_in: Iterable[str] = ()) -> list[str]:
    """Names that installed packages add, without livevision's own."""
    return sorted(_installed(group).keys() - set(built_in))


@cache
def keep(group: str, name: str) -> None:
    """Warn once that an installed package adds a built-in name; the built-in one stays in use."""
    plugin = find(group, name)
    if plugin is not None:
        log.warning("%s is not used: livevision has that name itself", plugin)


@cache
def folders() -> list[tuple[Plugin, Path]]:
    """Model folders of installed packages; an entry that is not a folder gives a warning."""
    found = []
    for _, plugin in sorted(_installed(MODELS).items()):
        try:
            found.append((plugin, _folder(plugin)))
        except LivevisionError as error:
            log.warning("%s", error)
    return found


def _folder(plugin: Plugin) -> Path:
    found = plugin.load()
    with plugin.called():
        if isinstance(found, ModuleType):
            place: Any = next(iter(getattr(found, "__path__", ())), None)
        else:
            place = found() if callable(found) else found
    if not isinstance(place, str | Path) or not Path(place).is_dir():
        raise plugin.error(f"must return a folder; it returns {redact(repr(place))}")
    return Path(place)


@cache
def _installed(group: str) -> dict[str, Plugin]:
    found: dict[str, Plugin] = {}
    for entry in metadata.entry_points(group=group):
        plugin = Plugin(group, entry)
        first = found.setdefault(entry.name, plugin)
        if first is not plugin and first.package != plugin.package:
            log.warning("%s is not used: %s has that name", plugin, first)
    return found


def _guarded(kind: Any, plugin: Plugin) -> type:
    """A subclass whose methods raise errors that name the package."""

    def begin(self: Any, *args: Any, **options: Any) -> None:
        with plugin.called():
            kind.__init__(self, *args, **options)
        for name in _NEEDED[plugin.group]:
            if not hasattr(self, name):
                raise plugin.error(f"its class {kind.__name__} has no attribute {name!r}")

    members: dict[str, Any] = {"__init__": begin, "__module__": kind.__module__}
    for name in _CALLED[plugin.group]:
        if hasattr(kind, name):
            members[name] = _guarded_call(getattr(kind, name), plugin)
    if plugin.group == SOURCES and hasattr(kind, "__iter__"):
        members["__iter__"] = _guarded_iteration(kind.__iter__, plugin)
    if plugin.group == OVERLAYS and hasattr(kind, "plan"):
        members["plan"] = _guarded_plan(kind.plan, plugin)
    return type(kind.__name__, (kind,), members)


def _guarded_call(method: Callable[..., Any], plugin: Plugin) -> Callable[..., Any]:
    @wraps(method)
    def call(*args: Any, **options: Any) -> Any:
        with plugin.called():
            return method(*args, **options)

    return call


def _guarded_plan(method: Callable[..., Any], plugin: Plugin) -> Callable[..., Any]:
    @wraps(method)
    def plan(*args: Any, **options: Any) -> Any:
        with plugin.called():
            return _guarded_call(method(*args, **options), plugin)

    return plan


def _guarded_iteration(method: Callable[..., Any], plugin: Plugin) -> Callable[..., Any]:
    @wraps(method)
    def iterate(self: Any) -> Generator[Any]:
        with plugin.called():
            items = iter(method(self))
        try:
            while True:
                with plugin.called():
                    item = next(items, None)
                if item is None:
                    return
                yield item
        finally:
            if isinstance(items, Generator):
                items.close()

    return iterate


def _said(error: BaseException) -> str:
    """The error in one line."""
    lines = redact(str(error)).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
