"""YOLOs and RT-DETR, exported and predicted by Ultralytics itself."""

from pathlib import Path

import cv2
from reference_tools import CONF, looking, rows, settle, spread, top
from ultralytics import RTDETR, YOLO

HOW = {"format": "onnx", "opset": 17, "simplify": False, "verbose": False}


def detector(net, folder, pictures, **how):
    """One that gives each cell's scores, whose suppression its package does outside."""
    model = YOLO(f"{net.removesuffix('-end')}.yaml")
    head = model.model.model[-1]
    branches = [b for name in ("cv3", "one2one_cv3") for b in getattr(head, name, None) or ()]
    look = looking(model.model, pictures, 640)
    settle(model.model, look)
    spread([branch[-1] for branch in branches], look)
    path = folder / f"{net}.pt"
    model.save(path)
    exported = Path(YOLO(path).export(imgsz=640, **HOW, **how))
    return _predicted(YOLO(exported, task=model.task), pictures)


def end_to_end(net, folder, pictures):
    """One that needs no suppression."""
    return detector(net, folder, pictures, nms=False)


def rtdetr(net, folder, pictures):
    """RT-DETR as Ultralytics has it."""
    model = RTDETR(f"{net}.yaml")
    head = model.model.model[-1]
    look = looking(model.model, pictures, 640)
    settle(model.model, look)
    spread([head.dec_score_head[-1]], look)
    path = folder / f"{net}.pt"
    model.save(path)
    exported = Path(RTDETR(path).export(imgsz=640, **HOW))
    return _predicted(RTDETR(exported), pictures)


def classifier(net, folder, pictures):
    """A classifier of whole pictures."""
    model = YOLO(f"{net}.yaml")
    look = looking(model.model, pictures, 224)
    settle(model.model, look)
    spread([model.model.model[-1].linear], look, most=len(pictures))
    path = folder / f"{net}.pt"
    model.save(path)
    exported = Path(YOLO(path).export(imgsz=224, **HOW))
    runner = YOLO(exported, task="classify")
    found = {}
    for picture in pictures:
        result = runner.predict(cv2.imread(picture), imgsz=224, verbose=False)[0]
        found[picture] = top(result.probs.data)
    return found


def _predicted(runner, pictures):
    found = {}
    for picture in pictures:
        image = cv2.imread(picture)
        boxes = runner.predict(image, conf=CONF, iou=0.5, imgsz=640, verbose=False)[0].boxes
        found[picture] = rows(boxes.xyxy, boxes.conf, boxes.cls)
    return found
