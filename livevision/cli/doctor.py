"""`livevision doctor`: checks this machine and says how to fix what is missing."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

import click

from livevision.cli import machine


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        name: What was checked, one or two words.
        status: "ok", "warn" (something will not work) or "fail" (the main job will not).
        text: What was found.
        remedy: How to fix it.
    """

    name: str
    status: str
    text: str
    remedy: str = ""


REQUIRED = ("numpy", "opencv-python", "av", "supervision", "pyyaml", "tqdm", "pydantic", "click")
OPTIONAL = ("torch", "openvino", "onnxruntime", "onnx", "safetensors")


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(as_json: bool) -> int:
    """Check this machine: packages, engines, cameras, display, encoders.

    Exit code 0: livevision can run here; 1: it cannot.
    """
    findings = [finding for check in CHECKS for finding in _guarded(check)]
    well = all(finding.status != "fail" for finding in findings)
    if as_json:
        rows = [asdict(finding) for finding in findings]
        click.echo(json.dumps({"ok": well, "checks": rows}, indent=2, ensure_ascii=False))
    else:
        for finding in findings:
            click.echo(f"{finding.status:<5} {finding.name:<12} {finding.text}")
            if finding.remedy:
                click.echo(f"{'':<18} -> {finding.remedy}")
        click.echo("livevision can run here." if well else "livevision cannot run here.")
    return 0 if well else 1


def check_packages() -> Iterator[Finding]:
    """Check Python and the packages."""
    from livevision.version import __version__

    yield Finding("livevision", "ok", f"{__version__}, Python {platform.python_version()}")
    found = {name: _version(name) for name in REQUIRED + OPTIONAL}
    # Any OpenCV wheel will do: all bring the same module.
    found["opencv-python"] = next(iter(machine.opencv_wheels().values()), None)
    missing = [name for name in REQUIRED if found[name] is None]
    text = ", ".join(f"{name} {number}" for name, number in found.items() if number is not None)
    if missing:
        remedy = f"{sys.executable} -m pip install {' '.join(missing)}"
        yield Finding("packages", "fail", f"missing: {', '.join(missing)}; found: {text}", remedy)
    else:
        yield Finding("packages", "ok", text)


def check_machine() -> Iterator[Finding]:
    """Check processor, memory and GPU."""
    yield Finding("processor", "ok", machine.processor())
    yield Finding("memory", *machine.memory())
    yield Finding("gpu", *machine.gpu())


def check_engines() -> Iterator[Finding]:
    """Check the installed engines and which one `--engine auto` selects."""
    from livevision.errors import LivevisionError
    from livevision.inference.select import GPU_ONLY, choose_engine, has_driver
    from livevision.registry import ENGINES

    usable = []
    for name in ENGINES:
        if name in GPU_ONLY and not has_driver():
            continue
        try:
            choose_engine(name, "auto", "auto", ENGINES)
        except LivevisionError as error:
            yield Finding("engine", "warn", f"{name} cannot be used", str(error))
        else:
            usable.append(name)
    try:
        engine, device = choose_engine("auto", "auto", "auto", ENGINES)
    except LivevisionError as error:
        yield Finding("engine", "fail", "no engine is installed", str(error))
    else:
        yield Finding("engine", "ok", f"{', '.join(usable)}; auto selects {engine} on {device}")


def check_models() -> Iterator[Finding]:
    """Check that shipped weights exist, are whole and compute."""
    import numpy as np

    from livevision.errors import LivevisionError
    from livevision.inference.weights import check_weights
    from livevision.models import catalog, loading

    for name in catalog.names():
        bad = "fail" if name in catalog.DEFAULTS.values() else "warn"
        try:
            card = catalog.find(name)
            files = [file for file in (card.weights, card.graph) if file is not None]
            for file in files:
                check_weights(file)
            if not files:
                yield Finding("model", bad, f"{name}: no weights in {catalog.weights_folder()}")
                continue
            with loading.load(name) as loaded:
                loaded(np.full((272, 640, 3), 128, np.uint8))
                spec = loaded.engine_spec
        except LivevisionError as error:
            yield Finding("model", bad, f"{name}: {error}")
        else:
            engine = str(spec or "its engine")
            yield Finding(
                "model", "ok", f"{name}: weights whole, a test image went through {engine}"
            )
    for task, name in catalog.DEFAULTS.items():
        if name not in catalog.names():
            yield Finding("model", "fail", f"{name}, the model for {task}, is not shipped here")


def check_video() -> Iterator[Finding]:
    """Check what OpenCV and PyAV can read, write and show."""
    yield Finding("opencv", *machine.opencv())
    yield Finding("windows", *machine.windows())
    yield Finding("gstreamer", *machine.gstreamer())
    yield Finding("h264", *machine.h264())
    yield Finding("decoders", *machine.decoders())
    yield Finding("encoders", *machine.encoders())


def check_places() -> Iterator[Finding]:
    """Check cameras and the cache."""
    for found in machine.cameras():
        yield Finding("camera", *found)
    yield Finding("cache", *machine.cache())


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_packages,
    check_machine,
    check_engines,
    check_models,
    check_video,
    check_places,
)


def _guarded(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Run a check; an exception becomes a finding, since the other checks may still help."""
    try:
        yield from check()
    except Exception as error:
        name = check.__name__.removeprefix("check_")
        yield Finding(name, "fail", f"the check failed: {type(error).__name__}: {error}")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
