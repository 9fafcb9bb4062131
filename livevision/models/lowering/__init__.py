"""Files of models in an engine's format and in lower precision: made, compared with fp32, kept.

A file that is not fp32 is compared with fp32 on real frames and rejected if they agree too little,
since a fast wrong result is useless; the agreement is stored in the file.
"""

from livevision.models.lowering.compared import BOUNDS, Evidence
from livevision.models.lowering.frames import Frames, frames_for
from livevision.models.lowering.onnx_file import write_onnx
from livevision.models.lowering.openvino_file import write_openvino
from livevision.models.lowering.tensorrt_plan import check_tensorrt, write_tensorrt
from livevision.models.lowering.whole import write_files

__all__ = [
    "BOUNDS",
    "Evidence",
    "Frames",
    "check_tensorrt",
    "frames_for",
    "write_files",
    "write_onnx",
    "write_openvino",
    "write_tensorrt",
]
