"""Which sinks take the frames of which source, from before the run to the last file closed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from livevision import registry
from livevision.capture.locate import name_of
from livevision.errors import LivevisionError, OutputError
from livevision.frame import Rendered
from livevision.output.options import OutputOptions
from livevision.output.output_file import current_name
from livevision.output.report_file import check_report
from livevision.output.target import Target, check, in_folder, locate, refuse_same
from livevision.protocols import Attentive, Pacing, Shared, Sink, SourceInfo

if TYPE_CHECKING:
    from livevision.config import Settings

log = logging.getLogger(__name__)

_LIVE = ("camera", "stream", "gstreamer")


class Delivery:
    """The sinks of a run. A context: leaving it closes every sink, whatever happened.

    A video, a folder's copy or a window belongs to one source and lives from its opening to its
    end; records hold all sources and live as long as the run.

    Args:
        settings: The run's.
        places: Kind and URI of each source.
        stopping: Whether the run has been told to end.

    Attributes:
        where: Where finished results are found, a line each, in the order they were finished.

    Raises:
        UsageError: An output that is not known, or cannot hold all sources.
        OutputError: An output that can be seen to fail before anything is loaded.
    """

    def __init__(
        self,
        settings: Settings,
        places: Sequence[tuple[str, str]],
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._options = OutputOptions(
            overwrite=settings.overwrite,
            encoder=settings.encoder,
            preset=settings.preset,
            stopping=stopping,
            sources=tuple(name_of(kind, uri) for kind, uri in places),
        )
        targets = [locate(uri, sources=len(places)) for uri in settings.output]
        self._of_run = [t for t in targets if t.kind == "records"]
        single = [t for t in targets if t.kind not in ("records", "folder")]
        folders = [t for t in targets if t.kind == "folder"]
        self._of_source = _copies(places, single, folders)
        self._window = self._wanted_window(settings, places, targets)
        inputs = [Path(uri) for kind, uri in places if kind in ("video_file", "images")]
        window = [Target("window", "")] if self._window == "must" else []
        copies = [target for mine in self._of_source for target in mine]
        refuse_same([*self._of_run, *copies, *folders], settings.report)
        for target in [*targets, *copies, *window]:
            check(target, overwrite=settings.overwrite, inputs=inputs)
        if settings.report is not None:
            check_report(settings.report, inputs)
        self._alone = len(places) == 1
        self._run_sinks: list[Sink] = []
        self._run_open = False
        self._sinks: dict[int, list[Sink]] = {}
        self.where: list[str] = []

    @property
    def wants_image(self) -> bool:
        """Whether any output wants pictures, so that something must be drawn."""
        kinds = {t.kind for t in self._of_run}
        kinds.update(t.kind for copies in self._of_source for t in copies)
        return self._window is not None or any(_sink(kind).wants_image for kind in kinds)

    def copies(self, source: int) -> int:
        """How many outputs copy what a source's file holds beside its pictures."""
        return sum(target.kind == "video_file" for target in self._of_source[source])

    @property
    def waited(self) -> float:
        """Seconds that the open sinks have held frames back for their time."""
        sinks = (sink for sinks in self._sinks.values() for sink in sinks)
        return sum(sink.waited for sink in sinks if isinstance(sink, Pacing))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        failures = self._close(s for n in list(self._sinks) for s in self._sinks.pop(n))
        failures += self._close(self._run_sinks)
        self._run_sinks = []
        for failure in failures[0 if error is not None else 1 :]:
            log.error("%s", failure)
        if failures and error is None:
            raise failures[0]

    def open(self, source: int, info: SourceInfo) -> OutputError | None:
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
                self._run_sinks.append(self._make(target, info))
        for sink in self._run_sinks:
            if isinstance(sink, Shared):
                sink.opened(source, info)
        made = self._sinks.setdefault(source, [])
        with self._apart(source) as failed:
            for target in self._of_source[source]:
                made.append(self._make(target, info))
            if self._window is not None:
                self._open_window(made, info)
        return failed.error

    def write(self, rendered: Rendered) -> OutputError | None:
        """Give a frame to every sink of its source and of the run.

        Returns:
            As ``open`` does; the outputs of the run do not get that frame.

        Raises:
            OutputError: A sink of the run, or of its only source, cannot write.
            StopRequested: The user closed the window.
        """
        source = rendered.frame.source
        with self._apart(source) as failed:
            for sink in self._sinks[source]:
                sink.write(rendered)
        if failed.error is None:
            for sink in self._run_sinks:
                sink.write(rendered)
        return failed.error

    def attend(self) -> None:
        """See to the sinks while no frame comes.

        Raises:
            StopRequested: The user closed the window.
        """
        for sink in (sink for sinks in self._sinks.values() for sink in sinks):
            if isinstance(sink, Attentive):
                sink.attend()

    def saved(self) -> list[str]:
        """Where results are found just now, those of unfinished files by the names they have."""
        unfinished = [sink for sinks in self._sinks.values() for sink in sinks] + self._run_sinks
        return self.where + [current_name(sink.where) for sink in unfinished if sink.where]

    def close(self, source: int) -> OutputError | None:
        """Finish the outputs of a source; nothing where it never opened.

        Returns:
            What went wrong with one of them; all the others are finished.
        """
        with self._apart(source, ended=True) as failed:
            for failure in self._close(self._sinks.pop(source, [])):
                raise failure
        return failed.error

    @contextmanager
    def _apart(self, source: int, ended: bool = False) -> Iterator[_Failed]:
        """Work on the outputs of one source, whose failure the others have nothing to do with.

        Raises:
            OutputError: There are no others, and this one has not ended.
        """
        failed = _Failed()
        try:
            yield failed
        except OutputError as error:
            if self._alone and not ended:
                raise
            failed.error = error
            for further in self._close(self._sinks.pop(source, []), told=False):
                log.error("%s", further)

    def _make(self, target: Target, info: SourceInfo) -> Sink:
        return _sink(target.kind)(target.target, info, self._options)

    def _close(
        self, sinks: Iterator[Sink] | Sequence[Sink], told: bool = True
    ) -> list[LivevisionError]:
        """Close sinks, whatever happens, and keep where their results are if that is to be told."""
        failures: list[LivevisionError] = []
        for sink in sinks:
            try:
                sink.close()
            except LivevisionError as error:
                failures.append(error)
            else:
                if told and sink.where and sink.where not in self.where:
                    self.where.append(sink.where)
        return failures

    def _wanted_window(
        self, settings: Settings, places: Sequence[tuple[str, str]], targets: Sequence[Target]
    ) -> str | None:
        """``must`` where a window is the only output, ``may`` beside others of a live source."""
        if settings.headless:
            return None
        if not targets:
            return "must"
        live = any(kind in _LIVE for kind, _ in places)
        return "may" if live and all(t.kind != "window" for t in targets) else None

    def _open_window(self, made: list[Sink], info: SourceInfo) -> None:
        options = replace(self._options, pace=self._window == "must" and not info.live)
        try:
            made.append(_sink("window")("", info, options))
        except OutputError as error:
            if self._window == "must":
                raise
            self._window = None
            log.info("no window: %s", error)


@dataclass
class _Failed:
    """What went wrong with the outputs of one source."""

    error: OutputError | None = None


def _sink(kind: str) -> registry.SinkClass:
    return registry.resolve(registry.SINKS, kind, "kind of output")


def _copies(
    places: Sequence[tuple[str, str]], single: Sequence[Target], folders: Sequence[Target]
) -> list[list[Target]]:
    """The targets of each source: those named, and its copy in each folder."""
    taken: set[str] = set()
    copies = []
    for kind, uri in places:
        mine = list(single)
        for folder in folders:
            copy = in_folder(
                folder.target,
                name_of(kind, uri),
                pictures=kind == "images",
                several=kind == "images" and not _is_one_picture(uri),
                is_file=kind in ("video_file", "images") and uri != "-",
                taken=taken,
            )
            taken.add(copy.target)
            mine.append(copy)
        copies.append(mine)
    return copies


def _is_one_picture(uri: str) -> bool:
    from livevision.capture.pages import page_count

    return Path(uri).is_file() and page_count(Path(uri)) == 1
