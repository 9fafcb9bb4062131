"""Nets are built by name, without torch being imported before."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from livevision.nets import build, families, names


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'snet50'.*bisenet-xception39.*thundernet-snet49"):
        build("snet50")


def test_a_net_of_any_backbone_needs_its_name() -> None:
    for name in families():
        with pytest.raises(ValueError, match=rf'build\("{name}", backbone='):
            build(name)


def test_every_name_has_a_builder() -> None:
    for name in names():
        with torch.device("meta"):
            net = build(name, num_classes=3)
        assert sum(p.numel() for p in net.parameters()) > 50_000


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys, livevision.nets; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
