"""Zones and lines of a source for the page, and writing changes of them back into YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livevision.config.scene import Line, Scene, Zone, scene_of
from livevision.config.scene.values import Points, in_pixels
from livevision.config.scene.writing import write_shapes
from livevision.errors import UsageError

if TYPE_CHECKING:
    from livevision.runtime.run import Run

Corners = Sequence[Sequence[float]]
Origin = tuple[Path, tuple[str, ...]]
"""The YAML file of a scene, and the keys under which the file has it."""


class Scenes:
    """Reads and changes the scenes of a run's sources.

    Args:
        run: The run.
        config: The file of ``--config``; None for none.
    """

    def __init__(self, run: Run, config: Path | None = None) -> None:
        self._run, self._config = run, config

    def row(self, source: int) -> dict[str, Any]:
        """The scene of a source as JSON, with points as fractions of the picture."""
        scene = self._scene(source)
        info, origin = self._run.meter.info(source), self._origin(source)
        size = None if info is None else info.size
        figures = self._run.scene_figures(source)
        return {
            "zones": {
                z.name: {
                    "points": _fractions(z.points, size),
                    "classes": list(z.classes),
                    "anchor": z.anchor,
                    "inside": sum(figures.get("zones", {}).get(z.name, {}).get("now", {}).values()),
                }
                for z in scene.zones
            },
            "lines": {
                one.name: {
                    "points": _fractions(one.points, size),
                    "classes": list(one.classes),
                    "anchor": one.anchor,
                    "crossed_in": _crossed(figures, one.name, "in"),
                    "crossed_out": _crossed(figures, one.name, "out"),
                }
                for one in scene.lines
            },
            "ignore": [_fractions(region, size) for region in scene.ignore],
            "rules": [rule.name for rule in scene.rules],
            "file": None if origin is None else str(origin[0]),
        }

    def change(
        self,
        source: int,
        zones: Mapping[str, Corners | None],
        lines: Mapping[str, Corners | None],
    ) -> None:
        """Set the corners of zones and lines by name, or delete those that are None.

        The change applies from the next frame on, and is written into the scene's file, so it
        applies to all sources that share the file. Without a file it lasts as long as the run.

        Raises:
            UsageError: A shape is invalid, a rule needs a shape to be deleted, or the file cannot
                be written.
        """
        origin = self._origin(source)
        if origin is None:
            scene = _changed(self._scene(source), zones, lines)
            self._run.controls.change(source, scene=scene)
            return
        for shape, corners in zones.items():
            _check("zones", shape, corners)
        for shape, corners in lines.items():
            _check("lines", shape, corners)
        scene = write_shapes(origin[0], dict(zones), dict(lines), within=origin[1])
        for position in self._run.watched:
            if self._origin(position) == origin:
                self._run.controls.change(position, scene=scene)

    def _scene(self, source: int) -> Scene:
        return self._run.controls.of(source).scene or Scene()

    def _origin(self, source: int) -> Origin | None:
        watched = self._run.sources[source]
        own = watched.settings.scene
        if isinstance(own, Path):
            return own, ()
        if own is not None:
            named = watched.named
            if self._config is None or named not in self._run.settings.sources:
                return None
            return self._config, ("sources", str(named))
        run = self._run.settings.scene
        return None if run is None else (run, ())


def _changed(
    scene: Scene, zones: Mapping[str, Corners | None], lines: Mapping[str, Corners | None]
) -> Scene:
    """A scene with other corners; other properties of its shapes stay."""
    new_zones: dict[str, Zone] = {zone.name: zone for zone in scene.zones}
    new_lines: dict[str, Line] = {line.name: line for line in scene.lines}
    for name, corners in zones.items():
        made = _check("zones", name, corners)
        if made is None:
            _delete(new_zones, name, scene)
        else:
            there = new_zones.get(name, made.zones[0])
            new_zones[name] = replace(there, points=made.zones[0].points)
    for name, corners in lines.items():
        made = _check("lines", name, corners)
        if made is None:
            _delete(new_lines, name, scene)
        else:
            known = new_lines.get(name, made.lines[0])
            new_lines[name] = replace(known, points=made.lines[0].points)
    return replace(scene, zones=tuple(new_zones.values()), lines=tuple(new_lines.values()))


def _check(part: str, name: str, corners: Corners | None) -> Scene | None:
    """A scene with this shape only; None if the shape is to be deleted."""
    if corners is None:
        return None
    return scene_of({part: {name: {"points": [list(point) for point in corners]}}}, part[:-1])


def _delete(shapes: dict[str, Any], name: str, scene: Scene) -> None:
    if name not in shapes:
        raise UsageError(f"there is no {name!r} to delete")
    for rule in scene.rules:
        if name in (rule.when.zone, rule.when.line):
            raise UsageError(f"the rule {rule.name!r} needs {name!r}")
    del shapes[name]


def _fractions(points: Points, size: tuple[int, int] | None) -> list[list[float]]:
    if size is None:
        return [list(point) for point in points]
    pixels = in_pixels(points, size)
    return [[round(x / size[0], 4), round(y / size[1], 4)] for x, y in pixels]


def _crossed(figures: Mapping[str, Any], name: str, way: str) -> int:
    return int(sum(figures.get("lines", {}).get(name, {}).get(way, {}).values()))
