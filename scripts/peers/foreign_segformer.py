"""SegFormer with transformers' own processor."""

from types import SimpleNamespace

import numpy as np
import onnxruntime
import torch
from PIL import Image
from reference_tools import Part, class_map, described, lively, prepared
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
    session = onnxruntime.InferenceSession(str(folder / f"{kind}.onnx"))
    mean, std = (np.array(values) for values in (processor.image_mean, processor.image_std))

    def prepare(image):
        pixels = processor(images=Image.fromarray(image), return_tensors="np")["pixel_values"]
        return 255 * (pixels[0].transpose(1, 2, 0) * std + mean)

    found = {}
    for number, picture in enumerate(prepared(folder, kind, pictures, prepare)):
        whole = Image.open(picture).convert("RGB")
        given = processor(images=whole, return_tensors="np")["pixel_values"]
        (logits,) = session.run(None, {"pixel_values": given})
        (classes,) = processor.post_process_semantic_segmentation(
            SimpleNamespace(logits=torch.from_numpy(logits)), target_sizes=[whole.size[::-1]]
        )
        found[picture] = class_map(folder, kind, number, classes)
    return found
