"""The nets at the papers' sizes on a GPU, beside the papers' figures: see scripts/bench_gpu.

A rate counts whole graphs: pixels to the device, the net, boxes or class maps back. It is compared
with the paper's, of another chip, and with the most that this chip could do: a net's multiply-adds
at the chip's rate for matrices, or what its layers read and write at the chip's rate for memory,
whichever takes longer. Both rates are measured here too.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from livevision import nets
from livevision.bench.nets import apart
from livevision.models import loading
from livevision.nets.counting import count_multiply_adds


@dataclass(frozen=True)
class Row:
    """A net at a size, and what its paper tells of it (frames a second, batch 1).

    Attributes:
        net: Name of an untrained net.
        size: (width, height) in pixels.
        paper: The paper's figure and its GPU; "" where it has none at this size.
    """

    net: str
    size: tuple[int, int]
    paper: str = ""


ROWS = (
    Row("bisenet-xception39", (2048, 1024)),
    Row("bisenet-xception39", (1536, 768), "105.8 (Titan XP)"),
    Row("bisenet-resnet18", (1536, 768), "65.5 (Titan XP)"),
    Row("dfanet-a", (1024, 1024), "100 (Titan X)"),
    Row("thundernet-snet49", (320, 320), "267 (GTX 1080 Ti)"),
    Row("thundernet-snet146", (320, 320), "248 (GTX 1080 Ti)"),
    Row("thundernet-snet535", (320, 320), "214 (GTX 1080 Ti)"),
)


@dataclass(frozen=True)
class Chip:
    """What a device was seen to do.

    Attributes:
        flops: Operations a second of a product of large matrices; a multiply-add is two.
        bandwidth: Bytes a second, read and written, of a large copy.
    """

    flops: float
    bandwidth: float

    def most(self, madds: float, moved: float) -> float:
        """Images a second that it could do at most (the roofline, Williams et al., 2009)."""
        return 1 / max(2 * madds / self.flops, moved / self.bandwidth)


def seconds(work: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Median time of a call and of all that it began on the device, after two not counted."""
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


def measure_chip(device: torch.device, dtype: torch.dtype, side: int, numbers: int) -> Chip:
    """Time a product of two square matrices and a copy.

    Args:
        device, dtype: What with.
        side: Of the matrices.
        numbers: That are copied.
    """
    a = torch.ones(side, side, device=device, dtype=dtype)
    x = torch.zeros(numbers, device=device, dtype=dtype)
    to = torch.empty_like(x)
    product = seconds(lambda: a @ a, 10, device)
    copy = seconds(lambda: to.copy_(x), 10, device)
    return Chip(2 * side**3 / product, 2 * x.nbytes / copy)


def moved_bytes(net: nn.Module, size: tuple[int, int], each: int) -> float:
    """What the layers of a net read and write for one image, fused with what is elementwise.

    Args:
        net: In eval mode.
        size: (width, height) of the image.
        each: Bytes of a number.
    """
    numbers = sum(p.numel() for p in net.parameters())

    def count(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal numbers
        numbers += inputs[0].numel() + output.numel()

    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        net(torch.zeros(1, 3, size[1], size[0]))
    for hook in hooks:
        hook.remove()
    return float(each * numbers)


def rates(
    row: Row, engine: str, device: str, precision: str, batches: Sequence[int], repeats: int
) -> tuple[str, dict[int, float]]:
    """The engine, and images a second for each size of a batch."""
    noise = np.random.default_rng(0).integers(0, 256, (row.size[1], row.size[0], 3), np.uint8)
    cpu = torch.device("cpu")  # answers are in main memory when a call returns
    found = {}
    with loading.load(row.net, engine, device, precision, imgsz=row.size, untrained=True) as loaded:
        image, _ = loaded.prepare(noise)
        loaded.open()
        found[1] = 1 / seconds(lambda: loaded.infer(image), repeats, cpu)
        for batch in batches:
            if batch > 1:
                loaded.open_together(batch)
                images = [image] * batch
                found[batch] = batch / seconds(lambda i=images: loaded.together(i), repeats, cpu)  # type: ignore[misc]
                loaded.close_together()
        return str(loaded.engine_spec), found


def line(row: Row, engine: str, found: dict[int, float], most: float) -> str:
    """A row of the table, Markdown."""
    best = max(found, key=lambda batch: found[batch])
    width, height = row.size
    return (
        f"| `{row.net}` | {width}×{height} | {engine} | {found[1]:.1f} | {found[1] / most:.0%} "
        f"| {found[best]:.1f} (batch {best}) | {found[best] / most:.0%} | {row.paper or '–'} |"
    )


def main(arguments: Sequence[str] | None = None, rows: Sequence[Row] = ROWS) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N; cpu to try the script")
    parser.add_argument("--precision", default="fp16", choices=["fp16", "fp32"])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--repeats", type=int, default=50)
    given = parser.parse_args(arguments)
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error(f"--device {given.device}: PyTorch sees no CUDA device here")
    large = device.type == "cuda"
    dtype = torch.float16 if given.precision == "fp16" else torch.float32
    chip = measure_chip(device, dtype, 8192 if large else 1024, 1 << (28 if large else 24))
    name = torch.cuda.get_device_name(device) if large else "CPU"
    measured = f"{chip.flops / 1e12:.1f} TFLOP/s, {chip.bandwidth / 1e9:.0f} GB/s measured"
    print(f"{name}, {time.strftime('%Y-%m-%d')}, {given.precision}: {measured}\n")
    print("| net | input | engine | fps | of the most | best fps | of the most | paper, fps |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        net = nets.build(row.net).eval()
        madds = count_multiply_adds(net, row.size[1], row.size[0])
        most = chip.most(madds, moved_bytes(net, row.size, dtype.itemsize))
        with apart():
            engine, found = rates(
                row, given.engine, given.device, given.precision, given.batches, given.repeats
            )
        print(line(row, engine, found, most), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
