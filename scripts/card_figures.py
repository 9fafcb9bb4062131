"""Writes into the cards of shipped models how lower precision does; see scripts/card_figures.

Agreement is that of bf16 on all frames, and of int8 on a third of them, quantised with the others:
as ``livevision export`` measures it. Speed is the median time of an image in fp32, bf16 and int8,
measured in turns, on one thread.
"""

from __future__ import annotations

import argparse
import platform
import re
import statistics
import tempfile
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openvino as ov
import yaml

from livevision.inference.openvino_engine import OpenVINOEngine
from livevision.models import catalog
from livevision.models.choice import files_of
from livevision.models.lowering import Evidence, write_openvino
from livevision.models.lowering.compared import with_graph
from livevision.models.lowering.frames import Frames, frames_for

_ROUNDS = 9
_CALLS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--agreement", nargs="+", metavar="SOURCE", help="pictures or videos")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--source-name", help="what the frames are called on the card")
    given = parser.parse_args()
    for name in given.names:
        card = catalog.find(name)
        files, _ = with_graph(files_of(card, None, None, untrained=False), card, "fp32")
        with tempfile.TemporaryDirectory() as folder:
            lowered = {p: Path(folder) / f"{p}.xml" for p in ("bf16", "int8")}
            if given.agreement:
                frames = frames_for(card, files, given.agreement)
                assert frames is not None
                frames = replace(frames, source=given.source_name or frames.source)
                _write(name, "agreement", _agreement(card, files, frames, lowered))
            if given.speed:
                if not given.agreement:
                    _write_int8(card, files, lowered["int8"])
                _write(name, "speed", _speed(files, lowered["int8"]))


def _agreement(card: Any, files: Any, frames: Frames, lowered: dict[str, Path]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for precision, path in lowered.items():
        evidence = Evidence(calibrate=frames) if precision == "int8" else Evidence(check=frames)
        agreement = write_openvino(files, card, path, precision, evidence, force=True)
        if agreement is not None:
            found[precision] = {
                key: round(value, 4) if isinstance(value, float) else value
                for key, value in asdict(agreement).items()
                if value is not None
            }
            print(card.name, precision, agreement, flush=True)
    return found


def _write_int8(card: Any, files: Any, path: Path) -> None:
    """Quantise with noise: as fast as any other int8 file."""
    import numpy as np

    width, height = files.input_size
    random = np.random.default_rng(0)
    batch = {"image": random.integers(0, 256, (1, height, width, 3), np.uint8)}
    if card.task == "detect":
        batch["iou_threshold"] = np.array([0.5], np.float32)
    frames = Frames([batch] * 16, "noise", 0.0)
    write_openvino(files, card, path, "int8", Evidence(calibrate=frames, check=frames), force=True)


def _speed(files: Any, int8: Path) -> dict[str, Any]:
    quantised = replace(files, graph=int8, precision="int8")
    engines = {
        "fp32": OpenVINOEngine(files, "cpu", "fp32", 1),
        "bf16": OpenVINOEngine(files, "cpu", "bf16", 1),
        "int8": OpenVINOEngine(quantised, "cpu", "int8", 1),
    }
    import numpy as np

    width, height = files.input_size
    image = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
    batch = {"image": image} | (
        {"iou_threshold": np.array([0.5], np.float32)} if files.task == "detect" else {}
    )
    times: dict[str, list[float]] = {precision: [] for precision in engines}
    for _ in range(_ROUNDS):
        for precision, engine in engines.items():
            for call in range(_CALLS):
                begun = time.perf_counter()
                engine(batch)
                if call > 1:
                    times[precision].append(1e3 * (time.perf_counter() - begun))
    day = datetime.now(UTC).date().isoformat()
    found: dict[str, Any] = {p: round(statistics.median(t), 2) for p, t in times.items()}
    version = ov.__version__.partition("-")[0]
    found["on"] = f"ms, one thread of {_processor()}, OpenVINO {version}, {day}"
    print(files.name, found, flush=True)
    return found


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", info.read_text()) if info.exists() else None
    return found[1].strip() if found else platform.processor()


def _write(name: str, key: str, figures: dict[str, Any]) -> None:
    """Put a field into the card's front matter, before the licence."""
    path = catalog.weights_folder() / f"{name}.md"
    front, fence, text = path.read_text(encoding="utf-8").removeprefix("---\n").partition("\n---\n")
    lines = front.split("\n")
    lines = _without(lines, key)
    if key == "agreement":
        written = [f"{key}:", *(f"  {p}: {_flow(f)}" for p, f in figures.items())]
    else:
        written = [f"{key}: {_flow(figures)}"]
    at = next(n for n, line in enumerate(lines) if line.startswith("licence:"))
    lines[at:at] = written
    path.write_text("---\n" + "\n".join(lines) + fence + text, encoding="utf-8")
    catalog.read_card(path)


def _without(lines: list[str], key: str) -> list[str]:
    """The lines without a field and what is indented below it."""
    kept: list[str] = []
    inside = False
    for line in lines:
        inside = line.startswith(f"{key}:") or (inside and line.startswith(" "))
        if not inside:
            kept.append(line)
    return kept


def _flow(value: dict[str, Any]) -> str:
    return yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000
    ).strip()


if __name__ == "__main__":
    main()
