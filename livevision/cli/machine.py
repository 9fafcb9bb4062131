"""Facts about this machine for `livevision doctor`.

Each function returns a status ("ok", "warn", "fail"), what was found, and how to fix it.
"""

from __future__ import annotations

import importlib
import os
import platform
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

Fact = tuple[str, str, str]

_OPENCV_WHEELS = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)


def processor() -> str:
    """The processor's name and how many cores this process may use."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        match = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", info.read_text(), re.MULTILINE)
        name = match.group(1) if match else name
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores, {platform.system()} {platform.machine()}"


def memory() -> Fact:
    """Free and total memory in GB (10⁹ bytes); a run takes well under one."""
    import psutil

    now = psutil.virtual_memory()
    text = f"{now.available / 1e9:.1f} GB free of {now.total / 1e9:.1f} GB"
    if now.available < 1e9:
        return "warn", text, "close other programs: a run needs up to 1 GB"
    return "ok", text, ""


def gpu() -> Fact:
    """The CUDA device that PyTorch uses, or one that it could use."""
    from livevision.inference.select import has_cuda

    if has_cuda():
        torch = importlib.import_module("torch")
        return "ok", f"{torch.cuda.get_device_name(0)}, CUDA {torch.version.cuda}", ""
    program = shutil.which("nvidia-smi")
    listed = ""
    if program is not None:
        done = subprocess.run([program, "-L"], capture_output=True, text=True, check=False)
        listed = done.stdout.splitlines()[0] if done.returncode == 0 and done.stdout else ""
    if listed:
        return (
            "warn",
            f"{listed}, which the installed PyTorch cannot use",
            "install PyTorch with CUDA, or use the processor",
        )
    return "ok", "none for PyTorch; nets run on the processor", ""


def opencv_wheels() -> dict[str, str]:
    """The installed OpenCV wheels, with their versions."""
    found = {}
    for name in _OPENCV_WHEELS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def opencv() -> Fact:
    """The installed OpenCV, and whether two of its wheels overwrite each other."""
    wheels = opencv_wheels()
    text = ", ".join(f"{name} {number}" for name, number in wheels.items()) or "of unknown origin"
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError as error:
        remedy = f"{sys.executable} -m pip install opencv-python"
        if ".so" in str(error):
            remedy = (
                "apt-get install libgl1 libglib2.0-0 libxcb1, or without windows: pip uninstall "
                "opencv-python; pip install opencv-python-headless"
            )
        return "fail", f"{text}: {error}", remedy
    text += f" (module {cv2.__version__})"
    if len(wheels) > 1:
        return (
            "warn",
            f"{text}: these overwrite each other's files",
            f"pip uninstall {' '.join(wheels)}, then install one of them",
        )
    return "ok", f"{text}; reads videos with FFmpeg: {_built_with('FFMPEG')}", ""


def windows() -> Fact:
    """Whether a window could be opened; opens none."""
    toolkit = _built_with("GUI")
    display = next(
        (f"{n}={os.environ[n]}" for n in ("WAYLAND_DISPLAY", "DISPLAY") if os.environ.get(n)), ""
    )
    shown = display or "no display"
    if sys.platform != "linux":
        display = "the desktop"
    if toolkit in ("NONE", "NO", ""):
        remedy = "for windows: pip uninstall opencv-python-headless; pip install opencv-python"
        return ("warn" if display else "ok"), f"{shown}; this OpenCV has no windows", remedy
    if not display:
        return "ok", f"{shown}: runs are headless; this OpenCV could open {toolkit} windows", ""
    return "ok", f"{shown}, {toolkit}", ""


def gstreamer() -> Fact:
    """Whether `gst:` sources work."""
    if _built_with("GStreamer").startswith("YES"):
        return "ok", "supported by this OpenCV: gst: sources work", ""
    return (
        "ok",
        "not supported by this OpenCV: gst: sources do not work, all others do",
        "for gst: sources use Debian's python3-opencv or the OpenCV of NVIDIA's JetPack",
    )


def h264() -> Fact:
    """The H.264 encoder and decoder."""
    try:
        av: Any = importlib.import_module("av")
    except ImportError as error:
        return "fail", f"PyAV cannot be imported: {error}", f"{sys.executable} -m pip install av"
    missing = []
    for name, mode in (("libx264", "w"), ("h264", "r")):
        try:
            av.codec.Codec(name, mode)
        except ValueError:  # PyAV's error for an unknown codec
            missing.append(name)
    if missing:
        return (
            "fail",
            f"PyAV {av.__version__} has no {' and no '.join(missing)}",
            "install PyAV's own wheel: pip install --force-reinstall --only-binary=:all: av",
        )
    return "ok", f"PyAV {av.__version__} reads it and writes it (libx264)", ""


def decoders() -> Fact:
    """The hardware video decoders, each tried on a few frames."""
    from livevision.capture.hardware import why_not
    from livevision.media.codecs import DECODERS, SOFTWARE

    return _tried({name: why_not(name) for name in DECODERS}, SOFTWARE)


def encoders() -> Fact:
    """The hardware video encoders, each tried on a few frames."""
    from livevision.media.codecs import ENCODERS, SOFTWARE_ENCODER
    from livevision.output.hardware import why_not

    return _tried({name: why_not(name) for name in ENCODERS}, SOFTWARE_ENCODER)


def _tried(reasons: dict[str, str | None], software: str) -> Fact:
    """What works, and why the other known codecs do not."""
    from livevision.media.codecs import NOT_BUILT

    works = [name for name, reason in reasons.items() if reason is None]
    text = f"{', '.join(works)}, and {software}" if works else f"{software}; no hardware works here"
    known: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        if reason is not None:
            known.setdefault(reason, []).append(name)
    absent = known.pop(NOT_BUILT, [])
    text += "".join(f"; {', '.join(names)}: {reason}" for reason, names in known.items())
    return "ok", text + (f"; not in this PyAV: {', '.join(absent)}" if absent else ""), ""


def cameras() -> list[Fact]:
    """The cameras that Linux lists, and whether this user may open them."""
    devices = sorted(Path("/dev").glob("video*"))
    if not devices:
        return [("ok", "none found: --source webcam will not work", "")]
    facts: list[Fact] = []
    for device in devices:
        label = Path("/sys/class/video4linux") / device.name / "name"
        name = label.read_text().strip() if label.is_file() else ""
        if os.access(device, os.R_OK | os.W_OK):
            facts.append(("ok", f"{device} {name}".strip(), ""))
        else:
            remedy = "sudo usermod -aG video $USER, then log in again"
            facts.append(("warn", f"{device} {name}: no permission to open it", remedy))
    return facts


def cache() -> Fact:
    """The folder for compiled models and the demo's clip."""
    from livevision.files import cache_folder

    folder = cache_folder("")
    if folder is None:
        return "warn", "cannot be written: every start compiles anew", "set XDG_CACHE_HOME"
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    return "ok", f"{folder}, {size / 1e6:.0f} MB", ""


def _built_with(name: str) -> str:
    """The value of a name in OpenCV's build information; empty if it is missing."""
    try:
        cv2: Any = importlib.import_module("cv2")
    except ImportError:
        return ""
    match = re.search(rf"^\s*{name}:[ \t]*(.*)$", cv2.getBuildInformation(), re.MULTILINE)
    return match.group(1).strip() if match else ""
