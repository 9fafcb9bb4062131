"""A model of others as ONNX, and what its own package finds with it.

    PYTHON scripts/peers/foreign_reference.py FAMILY FOLDER PICTURE...

PYTHON is one of an environment with ultralytics, rfdetr, transformers and torchvision. FOLDER gets
FAMILY.onnx, FAMILY.yaml where the file does not tell all, and FAMILY.json: for each picture the
boxes, x1 y1 x2 y2, scores and classes, or the class map's file, or the five likeliest classes. The
weights are random, with the scores spread so that there is something to find: what is compared is
preparation, decoding and suppression. scripts/compare_foreign.py compares livevision with it.
"""

import importlib
import json
import sys
from pathlib import Path

import torch

FAMILIES = {
    "yolov5nu": "foreign_yolo:detector",
    "yolov8n": "foreign_yolo:detector",
    "yolov10n": "foreign_yolo:detector",
    "yolov10n-end": "foreign_yolo:end_to_end",
    "yolo11n": "foreign_yolo:detector",
    "yolo11n-seg": "foreign_yolo:detector",
    "yolo11n-pose": "foreign_yolo:detector",
    "yolo11n-cls": "foreign_yolo:classifier",
    "yolo12n": "foreign_yolo:detector",
    "yolo26n": "foreign_yolo:detector",
    "yolo26n-end": "foreign_yolo:end_to_end",
    "rtdetr-l": "foreign_yolo:rtdetr",
    "rfdetr": "foreign_detr:rfdetr",
    "rt-detr": "foreign_detr:rt_detr",
    "rt-detr-scored": "foreign_detr:rt_detr",
    "d-fine": "foreign_detr:d_fine",
    "d-fine-scored": "foreign_detr:d_fine",
    "ssdlite": "foreign_torchvision:detector",
    "fasterrcnn": "foreign_torchvision:detector",
    "deeplabv3": "foreign_torchvision:segmenter",
    "lraspp": "foreign_torchvision:segmenter",
    "mobilenetv3": "foreign_torchvision:classifier",
    "segformer": "foreign_segformer:segmenter",
}


if __name__ == "__main__":
    family, out, *given = sys.argv[1:]
    module, _, name = FAMILIES[family].partition(":")
    torch.manual_seed(0)
    found = getattr(importlib.import_module(module), name)(family, Path(out), given)
    (Path(out) / f"{family}.json").write_text(json.dumps(found))
