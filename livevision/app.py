"""The application: runs settings to an exit code, or frame by frame for Python."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from livevision.errors import UsageError
from livevision.runtime.health import Health
from livevision.runtime.memory import unused_memory_returned
from livevision.runtime.metering import Meter
from livevision.runtime.own_process import process_start
from livevision.runtime.reloading import Reloading
from livevision.runtime.report import as_table
from livevision.runtime.run import Run
from livevision.runtime.service import Service
from livevision.runtime.sources import FILES, watched
from livevision.runtime.terminal import Progress, Signals
from livevision.web.page_options import page_of
from livevision.web.server import served

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from livevision.config import Settings
    from livevision.config.run_options import RunOptions
    from livevision.frame import Rendered

log = logging.getLogger(__name__)

_MANY = 10  # results in one folder before they are summarised


def run(
    settings: Settings,
    own_process: bool = False,
    config: Path | None = None,
    read: Callable[[], Settings] | None = None,
) -> int:
    """Run the settings of the command line and return the exit code.

    Args:
        settings: The user's settings.
        config: The file of ``--config``, into which zones drawn on a page are written back.
        read: Reads the settings again, at SIGHUP; None where SIGHUP ends the run.
        own_process: This process was started for the command, so that times count from its start.

    Raises:
        LivevisionError: It carries the exit code; every output has been finished.
    """
    this = Run(settings, Meter(process_start() if own_process else None), stay=_stays(settings))
    if settings.headless and not (settings.output or settings.events or this.segments):
        kept = "nothing but the report is" if settings.report is not None else "nothing is"
        log.warning(
            "--headless without --output: %s kept; add --output results.jsonl, out.mp4 or runs/",
            kept,
        )
    reloading, health = Reloading(this, read), Health(this)
    service = Service(this, health)

    def reload() -> None:
        service.reloading()
        service.reloaded(reloading().error or "settings were read again")

    with (
        Signals(this.pipeline, this.delivery.saved, reload if reloading.possible else None) as stop,
        Progress(settings) as progress,
        this.outcome.reported(),
        served(this, config, health, reloading),
        service,
        unused_memory_returned(own_process),
    ):
        for _ in this.frames(progress):
            progress.advance()
    report = this.report()
    if settings.log_format == "json":
        log.info("report", extra={"fields": {"report": report}})
    elif report["frames_in"] and not settings.quiet:
        print(as_table(report), file=sys.stderr)
    for failure in this.outcome.failures:
        log.error("%s", failure)
    if report["sources_failed"] and len(report["sources"]) > 1:
        log.warning("%d of %d sources failed", report["sources_failed"], len(report["sources"]))
    for where in _in_short(this.delivery.where):
        log.info("results are in %s", where)
    return this.outcome.exit_code(len(this.sources)) if stop.signal is None else 128 + stop.signal


def frames(
    source: str | Path | int | Sequence[str | Path | int] = (),
    task: Literal["detect", "segment", "both", "classify"] | None = None,
    **options: Unpack[RunOptions],
) -> Iterator[Rendered]:
    """Run livevision and iterate over its frames.

        for frame in livevision.run(source="in.mp4", task="both"):
            print(frame.index, frame.time, frame.detections.xyxy)

    Args:
        source: A source as for ``--source``, or several; not needed if ``sources`` are given by
            name.
        task: ``detect``, ``segment``, ``both`` or ``classify``; default: the task of the models, or
            ``detect`` if none is named.
        options: Any other setting of the command line by name, such as ``conf=0.4`` or
            ``output="out.mp4"``. No window opens unless ``output`` contains ``"window"``.

    Yields:
        Every delivered frame with its results and the annotated picture (uint8, H×W×3, BGR).
        Leaving the loop ends the run and finishes its outputs.

    Raises:
        LivevisionError: As on the command line; a SourceError is raised only after the last frame
            of all sources.
    """
    from livevision.config import Settings

    given: dict[str, Any] = {"headless": True, **options}
    if source != ():
        given["source"] = source
    if task is not None:
        given["task"] = task
    settings = Settings.of(**given)
    if settings.workers is not None or settings.on is not None:
        raise UsageError(
            "workers and on are for the command line: frames of other processes cannot be iterated"
        )
    this = Run(settings, Meter(), draw=True)
    with this.outcome.reported(), served(this), closing(this.frames()) as rendered:
        yield from rendered
    this.outcome.raise_first()


def _stays(settings: Settings) -> bool:
    """Whether a run continues without sources: with a page, unless it reads files once."""
    if page_of(settings) is None:
        return False
    return settings.loop or any(source.kind not in FILES for source in watched(settings))


def _in_short(paths: Sequence[str]) -> list[str]:
    """Where results are, one line each; many in one folder share a line."""
    count = Counter(str(Path(path).parent) for path in paths)
    return list(
        dict.fromkeys(
            path
            if count[folder := str(Path(path).parent)] < _MANY
            else f"{folder}/ ({count[folder]} files)"
            for path in paths
        )
    )
