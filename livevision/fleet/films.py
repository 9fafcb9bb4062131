"""What a backlog consists of: videos with their outputs, and the tasks that workers do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from livevision.capture.stretches import Stretch


@dataclass(frozen=True, slots=True)
class Film:
    """A video of a backlog.

    Attributes:
        number: Its position.
        name: As the user named it, for results and messages.
        uri: An absolute path, or an address of fsspec.
        outputs: Paths or addresses of its outputs; their suffix says what they are.
    """

    number: int
    name: str
    uri: str
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Whole:
    """Task: a film at once, or a plan to divide it."""

    film: Film

    @property
    def key(self) -> tuple[Any, ...]:
        """What is counted together as attempts."""
        return ("film", self.film.number)


@dataclass(frozen=True, slots=True)
class Part:
    """Task: a stretch of a film.

    Attributes:
        film: The film.
        number: Position among its parts.
        stretch: What to read.
        mark: Identity of the film's file when it was divided.
    """

    film: Film
    number: int
    stretch: Stretch
    mark: Mapping[str, Any]

    @property
    def key(self) -> tuple[Any, ...]:
        return ("part", self.film.number, self.number)


@dataclass(frozen=True, slots=True)
class Join:
    """Task: the outputs of a film from those of all its parts."""

    film: Film
    stretches: tuple[Stretch, ...]
    mark: Mapping[str, Any]

    @property
    def key(self) -> tuple[Any, ...]:
        return ("join", self.film.number)


@dataclass(frozen=True, slots=True)
class Gather:
    """Task: one file of results from those of all films, in order.

    Attributes:
        target: The file.
        pieces: The results of each film.
    """

    target: str
    pieces: tuple[str, ...]

    @property
    def key(self) -> tuple[Any, ...]:
        return ("gather", self.target)


Task = Whole | Part | Join | Gather


@dataclass(frozen=True)
class Done:
    """What a worker made of a task.

    Attributes:
        frames: Frames that were delivered now.
        passed: It was finished before.
        stretches: The plan of a film that is to be divided.
        mark: Identity of the film's file.
        report: The report of the run, if there was one.
        warnings: Warnings to show to the user.
    """

    frames: int = 0
    passed: bool = False
    stretches: tuple[Stretch, ...] = ()
    mark: Mapping[str, Any] = field(default_factory=dict)
    report: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()
