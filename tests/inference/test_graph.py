"""The first step of every graph: from pixels to what nets take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from livevision.inference.graph import Normalise
from livevision.nets import IMAGE_MEAN, IMAGE_STD


def test_pixels_come_out_red_first_and_normalised() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 6, 3), dtype=np.uint8)
    given = Normalise()(torch.from_numpy(pixels))
    expected = (pixels[..., ::-1] / 255 - IMAGE_MEAN) / IMAGE_STD
    assert given.dtype == torch.float32
    np.testing.assert_allclose(given, expected.transpose(0, 3, 1, 2), rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_rows_are_scaled_whole_and_colours_changed_last(tmp_path: Path) -> None:
    class Graph(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.normalise = Normalise()
            self.first = torch.nn.Conv2d(3, 4, 3)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.first(self.normalise(image))

    path = tmp_path / "g.onnx"
    image = torch.zeros(1, 8, 10, 3, dtype=torch.uint8)
    torch.onnx.export(Graph().eval(), (image,), path, dynamo=False)
    graph = onnx.load(path).graph
    operations = [n.op_type for n in graph.node if n.op_type not in ("Constant", "Identity")]
    # A change of colours right before a convolution is put into its weights by OpenVINO.
    assert operations == ["Cast", "Reshape", "Mul", "Add", "Reshape", "Transpose", "Gather", "Conv"]
