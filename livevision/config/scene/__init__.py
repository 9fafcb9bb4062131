"""What is watched in a picture: lines, zones, what is ignored, and rules; as YAML gives them."""

from __future__ import annotations

from livevision.config.scene.parts import Line, Scene, Zone
from livevision.config.scene.reading import PARTS, read_scene, scene_of
from livevision.config.scene.rule import Rule, Schedule, When

__all__ = ["PARTS", "Line", "Rule", "Scene", "Schedule", "When", "Zone", "read_scene", "scene_of"]
