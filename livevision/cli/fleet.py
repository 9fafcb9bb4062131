"""`livevision fleet`: cameras on the nodes of a cluster, with one page."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import click

from livevision.cli import messages
from livevision.errors import ModelError, UsageError, missing_package


@click.command("fleet")
@click.argument("cameras", metavar="CAMERAS.yaml", type=click.Path(path_type=Path))
@click.option("--on", "address", default="ray", show_default=True, metavar="ray[://HOST:PORT]")
@click.option(
    "--capacity",
    type=click.FloatRange(0, min_open=True),
    help="Cameras of each node; default: measured, as by bench streams.",
)
@click.option("--size", metavar="WxH", default="640x360", show_default=True, help="Of the measure.")
@click.option("--fps", type=click.IntRange(1, 120), default=10, show_default=True, help="Of it.")
@click.option("--seconds", type=click.FloatRange(1), default=5.0, show_default=True)
@click.option("--most", type=click.IntRange(1), default=64, show_default=True)
@click.option(
    "--cpus-per-node",
    type=click.FloatRange(0, min_open=True),
    help="Processors to take of each node; default: all.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show details.")
@click.option("-q", "--quiet", is_flag=True, help="Show errors only.")
def command(
    cameras: Path,
    address: str,
    capacity: float | None,
    size: str,
    fps: int,
    seconds: float,
    most: int,
    cpus_per_node: float | None,
    verbose: bool,
    quiet: bool,
) -> int:
    """Run cameras on the nodes of a Ray cluster, until it is stopped.

    CAMERAS.yaml has the settings of a run with sources by name. Each camera is placed on a node
    that holds it, and on another one when that node is lost or drained. Cameras are added and
    removed as the file changes, and on the page (output: web://HOST:PORT).
    """
    messages.set_up(verbose, quiet)
    if not re.fullmatch(r"ray(://[^/\s]+:\d+)?", address):
        raise UsageError(f"--on: {address!r} is not ray, or ray:// with host and port of a cluster")
    if find_spec("ray") is None:
        raise ModelError(missing_package("ray", "livevision fleet", "ray"))
    from livevision.cli.export import size_of
    from livevision.fleet.commanding import run
    from livevision.fleet.nodes_on_ray import Measuring, RayNodes
    from livevision.fleet.on_ray import cluster

    wanted = size_of(size)
    assert wanted is not None
    measuring = Measuring(wanted, fps, seconds, most)
    if capacity is not None:
        measuring.most = max(1, round(capacity))
    with cluster(address):
        return run(
            cameras, lambda settings: RayNodes(settings, measuring, cpus_per_node), fps, capacity
        )
