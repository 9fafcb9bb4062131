"""Which sinks take the frames of which source, from before the run to the last file closed."""

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
from livevision.output.options import OutputOptions
from livevision.output.output_file import current_name
from livevision.output.report_file import check_report
from livevision.output.target import Target, check, in_folder, locate, refuse_same
from livevision.protocols import Attentive, OutletPolicy, Pacing, Sink, SourceInfo
from livevision.redact import redact_uri
from livevision.runtime.metering import Meter
from livevision.runtime.outlets import Delivered, Outlet, Sent
from livevision.runtime.sources import Watched

if TYPE_CHECKING:
    from livevision.config import Settings

log = logging.getLogger(__name__)

_LIVE = ("camera", "stream", "gstreamer")


class Delivery:
    """The outputs of a run. A context: leaving it finishes every output, whatever happened.

    A video, a folder's copy or a window belongs to one source and lives from its opening to its
    end; records hold all sources and live as long as the run. Each has an outlet, with a queue and
    a thread of its own, except windows: their toolkits want the main thread.

    Args:
        settings: The run's.
        sources: What is watched.
        meter: Counts what is delivered.
        stopping: Whether the run has been told to end.
        delivered: Called with each frame that the outputs have, on any thread.

    Attributes:
        where: Where finished results are found, a line each, in the order they were finished.

    Raises:
        UsageError: An output that is not known, or cannot hold all sources.
        OutputError: An output that can be seen to fail before anything is loaded.
    """

    def __init__(
        self,
        settings: Settings,
        sources: Sequence[Watched],
        meter: Meter,
        stopping: Callable[[], bool] = lambda: False,
        delivered: Delivered | None = None,
    ) -> None:
        self._options = OutputOptions(
            overwrite=settings.overwrite,
            encoder=settings.encoder,
            preset=settings.preset,
            stopping=stopping,
            hidden=frozenset(settings.blur),
            max_disk=settings.max_disk,
            keep=settings.keep,
            sources=tuple(source.name for source in sources),
        )
        targets = [locate(uri, sources=len(sources)) for uri in settings.output]
        self._of_run = [t for t in targets if t.of_run]
        self._single = [t for t in targets if not t.of_run and t.kind != "folder"]
        self._folders = folders = [t for t in targets if t.kind == "folder"]
        self._taken: set[str] = set()
        self._of_source = [self._targets(source) for source in sources]
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
        """Take up one more source, at the next position.

        Raises:
            UsageError: An output of it is not known, or cannot hold it.
            OutputError: One can be seen to fail.
        """
        if any(target.kind != "window" for target in self._single):
            raise UsageError(
                f"{source.name}: an output of the run holds one source only; write into a folder, "
                "or give each source outputs of its own"
            )
        targets = self._targets(source)
        others = [target for mine in self._of_source for target in mine]
        refuse_same([*self._of_run, *others, *targets], None)
        for target in targets:
            check(target, overwrite=self._options.overwrite, inputs=[])
        self._of_source.append(targets)

    @property
    def wants_image(self) -> bool:
        """Whether any output wants pictures, so that something must be drawn."""
        kinds = {t.kind for t in self._of_run}
        kinds.update(t.kind for copies in self._of_source for t in copies)
        return self._window is not None or any(_sink(kind).wants_image for kind in kinds)

    @property
    def wants_frame(self) -> bool:
        """Whether an output of the run looks at the frames themselves, undrawn."""
        return any(getattr(_sink(target.kind), "wants_frame", False) for target in self._of_run)

    def copies(self, source: int) -> int:
        """How many outputs copy what a source's file holds beside its pictures."""
        return sum(target.kind == "video_file" for target in self._of_source[source])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        for source in {*self._outlets, *self._windows}:
            self.close(source)
        for outlet in self._run_outlets:
            outlet.end()
        outlets = [*(outlet for _, outlet in self._finishing), *self._run_outlets]
        self._finishing, self._run_outlets = [], []
        failures = [failure for outlet in outlets for failure in self._finished(outlet)]
        for failure in failures[0 if error is not None else 1 :]:
            log.error("%s", failure)
        if failures and error is None:
            raise failures[0]

    def open(self, source: int, info: SourceInfo) -> LivevisionError | None:
        """Begin the outputs of a source.

        Returns:
            What went wrong with the source's own outputs, where there are other sources to go on
            with. They are closed.

        Raises:
            OutputError: An output of the run, or of its only source, cannot be begun.
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
        """Give a frame to every outlet of its source and of the run, and show it.

        A context: what the caller does in it is work on the frame as well.

        Args:
            rendered: The frame.
            live: Of a source whose frames push each other out.
            watched: The caller looks at the frame, too, once it is written, and may draw on it.

        Raises:
            StopRequested: The user closed the window.
        """
        source = rendered.frame.source
        outlets = [*self._outlets.get(source, ()), *self._run_outlets]
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
            # A caller who leaves in the middle has had this frame all the same.
            seconds = time.perf_counter() - started - (_waited(windows) - waited)
            sent.done(seconds if seen else 0.0, "" if seen else None)

    def attend(self) -> None:
        """See to the windows while no frame comes.

        Raises:
            StopRequested: The user closed the window.
        """
        for sink in (sink for sinks in self._windows.values() for sink in sinks):
            if isinstance(sink, Attentive):
                sink.attend()

    def failures(self) -> list[tuple[int, LivevisionError]]:
        """Sources whose outputs have failed since the last call, and how; they are closed.

        Raises:
            LivevisionError: That of the run's outputs, or of its only source's.
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
        """Wait for the outputs of the sources that have ended; those that failed, and how."""
        finishing, self._finishing = self._finishing, []
        return [(n, failure) for n, outlet in finishing for failure in self._finished(outlet)]

    def saved(self) -> list[str]:
        """Where results are found just now, those of unfinished files by the names they have."""
        open_ = [outlet for outlets in self._outlets.values() for outlet in outlets]
        unfinished = [*open_, *(outlet for _, outlet in self._finishing), *self._run_outlets]
        return self.where + [current_name(outlet.where) for outlet in unfinished if outlet.where]

    def close(self, source: int) -> None:
        """Finish the outputs of a source, in the background; nothing where it never opened."""
        for outlet in self._outlets.pop(source, []):
            outlet.end()
            self._finishing.append((source, outlet))
        for sink in self._windows.pop(source, []):
            sink.close()

    def _of_one(self, source: int, error: BaseException) -> LivevisionError:
        """What is to be done about an output of one source that has failed: its error, to be told.

        Raises:
            LivevisionError: The source has no others beside it.
        """
        if self._alone or not isinstance(error, LivevisionError):
            raise error
        self.close(source)
        return error

    def _finished(self, outlet: Outlet) -> list[LivevisionError]:
        """Wait for an outlet that was told to end; what went wrong with it."""
        outlet.join()
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
        """Those named for the run's source, the source's own, and its copy in each folder."""
        own = [locate(uri) for uri in source.settings.outputs]
        mine = [*self._single, *(target for target in own if target.kind != "folder")]
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
        """``must`` where a window is the only output, ``may`` beside others of a live source."""
        if settings.headless:
            return None
        if not targets:
            return "must"
        live = any(source.kind in _LIVE for source in sources)
        return "may" if live and all(t.kind != "window" for t in targets) else None

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
    """Seconds that sinks have held frames back for their time, which is no work."""
    return sum(sink.waited for sink in sinks if isinstance(sink, Pacing))


def _sink(kind: str) -> registry.SinkClass:
    return registry.resolve(registry.SINKS, kind, "kind of output")


def _is_one_picture(uri: str) -> bool:
    from livevision.capture.pages import page_count

    return Path(uri).is_file() and page_count(Path(uri)) == 1
