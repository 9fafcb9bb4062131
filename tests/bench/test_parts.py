"""A net taken apart: every operation has a part, and the parts are the whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from livevision import nets
from livevision.bench.parts import BETWEEN, NetParts, measure, parts_of_operations
from livevision.cli.bench import command
from livevision.errors import UsageError
from livevision.models import catalog
from livevision.nets.counting import count_multiply_adds
from livevision.nets.layers import Step
from livevision.nets.parts import part_of, parts, without_numbers

_OPTIONS = catalog.find("thundernet-snet49").net_options


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> NetParts:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        return measure("thundernet-snet49", repeats=3)


def test_parts_add_up_to_the_whole(detector: NetParts) -> None:
    assert sum(part.ms for part in detector.parts) == pytest.approx(detector.ms)
    assert sum(part.share for part in detector.parts) == pytest.approx(1)
    assert sum(part.madds_share for part in detector.parts) == pytest.approx(1)
    net = without_numbers("thundernet-snet49", _OPTIONS)
    assert sum(part.madds for part in detector.parts) == count_multiply_adds(net, 320, 320)
    assert detector.parts[-1].part == BETWEEN
    assert detector.parts[-1].operations == 0


def test_a_detectors_parts_have_what_is_theirs(detector: NetParts) -> None:
    found = {part.part: part for part in detector.parts}
    # Suppression is twenty products of matrices, one after another, and no layer of a net.
    for suppressing in ("proposals + NMS", "final NMS"):
        assert found[suppressing].operations > 40
        assert found[suppressing].madds == 0
        assert found[suppressing].ms > 0
    # One linear layer on each proposal, and two behind it.
    outputs = 1 + _OPTIONS["num_classes"] + 4
    assert found["head"].madds == _OPTIONS["proposals"] * (245 * 1024 + 1024 * outputs)
    assert 3 <= found["head"].operations < 12
    assert found["RoI"].madds == 0
    assert found["RoI"].operations > 3
    assert found["SAM"].madds == 256 * 245 * 20 * 20
    assert found["backbone"].ms > found["SAM"].ms


class Operation:
    """What OpenVINO tells of an operation it executes, as far as it is asked."""

    def __init__(self, name: str, made_of: str, *before: Operation) -> None:
        self.name, self.before = name, before
        self.made_of = made_of

    def get_friendly_name(self) -> str:
        return self.name

    def get_rt_info(self) -> dict[str, Operation]:
        return {"originalLayersNames": self} if self.made_of else {}

    def astype(self, _kind: type) -> str:
        return self.made_of

    def input_values(self) -> tuple[Operation, ...]:
        return self.before

    def get_node(self) -> Operation:
        return self


class Executed:
    def __init__(self, image: Operation, *operations: Operation) -> None:
        self.inputs = (image,)
        self.operations = (image, *operations)

    def get_ordered_ops(self) -> tuple[Operation, ...]:
        return self.operations


def test_operations_go_by_the_names_they_were_made_of() -> None:
    net = without_numbers("thundernet-snet49", {})
    image = Operation("image", "image")
    turned = Operation("turned", "", image)
    conv = Operation("a", "/net/rpn/pointwise/pointwise.0/Conv,/net/attention/Sigmoid", turned)
    weights = Operation("reshaped", "/net/fc/Reshape", Operation("constant", ""))
    reorder = Operation("a_abcd_acdb_b", "", weights, conv)
    merged = Operation("Exp_123", "Multiply_99,/net/proposing/Exp", reorder)
    unnamed = Operation("Exp_124", "Multiply_100", merged)
    head = Operation("c", "/net/Mul", unnamed)
    last = Operation("boxes", "/net/choosing/GatherElements", head)
    cast = Operation("classes", "/Cast", last)
    found = parts_of_operations(
        Executed(image, turned, weights, conv, reorder, merged, unnamed, head, last, cast),
        net,
        "detect",
    )
    assert found == {
        "turned": "pixels",
        "a": "RPN",
        "a_abcd_acdb_b": "RPN",
        "Exp_123": "proposals + NMS",
        "Exp_124": "proposals + NMS",
        "c": "head",
        "boxes": "final NMS",
        "classes": "answer",
    }


@pytest.mark.parametrize("name", nets.names())
def test_every_layer_of_every_net_belongs_to_a_part_of_its_table(name: str) -> None:
    net = without_numbers(name, {})
    training_only = ("aux_heads", "detail_head")
    for module, child in net.named_children():
        if module not in training_only and (list(child.parameters()) or isinstance(child, Step)):
            assert module in net.PARTS or net.PARTS[""] == "head", module
            assert part_of(net, module) in parts(net)
    assert "" in net.PARTS


def test_a_net_behind_other_pixels_has_the_same_parts() -> None:
    pixels = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    with torch.device("meta"):
        net = nets.build("bisenet-xception39", pixels=pixels)
    assert part_of(net, "net.fusion.conv") == "FFM"
    assert part_of(net, "net") == "context path"
    assert part_of(net, "") == "pixels"
    assert parts(net)[0] == "pixels"


def test_the_command_prints_a_table_or_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    arguments = ["nets", "--parts", "snet49", "--imgsz", "64", "--repeats", "2", "--threads", "1"]
    table = CliRunner().invoke(command, arguments)
    assert table.exit_code == 0, table.output
    rows = [line.split()[0] for line in table.stdout.splitlines()]
    assert rows[3:] == ["pixels", "backbone", "head", "softmax,", "between"]
    told = CliRunner().invoke(command, [*arguments, "--json"])
    (line,) = told.stdout.splitlines()
    assert [part["part"] for part in json.loads(line)["parts"]][:3] == [
        "pixels",
        "backbone",
        "head",
    ]


def test_other_engines_tell_no_times_of_operations() -> None:
    for option, value in (("--engine", "onnx"), ("--device", "cuda"), ("--precision", "int8")):
        result = CliRunner().invoke(command, ["nets", "--parts", "snet49", option, value])
        assert isinstance(result.exception, UsageError), option
        assert value in str(result.exception)
