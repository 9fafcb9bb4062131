"""supervision's process_video around a net's own package: CLIP OUT.mp4 NET FOLDER.

NET is rt-detr (transformers, PyTorch), rf-detr (rfdetr, PyTorch) or yolox-nano (ONNX Runtime with
the decoding of YOLOX's own demo, written with numpy). The weights of the first two are random.
"""

import sys
from pathlib import Path

import numpy as np
import supervision as sv

SIZE = 640


def rt_detr():
    """The net, as exported: an 18-layer backbone, random weights."""
    import torch
    from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrResNetConfig

    torch.manual_seed(0)
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
        num_labels=80,
    )
    return RTDetrForObjectDetection(config).eval()


def transformers_finder():
    """transformers' processor around RT-DETR."""
    import torch
    from transformers import RTDetrImageProcessor

    net = rt_detr()
    processor = RTDetrImageProcessor(size={"width": SIZE, "height": SIZE})

    def find(image):
        given = processor(images=image[..., ::-1].copy(), return_tensors="pt")
        with torch.inference_mode():
            found = net(**given)
        (boxes,) = processor.post_process_object_detection(
            found, threshold=0.5, target_sizes=[image.shape[:2]]
        )
        return sv.Detections.from_transformers(boxes)

    return find


def rfdetr_finder():
    """RF-DETR's own prediction."""
    from rfdetr import RFDETRNano

    model = RFDETRNano(pretrain_weights=None, device="cpu")
    return lambda image: model.predict(image[..., ::-1].copy(), threshold=0.5)


def yolox_finder(path):
    """ONNX Runtime, and boxes decoded by numpy."""
    import cv2
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    port = session.get_inputs()[0]
    height, width = port.shape[2:]
    places = [
        (x, y, stride)
        for stride in (8, 16, 32)
        for y in range(height // stride)
        for x in range(width // stride)
    ]
    columns, rows, strides = np.array(places, np.float32).T[..., None]
    grid = np.concatenate((columns, rows), 1)

    def find(image):
        ratio = min(height / image.shape[0], width / image.shape[1])
        small = cv2.resize(image, (int(image.shape[1] * ratio), int(image.shape[0] * ratio)))
        laid = np.full((height, width, 3), 114, np.uint8)
        laid[: small.shape[0], : small.shape[1]] = small
        given = np.ascontiguousarray(laid.transpose(2, 0, 1)[None], np.float32)
        (found,) = session.run(None, {port.name: given})[0]
        middle, size = (found[:, :2] + grid) * strides, np.exp(found[:, 2:4]) * strides
        scores = found[:, 4:5] * found[:, 5:]
        best, classes = scores.max(1), scores.argmax(1)
        kept = best > 0.25
        corners = np.concatenate((middle - size / 2, middle + size / 2), 1)[kept] / ratio
        boxes = sv.Detections(corners, confidence=best[kept], class_id=classes[kept])
        return boxes.with_nms(0.5)

    return find


def frames(clip, out, find):
    """Video in, video with boxes out, one item a frame written."""
    boxes, labels = sv.BoxAnnotator(), sv.LabelAnnotator()
    info = sv.VideoInfo.from_video_path(clip)
    with sv.VideoSink(out, info) as sink:
        for image in sv.get_video_frames_generator(clip):
            found = find(image)
            sink.write_frame(labels.annotate(boxes.annotate(image.copy(), found), found))
            yield


if __name__ == "__main__":
    from timing import timed

    clip, out, net, folder = sys.argv[1:]
    finders = {"rt-detr": transformers_finder, "rf-detr": rfdetr_finder}
    find = finders[net]() if net in finders else yolox_finder(str(Path(folder) / f"{net}.onnx"))
    timed(frames(clip, out, find))
