"""A real window on a virtual display: what it shows and what ends it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.output import screen

# The window has a process of its own, as in the application: Qt keeps to its first display.
PROGRAM = """
import sys, time
from dataclasses import replace
from livevision.output.options import OutputOptions
from livevision.output.window import WindowSink
from livevision.protocols import StopRequested
from tests.output.feeding import plain_info, rendered
pace = "pace" in sys.argv
width, height = int(sys.argv[1]), int(sys.argv[2])
info = replace(plain_info((width, height)), name="the clip")
sink = WindowSink("", info, OutputOptions(pace=pace))
frames = [rendered(i, size=(width, height)) for i in range(60 if pace else 2)]
print("ready", flush=True)
try:
    started = time.monotonic()
    index = 0
    while index < 60 if pace else time.monotonic() - started < 30:
        sink.write(frames[index % len(frames)])
        index += 1
    print("played", time.monotonic() - started, sink.waited)
except StopRequested as stop:
    print("stopped:", stop)
sink.close()
sink.close()
"""


@pytest.fixture
def display() -> Iterator[str]:
    # One a test: a key whose press ends the program stays down on its display.
    with screen.virtual() as name:
        yield name


def start(display: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "DISPLAY": display},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (lambda display, window: screen.press(display, window, "q"), "a key"),
        (lambda display, window: screen.press(display, window, "Escape"), "a key"),
        (screen.ask_to_close, "the window was closed"),
    ],
    ids=["q", "Esc", "close button"],
)
def test_the_user_ends_the_run(display: str, act: Callable[[str, int], None], reason: str) -> None:
    child = start(display, "320", "240")
    try:
        window = screen.window(display, "the clip")
        assert set(screen.windows(display, "livevision")) <= {window}
        act(display, window)
        out, err = child.communicate(timeout=20)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == 0, err
    assert f"stopped: {reason}" in out


def test_other_keys_do_not(display: str) -> None:
    child = start(display, "320", "240")
    try:
        window = screen.window(display, "the clip")
        screen.press(display, window, "x")
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(timeout=0.7)
        screen.press(display, window, "q")
        assert "stopped" in child.communicate(timeout=20)[0]
    finally:
        child.kill()
        child.wait()


def test_a_large_picture_gets_a_window_that_fits_in_shape(display: str) -> None:
    child = start(display, "3840", "2160")
    try:
        window = screen.window(display, "the clip")
        width, height = screen.picture(display, window)
        screen.press(display, window, "q")
        child.communicate(timeout=20)
    finally:
        child.kill()
        child.wait()
    assert width <= 1600
    assert width / height == pytest.approx(16 / 9, abs=0.02)


def test_a_paced_window_plays_a_file_no_faster_than_it_is(display: str) -> None:
    child = start(display, "320", "240", "pace")
    try:
        out, err = child.communicate(timeout=30)
    finally:
        child.kill()
        child.wait()
    assert "played" in out, err
    played, waited = map(float, out.split("played")[1].split())
    assert played >= 59 / 30 - 0.01
    assert 0.1 < waited <= played  # which is not told as work of the output
