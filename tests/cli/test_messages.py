"""Log lines on standard error, by level, beside a progress bar or without one."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from tqdm import tqdm

from livevision.cli import messages


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    logger = logging.getLogger("livevision")
    kept = logger.level, list(logger.handlers)
    yield
    logger.setLevel(kept[0])
    logger.handlers[:] = kept[1]


def say_all() -> None:
    logger = logging.getLogger("livevision.somewhere")
    for level in ("debug", "info", "warning", "error"):
        getattr(logger, level)("%s line", level)


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ({}, ["info line", "warning: warning line", "error: error line"]),
        (
            {"verbose": True},
            ["debug line", "info line", "warning: warning line", "error: error line"],
        ),
        ({"quiet": True}, ["error: error line"]),
    ],
)
def test_levels(
    options: dict[str, bool], lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    messages.set_up(**options)
    messages.set_up(**options)  # a second run in one process says nothing twice
    say_all()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [f"livevision: {line}" for line in lines]


def test_a_line_stands_above_the_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    messages.set_up()
    with tqdm(total=2, desc="bar"):
        logging.getLogger("livevision").info("in between")
    err = capsys.readouterr().err
    assert "livevision: in between\n" in err
    assert "bar" not in err.splitlines()[[*err.splitlines()].index("livevision: in between")]
