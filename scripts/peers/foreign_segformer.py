"""SegFormer with transformers' own processor."""

import torch
from PIL import Image
from reference_tools import Part, class_map, described, lively
from transformers import (
    SegformerConfig,
    SegformerForSemanticSegmentation,
    SegformerImageProcessor,
)

SIDE = 512


def segmenter(kind, folder, pictures):
    """The smallest, for Cityscapes' classes."""
    net = SegformerForSemanticSegmentation(SegformerConfig(num_labels=19)).eval()
    lively(net)

    torch.onnx.export(
        Part(net, lambda found: found.logits),
        (torch.rand(1, 3, SIDE, SIDE),),
        str(folder / f"{kind}.onnx"),
        input_names=["pixel_values"],
        output_names=["logits"],
        opset_version=17,
        dynamo=False,
    )
    described(
        folder / f"{kind}.yaml",
        colour="RGB",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        fit="stretch",
        resize="antialiased",
        labels="cityscapes19",
    )
    processor = SegformerImageProcessor(size={"width": SIDE, "height": SIDE})
    found = {}
    for number, picture in enumerate(pictures):
        whole = Image.open(picture).convert("RGB")
        with torch.no_grad():
            out = net(**processor(images=whole, return_tensors="pt"))
        (classes,) = processor.post_process_semantic_segmentation(
            out, target_sizes=[whole.size[::-1]]
        )
        found[picture] = class_map(folder, kind, number, classes)
    return found
