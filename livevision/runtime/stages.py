"""The interface of a stage, and the messages between stages besides frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

from livevision.errors import SourceError
from livevision.frame import Frame, Inferred, Prepared, Rendered
from livevision.protocols import SourceInfo


@dataclass(frozen=True, slots=True)
class Opened:
    """A source has opened; its frames follow."""

    source: int
    info: SourceInfo


@dataclass(frozen=True, slots=True)
class Ended:
    """A source has given its last frame. ``error`` is why, if it did not end by itself."""

    source: int
    error: SourceError | None


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing has come for a tenth of a second."""


Event: TypeAlias = Opened | Rendered | Ended | Idle
Item: TypeAlias = Opened | Ended | Frame | Prepared | Inferred | Rendered


class Stage(Protocol):
    """Work on frames on a thread of its own: takes one frame value and returns the next.

    State of a source is kept by its position, from ``opened`` to ``ended``.

    Attributes:
        name: Its name in the report.
    """

    name: str

    def opened(self, source: int, info: SourceInfo) -> None:
        """Frames of a source follow."""

    def __call__(self, item: Any, /) -> Any: ...

    def ended(self, source: int) -> None:
        """No more frames of the source follow; forget its state."""


@runtime_checkable
class Computing(Protocol):
    """The stage of the nets, which may take several frames at once.

    Attributes:
        depth: Frames that ``start`` may have in flight; at 1 the stage is called instead.
        streams: Frames the nets compute at the same moment.
        most: Frames that ``together`` takes; fewer go one by one, and at 1 all do. The three are
            known once the stage is open.
    """

    name: str
    depth: int
    streams: int
    most: int

    def opened(self, source: int, info: SourceInfo) -> None: ...

    def ended(self, source: int) -> None: ...

    def __call__(self, item: Prepared, /) -> Inferred: ...

    def open(self) -> None:
        """Load the nets, on the thread that will use them. Frames wait for it."""

    def close(self) -> None:
        """Release them, on the same thread, after the last frame."""

    def start(self, item: Prepared) -> Callable[[], tuple[Inferred, float | None]]:
        """Start a frame and return at once; the result waits for the net.

        Call the result once, on another thread; it also returns when the net was done, as
        ``Pending`` does.
        """

    def together(self, items: Sequence[Prepared]) -> list[Inferred]:
        """Results of several frames, in their order."""
