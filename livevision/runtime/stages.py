"""What happens in each stage of a run, and what passes between stages besides frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

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


@dataclass(frozen=True)
class Stages:
    """What happens between capture and output, a function a stage.

    Attributes:
        preprocess: Runs on its own thread, as do the other two.
        inference: The net and the decoding of its output.
        overlay: The picture to show.
        open: Called once on the inference thread before its first frame: engines are opened on the
            thread that uses them.
        close: Called once on that thread after its last frame.
        start: The same as ``inference`` in two parts: begins on a frame and returns at once with
            what waits for the result. That is called once, on another thread, and tells as well
            when the net was done, as ``Pending`` does.
        depth: How many frames ``start`` may have begun at once, known after ``open``. Where it is
            1, ``inference`` is called.
        streams: How many of these the net computes at the same moment, known after ``open``.
        together: The same as ``inference`` for several frames, in their order.
        most: How many frames ``together`` takes, known after ``open``; fewer go one by one. Where
            it is 1, all do.
    """

    preprocess: Callable[[Frame], Prepared]
    inference: Callable[[Prepared], Inferred]
    overlay: Callable[[Inferred], Rendered]
    open: Callable[[], None] = field(default=lambda: None)
    close: Callable[[], None] = field(default=lambda: None)
    start: Callable[[Prepared], Callable[[], tuple[Inferred, float | None]]] | None = None
    depth: Callable[[], int] = field(default=lambda: 1)
    streams: Callable[[], int] = field(default=lambda: 1)
    together: Callable[[Sequence[Prepared]], list[Inferred]] | None = None
    most: Callable[[], int] = field(default=lambda: 1)
