"""Commands open no connection that nobody asked for, and write into no folders but our own.

Each runs as a user has it: a process of its own, an empty home, none of the variables by which
packages notice that they are being tested. Python's sockets are watched by tests/offline; what
packages do in C++ shows in the files they leave at home and, where strace is at hand, in system
calls.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests import clips
from tests.offline import sitecustomize
from tests.training import small_data

OURS = (".cache/livevision", ".local/share/livevision")
_LEFT_OUT = re.compile(r"CI$|CONTINUOUS_|GITHUB_|BUILD_|JENKINS|TF_BUILD|ORT_|PYTEST|XDG_|MPLCONF")


@dataclass(frozen=True, slots=True)
class User:
    """An empty home with a folder of files to work on."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def scratch(self) -> Path:
        return self.root / "scratch"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def notes(self) -> Path:
        return self.root / "connections.txt"

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        kept = {n: v for n, v in os.environ.items() if not _LEFT_OUT.match(n)}
        return subprocess.run(
            command,
            cwd=self.work,
            env={
                **kept,
                "HOME": str(self.home),
                "TMPDIR": str(self.scratch),
                sitecustomize.NOTES: str(self.notes),
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def livevision(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "livevision", *arguments)

    def strangers(self) -> list[str]:
        """Files at home outside our own folders, and whatever is left of temporary ones."""
        found = [path.relative_to(self.home).as_posix() for path in _files(self.home)]
        elsewhere = [name for name in found if not name.startswith(OURS)]
        return elsewhere + [path.name for path in _files(self.scratch)]


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if not path.is_dir())


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> User:
    user = User(tmp_path_factory.mktemp("user"))
    for folder in (user.home, user.scratch, user.work):
        folder.mkdir()
    user.notes.touch()
    clips.make_clip(user.work / "clip.mp4", frames=12)
    small_data.boxes(user.work / "boxes")
    recipe = {**small_data.DETECT, **small_data.SHORT, "steps": 1, "evaluate_every": 1}
    (user.work / "mine.yaml").write_text(yaml.safe_dump(recipe))
    return user


RUN = "--source clip.mp4 --headless --overwrite"
COMMANDS = (
    "models",
    f"{RUN} --task detect --model thundernet-snet49 --output out.mp4 --report r.json",
    f"{RUN} --task detect --model thundernet-snet49 --engine onnx --output pictures/",
    f"{RUN} --task segment --model bisenet-xception39-camvid --output out.jsonl",
    f"{RUN} --task classify --output out.csv",
    "export thundernet-snet49 --precision int8 --calibrate clip.mp4 --force --overwrite",
    "train mine.yaml --out trained",
    "eval --weights trained/best.safetensors --data boxes --plots plots",
)


@pytest.mark.parametrize("command", COMMANDS, ids=[c.removeprefix(f"{RUN} ") for c in COMMANDS])
def test_no_command_connects_or_writes_elsewhere(user: User, command: str) -> None:
    ended = user.livevision(*command.split())
    assert ended.returncode == 0, ended.stderr
    assert user.notes.read_text() == ""
    assert user.strangers() == []


def test_importing_the_packages_after_livevision_reports_nothing(user: User) -> None:
    """As a Python program does that uses them beside livevision."""
    code = (
        "import livevision, openvino, nncf, onnxruntime, threading; print(threading.active_count())"
    )
    ended = user.run(sys.executable, "-c", code)
    assert (ended.returncode, ended.stdout.split()[-1]) == (0, "1"), ended.stderr
    assert user.notes.read_text() == ""
    assert user.strangers() == []


@pytest.mark.parametrize("engine", ["openvino", "onnx"])
def test_no_system_call_connects(user: User, engine: str) -> None:
    """Nor does C++, past Python's own sockets, which are not held back here."""
    strace = shutil.which("strace")
    if strace is None or user.run(strace, "-qq", "true").returncode:
        pytest.skip("no strace here (Debian package strace), or no right to use it")
    flags = f"{RUN} --task detect --model thundernet-snet49 --engine {engine} --output out.jsonl"
    trace = ("-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o", str(user.root / "t"))
    python = (sys.executable, "-I", "-m", "livevision")  # which leaves PYTHONPATH out
    ended = user.run(strace, *trace, *python, *flags.split())
    assert ended.returncode == 0, ended.stderr
    calls = (user.root / "t").read_text().splitlines()
    assert [call for call in calls if re.search(r"AF_INET|sin_addr|sin6_addr", call)] == []


def test_the_watch_itself_sees_what_is_tried(tmp_path: Path) -> None:
    """Also where the error is swallowed on a thread, as those who report home do."""
    notes = tmp_path / "notes"
    code = (
        "import socket, threading\n"
        "def report():\n"
        "    try: socket.create_connection(('192.0.2.7', 80), 0.1)\n"
        "    except OSError: pass\n"
        "thread = threading.Thread(target=report); thread.start(); thread.join()\n"
    )
    environment = {**os.environ, sitecustomize.NOTES: str(notes)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
    assert "192.0.2.7" in notes.read_text()


@pytest.mark.parametrize(
    ("address", "here"),
    [
        (("127.0.0.1", 80), True),
        (("127.8.0.1", 80), True),
        (("::1", 80, 0, 0), True),
        ("localhost", True),
        (os.uname().nodename, True),
        ("camera.invalid", True),
        ("/run/x.sock", True),
        (None, True),
        (("0.0.0.0", 0), True),
        (("10.255.255.53", 53), False),
        (("2001:db8::1", 443, 0, 0), False),
        ("www.google-analytics.com", False),
        (b"example.com", False),
    ],
)
def test_what_counts_as_this_machine(address: object, here: bool) -> None:
    assert sitecustomize.is_here(address) is here


def test_a_connection_to_this_machine_is_let_through() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), 5).close()
