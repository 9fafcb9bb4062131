"""A model of others as ONNX, and what its own package finds with it.

    PYTHON scripts/peers/foreign_reference.py FAMILY FOLDER PICTURE...

PYTHON is one of an environment with ultralytics or rfdetr. FOLDER gets FAMILY.onnx, FAMILY.yaml
where the file does not tell all, and FAMILY.json: for each picture the boxes, x1 y1 x2 y2, scores
and classes. The weights are random, with the scores spread so that there is something to find: what
is compared is preparation, decoding and suppression. RF-DETR with such weights is worth comparing
on pictures of its own 384x384 pixels alone: how others are resized decides what it finds.
scripts/compare_foreign.py compares livevision with it.
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import torch

CONF = 0.3


def spread(layers, look, most=40):
    """Make the scores of last layers differ, so that about ``most`` are above one half.

    Args:
        layers: What gives the logits.
        look: Runs the net on the pictures.
        most: How many logits of all layers together shall be above zero.
    """
    seen = {}
    hooks = [
        layer.register_forward_hook(
            lambda module, _, out: seen.setdefault(module, []).append(out.detach())
        )
        for layer in layers
    ]
    with torch.no_grad():
        look()
        for hook in hooks:
            hook.remove()
        every = torch.cat([out.flatten() for outs in seen.values() for out in outs])
        mean, scale = every.mean(), 4 / max(1e-9, float(every.std()))
        least = float(((every - mean) * scale).topk(min(most, len(every))).values[-1])
        for layer in seen:
            layer.weight.mul_(scale)
            layer.bias.sub_(mean).mul_(scale).sub_(least)


def settle(net, look):
    """Give a net's norms the statistics of pictures, without which random layers fade out."""
    norms = [part for part in net.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(_take) for norm in norms]
    with torch.no_grad():
        look()
    for hook in hooks:
        hook.remove()


def _take(norm, given):
    values = given[0].transpose(0, 1).flatten(1)
    if values.shape[1] > 1:
        norm.running_mean.copy_(values.mean(1))
        norm.running_var.copy_(values.var(1))


def looking(net, pictures, size, several=False):
    """What runs a net on all pictures, 0..1."""

    def look():
        for picture in pictures:
            image = cv2.resize(cv2.imread(picture), (size, size))[..., ::-1].copy()
            image = torch.from_numpy(image).permute(2, 0, 1) / 255
            net([image] if several else image[None])

    return look


def ultralytics(net, folder, pictures):
    """A YOLO, exported and predicted by Ultralytics itself."""
    from ultralytics import YOLO

    torch.manual_seed(0)
    model = YOLO(f"{net}.yaml")
    head = model.model.model[-1]
    branches = [b for name in ("cv3", "one2one_cv3") for b in getattr(head, name, None) or ()]
    inner = model.model
    look = looking(inner, pictures, 640)
    settle(inner, look)
    spread([branch[-1] for branch in branches], look)
    path = folder / f"{net}.pt"
    model.save(path)
    how = {"format": "onnx", "imgsz": 640, "opset": 17, "simplify": False}
    exported = Path(YOLO(path).export(verbose=False, **how))
    runner = YOLO(exported, task="detect")
    found = {}
    for picture in pictures:
        image = cv2.imread(picture)
        boxes = runner.predict(image, conf=CONF, iou=0.5, imgsz=640, verbose=False)[0].boxes
        found[picture] = rows(boxes.xyxy, boxes.conf, boxes.cls)
    return found


def rfdetr(kind, folder, pictures):
    """RF-DETR, with its own prediction."""
    from rfdetr import RFDETRNano

    torch.manual_seed(0)
    model = RFDETRNano(pretrain_weights=None, device="cpu")
    net = model.model.model
    spread([net.class_embed], looking(net, pictures, model.model.resolution))
    model.export(output_dir=str(folder / "rf"), verbose=False)
    (made,) = (folder / "rf").glob("*.onnx")
    made.replace(folder / "rfdetr.onnx")
    described(folder / "rfdetr.yaml", labels=[f"class {n}" for n in range(91)])
    found = {}
    for picture in pictures:
        boxes = model.predict(cv2.imread(picture)[..., ::-1].copy(), threshold=CONF)
        found[picture] = rows(boxes.xyxy, boxes.confidence, boxes.class_id)
    return found


def described(path, **fields):
    """Write what the file does not tell."""
    path.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in fields.items()))


def rows(boxes, scores, classes):
    return [
        [*map(float, box), float(score), int(number)]
        for box, score, number in zip(
            np.asarray(boxes), np.asarray(scores), np.asarray(classes), strict=True
        )
    ]


FAMILIES = {
    "yolov5nu": ultralytics,
    "yolov8n": ultralytics,
    "yolov10n": ultralytics,
    "yolo11n": ultralytics,
    "yolo12n": ultralytics,
    "yolo26n": ultralytics,
    "rfdetr": rfdetr,
}


if __name__ == "__main__":
    family, out, *given = sys.argv[1:]
    found = FAMILIES[family](family, Path(out), given)
    (Path(out) / f"{family}.json").write_text(json.dumps(found))
