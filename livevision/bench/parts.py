"""How long each part of a net takes, beside its share of the net's multiply-adds.

Measured is the graph that users run, whole, on OpenVINO: it tells the time of each operation it
executes and the operations of the exported graph that it was made of, whose names begin with those
of the net's modules.
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
"""What a call takes beyond its operations: their scheduling, and copying in and out."""

_PIXELS = "pixels"
_ROUNDS = 3
_ANSWERS = {"segment": "arg-max", "detect": "answer", "classify": "softmax, top 5"}
_HINTS = {"auto": "f32", "fp32": "f32", "fp16": "f16", "bf16": "bf16"}


@dataclass(frozen=True, slots=True)
class PartTime:
    """One part of a net.

    Attributes:
        part: Its name.
        ms: Milliseconds for one image.
        share: Of the time of the whole, 0..1.
        madds: Multiply-adds for one image.
        madds_share: Of those of the whole, 0..1.
        operations: That the engine executes, those that take no time included.
    """

    part: str
    ms: float
    share: float
    madds: int
    madds_share: float
    operations: int


@dataclass(frozen=True, slots=True)
class NetParts:
    """A net taken apart.

    Attributes:
        name: The model's.
        engine: What computed it, such as "openvino cpu fp32".
        input_size: (width, height) in pixels.
        threads: That computed.
        ms: Milliseconds for one image, of which the parts are made up; counting costs some of it.
        uncounted_ms: The same without counting, median.
        parts: In the order of the net's own table, what lies between them last.
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
    """Time the parts of a net on OpenVINO; arguments as of ``bench.nets.measure``.

    The figures are means over the calls of the middle one of three rounds, so that parts add up to
    the whole and a disturbed round counts for nothing.

    Raises:
        LivevisionError: As ``livevision.load``, and where OpenVINO is not installed.
    """
    check("openvino", "cpu", precision)
    import openvino as ov

    from livevision.nets.parts import without_numbers

    card = catalog.find(name)
    files = files_of(card, None, imgsz, untrained=True)
    # Made anew of the weights: a file made by an earlier version may name its operations otherwise.
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
    """See that parts can be timed so.

    Raises:
        UsageError: OpenVINO on the CPU alone tells the time of operations, and not in every
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

    One that was made of operations of several parts counts as the first one's, which is the
    convolution where there is one. One that OpenVINO put in, which has no name of the net's, counts
    to what it takes its input from.

    Args:
        executed: ``CompiledModel.get_runtime_model()``.
        net: The net that was exported.
        task: What it does.
    """
    inputs = {port.get_node().get_friendly_name() for port in executed.inputs}
    parts: dict[str, str] = {}
    for operation in executed.get_ordered_ops():
        before = [source.get_node().get_friendly_name() for source in operation.input_values()]
        if not any(name in parts or name in inputs for name in before):
            continue  # a constant, or made of constants alone
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
    """Names of the exported graph's operations that an executed one was made of."""
    told = operation.get_rt_info()
    if "originalLayersNames" not in told:
        return ()
    names: str = told["originalLayersNames"].astype(str)
    return names.split(",")


def _part_of_name(name: str, net: nn.Module, task: str) -> str | None:
    """The part of an operation of the exported graph; None where its name tells nothing."""
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
    # A module's name stands in its scope behind those of the modules around it: net/rpn/rpn.0.
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
    """Milliseconds of a call by part, the mean of all calls so far."""
    times: dict[str, float] = {}
    for operation in request.profiling_info:
        spent = 1e3 * operation.real_time.total_seconds()
        if spent:  # those that became part of another one are named too
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
