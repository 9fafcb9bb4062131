"""Settings of each source that can change during a run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from livevision.errors import UsageError
from livevision.frame import LiveSettings

Check = Callable[[int, LiveSettings], None]


class Controls:
    """The ``LiveSettings`` of each source: read by the stages, changed from any thread.

    Args:
        check: Validates new settings; called with the position of the source and the settings.
    """

    def __init__(self, check: Check = lambda source, settings: None) -> None:
        self._check = check
        self._settings: dict[int, LiveSettings] = {}
        self._changing = threading.Lock()

    def begin(self, source: int, settings: LiveSettings) -> None:
        """Add a source.

        Raises:
            UsageError: Its settings are not allowed.
        """
        if settings.classes or settings.scene is not None:
            self._check(source, settings)
        self._settings[source] = settings

    def knows(self, source: int) -> bool:
        """Whether a source has settings."""
        return source in self._settings

    def forget(self, source: int) -> None:
        """Drop a source's settings, if it has any."""
        self._settings.pop(source, None)

    def of(self, source: int) -> LiveSettings:
        """The current settings of a source, as one value."""
        return self._settings[source]

    def paused(self, source: int) -> bool:
        """Whether the source's frames are dropped unprocessed."""
        return self._settings[source].paused

    def change(self, source: int, **values: Any) -> LiveSettings:
        """Replace some settings of a source; frames in the pipeline keep theirs.

        Args:
            source: Its position.
            values: ``conf``, ``iou``, ``classes``, ``paused`` or ``scene``.

        Raises:
            UsageError: The source or setting does not exist, or a value is not allowed.
        """
        with self._changing:
            self._settings[source] = self.checked(source, **values)
            return self._settings[source]

    def checked(self, source: int, **values: Any) -> LiveSettings:
        """The settings that ``change`` would give; nothing is changed.

        Raises:
            UsageError: There is no such source or setting, or a value is not allowed.
        """
        if source not in self._settings:
            raise UsageError(f"there is no source {source}")
        try:
            settings = replace(self._settings[source], **values)
        except TypeError:
            allowed = ", ".join(LiveSettings.__dataclass_fields__)
            raise UsageError(
                f"{', '.join(values)} cannot be changed while running; {allowed} can"
            ) from None
        for name in ("conf", "iou"):
            value = getattr(settings, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 <= value <= 1:
                raise UsageError(f"{name} is {value}; it takes a number from 0 to 1")
        if isinstance(settings.classes, str):
            settings = replace(settings, classes=(settings.classes,))
        settings = replace(settings, classes=tuple(settings.classes))
        self._check(source, settings)
        return settings
