"""Ultralytics' predict(save=True): ultralytics_predict.py CLIP FOLDER NET BACKEND.

NET is a YAML of Ultralytics', or the folder of an OpenVINO export. BACKEND is torch, openvino, or
openvino-fp32.

The weights are random, from the net's YAML: nothing is fetched, and the speed is that of trained
ones but for the boxes, of which there are none to suppress and to draw. That favours this side.
Where the processor has bf16 OpenVINO computes the export in it, by its own choice; Ultralytics has
no setting for that, so openvino-fp32 tells OpenVINO when it compiles.
"""

# ruff: noqa: E402

import sys
from pathlib import Path

sys.modules["openvino_telemetry"] = None  # which would report every turn to a server
import openvino
from timing import timed
from ultralytics import YOLO

clip, out, net, backend = sys.argv[1:]
model = YOLO(net, task=None if net.endswith(".yaml") else "detect")
if backend == "openvino-fp32":
    compiled_as_told = openvino.Core.compile_model

    def compiled_in_fp32(core, graph, device_name, config):
        return compiled_as_told(
            core, graph, device_name, config | {"INFERENCE_PRECISION_HINT": "f32"}
        )

    openvino.Core.compile_model = compiled_in_fp32
if backend != "torch" and net.endswith(".yaml"):
    weights = Path(out) / f"{Path(net).stem}_openvino_model"
    if not weights.is_dir():
        model.save(Path(out) / f"{Path(net).stem}.pt")
        YOLO(Path(out) / f"{Path(net).stem}.pt").export(format="openvino", verbose=False)
        sys.exit()  # the export is not part of a run: the next call measures
    model = YOLO(weights, task=model.task)
timed(model.predict(clip, save=True, stream=True, verbose=False, project=out, exist_ok=True))
