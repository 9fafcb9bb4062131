"""Everything a run may be told: one model behind flags, YAML files and Python keywords."""

from __future__ import annotations

from livevision.config.settings import Settings

__all__ = ["Settings"]
