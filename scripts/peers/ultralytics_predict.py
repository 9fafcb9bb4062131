"""Ultralytics' predict(save=True): ultralytics_predict.py CLIP FOLDER NET.yaml torch|openvino.

The weights are random, from the net's YAML: nothing is fetched, and the speed is that of trained
ones but for the boxes, of which there are none to suppress and to draw. That favours this side.
On a processor with AMX its OpenVINO export is computed in bf16, which OpenVINO chooses by itself.
"""

import sys
from pathlib import Path

from timing import timed
from ultralytics import YOLO

clip, out, net, backend = sys.argv[1:]
model = YOLO(net)
if backend == "openvino":
    weights = Path(out) / f"{Path(net).stem}_openvino_model"
    if not weights.is_dir():
        model.save(Path(out) / f"{Path(net).stem}.pt")
        YOLO(Path(out) / f"{Path(net).stem}.pt").export(format="openvino", verbose=False)
        sys.exit()  # the export is not part of a run: the next call measures
    model = YOLO(weights, task=model.task)
timed(model.predict(clip, save=True, stream=True, verbose=False, project=out, exist_ok=True))
