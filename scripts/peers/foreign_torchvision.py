"""Detectors, segmenters and a classifier of torchvision, exported by torch itself."""

import cv2
import onnxruntime
import torch
from reference_tools import CONF, Part, class_map, described, looking, rows, settle, spread, top
from torchvision import models, transforms

SIZE = 480, 320
"""Width and height of what detectors take."""

IMAGENET = {
    "colour": "RGB",
    "mean": [123.675, 116.28, 103.53],
    "std": [58.395, 57.12, 57.375],
}


def detector(kind, folder, pictures):
    """SSDLite, or Faster R-CNN, on pictures of the size that they are exported for."""
    bare = {"weights": None, "weights_backbone": None, "num_classes": 91}
    if kind == "ssdlite":
        net = models.detection.ssdlite320_mobilenet_v3_large(
            **bare, score_thresh=CONF, nms_thresh=0.5
        )
        heads = [layers[-1] for layers in net.head.classification_head.module_list]
    else:
        net = models.detection.fasterrcnn_mobilenet_v3_large_320_fpn(
            **bare, box_score_thresh=CONF, box_nms_thresh=0.5
        )
        heads = [net.roi_heads.box_predictor.cls_score]
    net.eval()
    look = looking(net, pictures, 320, several=True)
    settle(net, look)
    spread(heads, look)
    width, height = SIZE
    torch.onnx.export(
        net,
        ([torch.rand(3, height, width)],),
        str(folder / f"{kind}.onnx"),
        output_names=["boxes", "scores", "labels"]
        if kind == "ssdlite"
        else ["boxes", "labels", "scores"],
        opset_version=17,
        dynamo=False,
    )
    described(folder / f"{kind}.yaml", labels="coco91", resize="bilinear")
    found = {}
    for picture in pictures:
        whole = cv2.imread(picture)
        image = cv2.resize(whole, SIZE)[..., ::-1].copy()
        with torch.no_grad():
            (boxes,) = net([torch.from_numpy(image).permute(2, 0, 1) / 255])
        scale = torch.tensor([whole.shape[1] / width, whole.shape[0] / height] * 2)
        found[picture] = rows(boxes["boxes"] * scale, boxes["scores"], boxes["labels"])
    return found


def segmenter(kind, folder, pictures):
    """DeepLabV3, or LR-ASPP, both on MobileNetV3, without their second output."""
    name = f"{kind}_mobilenet_v3_large"
    net = getattr(models.segmentation, name)(weights=None, weights_backbone=None).eval()
    side = 320
    settle(net, looking(net, [*pictures, *pictures], side))

    torch.onnx.export(
        Part(net, lambda found: found["out"]),
        (torch.rand(1, 3, side, side),),
        str(folder / f"{kind}.onnx"),
        input_names=["image"],
        output_names=["out"],
        opset_version=17,
        dynamo=False,
    )
    described(folder / f"{kind}.yaml", **IMAGENET, fit="stretch", resize="bilinear", labels="voc21")
    normalise = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    session = onnxruntime.InferenceSession(str(folder / f"{kind}.onnx"))
    found = {}
    for number, picture in enumerate(pictures):
        image = cv2.resize(cv2.imread(picture), (side, side))[..., ::-1].copy()
        given = normalise(torch.from_numpy(image).permute(2, 0, 1) / 255)[None]
        classes = session.run(None, {"image": given.numpy()})[0][0].argmax(0)
        found[picture] = class_map(folder, kind, number, classes)
    return found


def classifier(kind, folder, pictures):
    """MobileNetV3, on pictures of its size: crops may lie half a pixel apart."""
    net = models.mobilenet_v3_small(weights=None).eval()
    look = looking(net, pictures, 224)
    settle(net, look)
    torch.onnx.export(
        net,
        (torch.rand(1, 3, 224, 224),),
        str(folder / f"{kind}.onnx"),
        input_names=["image"],
        output_names=["scores"],
        opset_version=17,
        dynamo=False,
    )
    labels = [f"class {n}" for n in range(1000)]
    described(folder / f"{kind}.yaml", **IMAGENET, fit="stretch", resize="bilinear", labels=labels)
    normalise = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    session = onnxruntime.InferenceSession(str(folder / f"{kind}.onnx"))
    found = {}
    for picture in pictures:
        image = cv2.resize(cv2.imread(picture), (224, 224))[..., ::-1].copy()
        given = normalise(torch.from_numpy(image).permute(2, 0, 1) / 255)[None]
        (scores,) = session.run(None, {"image": given.numpy()})
        found[picture] = top(torch.from_numpy(scores)[0].softmax(0))
    return found
