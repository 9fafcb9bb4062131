"""Places cameras on nodes by the room that was measured there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Room:
    """What a node holds.

    Attributes:
        capacity: Cameras that it was measured to hold.
        load: Weights of those it has, in the same unit.
    """

    capacity: float
    load: float


def weight(fps: float | None, measured_fps: float) -> float:
    """What a camera weighs: 1 at the rate of the measurement, less for a lower ``fps``."""
    return 1.0 if fps is None else min(1.0, fps / measured_fps)


def place(cameras: Iterable[tuple[str, float]], rooms: Mapping[str, Room]) -> dict[str, str]:
    """Choose a node for each camera; the emptiest one that has room for it, relative to its size.

    No node gets more than it was measured to hold; cameras without room are left out.

    Args:
        cameras: Names and weights of those without a node.
        rooms: The nodes that take cameras, by name.

    Returns:
        The node of each camera, by name.
    """
    load = {name: room.load for name, room in rooms.items()}
    chosen: dict[str, str] = {}
    for camera, wanted in sorted(cameras, key=lambda one: (-one[1], one[0])):
        fitting = [
            name for name, room in rooms.items() if load[name] + wanted <= room.capacity + 1e-9
        ]
        if fitting:
            node = min(fitting, key=lambda name: (load[name] / rooms[name].capacity, name))
            chosen[camera] = node
            load[node] += wanted
    return chosen
