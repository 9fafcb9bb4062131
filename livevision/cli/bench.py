"""`livevision bench`: speed of this machine, beside a baseline measured in the same run."""

from __future__ import annotations

import json
import statistics
import tempfile
from contextlib import closing
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from livevision.errors import UsageError, missing_package

if TYPE_CHECKING:
    from livevision.bench.nets import NetTime
    from livevision.bench.parts import NetParts
    from livevision.bench.pipeline import Measured
    from livevision.bench.streams import Held
    from livevision.config import Settings


@click.group("bench")
def command() -> None:
    """Measure the pipeline on this machine."""


def _clip(function: Any) -> Any:
    return click.option(
        "--source",
        "clip",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A video file; default: the clip of `livevision demo`, scaled to 1280×720.",
    )(function)


@command.command("pipeline")
@_clip
@click.option("--task", default="detect", show_default=True, help="detect, segment or both.")
@click.option("--model", metavar="NAME", multiple=True, help="The model, as for a run.")
@click.option("--rounds", default=3, show_default=True, help="Rounds for each candidate.")
@click.option("--threads", type=int, help="Threads of the net; default: the engine's choice.")
@click.option("--max-frames", type=int, help="Frames in each round; default: all.")
def pipeline(
    clip: Path | None,
    task: str,
    model: tuple[str, ...],
    rounds: int,
    threads: int | None,
    max_frames: int | None,
) -> int:
    """Compare the pipeline, file to annotated file, with plain loops over the same calls.

    The first loop runs on one thread; its libraries (decoder, engine, encoder) keep the threads
    they use in the pipeline. The second loop is limited to one core.
    """
    from livevision.bench import pipeline as bench
    from livevision.bench.nets import processors

    loops: list[bench.Measured] = []
    single: list[bench.Measured] = []
    runs: list[bench.Measured] = []
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="livevision-bench-") as folder:
        given = {"model": model, "max_frames": max_frames, "threads": threads}
        settings = _settings(clip, task, Path(folder), **given)
        bench.in_new_process(bench.through_loop, settings)  # warms the file and engine caches
        for _ in range(rounds):
            loops.append(bench.in_new_process(bench.through_loop, settings))
            single.append(bench.in_new_process(bench.through_loop, settings, one_core=True))
            measured, report = bench.in_new_process(bench.through_pipeline, settings)
            runs.append(measured)
    loop, one_core, run = (statistics.median(m.fps for m in part) for part in (loops, single, runs))
    cores = processors()
    click.echo(f"medians of {rounds} rounds, {runs[0].frames} frames each, {cores} cores")
    click.echo(f"pipeline               {run:8.1f} fps   {_costs(runs)}")
    click.echo(f"plain loop             {loop:8.1f} fps   {_costs(loops)}   x{run / loop:.2f}")
    click.echo(
        f"plain loop, one core   {one_core:8.1f} fps   {_costs(single)}   x{run / one_core:.2f}"
    )
    click.echo(f"efficiency             {run / (one_core * cores):8.2f}   of the cores' rate")
    for stage, row in report["stages"].items():
        mark = "   <- bottleneck" if stage == report["bottleneck"] else ""
        click.echo(f"  {stage:<12}{row['mean_ms']:8.2f} ms   busy {row['busy']:4.0%}{mark}")
    overhead = statistics.median(bench.overhead_us(5_000) for _ in range(rounds))
    click.echo(f"pipeline overhead      {overhead:8.1f} µs a frame, with stages that do nothing")
    return 0


def _costs(turns: list[Measured]) -> str:
    cpu = statistics.median(m.cpu_s / m.frames for m in turns)
    busy = statistics.median(m.cpu_s / m.wall_s for m in turns)
    return f"{1e3 * cpu:6.2f} ms of CPU a frame, {busy:.2f} cores busy"


@command.command("memory")
@_clip
@click.option("--task", default="detect", show_default=True, help="detect, segment or both.")
@click.option("--frames", default=20_000, show_default=True, help="Total frames.")
def memory(clip: Path | None, task: str, frames: int) -> int:
    """Print the resident memory during a looped run; it must stay flat."""
    from livevision.bench import pipeline as bench

    if frames < 10:
        raise UsageError(f"--frames {frames}: at least 10 are needed")
    with tempfile.TemporaryDirectory(prefix="livevision-bench-") as folder:
        settings = _settings(clip, task, Path(folder))
        click.echo(f"{'frames':>8}{'MB':>9}")
        for done, megabytes in bench.memory_mb(settings, frames, frames // 10):
            click.echo(f"{done:8d}{megabytes:9.1f}")
    return 0


@command.command("streams")
@click.option(
    "--source",
    "clip",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A video file to show; default: a made-up scene.",
)
@click.option("--size", metavar="WxH", default="640x360", show_default=True)
@click.option("--fps", type=click.IntRange(1, 120), default=10, show_default=True)
@click.option("--task", default="detect", show_default=True, help="detect, segment or both.")
@click.option("--model", metavar="NAME", multiple=True, help="The model, as for a run.")
@click.option("--most", type=click.IntRange(1), default=64, show_default=True)
@click.option("--seconds", type=click.FloatRange(1), default=10.0, show_default=True)
@click.option(
    "--age", type=click.FloatRange(1), default=300.0, show_default=True, help="Bound in ms."
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON per number.")
def streams(
    clip: Path | None,
    size: str,
    fps: int,
    task: str,
    model: tuple[str, ...],
    most: int,
    seconds: float,
    age: float,
    as_json: bool,
) -> int:
    """Find how many live streams this machine holds.

    Streams are served over HTTP on this machine, by a process of its own. A number of streams is
    held where each has 95 % of its frames, and 95 % of them are younger than --age when they are
    delivered, by a time code in the pictures.
    """
    from livevision.bench.serving import Served, StreamServer
    from livevision.bench.streams import Bounds, capacity, measure
    from livevision.cli.export import size_of
    from livevision.cli.machine import processor
    from livevision.config import Settings

    bounds, wanted = Bounds(age_ms=age), size_of(size)
    assert wanted is not None
    settings = Settings.of(
        source="synthetic", task=task, model=model, output="null", headless=True, quiet=True
    )
    if not as_json:
        click.echo(f"{processor()}; streams of {wanted[0]}x{wanted[1]} at {fps} fps")
        click.echo(
            f"{'streams':>7}{'fps':>8}{'share of each':>16}{'age ms, p95':>14}{'cores':>7}  limits"
        )

    def told(held: Held) -> None:
        if as_json:
            click.echo(json.dumps(asdict(held)))
            return
        click.echo(
            f"{held.streams:7d}{held.fps:8.1f}{f'{held.least:.0%}-{held.most:.0%}':>16}"
            f"{f'{held.age_ms[0]:.0f}, {held.age_ms[1]:.0f}':>14}{held.cores:7.2f}  {_limits(held)}"
        )

    with closing(StreamServer(Served(wanted, fps, most, clip))) as server:
        held = capacity(lambda n: measure(server, n, settings, seconds, bounds), most, told)
    if not as_json:
        click.echo(f"holds {held} streams" + (" or more" if held == most else ""))
    return 0


def _limits(held: Held) -> str:
    drops = ", ".join(f"{cause} {count}" for cause, count in sorted(held.dropped.items()))
    return "; ".join(filter(None, (held.bottleneck and f"{held.bottleneck} is busy", drops)))


@command.command("nets")
@click.argument("nets", metavar="[NAME]...", nargs=-1)
@click.option("--model", "names", metavar="NAME", multiple=True, help="One net; may be repeated.")
@click.option("--parts", is_flag=True, help="Time each part of a net (OpenVINO only).")
@click.option("--engine", default="auto", show_default=True, help="openvino, onnx or torch.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda:N.")
@click.option("--precision", default="auto", show_default=True, help="fp32, fp16 or bf16.")
@click.option("--imgsz", metavar="N|WxH", help="Input size; default: each net's own.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads; default: all.")
@click.option("--repeats", default=20, show_default=True, type=click.IntRange(1))
@click.option(
    "--json", "as_json", is_flag=True, help="Print one line of JSON per net instead of a table."
)
def nets(
    nets: tuple[str, ...],
    names: tuple[str, ...],
    parts: bool,
    engine: str,
    device: str,
    precision: str,
    imgsz: str | None,
    threads: int | None,
    repeats: int,
    as_json: bool,
) -> int:
    """Time nets on one image, beside their multiply-adds; nets without weights get random ones."""
    from livevision.bench import nets as bench_nets
    from livevision.bench import parts as bench_parts
    from livevision.cli.export import size_of
    from livevision.cli.machine import processor

    size, threads = size_of(imgsz), threads or bench_nets.processors()
    chosen = bench_nets.chosen((*nets, *names))
    if parts:
        bench_parts.check(engine, device, precision)
    if not as_json:
        means = f"mean of {repeats} images" if parts else f"median of {repeats} images, whole graph"
        click.echo(f"{processor()}; {threads} threads; {means}")
    if not (as_json or parts):
        if not (nets or names) and find_spec("torch") is None:
            needed = missing_package("torch", "making them", "torch")
            click.echo(f"nets without weights are left out: {needed}", err=True)
        click.echo(f"{'net':<28}{'input':>10}{'MAdds':>10}{'ms':>10}{'from-to':>18}{'MAdds/s':>10}")
    for name in chosen:
        with bench_nets.apart():
            if parts:
                taken_apart = bench_parts.measure(name, precision, size, threads, repeats)
                _tell(taken_apart, _parts_table(taken_apart), as_json)
            else:
                time = bench_nets.measure(name, engine, device, precision, size, threads, repeats)
                _tell(time, _net_line(time), as_json)
    return 0


def _tell(found: NetTime | NetParts, text: str, as_json: bool) -> None:
    click.echo(json.dumps(asdict(found)) if as_json else text)


def _net_line(time: NetTime) -> str:
    (width, height), (low, high) = time.input_size, time.spread_ms
    return (
        f"{time.name:<28}{f'{width}x{height}':>10}{time.madds / 1e9:8.2f} G{time.ms:10.2f}"
        f"{f'{low:.2f}-{high:.2f}':>18}{time.madds_per_s / 1e9:8.1f} G  {time.engine}"
    )


def _parts_table(net: NetParts) -> str:
    width, height = net.input_size
    lines = [
        f"{net.name} at {width}x{height}, {net.engine}: {net.ms:.2f} ms with its parts timed, "
        f"{net.uncounted_ms:.2f} ms without",
        f"{'  part':<24}{'ms':>9}{'share':>8}{'MAdds':>12}{'share':>8}{'operations':>12}",
    ]
    for part in net.parts:
        lines.append(
            f"  {part.part:<22}{part.ms:9.2f}{part.share:8.1%}{part.madds / 1e6:10.1f} M"
            f"{part.madds_share:8.1%}{part.operations:12d}"
        )
    return "\n".join(lines)


def _settings(clip: Path | None, task: str, folder: Path, **others: Any) -> Settings:
    from livevision.bench.pipeline import enlarge
    from livevision.cli.demo import sample_clip
    from livevision.config import Settings

    if clip is None:
        clip = folder / "clip.mp4"
        enlarge(sample_clip(folder), clip)
    return Settings.of(
        source=str(clip),
        task=task,
        output=str(folder / "out.mp4"),
        headless=True,
        overwrite=True,
        quiet=True,
        progress=False,
        **others,
    )
