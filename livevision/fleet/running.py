"""Runs a backlog from its settings to an exit code: bar, report, and the list of what failed."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livevision import cores
from livevision.errors import ModelError, OutputError, SourceError, UsageError, missing_package
from livevision.fleet import sidecars
from livevision.fleet.backlog import Backlog, outputs_of
from livevision.fleet.films import Film
from livevision.fleet.inputs import films, videos
from livevision.fleet.local import LocalPool
from livevision.fleet.places import HIDDEN, Place
from livevision.fleet.pool import Pool
from livevision.fleet.worker import Job
from livevision.models.for_run import for_run
from livevision.output.report_file import check_report, write_report
from livevision.redact import redact_uri
from livevision.runtime.report import joined
from livevision.runtime.terminal import Bar

if TYPE_CHECKING:
    from livevision.config import Settings

log = logging.getLogger(__name__)

_STEP_S = 0.5


def run(settings: Settings) -> int:
    """Run a backlog; returns the exit code.

    Raises:
        LivevisionError: It cannot begin.
    """
    begun = time.monotonic()
    check(settings)
    if settings.on is not None and find_spec("ray") is None:
        raise ModelError(missing_package("ray", f"--on {settings.on}", "ray"))
    found = videos(settings.source)
    all_films, gathered = films(found, settings.output)
    if settings.report is not None:
        check_report(settings.report)
    _refuse_foreign([*outputs_of(all_films), *gathered], settings)
    models = for_run(settings)  # so that an error in them is told once, and at once
    files = [file for m in models.models for file in (m.files.weights, m.files.graph)]
    threads = max(1, round(settings.cpus_per_worker))
    job = Job(settings, sidecars.settings_hash(settings, files), threads, settings.overwrite)
    with closing(pool_of(settings, job, len(all_films))) as pool:
        backlog = Backlog(all_films, gathered, pool)
        with _Bar(settings, len(all_films)) as bar:
            while backlog.step(_STEP_S):
                bar.show(backlog)
            while backlog.gather(_STEP_S):
                pass
            bar.show(backlog)
        report = report_of(backlog, pool.most, time.monotonic() - begun)
    _tidy(all_films)
    return _told(settings, backlog, report)


def pool_of(settings: Settings, job: Job, most: int) -> Pool:
    """The workers that the settings ask for.

    Args:
        settings: ``workers``, ``on``, ``cpus_per_worker`` and ``gpus_per_worker``.
        job: What the workers know.
        most: There is no use for more.
    """
    if settings.on is not None:
        from livevision.fleet.on_ray import RayPool

        return RayPool(job, settings)
    wanted = settings.workers or int(cores.usable() // settings.cpus_per_worker)
    parts = max(most, wanted) if settings.workers else most
    return LocalPool(job, max(1, min(wanted, parts)), settings.gpus_per_worker)


def check(settings: Settings) -> None:
    """Check that settings make sense for a backlog.

    Raises:
        UsageError: One does not.
    """
    if settings.sources:
        raise UsageError("sources by name are for one process; a backlog takes --source")
    for name in ("events", "clips", "loop", "target_latency"):
        if getattr(settings, name):
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag} is for one process; leave out --workers and --on")
    if settings.record != "off":
        raise UsageError("--record is for one process; leave out --workers and --on")
    if settings.mode == "freshest":
        raise UsageError("--mode freshest drops frames, and a backlog has every frame")
    if not settings.output and settings.report is None:
        raise UsageError("a backlog without an output: add --output runs/")


def report_of(backlog: Backlog, workers: int, seconds: float) -> dict[str, Any]:
    """The report of a backlog: sums over all runs, and a row for each film."""
    reports = backlog.reports
    states = Counter(tally.state for tally in backlog.tallies)
    frames = sum(tally.frames for tally in backlog.tallies)
    dropped: dict[str, Counter[str]] = {}
    for each in reports:
        for stage, causes in each["dropped"].items():
            dropped.setdefault(stage, Counter()).update(causes)
    return {
        "frames_in": sum(each["frames_in"] for each in reports),
        "frames_out": frames,
        "dropped": {stage: dict(causes) for stage, causes in dropped.items()},
        "delivered_fps": round(frames / seconds, 2) if seconds else None,
        "wall_s": round(seconds, 3),
        "cpu_s": round(sum(each["cpu_s"] for each in reports), 3),
        "peak_rss_mb": max((each["peak_rss_mb"] for each in reports), default=None),
        "stages": _stages(reports),
        "engine": joined(each["engine"] for each in reports if each["engine"]) or None,
        "device": joined(each["device"] for each in reports if each["device"]) or None,
        "precision": joined(each["precision"] for each in reports if each["precision"]) or None,
        "model": joined(each["model"] for each in reports) or None,
        "workers": workers,
        "attempts_failed": sum(backlog.attempts.values()),
        "videos": {name: states[name] for name in ("done", "passed", "failed")},
        "sources": [
            {
                "source": tally.film.name,
                "state": tally.state,
                "frames_out": tally.frames,
                "parts": tally.parts,
                "outputs": list(map(str, map(Place, tally.film.outputs))),
                "error": tally.error or None,
            }
            for tally in backlog.tallies
        ],
        "sources_failed": states["failed"],
    }


def _stages(reports: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean time of each stage for a frame, over all runs."""
    totals: dict[str, list[float]] = {}
    for each in reports:
        for stage, row in each["stages"].items():
            total = totals.setdefault(stage, [0.0, 0.0])
            total[0] += row["mean_ms"] * each["frames_in"]
            total[1] += each["frames_in"]
    return {stage: {"mean_ms": round(ms / max(1, n), 3)} for stage, (ms, n) in totals.items()}


def _told(settings: Settings, backlog: Backlog, report: dict[str, Any]) -> int:
    """Write the report and tell what became of the backlog; returns the exit code."""
    failed = [tally for tally in backlog.tallies if tally.state == "failed"]
    for tally in failed:
        log.error("%s: set aside: %s", tally.film.name, tally.error)
    for target, error in backlog.unfinished.items():
        log.error("%s: not written: %s", target, error)
    if settings.report is not None:
        write_report(settings.report, report)
    counts = report["videos"]
    log.info(
        "%d videos: %d done, %d finished before, %d set aside; %d frames in %.1f s by %d workers",
        len(backlog.films),
        *(counts["done"], counts["passed"], counts["failed"]),
        *(report["frames_out"], report["wall_s"], report["workers"]),
    )
    for output in settings.output:
        log.info("results are in %s", redact_uri(output))
    return SourceError.exit_code if failed or backlog.unfinished else 0


def _refuse_foreign(targets: Sequence[str], settings: Settings) -> None:
    """Refuse to replace files where no backlog has written anything.

    Where one has, an output without its sidecar is a half one.

    Raises:
        OutputError: There are such files.
    """
    if settings.overwrite:
        return
    outputs = [Place(target) for target in targets]
    there = [output for output in outputs if output.is_here and output.size() is not None]
    if there and not any(Path(output.folder, HIDDEN).is_dir() for output in outputs):
        raise OutputError(
            f"{there[0]} exists, and no backlog made it; add --overwrite to replace it, or write "
            "into another folder"
        )


def _tidy(all_films: Sequence[Film]) -> None:
    """Delete what workers that were lost had begun to write."""
    for folder in {Place(output).folder for output in outputs_of(all_films)}:
        hidden = Path(folder, HIDDEN)
        if "://" in folder or not hidden.is_dir():
            continue
        for path in hidden.iterdir():
            stem = path.name.partition(".")[0]
            if len(stem) == 12 and not path.is_dir() and path.suffix != ".json":
                with suppress(OSError):
                    path.unlink()


class _Bar(Bar):
    """One bar for all workers: frames, with the number of videos finished.

    The number of frames is guessed from the videos that are finished.
    """

    def __init__(self, settings: Settings, number: int) -> None:
        super().__init__(settings)
        self._number = number

    def show(self, backlog: Backlog) -> None:
        """Show the present state."""
        if self._bar is None:
            return
        frames, finished = backlog.frames, backlog.finished
        self._bar.total = expected(backlog)
        self._bar.set_postfix_str(f"{finished}/{self._number} videos", refresh=False)
        self._bar.n = frames
        self._bar.refresh()


def expected(backlog: Backlog) -> int | None:
    """Frames of the whole backlog, guessed from the films that are done; None before any is."""
    done = [tally for tally in backlog.tallies if tally.state == "done"]
    if not done:
        return None
    mean = sum(tally.frames for tally in done) / len(done)
    left = len(backlog.tallies) - backlog.finished
    return max(backlog.frames, round(sum(t.frames for t in done) + mean * left))
