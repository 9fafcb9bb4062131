"""Every layout: the imported net computes what the other project's net does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from livevision.checkpoints.importing import import_checkpoint
from livevision.inference.weights import load_weights
from livevision.models import catalog
from livevision.nets import IMAGE_MEAN, IMAGE_STD, build
from tests.checkpoints import classifiers, segmenters
from tests.checkpoints.standins import Standin

Reference = Callable[[Standin, Tensor], Tensor]

IMAGENET = (IMAGE_MEAN, IMAGE_STD)
CITYSCAPES = ((0.3257, 0.3690, 0.3223), (0.2112, 0.2148, 0.2115))
RESNET101 = partial(classifiers.resnet, blocks=(3, 4, 23, 3), bottleneck=True)

CASES: list[tuple[str, Reference, int, str, tuple[Sequence[float], Sequence[float]] | None]] = [
    # name, reference, tensors of a file, net, mean and deviation (None: bytes, blue first)
    ("torchvision-mobilenetv2", classifiers.torchvision_mobilenetv2, 314, "mobilenetv2", IMAGENET),
    ("d-li14", classifiers.d_li14_mobilenetv2, 314, "mobilenetv2", IMAGENET),
    (
        "d-li14-0.5",
        partial(classifiers.d_li14_mobilenetv2, width=0.5),
        314,
        "mobilenetv2",
        IMAGENET,
    ),
    (
        "d-li14-0.1",
        partial(classifiers.d_li14_mobilenetv2, width=0.1),
        314,
        "mobilenetv2",
        IMAGENET,
    ),
    ("deep-sort", classifiers.deep_sort_mobilenetv2, 312, "mobilenetv2", IMAGENET),
    ("tv-1.0", classifiers.torchvision_shufflenetv2, 338, "shufflenetv2-1.0", IMAGENET),
    (
        "tv-0.5",
        partial(classifiers.torchvision_shufflenetv2, width=0.5),
        338,
        "shufflenetv2-0.5",
        IMAGENET,
    ),
    ("megvii-1.0", classifiers.megvii_shufflenetv2, 337, "shufflenetv2-1.0", None),
    (
        "megvii-2.0",
        partial(classifiers.megvii_shufflenetv2, width=2.0),
        337,
        "shufflenetv2-2.0",
        None,
    ),
    ("resnet18", classifiers.resnet, 122, "resnet18", IMAGENET),
    ("resnet101", RESNET101, 626, "resnet101", IMAGENET),
    ("torchseg", segmenters.torchseg_bisenet, 0, "bisenet-resnet18", IMAGENET),
    (
        "torchseg-x39",
        partial(segmenters.torchseg_bisenet, xception=True),
        0,
        "bisenet-xception39",
        IMAGENET,
    ),
    ("v1", segmenters.coincheung_bisenet, 222, "bisenet-resnet18-ported", CITYSCAPES),
    (
        "v1-old",
        partial(segmenters.coincheung_bisenet, old=True),
        215,
        "bisenet-resnet18-ported",
        IMAGENET,
    ),
    (
        "face-parsing",
        partial(segmenters.coincheung_bisenet, spatial_path=False, old=True),
        191,
        "bisenet-resnet18-ported",
        IMAGENET,
    ),
    ("v2", segmenters.coincheung_bisenetv2, 0, "bisenetv2", CITYSCAPES),
    ("mm-v1", segmenters.mmseg_bisenet, 0, "bisenet-resnet18-ported", IMAGENET),
    ("mm-v2", segmenters.mmseg_bisenetv2, 0, "bisenetv2", IMAGENET),
    ("mm-stdc1", segmenters.mmseg_stdc, 0, "stdc1-seg", IMAGENET),
    ("mm-stdc2", partial(segmenters.mmseg_stdc, blocks=(4, 5, 3)), 0, "stdc2-seg", IMAGENET),
]


@pytest.mark.parametrize(
    ("reference", "count", "net", "pixels"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
@torch.no_grad()
def test_imported_net_computes_what_the_source_does(
    reference: Reference,
    count: int,
    net: str,
    pixels: tuple[Sequence[float], Sequence[float]] | None,
    tmp_path: Path,
) -> None:
    image = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))  # red first

    def normalised(mean: Sequence[float], std: Sequence[float]) -> Tensor:
        columns = (torch.tensor(v).view(1, 3, 1, 1) for v in (mean, std))
        return (image - next(columns)) / next(columns)

    theirs = (image * 255).flip(1) if pixels is None else normalised(*pixels)
    standin = Standin()
    expected = reference(standin, theirs)
    # The number of tensors that the real files have, where it is known.
    assert count in (0, len(standin.tensors))
    torch.save(standin.tensors, tmp_path / "theirs.pth")

    made = import_checkpoint(tmp_path / "theirs.pth", "ours", tmp_path / "ours.safetensors")

    assert made.card.net == net
    card = catalog.read_card(made.card_file)
    ours = build(card.net, **card.net_options).eval()
    load_weights(ours, made.weights)
    given = ours(normalised(*IMAGENET))
    scale = expected.abs().max()
    assert expected.std() > 0.01 * scale
    torch.testing.assert_close(given / scale, expected / scale, rtol=0, atol=2e-4)
