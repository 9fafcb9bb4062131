"""A virtual X display for tests of windows, and the keys and clicks of its user."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def virtual() -> Iterator[str]:
    """Name of a display made for the occasion; the test is skipped where there is no Xvfb."""
    if shutil.which("Xvfb") is None:
        pytest.skip("needs Xvfb: apt-get install xvfb xdotool")
    readable, writable = os.pipe()
    server = subprocess.Popen(
        [
            *("Xvfb", "-displayfd", str(writable), "-screen", "0", "1024x768x24"),
            # Without a client between two tests or two calls of xdotool, it would start anew.
            *("-nolisten", "tcp", "-noreset"),
        ],
        pass_fds=[writable],
        stderr=subprocess.DEVNULL,
    )
    os.close(writable)
    try:
        with os.fdopen(readable) as told:
            number = told.readline().strip()
        assert number, "Xvfb did not start"
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()


def window(display: str, title: str, timeout: float = 20) -> int:
    """Id of the window of this title, once it is shown."""
    if shutil.which("xdotool") is None:
        pytest.skip("needs xdotool: apt-get install xvfb xdotool")
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        found = windows(display, title)
        if found:
            return found[0]
        time.sleep(0.1)
    raise AssertionError(f"no window {title!r} on {display}")


def windows(display: str, title: str) -> list[int]:
    """Ids of all visible windows of a title."""
    found = _xdotool(display, "search", "--onlyvisible", "--name", title)
    return [int(window) for window in found.split()]


def press(display: str, window: int, key: str) -> None:
    _xdotool(display, "windowfocus", str(window))
    _xdotool(display, "key", "--window", str(window), key)


def picture(display: str, window: int) -> tuple[int, int]:
    """(width, height) of a window in pixels."""
    lines = _xdotool(display, "getwindowgeometry", "--shell", str(window)).splitlines()
    values = dict(line.split("=") for line in lines if "=" in line)
    return int(values["WIDTH"]), int(values["HEIGHT"])


def ask_to_close(display: str, window: int) -> None:
    """What a window manager's close button does: send the window WM_DELETE_WINDOW."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(str(Path("/tmp/.X11-unix") / f"X{display.lstrip(':')}"))
        server.sendall(struct.pack("<BxHHHHxx", ord("l"), 11, 0, 0, 0))
        head = server.recv(8, socket.MSG_WAITALL)
        assert head[0] == 1, "the display refused the connection"
        server.recv(struct.unpack("<6xH", head)[0] * 4, socket.MSG_WAITALL)
        protocols, delete = _atom(server, "WM_PROTOCOLS"), _atom(server, "WM_DELETE_WINDOW")
        message = struct.pack("<BBHII5I", 33, 32, 0, window, protocols, delete, 0, 0, 0, 0)
        server.sendall(struct.pack("<BBHII", 25, 0, 11, window, 0) + message)
        _atom(server, "WM_PROTOCOLS")  # its answer tells that the message before was taken


def _atom(server: socket.socket, name: str) -> int:
    padded = name.encode() + bytes(-len(name) % 4)
    server.sendall(struct.pack("<BBHHxx", 16, 0, 2 + len(padded) // 4, len(name)) + padded)
    number: int = struct.unpack("<8xI20x", server.recv(32, socket.MSG_WAITALL))[0]
    return number


def _xdotool(display: str, *arguments: str) -> str:
    environment = {**os.environ, "DISPLAY": display}
    done = subprocess.run(
        ["xdotool", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout
