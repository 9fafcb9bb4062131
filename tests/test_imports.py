"""What importing livevision brings along, and that all but nets and training does without torch."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path

import livevision

HEAVY = (
    "torch",
    "numpy",
    "cv2",
    "av",
    "openvino",
    "onnxruntime",
    "onnx",
    "supervision",
    "pydantic",
)
NEED_TORCH = (
    "livevision.checkpoints.",
    "livevision.nets.",
    "livevision.training",
    "livevision.inference.graph",
    "livevision.inference.torch_cuda",
    "livevision.inference.torch_engine",
)
# Packages that come with an NVIDIA GPU, which the machines of tests need not have.
NEED_NVIDIA = tuple(
    f"livevision.inference.{name}" for name in ("cuda_device", "tensorrt_build", "tensorrt_engine")
)

BLOCKED = """
import importlib, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ImportError(name + " is blocked here")

sys.meta_path.insert(0, Refuse())
for name in {names!r}:
    importlib.import_module(name)
"""

# What only POSIX systems have: modules, and names of os and signal.
WINDOWS = """
import importlib, os, signal, sys
import av, cv2, numpy, onnx, psutil, pydantic, supervision

MODULES = ("resource", "fcntl", "grp", "pwd", "termios", "tty", "pty", "syslog")
NAMES = (
    "fork forkpty getuid geteuid getgid getgroups getloadavg getpgid killpg mkfifo mknod "
    "nice openpty pathconf sched_getaffinity sched_setaffinity sched_yield setpgid setsid sysconf "
    "uname wait3 wait4 waitid statvfs fchmod fchown chown O_NONBLOCK O_CLOEXEC set_blocking "
    "memfd_create posix_fallocate posix_fadvise register_at_fork"
).split()
for name in MODULES:
    sys.modules[name] = None
for name in NAMES:
    if hasattr(os, name):
        delattr(os, name)
for name in dir(signal):
    kept = ("SIGINT", "SIGTERM", "SIGABRT", "SIGFPE", "SIGILL", "SIGSEGV")
    posix = "pthread_kill pthread_sigmask pause alarm setitimer sigwait siginterrupt".split()
    if name in posix or (name.startswith("SIG") and name[3].isalpha() and name not in kept):
        delattr(signal, name)
for name in {names!r}:
    importlib.import_module(name)
"""


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def modules() -> list[str]:
    found = pkgutil.walk_packages(livevision.__path__, "livevision.")
    return [module.name for module in found if module.name != "livevision.__main__"]


def test_importing_livevision_costs_nothing() -> None:
    loaded = set(python("import sys, livevision; print(*sys.modules)").split())
    assert not loaded.intersection(HEAVY)


def test_public_names_are_there() -> None:
    for name in livevision.__all__:
        assert getattr(livevision, name) is not None
    assert "run" in livevision.__all__
    assert "load" in livevision.__all__


def test_everything_but_nets_and_training_imports_without_torch() -> None:
    names = [name for name in modules() if not name.startswith(NEED_TORCH + NEED_NVIDIA)]
    assert "livevision.runtime.pipeline" in names
    assert "livevision.inference.openvino_engine" in names
    python(BLOCKED.format(blocked={"torch"}, names=names))


def test_the_command_line_imports_without_any_inference_package() -> None:
    names = [name for name in modules() if name.startswith("livevision.cli")]
    blocked = {"torch", "openvino", "onnxruntime", "onnx", "av", "supervision", "cv2"}
    python(BLOCKED.format(blocked=blocked, names=[n for n in names if not n.endswith(".bench")]))


def test_nothing_that_only_posix_has_is_needed_to_start() -> None:
    names = [name for name in modules() if not name.startswith(NEED_TORCH + NEED_NVIDIA)]
    said = python(
        WINDOWS.replace("{names!r}", repr(names))
        + "from livevision import cli\nfrom livevision.runtime import metering, terminal\n"
        "class Pipeline:\n    def stop(self): pass\n"
        "with terminal.Signals(Pipeline()): pass\n"
        "print(metering.peak_rss_mb(), metering.Meter().report()['peak_rss_mb'])\n"
        "assert cli.main(['models']) == 0\n"
    )
    peaks = [float(figure) for figure in said.splitlines()[0].split()]
    assert all(10 < peak < 10_000 for peak in peaks)


def test_each_stage_imports_by_itself() -> None:
    """Imports in a fresh interpreter, so that one stage cannot lean on another's being loaded."""
    folder = Path(livevision.__file__).parent
    left_out = NEED_TORCH + NEED_NVIDIA
    for stage in ("capture", "preprocess", "inference", "overlay", "output"):
        loaded = python(
            f"import importlib, pkgutil, sys; import livevision.{stage} as stage\n"
            "for m in pkgutil.iter_modules(stage.__path__, stage.__name__ + '.'):\n"
            f"    m.name.startswith({left_out!r}) or importlib.import_module(m.name)\n"
            "print(*sys.modules)"
        ).split()
        others = {"capture", "preprocess", "inference", "overlay", "output"} - {stage}
        assert (folder / stage).is_dir()
        assert not [m for m in loaded if m.startswith(tuple(f"livevision.{o}" for o in others))]
