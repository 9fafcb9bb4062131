"""The loop every tutorial shows: opencv_loop.py CLIP OUT.mp4 MODEL [WxH].

OpenCV reads and writes, our net looks, OpenCV draws; all on one thread.
"""

import sys
from collections.abc import Iterator

import cv2
import numpy as np
from timing import timed

import livevision

clip, out, name, *size = sys.argv[1:]
imgsz = tuple(int(side) for side in size[0].split("x")) if size else None
model = livevision.load(name, imgsz=imgsz)
colours = np.random.default_rng(0).integers(0, 256, (256, 3), np.uint8)


def draw(image, found):
    if model.task == "segment":
        return cv2.addWeighted(image, 0.5, colours[found.class_map], 0.5, 0)
    for box, number, score in zip(found.xyxy, found.class_id, found.confidence, strict=True):
        left, top, right, bottom = (int(x) for x in box)
        cv2.rectangle(image, (left, top), (right, bottom), (0, 255, 0), 2)
        text = f"{model.labels[int(number)]} {score:.2f}"
        cv2.putText(image, text, (left, top - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 255, 0), 1)
    return image


def frames() -> Iterator[None]:
    video = cv2.VideoCapture(clip)
    rate = video.get(cv2.CAP_PROP_FPS)
    width = int(video.get(cv2.CAP_PROP_FRAME_WIDTH))
    height = int(video.get(cv2.CAP_PROP_FRAME_HEIGHT))
    writer = cv2.VideoWriter(out, cv2.VideoWriter.fourcc(*"mp4v"), rate, (width, height))
    while True:
        there, image = video.read()
        if not there:
            break
        writer.write(draw(image, model(image)))
        yield
    writer.release()
    video.release()


timed(frames())
