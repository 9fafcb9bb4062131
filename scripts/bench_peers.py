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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from livevision.bench.pipeline import enlarge
from livevision.cli.demo import sample_clip
from livevision.cli.machine import processor
from livevision.files import lend_cache
from livevision.models import catalog

HERE = Path(__file__).resolve().parent
SEGMENT_SIZE = "640x360"
WIDE = "640x384"


@dataclass(frozen=True)
class Contestant:
    """A program of scripts/peers with its arguments, in which {clip} and the like are filled in."""

    title: str
    python: str
    program: str
    arguments: tuple[str, ...]


def prepare(net: str, python: str, shared: Path, file: Path | None) -> None:
    """Have a net's own package export it, or take a file that the user has.

    Raises:
        RuntimeError: It cannot be exported.
    """
    if file is not None:
        (shared / f"{net}.onnx").symlink_to(file.resolve())
        return
    exporting = Contestant(net, python, "export_foreign.py", (net, "{shared}"))
    run(exporting, Path(), shared / "export", shared)


def contestants(task: str, ours: str, theirs: str) -> list[Contestant]:
    """Those of a task, livevision first; `ours` and `theirs` are the two environments' Pythons."""
    video = ("{clip}", "{folder}/out.mp4")
    if task == "detect":
        model, nets = ("thundernet-snet49",), ("yolo11n", "yolo26n")
    else:
        model, nets = ("bisenet-xception39-camvid", SEGMENT_SIZE), ("yolo11n-seg", "yolo26n-seg")
    name, *size = model
    rows = [
        Contestant(
            f"livevision, {name}{how}",
            ours,
            "livevision_run.py",
            (*video, name, task, precision, *size),
        )
        for how, precision in (("", "fp32"), (", bf16", "bf16"))
        if precision in precisions()
    ]
    rows += [
        Contestant(f"OpenCV loop, {name}", ours, "opencv_loop.py", (*video, *model)),
    ]
    if task == "detect":
        program = "supervision_video.py"
        rows.append(Contestant(f"supervision, {name}", ours, program, (*video, *model)))
    backends = ["torch", "openvino"]
    if "bf16" in precisions():
        backends.append("openvino-fp32")
    for net in nets:
        for backend in backends:
            arguments = ("{clip}", "{folder}", f"{net}.yaml", backend)
            title = f"Ultralytics {net}, {backend.replace('-', ' held to ')}"
            rows.append(Contestant(title, theirs, "ultralytics_predict.py", arguments))
    return rows


FOREIGN = {
    "yolo11n": "Ultralytics",
    "yolo26n": "Ultralytics",
    "rt-detr": "supervision, transformers",
    "rf-detr": "supervision, rfdetr",
    "yolox-nano": "supervision, ONNX Runtime",
}
"""Nets of others, and what runs them beside livevision: each is a table of its own."""


TASKS = ["detect", "segment", *FOREIGN]


def of_others(net: str, ours: str, theirs: str) -> list[Contestant]:
    """livevision and a net's own package on the same weights, livevision first."""
    video = ("{clip}", "{folder}/out.mp4")
    graph = f"{{shared}}/{net}.onnx"
    rows = [
        Contestant(
            f"livevision, {net}.onnx{how}",
            ours,
            "livevision_run.py",
            (*video, graph, "detect", precision),
        )
        for how, precision in (("", "fp32"), (", bf16", "bf16"))
        if precision in precisions()
    ]
    if FOREIGN[net] != "Ultralytics":
        program = "supervision_foreign.py"
        return [*rows, Contestant(FOREIGN[net], theirs, program, (*video, net, "{shared}"))]
    # The clip's shape: theirs is exported for squares, as it is by default.
    rows += [
        replace(row, title=f"{row.title}, {WIDE}", arguments=(*row.arguments, WIDE)) for row in rows
    ]
    held = ["openvino", "openvino-fp32"] if "bf16" in precisions() else ["openvino"]
    for backend in held:
        arguments = ("{clip}", "{folder}", f"{{shared}}/{net}_openvino_model", backend)
        title = f"Ultralytics, {backend.replace('-', ' held to ')}"
        rows.append(Contestant(title, theirs, "ultralytics_predict.py", arguments))
    return rows


def precisions() -> list[str]:
    """What OpenVINO computes in on this processor."""
    import openvino

    can = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ["fp32", *(name.lower() for name in can)]


def run(
    contestant: Contestant, clip: Path, folder: Path, shared: Path | None = None
) -> dict[str, float] | None:
    """One turn; None where the program only prepared something for its next turn.

    Args:
        contestant: Who.
        clip: The video.
        folder: Of the contestant's own, for what it writes.
        shared: Of nets that several contestants run.

    Raises:
        RuntimeError: the program failed; the text ends with what it said last.
    """
    folder.mkdir(exist_ok=True)
    places = {"clip": clip, "folder": folder, "shared": shared}
    arguments = [a.format(**places) for a in contestant.arguments]
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


def scores() -> dict[str, dict[str, Any]]:
    """The shipped models' scores as their cards tell them, by the models' names."""
    return {name: dict(catalog.find(name).score) for name in catalog.names()}


def first_score(told: dict[str, Any]) -> str:
    """The first figure of a card's score, such as "mIoU 0.71"."""
    return next((f"{name} {value}" for name, value in told.items() if name != "text"), "")


def plot(results: dict[str, Any], path: Path) -> None:
    """Bars of the median rates, from the slowest turn to the fastest, as a PNG.

    A score stands beside those that have one: the others' nets run with random weights.
    """
    lend_cache("MPLCONFIGDIR", "matplotlib")
    from matplotlib.figure import Figure

    tasks = [task for task in TASKS if task in results]
    figure = Figure((9, 1 + 0.45 * sum(len(results[t]) for t in tasks)), layout="constrained")
    figure.suptitle(f"{results['processor']}, {results['date']}", fontsize=8)
    all_axes = figure.subplots(
        len(tasks), squeeze=False, height_ratios=[len(results[task]) for task in tasks]
    )
    for axes, task in zip(all_axes[:, 0], tasks, strict=True):
        rates = {title: [turn["fps"] for turn in turns] for title, turns in results[task].items()}
        middle = {title: statistics.median(fps) for title, fps in rates.items()}
        titles = sorted(middle, key=lambda title: middle[title])
        ours = next(iter(rates))
        axes.barh(
            titles,
            [middle[title] for title in titles],
            xerr=[
                [middle[title] - min(rates[title]) for title in titles],
                [max(rates[title]) - middle[title] for title in titles],
            ],
            color=["tab:blue" if title.startswith("livevision") else "0.7" for title in titles],
        )
        for row, title in enumerate(titles):
            told = next((s for name, s in results["scores"].items() if name in title), {})
            text = f" {middle[title]:.1f} fps, ×{middle[ours] / middle[title]:.2f}   "
            text += first_score(told)
            axes.text(0, row, text, va="center", fontsize=7)
        axes.set(xlabel="frames per second, 1280x720 file to annotated file", title=task)
        axes.tick_params(labelsize=8)
    figure.savefig(path, dpi=120)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", default=sys.executable, help="Python of the others")
    parser.add_argument("--clip", type=Path, help="(default: the demo's, made 1280x720)")
    parser.add_argument(
        "--task",
        choices=TASKS,
        action="append",
        help="(default detect and segment; a net's name compares with its own package)",
    )
    parser.add_argument("--yolox", type=Path, metavar="FILE.onnx", help="A trained YOLOX-nano")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (default 3)")
    parser.add_argument("--frames", type=int, help="of the clip (default all)")
    parser.add_argument("--json", type=Path, help="a file for every turn's figures")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="rates and scores as bars")
    parser.add_argument("--from", dest="done", type=Path, help="plot such a JSON, run nothing")
    arguments = parser.parse_args()
    if arguments.done:
        if arguments.plot is None:
            parser.error("--from FILE.json is for --plot FILE.png")
        plot(json.loads(arguments.done.read_text()), arguments.plot)
        return 0
    results: dict[str, Any] = {"processor": processor(), "date": time.strftime("%Y-%m-%d")}
    with tempfile.TemporaryDirectory(prefix="livevision-peers-") as name:
        clip = Path(name) / "clip.mp4"
        enlarge(arguments.clip or sample_clip(Path(name)), clip, frames=arguments.frames)
        for task in arguments.task or ["detect", "segment"]:
            if task in FOREIGN:
                if task == "yolox-nano" and arguments.yolox is None:
                    parser.error("--task yolox-nano takes --yolox FILE.onnx")
                given = arguments.yolox if task == "yolox-nano" else None
                prepare(task, arguments.peers, Path(name), given)
                rows = of_others(task, sys.executable, arguments.peers)
            else:
                rows = contestants(task, sys.executable, arguments.peers)
            turns: dict[str, list[dict[str, float]]] = {row.title: [] for row in rows}
            # The turn before the first one warms caches and exports what has to be exported.
            for turn in tqdm(range(arguments.rounds + 1), desc=task, disable=None):
                for row in rows:
                    figures = run(row, clip, Path(name) / row.title.replace(" ", "-"), Path(name))
                    if turn > 0 and figures is not None:
                        turns[row.title].append(figures)
            results[task] = turns
            print(f"{task}: medians of {arguments.rounds} turns\n")
            print(table({title: medians(each) for title, each in turns.items()}) + "\n")
    ours = versions(sys.executable, ("livevision", "openvino", "supervision", "opencv-python"))
    theirs = versions(arguments.peers, ("ultralytics", "torch", "openvino", "opencv-python"))
    results |= {"ours": ours, "theirs": theirs, "scores": scores()}
    print(f"{results['processor']}; {results['date']}; ours: {ours}; theirs: {theirs}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))
    if arguments.plot:
        plot(results, arguments.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
