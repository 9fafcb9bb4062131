"""A net that knows what it sees without having been trained, and pictures for it.

The deep nets of ``small_models`` have random weights and double every error from layer to layer, so
that none of them would agree with itself in int8.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import cv2
import numpy as np

from livevision.inference.model_files import ModelFiles
from livevision.models.lowering import Frames, frames_for
from tests import small_models

CARD = small_models.CARDS["segment"]
SIZE = (96, 64)


def graph(folder: Path) -> Path:
    """The graph of a segmenter of two layers, blur and nearest colour."""
    import onnx
    import torch
    from torch import nn

    from livevision.inference.graph import SegmentGraph
    from livevision.models.export import _description

    torch.manual_seed(3)
    colours = torch.rand(len(CARD.labels), 3) * 4 - 2
    net = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1, groups=3), nn.Conv2d(3, len(colours), 1))
    with torch.no_grad():
        net[0].weight[:] = 1 / 9
        net[0].bias[:] = 0
        net[1].weight[:] = 2 * colours[..., None, None]
        net[1].bias[:] = -(colours**2).sum(1)
    path = folder / "shallow.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter says that it is the older one
        torch.onnx.export(
            SegmentGraph(net).eval(),
            (torch.zeros(1, SIZE[1], SIZE[0], 3, dtype=torch.uint8),),
            path,
            dynamo=False,
            opset_version=17,
            input_names=["image"],
            output_names=["class_map"],
        )
    model = onnx.load(path)
    onnx.helper.set_model_props(
        model, _description(ModelFiles("shallow", "segment", "shallow", SIZE), CARD)
    )
    onnx.save(model, path)
    return path


def files(graph: Path) -> ModelFiles:
    """What an engine opens."""
    return ModelFiles("shallow", "segment", "shallow", SIZE, graph=graph)


def pictures(folder: Path, contrast: float = 1) -> str:
    """A folder of pictures, made now; faint ones where the contrast is low."""
    folder.mkdir()
    for seed in range(18):
        image = cv2.GaussianBlur(small_models.picture(160, 120, seed), (0, 0), 1.0)
        faint = 120 + contrast * (image.astype(np.float32) - 120)
        cv2.imwrite(str(folder / f"{seed:02}.png"), faint.astype(np.uint8))
    return str(folder)


def frames(source: str, graph: Path) -> Frames:
    """Pictures of a folder or pattern as inputs of the segmenter."""
    found = frames_for(CARD, files(graph), [source])
    assert found is not None
    return found
