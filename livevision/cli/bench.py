"""`livevision bench`: what this machine does, against a yardstick measured in the same run."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from livevision.errors import UsageError

if TYPE_CHECKING:
    from livevision.config import Settings


@click.group("bench")
def command() -> None:
    """Measure the pipeline on this machine."""


def _clip(function: Any) -> Any:
    return click.option(
        "--source",
        "clip",
        required=True,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A video file.",
    )(function)


@command.command("pipeline")
@_clip
@click.option("--task", default="detect", show_default=True, help="detect, segment or both.")
@click.option("--rounds", default=3, show_default=True, help="Times that each side takes its turn.")
@click.option("--max-frames", type=int, help="Frames of each turn; all by default.")
def pipeline(clip: Path, task: str, rounds: int, max_frames: int | None) -> int:
    """File to annotated file: the pipeline against one thread making the same calls in turn.

    Also what the pipeline itself costs a frame, with stages that do nothing.
    """
    from livevision import bench

    with tempfile.TemporaryDirectory(prefix="livevision-bench-") as folder:
        settings = _settings(clip, task, output=str(Path(folder) / "out.mp4"))
        if max_frames is not None:
            settings = settings.model_copy(update={"max_frames": max_frames})
        bench.through_loop(settings)  # warms caches of files, code and the engine
        loops, pipes = [], []
        report: dict[str, Any] = {}
        for _ in range(rounds):
            loops.append(bench.through_loop(settings))
            measured, report = bench.through_pipeline(settings)
            pipes.append(measured)
    loop = statistics.median(m.fps for m in loops)
    pipe = statistics.median(m.fps for m in pipes)
    click.echo(f"one-thread loop  {loop:8.1f} fps  (median of {rounds})")
    click.echo(f"pipeline         {pipe:8.1f} fps  (median of {rounds})")
    click.echo(f"ratio            {pipe / loop:8.2f}")
    cpu = statistics.median(m.cpu_s / m.frames for m in pipes)
    cores = statistics.median(m.cpu_s / m.wall_s for m in pipes)
    loop_cores = statistics.median(m.cpu_s / m.wall_s for m in loops)
    click.echo(
        f"CPU a frame      {1e3 * cpu:8.2f} ms; cores busy {cores:.2f} (loop {loop_cores:.2f})"
    )
    for stage, row in report["stages"].items():
        click.echo(f"  {stage:<12}{row['mean_ms']:8.2f} ms   busy {row['busy']:4.0%}")
    click.echo(f"bottleneck       {report['bottleneck']}")
    overhead = statistics.median(bench.overhead_us(5_000) for _ in range(rounds))
    click.echo(f"pipeline alone   {overhead:8.1f} µs a frame, with stages that do nothing")
    return 0


@command.command("memory")
@_clip
@click.option("--task", default="detect", show_default=True, help="detect, segment or both.")
@click.option("--frames", default=20_000, show_default=True, help="Frames in all.")
def memory(clip: Path, task: str, frames: int) -> int:
    """Resident memory along a looped run: flat, or it leaks."""
    from livevision import bench

    if frames < 10:
        raise UsageError(f"--frames {frames}: at least 10 are needed")
    with tempfile.TemporaryDirectory(prefix="livevision-bench-") as folder:
        settings = _settings(clip, task, output=str(Path(folder) / "out.mp4"))
        click.echo(f"{'frames':>8}{'MB':>9}")
        for done, megabytes in bench.memory_mb(settings, frames, frames // 10):
            click.echo(f"{done:8d}{megabytes:9.1f}")
    return 0


def _settings(clip: Path, task: str, output: str) -> Settings:
    from livevision.config import Settings

    return Settings.of(
        source=str(clip), task=task, output=output, headless=True, overwrite=True, quiet=True,
        progress=False,
    )  # fmt: skip
