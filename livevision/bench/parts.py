"""Time of each part of a net, beside its share of the net's multiply-adds.

The whole graph runs on OpenVINO, which reports the time of each executed operation and the exported
operations it was made from; their names begin with those of the net's modules.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from livevision.errors import ModelError, UsageError, missing_package
from livevision.models import catalog
from livevision.models.choice import files_of
from livevision.models.export import cached_graph

if TYPE_CHECKING:
    from torch import nn

    from livevision.inference.model_files import ModelFiles

BETWEEN = "between operations"
"""Overhead of a call beyond its operations: scheduling, and copying in and out."""

_PIXELS = "pixels"
_ROUNDS = 3
_ANSWERS = {"segment": "arg-max", "detect": "answer", "classify": "softmax, top 5"}
_HINTS = {"auto": "f32", "fp32": "f32", "fp16": "f16", "bf16": "bf16"}


@dataclass(frozen=True, slots=True)
class PartTime:
    """One part of a net.

    Attributes:
        part: Name of the part.
        ms: Milliseconds for one image.
        share: Share of the total time, 0..1.
        madds: Multiply-adds for one image.
        madds_share: Share of the total multiply-adds, 0..1.
        operations: Operations that the engine executes, including free ones.
    """

    part: str
    ms: float
    share: float
    madds: int
    madds_share: float
    operations: int


@dataclass(frozen=True, slots=True)
class NetParts:
    """The parts of a net.

    Attributes:
        name: Name of the model.
        engine: Engine, device and precision, such as "openvino cpu fp32".
        input_size: (width, height) in pixels.
        threads: Threads used.
        ms: Milliseconds for one image, the sum of the parts; includes some profiling overhead.
        uncounted_ms: The same without profiling, median.
        parts: In the order of the net's table; what is between them comes last.
    """

    name: str
    engine: str
    input_size: tuple[int, int]
    threads: int
    ms: float
    uncounted_ms: float
    parts: tuple[PartTime, ...]


def measure(
    name: str,
    precision: str = "auto",
    imgsz: tuple[int, int] | None = None,
    threads: int = 1,
    repeats: int = 50,
) -> NetParts:
    """Time the parts of a net on OpenVINO; for arguments see ``bench.nets.measure``.

    The figures are means over the calls of the median of three rounds, so that parts add up to the
    whole and disturbed rounds have no effect.

    Raises:
        LivevisionError: See ``livevision.load``; also if OpenVINO is not installed.
    """
    check("openvino", "cpu", precision)
    import openvino as ov

    from livevision.nets.parts import without_numbers

    card = catalog.find(name)
    files = files_of(card, None, imgsz, untrained=True)
    # Exported now: a file of an earlier version may have other names of operations.
    graph = str(cached_graph(files, card))
    net = without_numbers(files.net, files.net_options)
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "INFERENCE_NUM_THREADS": threads,
    }
    core = ov.Core()
    inputs = _inputs(files)
    plain = core.compile_model(graph, "CPU", settings).create_infer_request()
    rounds = []
    for _ in range(_ROUNDS):
        # Times are means over the life of a compiled graph: a new one for each round.
        counted = core.compile_model(graph, "CPU", {**settings, "PERF_COUNT": True})
        parts = parts_of_operations(counted.get_runtime_model(), net, files.task)
        request = counted.create_infer_request()
        wall = statistics.fmean(_walls(request, inputs, repeats))
        rounds.append((wall, parts, _times(request, parts)))
    whole, parts, times = sorted(rounds, key=lambda each: each[0])[_ROUNDS // 2]
    return NetParts(
        name,
        f"openvino cpu {'fp32' if precision == 'auto' else precision}",
        files.input_size,
        threads,
        whole,
        statistics.median(_walls(plain, inputs, repeats)),
        _rows(net, files, parts, whole, times),
    )


def check(engine: str, device: str, precision: str) -> None:
    """Check that parts can be timed with these settings.

    Raises:
        UsageError: Only OpenVINO on the CPU reports times of operations, and not in every
            precision.
        ModelError: It is not installed.
    """
    if engine not in ("auto", "openvino") or device not in ("auto", "cpu"):
        raise UsageError(
            "--parts is for --engine openvino on the cpu; "
            f"given: --engine {engine} --device {device}"
        )
    if precision not in _HINTS:
        raise UsageError(f"--parts takes --precision {', '.join(_HINTS)}; given: {precision}")
    if find_spec("openvino") is None:
        raise ModelError(missing_package("openvino", "--parts", "openvino"))


def parts_of_operations(executed: Any, net: nn.Module, task: str) -> dict[str, str]:
    """The part of each operation that OpenVINO executes, by the operation's name.

    A fused operation counts as the first part's, which is that of the convolution if there is one.
    An operation that OpenVINO inserted counts as the part of its input.

    Args:
        executed: ``CompiledModel.get_runtime_model()``.
        net: The net that was exported.
        task: Task of the net.
    """
    inputs = {port.get_node().get_friendly_name() for port in executed.inputs}
    parts: dict[str, str] = {}
    for operation in executed.get_ordered_ops():
        before = [source.get_node().get_friendly_name() for source in operation.input_values()]
        if not any(name in parts or name in inputs for name in before):
            continue  # a constant, or made of constants only
        found = [
            part
            for made_of in _made_of(operation)
            if (part := _part_of_name(made_of, net, task)) is not None
        ]
        if not found:
            found = [parts[name] for name in before if name in parts] or [_PIXELS]
        parts[operation.get_friendly_name()] = found[0]
    return parts


def _made_of(operation: Any) -> Sequence[str]:
    """Names of the exported operations that an executed one was made from."""
    info = operation.get_rt_info()
    if "originalLayersNames" not in info:
        return ()
    names: str = info["originalLayersNames"].astype(str)
    return names.split(",")


def _part_of_name(name: str, net: nn.Module, task: str) -> str | None:
    """The part of an exported operation; None if its name does not determine it."""
    from livevision.nets.parts import part_of

    if not name.startswith("/"):
        return None
    scope = name.split("/")[1:-1]
    if not scope:
        return _ANSWERS[task]
    if scope[0] == "normalise":
        return _PIXELS
    if scope[0] != "net":
        return None
    # The scope has the names of the outer modules first: net/rpn/rpn.0.
    part: str = part_of(net, scope[1] if len(scope) > 1 else "")
    return part


def _rows(
    net: nn.Module,
    files: ModelFiles,
    parts: Mapping[str, str],
    whole: float,
    found: Mapping[str, float],
) -> tuple[PartTime, ...]:
    from livevision.nets.counting import count_by_layer
    from livevision.nets.parts import part_of
    from livevision.nets.parts import parts as parts_of_net

    width, height = files.input_size
    madds: dict[str, int] = {}
    for layer, count in count_by_layer(net, height, width).items():
        madds[part_of(net, layer)] = madds.get(part_of(net, layer), 0) + count
    total = sum(madds.values())
    names = dict.fromkeys([_PIXELS, *parts_of_net(net), _ANSWERS[files.task]])
    times = {name: found.get(name, 0.0) for name in names}
    times[BETWEEN] = whole - sum(times.values())
    executed = list(parts.values())
    return tuple(
        PartTime(
            part=name,
            ms=ms,
            share=ms / whole,
            madds=madds.get(name, 0),
            madds_share=madds.get(name, 0) / total,
            operations=executed.count(name),
        )
        for name, ms in times.items()
    )


def _times(request: Any, parts: Mapping[str, str]) -> dict[str, float]:
    """Milliseconds of a call by part; mean of all calls so far."""
    times: dict[str, float] = {}
    for operation in request.profiling_info:
        spent = 1e3 * operation.real_time.total_seconds()
        if spent:  # operations fused into others are listed too
            part = parts[operation.node_name]
            times[part] = times.get(part, 0.0) + spent
    return times


def _walls(request: Any, inputs: Mapping[str, Any], repeats: int) -> list[float]:
    """Milliseconds of each call."""
    walls = []
    for _ in range(repeats):
        start = time.perf_counter()
        request.infer(inputs)
        walls.append(1e3 * (time.perf_counter() - start))
    return walls


def _inputs(files: ModelFiles) -> dict[str, Any]:
    from livevision.models.export import sample_picture

    inputs: dict[str, Any] = {"image": sample_picture(files.input_size)[None]}
    if files.task == "detect":
        inputs["iou_threshold"] = np.array([0.5], np.float32)
    return inputs
