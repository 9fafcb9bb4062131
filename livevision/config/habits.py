"""Flags and settings of other tools, and their livevision equivalents.

Users come from Ultralytics (``yolo predict source=…``), YOLOv5's scripts, jetson-inference and
OpenCV samples. These names are not accepted as aliases, since half of them mean something else
here; the error message names the right flag.
"""

from __future__ import annotations

_RATES_OFF = "boxes and labels are always drawn; --no-hud leaves out the rates"
_ALL_FRAMES = "frames are always taken one by one; from Python, livevision.run(…) gives them"

_INSTEAD = {
    "--source URI": "input in i video camera cam file path stream-url input-uri webcam",
    "--output FILE.mp4, or --output runs/ for a copy of each source": (
        "save save-video save-vid out o out-file save-path output-uri"
    ),
    "--output FOLDER/": "project name save-dir out-dir output-dir",
    "--output results.jsonl, or .csv": "save-txt save-csv save-json save-conf save-results json",
    "--output 'frames/%06d.jpg'": "save-frames save-img save-images",
    "no crops are written; --output results.jsonl has the boxes": "save-crop",
    "nothing is written without --output": "nosave no-save dont-save",
    "a window opens where no --output is given; beside others: --output window": (
        "show view-img display imshow gui"
    ),
    "--headless": "noshow no-show nodisplay no-display nogui no-gui no-window",
    "--overwrite": "exist-ok force f y",
    "--imgsz 640": "img img-size image-size size input-size resolution",
    "--imgsz fit": "rect",
    "--conf 0.5": "conf-thres conf-thresh conf-threshold confidence threshold thresh score-thr",
    "--iou 0.5": "iou-thres iou-thresh iou-threshold nms nms-thr nms-threshold",
    "--max-det 100": "max-detections topk top-k",
    "--class-agnostic": "agnostic agnostic-nms",
    "--classes person,car": "class filter labels-only",
    "--model NAME, one that `livevision models` lists": "network net arch backbone m",
    "--weights FILE.safetensors": "checkpoint ckpt pt w",
    "--precision fp16": "half fp16",
    "--precision bf16": "bf16",
    "--precision int8": "int8",
    "--device cuda:0": "gpu gpu-id cuda use-gpu",
    "--device cpu": "cpu",
    "--engine onnx": "dnn onnxruntime",
    "--engine tensorrt": "trt use-trt",
    "--batch N": "batch-size",
    "--threads N": "num-threads",
    "--vid-stride N": "frame-skip skip-frames skip every stride",
    "--fps X": "max-fps target-fps fps-limit",
    "--max-frames N": "frames num-frames limit",
    "--mode every-frame": "stream-buffer",
    "--config FILE.yaml": "cfg settings",
    "classes come with the model; --classes person,car keeps some": "data names label-file",
    "videos keep the times of their source": "output-fps framerate frame-rate",
    "--track, or --track bytetrack (ocsort, botsort, sort)": "tracker persist track-id tracking",
    _RATES_OFF: "line-width line-thickness hide-labels hide-conf show-labels show-conf show-boxes",
    _ALL_FRAMES: "stream",
    "there is no such option here; leave it out": (
        "augment retina-masks visualize update embed compile"
    ),
}
_BY_NAME = {name: instead for instead, names in _INSTEAD.items() for name in names.split()}


def instead_of(name: str) -> str | None:
    """The equivalent of another tool's flag or setting; None if there is none.

    >>> instead_of("--conf-thres"), instead_of("save_txt")
    ('--conf 0.5', '--output results.jsonl, or .csv')
    """
    return _BY_NAME.get(name.lstrip("-").lower().replace("_", "-"))
