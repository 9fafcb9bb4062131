"""Settings of a run: one model behind flags, YAML files and Python keywords."""

from __future__ import annotations

from livevision.config.settings import Settings
from livevision.config.sources import SourceSettings

__all__ = ["Settings", "SourceSettings"]
