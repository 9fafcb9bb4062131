"""A scene: the lines, zones, ignored regions and rules of a source, read from YAML."""

from __future__ import annotations

from livevision.config.scene.parts import Line, Scene, Zone
from livevision.config.scene.reading import PARTS, read_scene, scene_of
from livevision.config.scene.rule import Rule, Schedule, When

__all__ = ["PARTS", "Line", "Rule", "Scene", "Schedule", "When", "Zone", "read_scene", "scene_of"]
