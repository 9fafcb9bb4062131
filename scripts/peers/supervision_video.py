"""supervision's process_video around our net: supervision_video.py CLIP OUT.mp4 MODEL.

What a user of supervision writes: a callback that calls the model and draws with annotators.
"""

import sys
from collections.abc import Iterator

import supervision as sv
from timing import timed

import livevision

clip, out, name = sys.argv[1:]
model = livevision.load(name)
boxes, labels = sv.BoxAnnotator(), sv.LabelAnnotator()


def annotated(image):
    found = model(image)
    names = [
        f"{model.labels[int(number)]} {score:.2f}"
        for number, score in zip(found.class_id, found.confidence, strict=True)
    ]
    return labels.annotate(boxes.annotate(image.copy(), found), found, names)


def frames() -> Iterator[None]:
    # process_video has no hook after a frame is written; its parts, in its own order, have.
    info = sv.VideoInfo.from_video_path(clip)
    with sv.VideoSink(out, info) as sink:
        for image in sv.get_video_frames_generator(clip):
            sink.write_frame(annotated(image))
            yield


timed(frames())
