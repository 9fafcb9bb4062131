"""livevision beside what else one could run on the same video: see scripts/bench_peers.

Every contestant reads the same 1280x720 H.264 file and writes an annotated video of the same size,
in a process of its own; they take turns, so that a noisy machine disturbs all alike. What counts
are the medians' ratios to the first row of each table.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from livevision.bench import enlarge
from livevision.cli.demo import sample_clip
from livevision.cli.machine import processor

HERE = Path(__file__).resolve().parent
SEGMENT_SIZE = "640x360"


@dataclass(frozen=True)
class Contestant:
    """A program of scripts/peers with its arguments; {clip} and {folder} are filled in."""

    title: str
    python: str
    program: str
    arguments: tuple[str, ...]


def contestants(task: str, ours: str, theirs: str) -> list[Contestant]:
    """Those of a task, livevision first; `ours` and `theirs` are the two environments' Pythons."""
    video = ("{clip}", "{folder}/out.mp4")
    if task == "detect":
        model, nets = ("thundernet-snet49",), ("yolo11n", "yolo26n")
    else:
        model, nets = ("bisenet-xception39-camvid", SEGMENT_SIZE), ("yolo11n-seg", "yolo26n-seg")
    name, *size = model
    rows = [
        Contestant(f"livevision, {name}", ours, "livevision_run.py", (*video, name, task, *size)),
        Contestant(f"OpenCV loop, {name}", ours, "opencv_loop.py", (*video, *model)),
    ]
    if task == "detect":
        program = "supervision_video.py"
        rows.append(Contestant(f"supervision, {name}", ours, program, (*video, *model)))
    for net in nets:
        for backend in ("torch", "openvino"):
            arguments = ("{clip}", "{folder}", f"{net}.yaml", backend)
            title = f"Ultralytics {net}, {backend}"
            rows.append(Contestant(title, theirs, "ultralytics_predict.py", arguments))
    return rows


def run(contestant: Contestant, clip: Path, folder: Path) -> dict[str, float] | None:
    """One turn; None where the program only prepared something for its next turn.

    Raises:
        RuntimeError: the program failed; the text ends with what it said last.
    """
    folder.mkdir(exist_ok=True)
    arguments = [a.format(clip=clip, folder=folder) for a in contestant.arguments]
    quiet = {"YOLO_CONFIG_DIR": str(folder), "YOLO_OFFLINE": "True", "YOLO_AUTOINSTALL": "False"}
    done = subprocess.run(
        [contestant.python, str(HERE / "peers" / contestant.program), *arguments],
        env=os.environ
        | quiet
        | {"BENCH_STARTED": repr(time.time()), "PYTHONPATH": str(HERE.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{contestant.title}: {done.stderr.strip().splitlines()[-1:]}")
    for line in done.stdout.splitlines():
        if line.startswith("FIGURES "):
            figures: dict[str, float] = json.loads(line.removeprefix("FIGURES "))
            return figures
    return None


def medians(turns: list[dict[str, float]]) -> dict[str, float]:
    """The median of every figure over a contestant's turns."""
    return {name: statistics.median(turn[name] for turn in turns) for name in turns[0]}


def table(rows: dict[str, dict[str, float]]) -> str:
    """Markdown; the last column is how many times livevision's rate is the row's."""
    first = next(iter(rows.values()))["fps"]
    lines = [
        "| | fps | CPU ms a frame | first frame, s | memory at most, MB | livevision is |",
        "|---|---|---|---|---|---|",
    ]
    for title, row in rows.items():
        lines.append(
            f"| {title} | {row['fps']:.1f} | {row['cpu_ms_per_frame']:.1f} "
            f"| {row['first_frame_s']:.2f} | {row['peak_mb']:.0f} | ×{first / row['fps']:.2f} |"
        )
    return "\n".join(lines)


def versions(python: str, names: tuple[str, ...]) -> str:
    """The versions of packages in an environment."""
    code = (
        "import sys; from importlib.metadata import version;"
        "print(*(f'{name} {version(name)}' for name in sys.argv[1:]), sep=', ')"
    )
    command = [python, "-c", code, *names]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", default=sys.executable, help="Python of the others")
    parser.add_argument("--clip", type=Path, help="(default: the demo's, made 1280x720)")
    parser.add_argument("--task", choices=["detect", "segment"], action="append")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (default 3)")
    parser.add_argument("--json", type=Path, help="a file for every turn's figures")
    arguments = parser.parse_args()
    results: dict[str, Any] = {"processor": processor(), "date": time.strftime("%Y-%m-%d")}
    with tempfile.TemporaryDirectory(prefix="livevision-peers-") as name:
        clip = arguments.clip
        if clip is None:
            clip = Path(name) / "clip.mp4"
            enlarge(sample_clip(Path(name)), clip)
        for task in arguments.task or ["detect", "segment"]:
            rows = contestants(task, sys.executable, arguments.peers)
            turns: dict[str, list[dict[str, float]]] = {row.title: [] for row in rows}
            # The turn before the first one warms caches and exports what has to be exported.
            for turn in tqdm(range(arguments.rounds + 1), desc=task, disable=None):
                for row in rows:
                    figures = run(row, clip, Path(name) / row.title.replace(" ", "-"))
                    if turn > 0 and figures is not None:
                        turns[row.title].append(figures)
            results[task] = turns
            print(f"{task}: medians of {arguments.rounds} turns\n")
            print(table({title: medians(each) for title, each in turns.items()}) + "\n")
    ours = versions(sys.executable, ("livevision", "openvino", "supervision", "opencv-python"))
    theirs = versions(arguments.peers, ("ultralytics", "torch", "openvino", "opencv-python"))
    results |= {"ours": ours, "theirs": theirs}
    print(f"{results['processor']}; {results['date']}; ours: {ours}; theirs: {theirs}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
