"""What a score costs in time, model by model and size by size: see scripts/bench_scores.

The time is of the whole graph for one image, as `livevision bench nets` takes it; the score is
`livevision eval`'s. All points are timed in turn, several times over, before any is scored, so that
a slow minute of the machine falls on all of them alike.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from datetime import date
from pathlib import Path
from typing import Any

import livevision
from livevision.bench import nets
from livevision.cli.machine import processor
from livevision.errors import UsageError
from livevision.files import lend_cache

Size = tuple[int, int]

# Multiples of 32, the coarsest stride: others cost points, 480x360 nearly three of them.
SQUARES = ((256, 256), (320, 320), (416, 416))
STREETS = ((320, 256), (480, 352), (640, 480), (800, 608))


@dataclass(frozen=True)
class Field:
    """Models that are scored on the same pictures: a part of the plot.

    Attributes:
        title: Above it.
        data: Folder of the data set, below that of all of them.
        figure: Of `livevision eval`, and what the axis calls it.
        models: Names.
        sizes: (width, height) of the input in pixels, small ones first.
    """

    title: str
    data: str
    figure: tuple[str, str]
    models: tuple[str, ...]
    sizes: tuple[Size, ...]


FIELDS = (
    Field(
        "Detection, Pascal VOC val subset",
        "voc12",
        ("AP50", "AP50, %"),
        ("thundernet-snet49", "thundernet-snet146", "thundernet-mobilenetv2"),
        SQUARES,
    ),
    Field(
        "Streets, CamVid val",
        "camvid",
        ("mIoU", "mIoU, %"),
        ("dfanet-a-camvid", "bisenet-xception39-camvid", "bisenet-mobilenetv2-camvid"),
        STREETS,
    ),
)


@dataclass(frozen=True)
class Point:
    """A model at a size: a row of the table.

    Attributes:
        data, model, engine: Names; the engine with its device and precision.
        precision: Of the engine.
        width, height: Of the input in pixels.
        ms: Median time of one image over all rounds.
        low_ms, high_ms: The fastest and the slowest round.
        score: Per cent.
    """

    data: str
    model: str
    engine: str
    precision: str
    width: int
    height: int
    ms: float
    low_ms: float
    high_ms: float
    score: float


def measure(
    parts: Sequence[Field], precisions: Sequence[str], folder: Path, rounds: int, repeats: int
) -> list[Point]:
    """Time every model at every size, round by round, then score each.

    Args:
        parts: What to look at.
        precisions: Of the engine, each in turn.
        folder: Of the data sets.
        rounds: How often each is timed; the median counts.
        repeats: Images of a round.
    """
    wanted = [
        (part, name, precision, size)
        for part in parts
        for name in part.models
        for precision in precisions
        for size in sizes_of(name, part.sizes)
    ]
    times: list[list[float]] = [[] for _ in wanted]
    for _ in range(rounds):
        for (_, name, precision, size), kept in zip(wanted, times, strict=True):
            timed = nets.measure(name, precision=precision, imgsz=size, repeats=repeats)
            kept.append(timed.ms)
    points = []
    for (part, name, precision, size), kept in zip(wanted, times, strict=True):
        with livevision.load(name, precision=precision, imgsz=size) as model:
            found = livevision.evaluate(model, folder / part.data)
        score = 100 * found.figures[part.figure[0]]
        ms = statistics.median(kept)
        points.append(
            Point(
                part.data, shown(name), found.engine, precision, *size,
                round(ms, 2), round(min(kept), 2), round(max(kept), 2), round(score, 1),
            )
        )  # fmt: skip
        say(f"{shown(name)} {size[0]}x{size[1]} {found.engine}: {ms:.2f} ms, {score:.1f}")
    return points


def sizes_of(name: str, sizes: Sequence[Size]) -> list[Size]:
    """Of some sizes those that a model takes; its own where it takes none of them."""
    if not Path(name).suffix:
        return list(sizes)
    taken = []
    for size in sizes:
        try:
            livevision.load(name, imgsz=size)
        except UsageError:
            continue
        taken.append(size)
    return taken or [livevision.load(name).card.input_size]


def shown(name: str) -> str:
    """A model's name, or that of a file."""
    return Path(name).name


def with_others(parts: Sequence[Field], others: Sequence[str], data: Path) -> list[Field]:
    """The fields, the detectors with files of others beside them.

    A folder that holds none of the fields' data sets is one itself, of pictures with boxes.
    """
    known = [part for part in parts if (data / part.data).is_dir()]
    if not known:
        known = [replace(parts[0], title=f"Detection, {data.name}", data=".")]
    boxes = known[0].figure[0] == "AP50"
    return [
        replace(known[0], models=(*known[0].models, *others)) if boxes else known[0],
        *known[1:],
    ]


def write_table(points: Iterable[Point], file: Path) -> None:
    """Points as CSV."""
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(field.name for field in fields(Point))
        writer.writerows(map(astuple, points))


def plot(points: Sequence[Point], parts: Sequence[Field], caption: str, file: Path) -> None:
    """A panel for each field: time of an image along, score up; a line joins a model's sizes.

    Filled marks and full lines are of the first precision, hollow and dashed ones of the others.
    """
    lend_cache("MPLCONFIGDIR", "matplotlib")
    import matplotlib

    # Letters stay letters, and the same points make the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "livevision"})
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * len(parts), 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(parts), squeeze=False)[0]
    for axes, part in zip(panels, parts, strict=True):
        for place, name in enumerate(part.models):
            of_model = [point for point in points if point.model == shown(name)]
            for precision in dict.fromkeys(point.precision for point in of_model):
                line = [point for point in of_model if point.precision == precision]
                _draw(axes, line, f"C{place}", first=precision == of_model[0].precision)
        axes.set(xscale="log", xlabel="ms for one image, whole graph", ylabel=part.figure[1])
        axes.set_ylim(bottom=0)
        axes.set_title(part.title, fontsize=11)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("{x:g}")
        axes.tick_params(axis="x", which="both", labelsize=7)
        axes.grid(which="both", linewidth=0.3)
        for precision in list(dict.fromkeys(point.precision for point in points))[1:]:
            axes.plot([], [], "o--", color="0.4", markerfacecolor="none", label=f"in {precision}")
        axes.legend(fontsize=8)
    figure.suptitle(caption, fontsize=8, y=0.01, verticalalignment="bottom")
    figure.get_layout_engine().set(rect=(0, 0.05, 1, 0.95))
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)


def _draw(axes: Any, line: Sequence[Point], colour: str, first: bool) -> None:
    axes.plot(
        [point.ms for point in line],
        [point.score for point in line],
        marker="o",
        markersize=5,
        color=colour,
        linestyle="-" if first else "--",
        markerfacecolor=colour if first else "none",
        linewidth=1,
        label=line[0].model if first else None,
    )
    if not first:
        return
    for point in line:
        square = point.width == point.height
        text = f"{point.width}" if square else f"{point.width}×{point.height}"
        where = (point.ms, point.score)
        axes.annotate(text, where, (4, -9), textcoords="offset points", fontsize=6)


def say(text: str) -> None:
    """Tell how it goes."""
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None, parts: Sequence[Field] = FIELDS) -> int:
    """Measure, and write `speed.csv` and `speed.svg`."""
    parser = argparse.ArgumentParser(prog="bench_scores", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="Folder of the data sets, or one.")
    parser.add_argument(
        "--others", nargs="+", default=[], metavar="FILE", help="Detectors of others beside ours."
    )
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--precision", nargs="+", default=["fp32"], help="(default fp32)")
    parser.add_argument("--rounds", type=int, default=3, help="(default 3)")
    parser.add_argument("--repeats", type=int, default=30, help="Images of a round (default 30).")
    given = parser.parse_args(arguments)
    parts = with_others(parts, given.others, given.data)
    points = measure(parts, given.precision, given.data, given.rounds, given.repeats)
    given.out.mkdir(parents=True, exist_ok=True)
    write_table(points, given.out / "speed.csv")
    engines = ", ".join(dict.fromkeys(point.engine for point in points))
    caption = f"{processor()}; {engines}; {date.today()}"
    plot(points, parts, caption, given.out / "speed.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
