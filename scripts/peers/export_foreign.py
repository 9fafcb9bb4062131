"""A net of others, exported by its own package: export_foreign.py NET FOLDER.

The weights are random: nothing is fetched, and they take as long as trained ones. FOLDER gets
NET.onnx, what its own package runs, and NET.yaml where the file does not tell all.
"""

import sys
from pathlib import Path

sys.modules["openvino_telemetry"] = None
import torch  # noqa: E402

net, folder = sys.argv[1], Path(sys.argv[2])
torch.manual_seed(0)
if net.startswith("yolo"):
    from ultralytics import YOLO

    weights = folder / f"{net}.pt"
    YOLO(f"{net}.yaml").save(weights)
    YOLO(weights).export(format="onnx", simplify=False, verbose=False)
    YOLO(weights).export(format="openvino", verbose=False)
elif net == "rf-detr":
    from rfdetr import RFDETRNano

    model = RFDETRNano(pretrain_weights=None, device="cpu")
    model.export(output_dir=str(folder / "rf"), verbose=False)
    (made,) = (folder / "rf").glob("*.onnx")
    made.replace(folder / f"{net}.onnx")
else:
    from supervision_foreign import rt_detr

    inner = rt_detr()

    class Raw(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = inner

        def forward(self, pixel_values):
            found = self.net(pixel_values)
            return found.logits, found.pred_boxes

    torch.onnx.export(
        Raw().eval(),
        (torch.rand(1, 3, 640, 640),),
        str(folder / f"{net}.onnx"),
        input_names=["pixel_values"],
        output_names=["logits", "pred_boxes"],
        opset_version=17,
        dynamo=False,
    )
