"""Routes the frames of each source to its sinks, and opens and closes the sinks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from livevision import registry
from livevision.errors import LivevisionError, OutputError, UsageError
from livevision.frame import Rendered
from livevision.output.live_view import LiveView
from livevision.output.options import OutputOptions
from livevision.output.output_file import current_name
from livevision.output.report_file import check_report
from livevision.output.target import (
    CLEAN,
    NAME,
    PAGE,
    Target,
    check,
    in_folder,
    locate,
    named_after,
    refuse_same,
)
from livevision.protocols import Attentive, OutletPolicy, Pacing, Sink, SourceInfo
from livevision.redact import redact_uri
from livevision.runtime.metering import Meter
from livevision.runtime.outlets import Delivered, Outlet, Sent
from livevision.runtime.recording import Recordings
from livevision.runtime.sources import Watched

if TYPE_CHECKING:
    from livevision.config import Settings

log = logging.getLogger(__name__)

_LIVE = ("camera", "stream", "gstreamer")
_LAST_WORDS_S = 6.0  # that the end of a run waits for a server which takes nothing any more


class Delivery:
    """The outputs of a run. A context manager: leaving it finishes every output in any case.

    A video, a copy in a folder or a window belongs to one source and is closed with it; records
    hold all sources and stay open for the whole run. Each output has an outlet, with its own queue
    and thread, except windows: their toolkits need the main thread.

    Args:
        settings: The run's settings.
        sources: Its sources.
        meter: Counts delivered frames.
        stopping: Whether the run is stopping.
        delivered: Called with each delivered frame, on any thread.

    Attributes:
        where: Locations of finished results, one line each, in the order they were finished.
        view: The newest frames, for a page; None if there is no page.
        recordings: Recordings that are started and stopped during the run.

    Raises:
        UsageError: An output is unknown, or cannot hold all sources.
        OutputError: An output is certain to fail; checked before anything is loaded.
    """

    def __init__(
        self,
        settings: Settings,
        sources: Sequence[Watched],
        meter: Meter,
        stopping: Callable[[], bool] = lambda: False,
        delivered: Delivered | None = None,
    ) -> None:
        targets = [locate(uri, sources=len(sources)) for uri in settings.output]
        self.view = LiveView() if any(target.kind == PAGE for target in targets) else None
        self._options = OutputOptions(
            overwrite=settings.overwrite,
            encoder=settings.encoder,
            preset=settings.preset,
            stopping=stopping,
            hidden=frozenset(settings.blur),
            max_disk=settings.max_disk,
            keep=settings.keep,
            sources=tuple(source.name for source in sources),
            view=self.view,
        )
        self.recordings = Recordings(settings.recordings, self._options, meter, stopping)
        self._of_run = [t for t in targets if t.of_run]
        self._shown_of_run = _wants_image(self._of_run)
        self._single = [t for t in targets if not t.of_run and t.kind != "folder"]
        self._folders = folders = [t for t in targets if t.kind == "folder"]
        self._taken: set[str] = set()
        self._of_source = [self._targets(source) for source in sources]
        self._shown = [_wants_image(mine) for mine in self._of_source]
        self._window = self._wanted_window(settings, sources, targets)
        inputs = [Path(s.uri) for s in sources if s.kind in ("video_file", "images")]
        window = [Target("window", "")] if self._window == "must" else []
        copies = [target for mine in self._of_source for target in mine]
        refuse_same([*self._of_run, *copies, *folders], settings.report)
        for target in [*targets, *copies, *window]:
            check(target, overwrite=settings.overwrite, inputs=inputs)
        if settings.report is not None:
            check_report(settings.report, inputs)
        self._alone = len(sources) == 1 and not settings.sources
        self._meter, self._delivered = meter, delivered
        self._run_outlets: list[Outlet] = []
        self._run_open = False
        self._outlets: dict[int, list[Outlet]] = {}
        self._windows: dict[int, list[Sink]] = {}
        self._finishing: list[tuple[int, Outlet]] = []
        self.where: list[str] = []

    def add(self, source: Watched) -> None:
        """Add a source, at the next position.

        Raises:
            UsageError: An output of it is unknown, or cannot hold it.
            OutputError: An output is certain to fail.
        """
        if any(t.kind != "window" and NAME not in t.target for t in self._single):
            raise UsageError(
                f"{source.name}: an output of the run holds one source only; write into a folder, "
                "or give each source outputs of its own"
            )
        targets = self._targets(source)
        others = [target for mine in self._of_source for target in mine]
        refuse_same([*self._of_run, *others, *targets], None)
        for target in targets:
            check(target, overwrite=self._options.overwrite, inputs=[])
        self._shown.append(_wants_image(targets))
        self._of_source.append(targets)

    def discard_last(self) -> None:
        """Discard the outputs of the source that was added last."""
        self._of_source.pop()
        self._shown.pop()

    @property
    def wants_image(self) -> bool:
        """Whether any output needs pictures; a page has them drawn when somebody looks."""
        return self._window is not None or self._shown_of_run or any(self._shown)

    def wants_picture(self, source: int) -> bool:
        """Whether an output of a source, or its recording, needs pictures now."""
        always = self._window is not None or self._shown_of_run or self._shown[source]
        return always or bool(self.recordings.outlets(source))

    @property
    def wants_frame(self) -> bool:
        """Whether an output of the run reads the frames' own images, without drawings."""
        copies = [target for mine in self._of_source for target in mine]
        return any(target.target.startswith(CLEAN) for target in copies) or any(
            getattr(_sink(target.kind), "wants_frame", False) for target in self._of_run
        )

    def copies(self, source: int) -> int:
        """Number of outputs that copy the other streams of a source's file."""
        return sum(target.kind == "video_file" for target in self._of_source[source])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        for source in {*self._outlets, *self._windows}:
            self.close(source)
        for outlet in self._run_outlets:
            outlet.end()
        self.recordings.close()
        outlets = [*(outlet for _, outlet in self._finishing), *self._run_outlets]
        self._finishing, self._run_outlets = [], []
        failures = [failure for outlet in outlets for failure in self._finished(outlet)]
        for failure in failures[0 if error is not None else 1 :]:
            log.error("%s", failure)
        if failures and error is None:
            raise failures[0]

    def open(self, source: int, info: SourceInfo) -> LivevisionError | None:
        """Open the outputs of a source.

        Returns:
            The error of the source's own outputs, if the run can continue with other sources. They
            are closed.

        Raises:
            OutputError: An output of the run, or of its only source, cannot be opened.
        """
        if not self._run_open:
            self._run_open = True
            for target in self._of_run:
                self._run_outlets.append(self._make(target, info))
        for outlet in self._run_outlets:
            outlet.opened(source, info)
        made = self._outlets.setdefault(source, [])
        try:
            for target in self._of_source[source]:
                if target.kind == "window":
                    self._windows.setdefault(source, []).append(
                        _sink("window")(target.target, info, self._options)
                    )
                    continue
                made.append(self._make(target, info))
                made[-1].opened(source, info)
            if self._window is not None:
                self._open_window(source, info)
        except OutputError as error:
            return self._of_one(source, error)
        return None

    @contextmanager
    def write(self, rendered: Rendered, live: bool, watched: bool) -> Iterator[None]:
        """Send a frame to every outlet of its source and of the run, and show it in the window.

        A context manager: its block counts as work on the frame.

        Args:
            rendered: The frame.
            live: Its source is one whose newer frames replace waiting ones.
            watched: The caller uses the frame once it is written, and may draw on it.

        Raises:
            StopRequested: The user closed the window.
        """
        source = rendered.frame.source
        outlets = [
            *self._outlets.get(source, ()),
            *self._run_outlets,
            # Frames on their way when a recording begins are not drawn.
            *(self.recordings.outlets(source) if rendered.undrawn is None else ()),
        ]
        windows = self._windows.get(source, ())
        sent = Sent(rendered.frame, self._meter, len(outlets) + 1, self._delivered)
        for outlet in outlets:
            outlet.put(sent, rendered, live)
        seen = bool(windows) or watched or not outlets
        started, waited = time.perf_counter(), _waited(windows)
        try:
            for sink in windows:
                sink.write(rendered)
            begun = time.perf_counter()
            while watched and not sent.wait_for_others(0.1) and not self._options.stopping():
                pass
            started += time.perf_counter() - begun
            yield
        finally:
            # A caller that leaves its loop here has received this frame.
            seconds = time.perf_counter() - started - (_waited(windows) - waited)
            sent.done(seconds if seen else 0.0, "" if seen else None)

    def attend(self) -> None:
        """Serve the windows while no frame arrives.

        Raises:
            StopRequested: The user closed the window.
        """
        for sink in (sink for sinks in self._windows.values() for sink in sinks):
            if isinstance(sink, Attentive):
                sink.attend()

    def failures(self) -> list[tuple[int, LivevisionError]]:
        """Sources whose outputs failed since the last call, with the error; they are closed.

        Raises:
            LivevisionError: The error of an output of the run, or of its only source.
        """
        for outlet in self._run_outlets:
            if outlet.error is not None:
                self._run_outlets.remove(outlet)
                raise outlet.error
        failed: list[tuple[int, LivevisionError]] = []
        for source, outlets in list(self._outlets.items()):
            for outlet in outlets:
                if outlet.error is not None:
                    outlets.remove(outlet)
                    failed.append((source, self._of_one(source, outlet.error)))
                    break
        for source, outlet in [f for f in self._finishing if f[1].ended]:
            self._finishing.remove((source, outlet))
            for failure in self._finished(outlet):
                failed.append((source, failure))
        return failed

    def settle(self) -> list[tuple[int, LivevisionError]]:
        """Wait for the outputs of ended sources; returns those that failed, with the error."""
        finishing, self._finishing = self._finishing, []
        return [(n, failure) for n, outlet in finishing for failure in self._finished(outlet)]

    def saved(self) -> list[str]:
        """Locations of results so far; unfinished files by their present names."""
        open_ = [outlet for outlets in self._outlets.values() for outlet in outlets]
        unfinished = [*open_, *(outlet for _, outlet in self._finishing), *self._run_outlets]
        return self.where + [current_name(outlet.where) for outlet in unfinished if outlet.where]

    def close(self, source: int) -> None:
        """Finish the outputs of a source in the background; does nothing if it never opened."""
        self.recordings.source_ended(source)
        for outlet in self._outlets.pop(source, []):
            outlet.end()
            self._finishing.append((source, outlet))
        for sink in self._windows.pop(source, []):
            sink.close()

    def _of_one(self, source: int, error: BaseException) -> LivevisionError:
        """The error of a failed output of one source, for the report.

        Raises:
            LivevisionError: The run has no other source.
        """
        if self._alone or not isinstance(error, LivevisionError):
            raise error
        self.close(source)
        return error

    def _finished(self, outlet: Outlet) -> list[LivevisionError]:
        """Wait for an outlet that is ending; returns its errors."""
        outlet.join(None if outlet.must_finish else _LAST_WORDS_S)
        if not outlet.ended:
            log.warning("%s: takes nothing any more; given up", outlet.name)
            return []
        if outlet.error is None:
            if outlet.where and outlet.where not in self.where:
                self.where.append(outlet.where)
            return []
        if isinstance(outlet.error, LivevisionError):
            return [outlet.error]
        raise outlet.error

    def _make(self, target: Target, info: SourceInfo) -> Outlet:
        kind = _sink(target.kind)
        return Outlet(
            redact_uri(target.target) or target.kind,
            lambda: kind(target.target, info, self._options),
            getattr(kind, "policy", OutletPolicy()),
            self._meter,
            self._options.stopping,
        )

    def _targets(self, source: Watched) -> list[Target]:
        """Outputs of the run, of the source, and its copy in each folder."""
        own = [locate(uri) for uri in source.settings.outputs]
        single = [*self._single, *(target for target in own if target.kind != "folder")]
        mine = [named_after(target, source.name) for target in single]
        for folder in [*self._folders, *(target for target in own if target.kind == "folder")]:
            pictures = source.kind == "images"
            copy = in_folder(
                folder.target,
                source.name,
                pictures=pictures,
                several=pictures and not _is_one_picture(source.uri),
                is_file=(source.kind == "video_file" or pictures)
                and source.uri != "-"
                and source.named is None,
                taken=self._taken,
            )
            self._taken.add(copy.target)
            mine.append(copy)
        return mine

    def _wanted_window(
        self, settings: Settings, sources: Sequence[Watched], targets: Sequence[Target]
    ) -> str | None:
        """``must`` if a window is the only output, ``may`` besides outputs of live sources."""
        if settings.headless:
            return None
        if not targets:
            return "must"
        live = any(source.kind in _LIVE for source in sources)
        return "may" if live and all(t.kind not in ("window", PAGE) for t in targets) else None

    def _open_window(self, source: int, info: SourceInfo) -> None:
        options = replace(self._options, pace=self._window == "must" and not info.live)
        try:
            self._windows.setdefault(source, []).append(_sink("window")("", info, options))
        except OutputError as error:
            if self._window == "must":
                raise
            self._window = None
            log.info("no window: %s", error)


def _waited(sinks: Sequence[Sink]) -> float:
    """Seconds that pacing sinks have waited, which is not work."""
    return sum(sink.waited for sink in sinks if isinstance(sink, Pacing))


def _sink(kind: str) -> registry.SinkClass:
    return registry.resolve(registry.SINKS, kind, "kind of output")


def _wants_image(targets: Sequence[Target]) -> bool:
    """Whether any of these outputs needs pictures."""
    return any(_sink(kind).wants_image for kind in {target.kind for target in targets})


def _is_one_picture(uri: str) -> bool:
    from livevision.capture.pages import page_count

    return Path(uri).is_file() and page_count(Path(uri)) == 1
