"""Stages made of functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from livevision.frame import Inferred, Prepared
from livevision.protocols import SourceInfo


class Work:
    """A stage around a function. ``seen`` has what it was told of sources, in order."""

    def __init__(self, name: str, function: Callable[[Any], Any]) -> None:
        self.name, self._function = name, function
        self.seen: list[tuple[str, int]] = []

    def opened(self, source: int, info: SourceInfo) -> None:
        self.seen.append(("opened", source))

    def ended(self, source: int) -> None:
        self.seen.append(("ended", source))

    def __call__(self, item: Any) -> Any:
        return self._function(item)


def _not_begun(item: Prepared) -> Callable[[], tuple[Inferred, float | None]]:
    raise AssertionError("this net is called, not begun")


def _not_together(items: Sequence[Prepared]) -> list[Inferred]:
    raise AssertionError("this net takes one frame")


class Net(Work):
    """The stage of the nets around functions."""

    def __init__(
        self,
        function: Callable[[Prepared], Inferred],
        open: Callable[[], None] = lambda: None,
        close: Callable[[], None] = lambda: None,
        start: Callable[[Prepared], Callable[[], tuple[Inferred, float | None]]] = _not_begun,
        together: Callable[[Sequence[Prepared]], list[Inferred]] = _not_together,
        depth: int = 1,
        streams: int = 1,
        most: int = 1,
    ) -> None:
        super().__init__("inference", function)
        self.depth, self.streams, self.most = depth, streams, most
        self.open, self.close, self.start, self.together = open, close, start, together
