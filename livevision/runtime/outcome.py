"""What becomes of a run: the sources that it continued without, its report and its exit code."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from livevision.errors import LivevisionError, OutputError, SourceError
from livevision.output.report_file import write_report

log = logging.getLogger(__name__)


class Outcome:
    """The outcome of one run, so far.

    Args:
        path: The report's file; None if none was requested.
        report: Gives the report of the run so far.
    """

    def __init__(self, path: Path | None, report: Callable[[], dict[str, Any]]) -> None:
        self._path, self._report = path, report
        self._of_sources: dict[int, LivevisionError] = {}
        self._unreported: OutputError | None = None

    def failed(self, source: int, error: LivevisionError) -> bool:
        """Note that a source failed; returns whether this is its first error.

        Only the first error of a source counts: later ones follow from it.
        """
        return self._of_sources.setdefault(source, error) is error

    def without(self, source: int) -> bool:
        """Whether the run continued without a source, because it failed."""
        return source in self._of_sources

    @property
    def failures(self) -> list[LivevisionError]:
        """Errors of sources that the run continued without, and of its report."""
        unreported = [] if self._unreported is None else [self._unreported]
        return [*self._of_sources.values(), *unreported]

    def raise_first(self) -> None:
        """Raise the first error of the run, if any; call it at the end."""
        for further in self.failures[1:]:
            log.error("%s", further)
        for first in self.failures[:1]:
            raise first

    def exit_code(self, sources: int) -> int:
        """The exit code of a run of so many sources.

        If one of several failed, it is that of a failed source.
        """
        if not self._of_sources:
            return 0 if self._unreported is None else self._unreported.exit_code
        codes = {error.exit_code for error in self._of_sources.values()}
        every = len(self._of_sources) == sources
        return codes.pop() if every and len(codes) == 1 else SourceError.exit_code

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Context of a run: writes its report however it ends.

        An error of the run takes precedence: a report that cannot be written is logged then, and
        raised only after a run without another error.
        """
        try:
            yield
        except BaseException:
            self._try_to_report()
            if self._unreported is not None:
                log.error("%s", self._unreported)
            raise
        self._try_to_report()

    def _try_to_report(self) -> None:
        try:
            if self._path is not None:
                write_report(self._path, self._report())
        except OutputError as error:
            self._unreported = error
