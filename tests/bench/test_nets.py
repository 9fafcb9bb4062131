"""Timing nets: what is measured, and what the table says."""

from __future__ import annotations

import os

import pytest
from click.testing import CliRunner

from livevision import nets
from livevision.bench.nets import every_net, measure
from livevision.cli.bench import command
from livevision.errors import UsageError
from livevision.models import catalog


def test_a_net_is_timed_beside_its_multiply_adds() -> None:
    found = measure("xception39", "torch", imgsz=(64, 96), threads=1, repeats=3)
    assert found.engine == "torch cpu fp32"
    assert found.input_size == (64, 96)
    assert found.spread_ms[0] <= found.ms <= found.spread_ms[1]
    assert found.madds < catalog.find("xception39").madds / 5, "counted at the size that was timed"
    assert found.madds_per_s == pytest.approx(1e3 * found.madds / found.ms)


def test_every_net_has_its_turn_once() -> None:
    names = every_net()
    assert len(set(names)) == len(names)
    assert {catalog.find(name).net for name in names} == set(nets.names())
    # A net that models are shipped of is timed as those, each at its own size.
    shipped = {name: catalog.find(name).net for name in catalog.names()}
    assert not set(names) & (set(shipped.values()) - set(shipped))


def test_the_command_tells_machine_threads_and_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/nowhere")
    arguments = ["nets", "--model", "snet49", "--imgsz", "64", "--engine", "onnx"]
    result = CliRunner().invoke(command, [*arguments, "--repeats", "2", "--threads", "1"])
    assert result.exit_code == 0, result.output
    head, titles, row = result.stdout.splitlines()
    assert "1 threads; median of 2 images" in head
    assert "MAdds/s" in titles
    assert row.split()[:2] == ["snet49", "64x64"]
    assert row.endswith("onnx cpu fp32")
    assert os.environ["XDG_CACHE_HOME"] == "/nowhere"


def test_unknown_nets_are_told_before_anything_is_timed() -> None:
    result = CliRunner().invoke(command, ["nets", "--model", "snet49", "--model", "snet94"])
    assert isinstance(result.exception, UsageError)
    assert "Did you mean 'snet49'" in str(result.exception)
