"""What a stage is, and what passes between stages besides frames."""

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
    """A source has given its last frame. ``error`` tells why, if it was not its natural end."""

    source: int
    error: SourceError | None


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing has come for a tenth of a second."""


Event: TypeAlias = Opened | Rendered | Ended | Idle
Item: TypeAlias = Opened | Ended | Frame | Prepared | Inferred | Rendered


class Stage(Protocol):
    """Work on frames, on a thread of its own: a frame value in, the next one out.

    What a stage keeps of a source it keeps by the source's position, from ``opened`` to ``ended``.

    Attributes:
        name: As the report names it.
    """

    name: str

    def opened(self, source: int, info: SourceInfo) -> None:
        """Frames of a source follow."""

    def __call__(self, item: Any, /) -> Any: ...

    def ended(self, source: int) -> None:
        """No frame of the source follows: forget it."""


@runtime_checkable
class Computing(Protocol):
    """The stage of the nets, which may take several frames at once.

    Attributes:
        depth: How many frames ``start`` may have begun at once; where it is 1, the stage is called.
        streams: How many of these the nets compute at the same moment.
        most: How many frames ``together`` takes; fewer go one by one, and where it is 1, all do.
            The three are known once the stage is open.
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
        """Let go of them, on the same thread, after the last frame."""

    def start(self, item: Prepared) -> Callable[[], tuple[Inferred, float | None]]:
        """Begin on a frame, and return at once with what waits for the result.

        That is called once, on another thread, and tells as well when the net was done, as
        ``Pending`` does.
        """

    def together(self, items: Sequence[Prepared]) -> list[Inferred]:
        """Results of several frames, in their order."""
