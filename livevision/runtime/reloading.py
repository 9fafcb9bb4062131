"""Reloads settings during a run: applies what can change, reports what cannot."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from livevision.config.scene import Scene, read_scene
from livevision.errors import LivevisionError

if TYPE_CHECKING:
    from livevision.config import Settings, SourceSettings
    from livevision.runtime.run import Run

log = logging.getLogger(__name__)

LIVE = ("conf", "iou", "classes")
"""Settings of the run and of a source that change at once."""

_OF_RUN = (*LIVE, "scene", "sources")
_LIVE_OF_SOURCE = (*LIVE, "paused", "scene")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of reloading.

    Attributes:
        at: ``time.time()`` of the last reload; None before the first.
        error: Why nothing was changed; "" if it succeeded.
        done: Number of successful reloads.
        failed: Number of failed ones.
    """

    at: float | None = None
    error: str = ""
    done: int = 0
    failed: int = 0


class Reloading:
    """Reads the settings of a run again and applies the differences.

    What was changed or added on the page stays, unless the file changes it.

    Args:
        run: The run.
        read: Reads the settings; None if there is no file.

    Attributes:
        outcome: The last result.
        outcome: Of the last time.
    """

    def __init__(self, run: Run, read: Callable[[], Settings] | None) -> None:
        self._run, self._read = run, read
        self._before = run.settings
        self._scenes: dict[str | None, Scene | None] = {
            run.sources[n].named: run.controls.of(n).scene for n in run.watched
        }
        self._lock = threading.Lock()
        self.outcome = Outcome()

    @property
    def possible(self) -> bool:
        """Whether there is a file to read."""
        return self._read is not None

    def __call__(self) -> Outcome:
        """Reload now. An error changes nothing, and is logged."""
        if self._read is None:
            return self.outcome
        with self._lock:
            last = self.outcome
            try:
                after = self._read()
                self._apply(after)
            except LivevisionError as error:
                told = " ".join(str(error).split())
                log.error("settings were not read again, the old ones stay: %s", told)
                self.outcome = Outcome(time.time(), told, last.done, last.failed + 1)
            else:
                log.info("settings were read again")
                self.outcome = Outcome(time.time(), "", last.done + 1, last.failed)
            return self.outcome

    def _apply(self, after: Settings) -> None:
        """Apply the differences, or none if one of them is not allowed."""
        before, run = self._before, self._run
        run_scene = None if after.scene is None else read_scene(after.scene)
        scenes: dict[str | None, Scene | None] = {
            name: run_scene if own.scene is None else own.read_scene()
            for name, own in after.sources.items()
        }
        places = {run.sources[n].named: n for n in run.watched}
        changes: dict[int, dict[str, Any]] = {}
        for position in run.watched:
            name = run.sources[position].named
            new = after.sources.get(name) if name is not None else None
            changes[position] = _changed(before, after, before.sources.get(name or ""), new)
            scene = scenes.get(name, run_scene) if name is not None else run_scene
            if scene != self._scenes.get(name):
                changes[position]["scene"] = scene
            run.controls.checked(position, **changes[position])
        anew = [
            name
            for name, own in after.sources.items()
            if name in before.sources and _needs_opening(before.sources[name], own)
        ]
        added: list[int] = []
        kept = run.settings
        run.use(kept.model_copy(update={name: getattr(after, name) for name in _OF_RUN}))
        try:
            for name, own in after.sources.items():
                if name not in before.sources and name not in places:
                    added.append(run.add(name, own))
        except LivevisionError:
            run.use(kept)
            for position in added:
                run.remove(position)
            raise
        self._scenes = dict(scenes)
        self._scenes[None] = run_scene
        for name, position in places.items():
            if name in before.sources and (name not in after.sources or name in anew):
                run.remove(position)
            elif changes[position]:
                run.controls.change(position, **changes[position])
        self._before = after
        for name in anew:
            run.add(name, after.sources[name])
        for name in type(after).model_fields:
            if name not in _OF_RUN and getattr(after, name) != getattr(before, name):
                log.warning("%s changes with the next start alone", name.replace("_", "-"))


def _needs_opening(old: SourceSettings, new: SourceSettings) -> bool:
    """Whether a change requires reopening the source."""
    return any(
        getattr(old, name) != getattr(new, name)
        for name in type(new).model_fields
        if name not in _LIVE_OF_SOURCE
    )


def _changed(
    before: Settings, after: Settings, old: SourceSettings | None, new: SourceSettings | None
) -> dict[str, Any]:
    """Changed settings of a source, with their new values."""
    found: dict[str, Any] = {}
    for name in LIVE:
        was, now = _of(before, old, name), _of(after, new, name)
        if was != now:
            found[name] = now
    if old is not None and new is not None and old.paused != new.paused:
        found["paused"] = new.paused
    return found


def _of(run: Settings, own: SourceSettings | None, name: str) -> Any:
    value = None if own is None else getattr(own, name)
    return getattr(run, name) if value is None else value
