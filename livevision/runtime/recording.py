"""Recordings of the annotated picture, started and stopped during a run."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from livevision import registry
from livevision.errors import OutputError, UsageError
from livevision.output.options import OutputOptions
from livevision.protocols import OutletPolicy, SourceInfo
from livevision.runtime.metering import Meter
from livevision.runtime.outlets import Outlet

SUFFIX = ".mp4"


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording in progress or ended.

    Attributes:
        file: Its file.
        since: ``time.monotonic()`` when it started.
        error: What ended it early; "" for nothing.
    """

    file: Path
    since: float
    error: str = ""


class Recordings:
    """The recordings of a run, at most one per source. Every method is thread-safe.

    An error of a recording ends only that recording.

    Args:
        folder: Folder of the recordings; created for the first one.
        options: Options of the sinks.
        meter: Counts the frames written.
        stopping: Whether the run is stopping.
    """

    def __init__(
        self,
        folder: Path,
        options: OutputOptions,
        meter: Meter,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.folder = folder
        self._options, self._meter, self._stopping = options, meter, stopping
        self._lock = threading.Lock()
        self._outlets: dict[int, Outlet] = {}
        self._told: dict[int, Recording] = {}
        self._ending: list[Outlet] = []

    def start(self, source: int, name: str, info: SourceInfo) -> Recording:
        """Start recording a source.

        Args:
            source: Its position.
            name: Its name, which the file gets.
            info: What it reports of itself.

        Raises:
            UsageError: It is being recorded already.
            OutputError: The file cannot be created.
        """
        with self._lock:
            if self._going_on(source):
                raise UsageError(f"{name} is recorded already")
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f"cannot make {self.folder}: {error.strerror}") from None
            path = self._free(name)
            kind = registry.resolve(registry.SINKS, "video_file", "kind of output")
            # The file's other streams go to the outputs that it was opened for.
            plain = replace(info, extras=None)
            outlet = Outlet(
                str(path),
                lambda: kind(str(path), plain, self._options),
                OutletPolicy(),
                self._meter,
                self._stopping,
            )
            outlet.opened(source, plain)
            self._outlets[source] = outlet
            self._told[source] = Recording(path, time.monotonic())
            return self._told[source]

    def stop(self, source: int) -> Recording | None:
        """Stop recording a source, after its queued frames; None if there is no recording."""
        with self._lock:
            outlet = self._outlets.pop(source, None)
            told = self._told.pop(source, None)
            self._ending = [one for one in self._ending if not one.ended]
            if outlet is not None:
                self._ending.append(outlet)
        if outlet is None or told is None:
            return told
        outlet.end()
        outlet.join()
        return replace(told, error="" if outlet.error is None else _line(outlet.error))

    def source_ended(self, source: int) -> None:
        """The source has ended: finish its recording in the background."""
        with self._lock:
            outlet = self._outlets.pop(source, None)
            self._told.pop(source, None)
            if outlet is not None:
                self._ending.append(outlet)
        if outlet is not None:
            outlet.end()

    def of(self, source: int) -> Recording | None:
        """The recording of a source, also a failed one; None without one."""
        with self._lock:
            told, outlet = self._told.get(source), self._outlets.get(source)
        if told is None or outlet is None or outlet.error is None:
            return told
        return replace(told, error=_line(outlet.error))

    def outlets(self, source: int) -> list[Outlet]:
        """Further outlets for the frames of a source, besides its outputs."""
        outlet = self._outlets.get(source)
        return [] if outlet is None or outlet.error is not None else [outlet]

    def close(self) -> None:
        """Stop all recordings, and wait until the files are finished."""
        for source in list(self._outlets):
            self.stop(source)
        for outlet in list(self._ending):
            outlet.join()

    def _going_on(self, source: int) -> bool:
        outlet = self._outlets.get(source)
        return outlet is not None and outlet.error is None

    def _free(self, name: str) -> Path:
        """An unused file name from a source and the time."""
        stem = re.sub(r"[^\w.-]+", "-", Path(name).stem if "://" not in name else name)
        stem = stem.strip("-.")[-80:].strip("-.") or "source"
        start = f"{stem}-{datetime.now():%Y%m%d-%H%M%S}"
        path, number = self.folder / f"{start}{SUFFIX}", 1
        while path.exists():
            number += 1
            path = self.folder / f"{start}-{number}{SUFFIX}"
        return path


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
