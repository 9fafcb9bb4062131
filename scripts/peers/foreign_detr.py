"""RF-DETR with its own prediction; RT-DETR and D-FINE with transformers' processors.

What stands between preparation and decoding is the exported file itself: with random weights the
order of hundreds of like scores hangs on the last bit, and PyTorch's differs from ONNX Runtime's.
"""

from types import SimpleNamespace

import cv2
import numpy as np
import onnxruntime
import torch
from PIL import Image
from reference_tools import CONF, Part, described, lively, looking, prepared, rows, settle, spread

SIZE = 320
LABELS = 80


def rfdetr(kind, folder, pictures):
    """RF-DETR Nano; resized as its prediction does."""
    from rfdetr import RFDETRNano
    from torchvision.transforms.functional import resize

    model = RFDETRNano(pretrain_weights=None, device="cpu")
    net = model.model.model
    lively(net)
    spread([net.class_embed], looking(net, pictures, model.model.resolution))
    model.export(output_dir=str(folder / "rf"), verbose=False)
    (made,) = (folder / "rf").glob("*.onnx")
    made.replace(folder / "rfdetr.onnx")
    described(folder / "rfdetr.yaml", labels=[f"class {n}" for n in range(91)])
    session = onnxruntime.InferenceSession(str(folder / "rfdetr.onnx"))
    name = session.get_inputs()[0].name

    class Exported(torch.nn.Module):
        def forward(self, batch):
            return tuple(map(torch.from_numpy, session.run(None, {name: batch.numpy()})[:2]))

    model.model.model = Exported().eval()
    resized = [model.model.resolution] * 2

    def prepare(image):
        pixels = torch.from_numpy(image).permute(2, 0, 1) / 255
        return 255 * resize(pixels, resized, antialias=False).permute(1, 2, 0)

    found = {}
    for picture in prepared(folder, kind, pictures, prepare):
        boxes = model.predict(cv2.imread(picture)[..., ::-1].copy(), threshold=CONF)
        found[picture] = rows(boxes.xyxy, boxes.confidence, boxes.class_id)
    return found


def rt_detr(kind, folder, pictures):
    """RT-DETR with an 18-layer backbone."""
    from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrResNetConfig

    backbone = RTDetrResNetConfig(
        hidden_sizes=[64, 128, 256, 512],
        depths=[2, 2, 2, 2],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    config = RTDetrConfig(
        backbone_config=backbone,
        encoder_in_channels=[128, 256, 512],
        decoder_layers=3,
        num_labels=LABELS,
    )
    return _found(RTDetrForObjectDetection(config), kind, folder, pictures)


def d_fine(kind, folder, pictures):
    """D-FINE with the smallest backbone."""
    from transformers import DFineConfig, DFineForObjectDetection

    config = DFineConfig(decoder_layers=3, num_labels=LABELS)
    return _found(DFineForObjectDetection(config), kind, folder, pictures)


class Scored(torch.nn.Module):
    """The net as RT-DETR's, D-FINE's and DEIM's own scripts export it."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, images, orig_target_sizes):
        out = self.net(images)
        middle, size = out.pred_boxes.split(2, -1)
        boxes = torch.cat((middle - size / 2, middle + size / 2), -1)
        boxes = boxes * orig_target_sizes.repeat(1, 2).unsqueeze(1)
        scores, places = out.logits.sigmoid().flatten(1).topk(300, -1)
        queries = (places // LABELS).unsqueeze(-1).repeat(1, 1, 4)
        return places % LABELS, boxes.gather(1, queries), scores


def _found(net, kind, folder, pictures):
    from transformers import RTDetrImageProcessor

    net.eval()
    lively(net)
    look = looking(net, pictures, SIZE)
    settle(net, look)
    heads = net.model.decoder.class_embed
    spread([heads[-1]], look)
    for head in heads[:-1]:  # D-FINE looks at those of earlier layers too
        head.load_state_dict(heads[-1].state_dict())
    image = torch.rand(1, 3, SIZE, SIZE)
    how = {"opset_version": 17, "dynamo": False}
    path = str(folder / f"{kind}.onnx")
    if kind.endswith("-scored"):
        names = ["images", "orig_target_sizes"], ["labels", "boxes", "scores"]
        given = (image, torch.tensor([[SIZE, SIZE]]))
        torch.onnx.export(
            Scored(net), given, path, input_names=names[0], output_names=names[1], **how
        )
    else:
        names = ["pixel_values"], ["logits", "pred_boxes"]
        raw = Part(net, lambda found: (found.logits, found.pred_boxes))
        torch.onnx.export(raw, (image,), path, input_names=names[0], output_names=names[1], **how)
    described(folder / f"{kind}.yaml", labels="coco80")
    session = onnxruntime.InferenceSession(path)
    processor = RTDetrImageProcessor(size={"width": SIZE, "height": SIZE})

    def prepare(image):
        pixels = processor(images=Image.fromarray(image), return_tensors="np")["pixel_values"]
        return 255 * pixels[0].transpose(1, 2, 0)

    found = {}
    for picture in prepared(folder, kind, pictures, prepare):
        whole = Image.open(picture).convert("RGB")
        given = {names[0][0]: processor(images=whole, return_tensors="np")["pixel_values"]}
        if kind.endswith("-scored"):
            given[names[0][1]] = np.array([whole.size])
            labels, boxes, scores = (out[0] for out in session.run(None, given))
            kept = scores > CONF
            found[picture] = rows(boxes[kept], scores[kept], labels[kept])
            continue
        logits, boxes = map(torch.from_numpy, session.run(None, given))
        (best,) = processor.post_process_object_detection(
            SimpleNamespace(logits=logits, pred_boxes=boxes),
            threshold=CONF,
            target_sizes=[whole.size[::-1]],
        )
        found[picture] = rows(best["boxes"], best["scores"], best["labels"])
    return found
