"""Time of each net for one image on this machine, beside its multiply-adds."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from livevision.inference.description import read_description
from livevision.inference.model_files import ModelFiles
from livevision.models import catalog, loading
from livevision.models.choice import graph_file


@dataclass(frozen=True, slots=True)
class NetTime:
    """The time of one net.

    Attributes:
        name: Name of the model.
        engine: Engine, device and precision, such as "openvino cpu fp32".
        input_size: (width, height) in pixels.
        madds: Multiply-adds for one image of that size.
        ms: Median time of one image in milliseconds.
        spread_ms: The fastest and the slowest time.
    """

    name: str
    engine: str
    input_size: tuple[int, int]
    madds: float
    ms: float
    spread_ms: tuple[float, float]

    @property
    def madds_per_s(self) -> float:
        """Multiply-adds per second."""
        return self.madds / (self.ms / 1e3)


def measure(
    name: str,
    engine: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    imgsz: tuple[int, int] | None = None,
    threads: int | None = None,
    repeats: int = 20,
) -> NetTime:
    """Time the whole graph of a net: pixels in, boxes, class maps or labels out.

    The picture has the input size already; decoding and drawing are not included. Nets without
    trained weights run with random ones, which take as long.

    Args:
        name, engine, device, precision, imgsz, threads: See ``livevision.load``.
        repeats: Timed calls, after two for warm-up.

    Raises:
        LivevisionError: See ``livevision.load``.
    """
    with loading.load(
        name, engine, device, precision, imgsz=imgsz, threads=threads, untrained=True
    ) as loaded:
        card = loaded.card
        width, height = imgsz or card.input_size
        noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        batch, _ = loaded.prepare(noise)
        times = []
        for _ in range(repeats + 2):
            start = time.perf_counter()
            loaded.infer(batch)
            times.append(1e3 * (time.perf_counter() - start))
        spec = loaded.engine_spec
    times = times[2:]
    return NetTime(
        name=name,
        engine=str(spec or ""),
        input_size=(width, height),
        madds=_madds(card, (width, height), loaded.files),
        ms=statistics.median(times),
        spread_ms=(min(times), max(times)),
    )


def _madds(card: catalog.ModelCard, size: tuple[int, int], files: ModelFiles) -> float:
    """Multiply-adds at a size: the card's, or counted; 0 if they cannot be counted."""
    if card.decoder is not None:
        if files.outputs or files.graph is None:
            return 0.0
        return float(json.loads(read_description(files.graph)["card"])["madds"])
    if size == card.input_size:
        return card.madds
    from livevision.nets.published import Published

    counted = Published(card.net, size[1], size[0], None, 0, options=card.net_options)
    return float(counted.count()[1] * 1e6)


def every_net() -> list[str]:
    """Shipped models, and the other nets, which need PyTorch."""
    shipped = catalog.names()
    if find_spec("torch") is None:
        return shipped
    nets = {catalog.find(name).net for name in shipped}
    return [*shipped, *(name for name in catalog.untrained_names() if name not in nets)]


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """Context with a temporary cache and no warnings about random weights.

    The graphs of all nets take gigabytes; random weights do not affect the time.
    """
    before = os.environ.get("XDG_CACHE_HOME")
    talk = logging.getLogger("livevision.models.model")
    level = talk.level
    talk.setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="livevision-bench-") as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        try:
            yield
        finally:
            talk.setLevel(level)
            del os.environ["XDG_CACHE_HOME"]
            if before is not None:
                os.environ["XDG_CACHE_HOME"] = before


def processors() -> int:
    """Number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def chosen(names: Sequence[str]) -> list[str]:
    """The models of these names, checked to exist; all if no name is given.

    Raises:
        UsageError: A name is unknown.
    """
    for name in names:
        if graph_file(name) is None:
            catalog.find(name)
    return list(names) or every_net()
