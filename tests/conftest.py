"""No test, and no Python that a test starts, opens a connection to anywhere but this machine."""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

import livevision  # noqa: F401 - before any package that it keeps from reporting home
from tests import running_order
from tests.compiled_once import compiled_once
from tests.offline import sitecustomize

# Small nets are quicker with one thread, several of which would wait for each other where several
# processes test at once; and bits do not hang on the machine. PyTorch reads it when it is imported.
os.environ["OMP_NUM_THREADS"] = "1"

if hasattr(signal, "SIGHUP"):
    # Under nohup it is ignored, and so in all that tests start, where it is to end a run.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, those that measure a pace last (``tests/running_order.py``)."""
    here = Path(__file__).parent
    items.sort(key=lambda item: running_order.place(item.path.relative_to(here).as_posix()))


def pytest_configure() -> None:
    """No search for garbage while thousands of tests are collected, all of which stay."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Nor among them later."""
    gc.freeze()
    gc.enable()


def pytest_make_parametrize_id(val: object) -> str | None:
    """Names that are no UTF-8 as ASCII: test ids travel between the processes of the suite."""
    return ascii(val)[1:-1] if isinstance(val, str) and not _is_utf8(val) else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test printed travels as well, such names in it."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@pytest.fixture(scope="session")
def _connections(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file in which every try is noted; Pythons that tests start note theirs there as well."""
    notes = tmp_path_factory.mktemp("connections") / "tried.txt"
    notes.touch()
    folder = str(Path(sitecustomize.__file__).parent)
    path = os.pathsep.join([folder, *filter(None, [os.environ.get("PYTHONPATH")])])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(sitecustomize.NOTES, str(notes))
        patch.setenv("PYTHONPATH", path)
        yield notes


@pytest.fixture(autouse=True)
def _nothing_reports_home(_connections: Path) -> Iterator[None]:
    before = _connections.stat().st_size
    yield
    tried = _connections.read_text()[before:]
    assert not tried, f"connections to elsewhere:\n{tried}"


@pytest.fixture(scope="session", autouse=True)
def _no_models_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Models that whoever runs the tests has imported or fetched are not listed in them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> Iterator[None]:
    """A graph in the usual cache is compiled once in this process."""
    from livevision.inference import openvino_engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openvino_engine, "_compiled", compiled_once(openvino_engine._compiled))
        yield


@pytest.fixture(autouse=True)
def _own_log() -> None:
    """Commands set livevision's logger up; a test begins without what those before it left."""
    logger = logging.getLogger("livevision")
    logger.setLevel(logging.NOTSET)
    logger.handlers.clear()
